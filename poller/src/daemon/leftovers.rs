//! What earlier processes have left beside a deploy's journal, removed at each start and told: old containers whose removal the
//! engine refused after a deploy, and a folder of one that was killed while it prepared.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::{Poller, Stop};
use crate::{
    apply::sequence::sweep,
    docker::{Docker, EngineError},
    machine::Leftover,
    store::StoreError,
};

/// How long a start tries to remove them, all together: the services wait for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of one.
enum Cleared {
    Removed,
    /// It has another name by now: somebody wants it.
    Renamed,
}

impl Poller {
    /// Removes the folder in which an earlier process has looked at a commit's files, if it was killed meanwhile.
    pub(super) fn clear_scratch(&self) {
        match sweep(self.store.dir()) {
            Ok(None) => {}
            Ok(Some(path)) => info!("removed {}, which an earlier run had left", path.display()),
            Err(why) => warn!("{why}; it is tried again at the next start"),
        }
    }

    /// Removes what earlier deploys could not, within [`PATIENCE`] or until `stop`: one whose removal is cut off there is
    /// looked for again at the next start. What the engine does not let go, or an engine that is not there, is only told.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn clear_leftovers(&mut self, stop: &Stop) -> Result<(), StoreError> {
        let (mut stop, until) = (stop.clone(), Instant::now() + PATIENCE);
        for leftover in self.store.leftovers()? {
            let name = &leftover.name;
            let cleared = tokio::select! {
                () = stop.wanted() => return Ok(()),
                cleared = timeout_at(until, self.let_go(&leftover)) => cleared,
            };
            let Ok(cleared) = cleared else {
                let patience = PATIENCE.as_secs();
                warn!(
                    "the engine has not removed the old containers within {patience} s; {name} and any others are tried again at the next start"
                );
                return Ok(());
            };
            match cleared {
                Ok(Cleared::Removed) => info!("removed {name}, which an earlier deploy had left"),
                Ok(Cleared::Renamed) => info!("{name} has another name by now, and is left alone"),
                Err(why) => {
                    warn!(
                        "the old container {name} is still there, remove it with `docker rm {name}`: {why}"
                    );
                    continue;
                }
            }
            self.store.forget_leftover(&leftover.id)?;
        }
        Ok(())
    }

    async fn let_go(&mut self, leftover: &Leftover) -> Result<Cleared, EngineError> {
        clear(self.engine.get().await?, leftover).await
    }
}

async fn clear(engine: &Docker, leftover: &Leftover) -> Result<Cleared, EngineError> {
    let shown = engine.container(&leftover.id).await?;
    let Some(shown) = shown else {
        return Ok(Cleared::Removed);
    };
    let called = shown.get("Name").and_then(serde_json::Value::as_str);
    if called.map(|name| name.trim_start_matches('/')) != Some(leftover.name.as_str()) {
        return Ok(Cleared::Renamed);
    }
    match engine.remove(&leftover.id).await {
        Ok(()) | Err(EngineError::NotFound(_)) => Ok(Cleared::Removed),
        Err(refused) => Err(refused),
    }
}
