//! How long an `up` waits for a Compose that was killed before it: the engine goes on with what that one has asked for last, and
//! gives a container's name, say, to one that nobody has seen when the next one looks.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::{ComposeError, containers};
use crate::docker::{Docker, EngineError};

/// What is told among Compose's own words.
const WAITING: &str = "(the engine may still do what an interrupted Compose has asked it for: towline tries again in a moment)";
/// What the engine says of containers that somebody else makes or removes at the same time, in lower case.
const AT_IT: [&str; 3] = [
    "is already in use by container",
    "is already in progress",
    "no such container",
];

/// How long something may be in the way of an `up`: the pauses before it is tried again. Each try starts finished jobs again, so that
/// there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub &'static [Duration]);

/// What a Compose that was killed may have been at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted<'a> {
    /// The engine.
    pub engine: &'a Docker,
    /// The project.
    pub project: &'a str,
    /// How long a container may take to stop, if not as long as its own settings say.
    pub grace: Option<Duration>,
}

impl Interrupted<'_> {
    /// The project's containers.
    async fn ids(&self) -> Result<Vec<String>, EngineError> {
        let all = containers(self.engine, self.project).await?;
        Ok(all.into_iter().map(|one| one.id).collect())
    }
}

impl Patience {
    /// Where nothing was interrupted, so that what is in the way stays there.
    pub const NONE: Self = Self(&[]);
    /// Where something was. An engine that has much to do takes some seconds to make a container.
    pub const AFTER_ANOTHER: Self = Self(&[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(8),
        Duration::from_secs(15),
    ]);

    /// How long to wait before what has failed like this is tried again, after as many tries before; `None` when it is not.
    fn pause(self, failed: &ComposeError, tried: usize) -> Option<Duration> {
        let pause = self.0.get(tried).copied();
        pause.filter(|_| is_at_it(failed))
    }

    /// Does `once` until it is done and stays so. What the engine still stops is waited for before, and what it has stopped
    /// meanwhile brings another try; so does a failure that may have come of it, of which `line` is told.
    pub(super) async fn tries(
        self,
        at: &Interrupted<'_>,
        line: &mut dyn FnMut(&str),
        mut once: impl AsyncFnMut(&mut dyn FnMut(&str)) -> Result<(), ComposeError>,
    ) -> Result<(), ComposeError> {
        if self == Self::NONE {
            return once(line).await;
        }
        let mut tried = 0_usize;
        loop {
            at.engine.settle(&at.ids().await?, at.grace).await?;
            let since = SystemTime::now();
            match once(line).await {
                Ok(()) if self.0.get(tried).is_none() => return Ok(()),
                Ok(()) => {
                    let ids = at.ids().await?;
                    if !at.engine.were_stopped(&ids, since, at.grace).await? {
                        return Ok(());
                    }
                    line(WAITING);
                }
                Err(failed) => self.wait(failed, tried, line).await?,
            }
            tried = tried.saturating_add(1);
        }
    }

    /// Waits for the next try, and tells `line` why; gives the failure back when there is none.
    async fn wait(
        self,
        failed: ComposeError,
        tried: usize,
        line: &mut dyn FnMut(&str),
    ) -> Result<(), ComposeError> {
        let Some(pause) = self.pause(&failed, tried) else {
            return Err(failed);
        };
        line(WAITING);
        sleep(pause).await;
        Ok(())
    }
}

/// Whether the engine was doing something to the same containers.
fn is_at_it(failed: &ComposeError) -> bool {
    match failed {
        ComposeError::NotUp { said, .. } => {
            let said = said.to_lowercase();
            AT_IT.iter().any(|words| said.contains(words))
        }
        ComposeError::Engine(error) => matches!(
            error,
            EngineError::Refused { status: 409, .. } | EngineError::NotFound(_)
        ),
        ComposeError::Missing(_)
        | ComposeError::TooOld { .. }
        | ComposeError::Refused { .. }
        | ComposeError::Unset { .. }
        | ComposeError::Process(_)
        | ComposeError::Unexpected(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_up(said: &str) -> ComposeError {
        ComposeError::NotUp {
            how: "ended with status 1".to_owned(),
            said: said.to_owned(),
        }
    }

    #[test]
    fn only_what_another_may_be_doing_is_tried_again_and_not_for_ever() {
        let named = not_up(
            "Error response from daemon: Conflict. The container name \"/0123456789ab_web-1\" is already in use by container \
             \"ff\". You have to remove (or rename) that container to be able to reuse that name.",
        );
        let refused = |status| {
            ComposeError::Engine(EngineError::Refused {
                status,
                message: "Conflict".to_owned(),
            })
        };
        for failed in [
            &named,
            &not_up("removal of container ff is already in progress"),
            &not_up("Error response from daemon: No such container: ff"),
            &refused(409),
        ] {
            let pauses: Vec<_> = (0..6)
                .map_while(|tried| Patience::AFTER_ANOTHER.pause(failed, tried))
                .collect();
            assert_eq!(
                pauses,
                [1, 2, 4, 8, 15].map(Duration::from_secs),
                "{failed}"
            );
            assert_eq!(Patience::NONE.pause(failed, 0), None, "{failed}");
        }
        for failed in [
            &not_up("dependency failed to start: container db-1 is unhealthy"),
            &not_up("Bind for 0.0.0.0:80 failed: port is already allocated"),
            &refused(500),
        ] {
            assert_eq!(Patience::AFTER_ANOTHER.pause(failed, 0), None, "{failed}");
        }
    }
}
