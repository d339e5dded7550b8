//! Why a deploy of parts does not begin, and what the troubles of git, Compose and images come to there.

use std::time::Duration;

use towline_protocol::Outcome;

use super::super::{ApplyError, hooks::Stopped};
use crate::{
    compose::{ComposeError, ImageTrouble, Placed},
    docker::{Cause, EngineError, RegistryTrouble},
    redact::Secrets,
};

/// Why there will be no deploy.
pub(super) enum Halt {
    /// It ends here, for this reason.
    Over(Outcome, String),
    /// There is nothing to do, for this reason: the project has it all in place.
    InPlace(Placed, String),
    /// Nothing is known yet; the intent stays.
    Later(ApplyError),
    /// The version can never run here, for this reason.
    Unfit(String),
    /// An image could not be had, for this reason.
    NoImage(RegistryTrouble, String),
    /// The version failed here, and this intent may mean one that is still to come.
    Held(String),
    /// The commit is not there yet, for this reason, and not waited for without end.
    NoCommit(String),
    /// The hook before it is against it.
    Hook(Box<Stopped>),
    /// It may be possible later.
    Wait {
        /// How soon it is tried again, for as long as it takes.
        pause: Duration,
        /// Why not now.
        message: String,
    },
}

impl Halt {
    /// The same without these secrets in its reason: Compose's words may have values of its file of variables.
    pub(super) fn without(mut self, secrets: &Secrets) -> Self {
        match &mut self {
            Self::Over(_, why)
            | Self::InPlace(_, why)
            | Self::Unfit(why)
            | Self::NoImage(_, why)
            | Self::Held(why)
            | Self::NoCommit(why)
            | Self::Wait { message: why, .. } => *why = secrets.hide(why),
            Self::Hook(stopped) => stopped.message = secrets.hide(&stopped.message),
            Self::Later(_) => {}
        }
        self
    }
}

pub(super) fn refuse<T>(why: String) -> Result<T, Halt> {
    Err(Halt::Over(Outcome::Refused, why))
}

impl From<ComposeError> for Halt {
    fn from(error: ComposeError) -> Self {
        let message = error.to_string();
        match error {
            ComposeError::Engine(error) => error.into(),
            ComposeError::Missing(_)
            | ComposeError::TooOld { .. }
            | ComposeError::Refused { .. }
            | ComposeError::Unset { .. } => Self::Over(Outcome::Refused, message),
            ComposeError::NotUp { .. } | ComposeError::Process(_) | ComposeError::Unexpected(_) => {
                Self::Over(Outcome::FailedUntouched, message)
            }
        }
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        match error {
            lost if lost.is_loss() => Self::Later(lost.into()),
            refused => Self::Over(Outcome::FailedUntouched, refused.to_string()),
        }
    }
}

impl From<ImageTrouble> for Halt {
    fn from(trouble: ImageTrouble) -> Self {
        match trouble {
            ImageTrouble::Engine(error) => error.into(),
            ImageTrouble::Registry(error) => {
                if let Cause::Engine(lost @ EngineError::Unreachable { .. }) = error.cause {
                    return Self::Later(lost.into());
                }
                Self::NoImage(error.trouble, error.to_string())
            }
            ImageTrouble::Unfit(why) => Self::Unfit(why),
            ImageTrouble::Refused(why) => Self::Over(Outcome::Refused, why),
        }
    }
}
