//! An engine that is lost in the middle of a deploy, of whatever kind: how long it is waited for, and what then.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use crate::docker::{Docker, EngineError};

/// How long an engine that is lost in the middle is waited for: a restart takes some seconds.
const RECONNECT: Duration = Duration::from_secs(60);
/// How often it is tried.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a deploy waits in all for an engine that answers, but not its calls.
const UNHEARD: Duration = Duration::from_secs(300);

/// An engine that does not answer, for a short time perhaps.
#[derive(Default)]
pub(super) struct Loss {
    /// `None` while it answers.
    since: Option<Instant>,
    /// How long the deploy has waited in all, for nothing.
    waited: Duration,
    /// Whether the engine was connected to anew since, so that the next call is made to the one that is back.
    renewed: bool,
}

/// How a deploy goes on after a call that was not answered.
#[derive(Debug)]
pub(super) enum After {
    /// As one that was found again: the engine was lost by this call.
    FoundAgain,
    /// By the same call.
    Again,
    /// The call has failed, for this reason.
    Failed(String),
}

impl Loss {
    /// Waits a moment after a call that took so long, and leaves a new connection; says how the deploy goes on then. A version
    /// that was watched all the while was not waited for in vain.
    ///
    /// When the engine is there, and only this call is never answered, not on the new connection either, it has failed:
    /// one container that hangs shall not keep the host busy for ever.
    ///
    /// # Errors
    /// When the engine was waited for long enough, and is not there.
    pub(super) async fn wait(
        &mut self,
        engine: &mut Cow<'_, Docker>,
        was_watching: bool,
        took: Duration,
        lost: EngineError,
    ) -> Result<After, EngineError> {
        let begins = self.since.is_none();
        let since = *self.since.get_or_insert_with(Instant::now);
        let in_vain = Some(took.min(UNHEARD / 2)).filter(|_| !was_watching);
        self.waited += in_vain.unwrap_or_default() + RECONNECT_PAUSE;
        let was_renewed = self.renewed;
        tokio::time::sleep(RECONNECT_PAUSE).await;
        let answers = match engine.again().await {
            Ok(again) => {
                *engine = Cow::Owned(again);
                true
            }
            Err(_) => false,
        };
        self.renewed = answers;
        let is_long = since.elapsed() >= RECONNECT;
        if answers && was_renewed && (is_long || self.waited >= UNHEARD) {
            self.is_over();
            return Ok(After::Failed(lost.to_string()));
        }
        if is_long && !answers {
            return Err(lost);
        }
        Ok(if begins {
            After::FoundAgain
        } else {
            After::Again
        })
    }

    /// The engine has answered; whether it had to be waited for.
    pub(super) fn is_over(&mut self) -> bool {
        self.renewed = false;
        self.since.take().is_some()
    }
}

#[cfg(test)]
mod tests;
