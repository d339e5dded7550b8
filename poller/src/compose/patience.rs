//! How long an `up` waits for a Compose that was killed before it: the engine goes on with what that one has asked for last, and
//! gives a container's name, say, to one that nobody has seen when the next one looks.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ComposeError;
use crate::docker::EngineError;

/// What is told among Compose's own words.
const WAITING: &str = "(the engine may still do what an interrupted Compose has asked it for: towline tries again in a moment)";
/// What the engine says of containers that somebody else makes or removes at the same time, in lower case.
const AT_IT: [&str; 3] = [
    "is already in use by container",
    "is already in progress",
    "no such container",
];

/// How long something may be in the way of an `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For how long it is tried again. With none it is tried once.
    pub within: Duration,
    /// Before the next try.
    pub pause: Duration,
}

impl Patience {
    /// Where nothing was interrupted, so that what is in the way stays there.
    pub const NONE: Self = Self {
        within: Duration::ZERO,
        pause: Duration::ZERO,
    };
    /// Where something was. An engine that has much to do takes some seconds to make a container.
    pub const AFTER_ANOTHER: Self = Self {
        within: Duration::from_secs(30),
        pause: Duration::from_secs(1),
    };

    /// Whether what has failed like this is tried again, when the first try was begun at `since`.
    pub(super) fn lasts(self, failed: &ComposeError, since: Instant) -> bool {
        is_at_it(failed) && since.elapsed() < self.within
    }

    /// Waits for the next try, and tells `line` why.
    pub(super) async fn wait(self, line: &mut dyn FnMut(&str)) {
        line(WAITING);
        sleep(self.pause).await;
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

    #[tokio::test]
    async fn only_what_another_may_be_doing_is_tried_again_and_not_for_ever() {
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
        let now = Instant::now();
        for failed in [
            &named,
            &not_up("removal of container ff is already in progress"),
            &not_up("Error response from daemon: No such container: ff"),
            &refused(409),
        ] {
            assert!(Patience::AFTER_ANOTHER.lasts(failed, now), "{failed}");
            assert!(!Patience::NONE.lasts(failed, now), "{failed}");
        }
        for failed in [
            &not_up("dependency failed to start: container db-1 is unhealthy"),
            &not_up("Bind for 0.0.0.0:80 failed: port is already allocated"),
            &refused(500),
        ] {
            assert!(!Patience::AFTER_ANOTHER.lasts(failed, now), "{failed}");
        }
        let Some(long_ago) = now.checked_sub(Patience::AFTER_ANOTHER.within) else {
            return;
        };
        assert!(!Patience::AFTER_ANOTHER.lasts(&named, long_ago));
    }
}
