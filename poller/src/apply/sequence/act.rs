//! What the machine asks for, done on this host.

use super::{archive, checkout, command, drive::Drive, hooks, stack::Stack};
use crate::{
    docker::EngineError,
    health,
    machine::Fault,
    process::Identity,
    sequence::{Action, Event, Sequence},
    uptime::Uptime,
};

/// What came of an action, and the last words of a version that fails, without secrets.
pub(super) struct Acted {
    pub(super) event: Event,
    pub(super) log: String,
    /// What is to be told in the report whatever the end is.
    pub(super) note: Option<String>,
    /// Whether a command that was put on record has not run all the same.
    pub(super) has_not_run: bool,
    /// Whose fault a failure is that a hook has told, whose words `log` has then.
    pub(super) hook: Option<Fault>,
}

impl Acted {
    /// Whether it came to what was asked for.
    pub(super) fn has_worked(&self) -> bool {
        !matches!(
            self.event,
            Event::Failed { .. }
                | Event::Refused { .. }
                | Event::Postponed { .. }
                | Event::Outlived { .. }
        )
    }
}

/// Puts the process of a command on record, which may go then.
pub(super) type Record<'a> = &'a mut dyn FnMut(&Identity) -> Result<(), String>;

impl From<Event> for Acted {
    fn from(event: Event) -> Self {
        Self {
            event,
            log: String::new(),
            note: None,
            has_not_run: false,
            hook: None,
        }
    }
}

/// Does one thing; `tell` hears of each check that is passed.
///
/// An engine that is lost is an error: nobody knows what came of the action.
pub(super) async fn act(
    with: &Drive<'_>,
    sequence: &Sequence,
    action: &Action,
    record: Record<'_>,
    tell: &dyn Fn(String),
) -> Result<Acted, EngineError> {
    let acted = match action {
        Action::Command { which, version } => {
            command::run(with, sequence, *which, *version, record).await
        }
        Action::BackUp { name } => archive::make(with, sequence, name).await.into(),
        Action::Restore { name } => archive::put_back(with, sequence, name).await.into(),
        Action::CheckOut { from, to } => {
            let way = (from, to);
            checkout::put(with, sequence, way, record).await
        }
        Action::CheckOutOld {
            checkout: old,
            interrupted,
            ..
        } => {
            let interrupted = *interrupted;
            checkout::put_back(with, sequence, old, interrupted, record).await
        }
        Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::Up
        | Action::UpOld
        | Action::SaveLog
        | Action::StopContainers
        | Action::Look
        | Action::Gate { .. }
        | Action::Verify => match Stack::of(with, sequence) {
            Some(stack) => stack.act(action, record, tell).await?,
            None => of_host(with, sequence, action, tell).await.into(),
        },
    };
    match acted.event {
        Event::Passed { .. } => hooks::after(with, sequence, acted).await,
        Event::Done
        | Event::Looked { .. }
        | Event::Failed { .. }
        | Event::Refused { .. }
        | Event::Postponed { .. }
        | Event::Outlived { .. } => Ok(acted),
    }
}

/// What is asked of a service without containers.
async fn of_host(
    with: &Drive<'_>,
    sequence: &Sequence,
    action: &Action,
    tell: &dyn Fn(String),
) -> Event {
    match action {
        Action::Look => look(with, sequence).await,
        Action::Gate { spent } => {
            let stable_for = with.service.and_then(|service| service.stable_for);
            let host = with.ground.checked(&with.host);
            let verdict = health::gate_host(&host, with.checks(), stable_for, *spent, tell);
            match verdict.await {
                Ok(gate) => Event::Passed { gate },
                Err(why) => Event::Failed { why },
            }
        }
        Action::Verify => verify(with, sequence).await,
        Action::Command { .. }
        | Action::BackUp { .. }
        | Action::CheckOut { .. }
        | Action::CheckOutOld { .. }
        | Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::Up
        | Action::UpOld
        | Action::SaveLog
        | Action::StopContainers
        | Action::Restore { .. } => Event::Failed {
            why: "the journal names no Compose project".to_owned(),
        },
    }
}

/// A service without containers shows nothing of itself but its checkout, and the rest by its checks.
async fn look(with: &Drive<'_>, sequence: &Sequence) -> Event {
    if let Some(elsewhere) = checkout::is_elsewhere(with, sequence).await {
        return elsewhere;
    }
    Event::Looked {
        starts: Vec::new(),
        now: Some(Uptime::now()),
    }
}

/// Whether the old version is as well as it was.
async fn verify(with: &Drive<'_>, sequence: &Sequence) -> Event {
    if !sequence.before.was_healthy {
        return Event::Done;
    }
    let host = with.ground.checked(&with.host);
    match health::returned_host(&host, with.checks()).await {
        Ok(()) => Event::Done,
        Err(why) => Event::Failed { why },
    }
}
