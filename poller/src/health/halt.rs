//! Why there is no good verdict.

use crate::docker::EngineError;

/// Why checking has come to an end before all was good.
#[derive(Debug)]
pub(super) enum Halt {
    /// The version is no good, for this reason.
    Failed(String),
    /// It is no good, and the program of a check goes on that cannot be ended: another try would only add to it.
    GoesOn(String),
    /// The engine cannot be asked, so nobody knows.
    Engine(EngineError),
}

impl Halt {
    /// The same with other words for the reason.
    pub(super) fn told(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(words(why)),
            Self::GoesOn(why) => Self::GoesOn(words(why)),
            Self::Engine(error) => Self::Engine(error),
        }
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// What is known, with the reason when it is no good.
pub(super) fn verdict<T>(end: Result<T, Halt>) -> Result<Result<T, String>, EngineError> {
    match end {
        Ok(good) => Ok(Ok(good)),
        Err(Halt::Failed(why) | Halt::GoesOn(why)) => Ok(Err(why)),
        Err(Halt::Engine(error)) => Err(error),
    }
}

/// The same where no engine is asked.
pub(super) fn judgement<T>(end: Result<T, Halt>) -> Result<T, String> {
    match end {
        Ok(good) => Ok(good),
        Err(Halt::Failed(why) | Halt::GoesOn(why)) => Err(why),
        Err(Halt::Engine(error)) => Err(error.to_string()),
    }
}
