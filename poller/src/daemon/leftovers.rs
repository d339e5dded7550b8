//! Old containers whose removal the engine refused after a deploy: it is tried again at each start, and told.

use tracing::{info, warn};

use super::Poller;
use crate::{
    docker::{Docker, EngineError},
    machine::Leftover,
    store::StoreError,
};

/// What became of one.
enum Cleared {
    Removed,
    /// It has another name by now: somebody wants it.
    Renamed,
}

impl Poller {
    /// Removes what earlier deploys could not. What the engine does not let go, or an engine that is not there, is only
    /// told: no service waits for that.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn clear_leftovers(&mut self) -> Result<(), StoreError> {
        for leftover in self.store.leftovers()? {
            let name = &leftover.name;
            let cleared = match self.engine.get().await {
                Ok(engine) => clear(engine, &leftover).await,
                Err(error) => Err(error),
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
