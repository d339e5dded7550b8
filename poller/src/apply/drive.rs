//! The loop: write the journal, make the machine's call, tell the machine what came of it.

use std::{
    borrow::Cow,
    cell::RefCell,
    pin::Pin,
    time::{Duration, Instant},
};

use super::{Applied, ApplyError, Progress, StepClock, act::act, journal::Journal};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::{
    docker::{Docker, EngineError},
    machine::{Deploy, Ending, Event, State, Step, Undo},
    settings::Service,
    spec::CreateRequest,
    store::{JournalEntry, Store},
};

/// How long an engine that is lost in the middle is waited for: a restart takes some seconds.
const RECONNECT: Duration = Duration::from_secs(60);
/// How often it is tried.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a deploy waits in all for an engine that answers, but not its calls.
const UNHEARD: Duration = Duration::from_secs(300);

/// What the loop acts with.
pub(super) struct Drive<'a> {
    pub(super) engine: Cow<'a, Docker>,
    /// `None` when the host's file does not name it any more.
    pub(super) service: Option<&'a Service>,
    /// How the new container is made, and the id of the image that it must have; a recovery makes none.
    pub(super) create: Option<(CreateRequest, String)>,
    /// The deploy as the journal has it already; `None` when nothing is on record.
    pub(super) recorded: Option<Deploy>,
    pub(super) clock: StepClock,
}

/// Where the loop ended.
pub(super) struct End<'a> {
    pub(super) deploy: Deploy,
    /// The connection that was used last: a new one, when the engine was lost in the middle.
    pub(super) engine: Cow<'a, Docker>,
    service: Option<&'a Service>,
    clock: StepClock,
    log_tail: String,
}

impl End<'_> {
    pub(super) fn applied(self, took: Duration) -> Applied {
        let applied = Applied::of(&self.deploy, self.service, took);
        Applied {
            log_tail: self.log_tail,
            steps: self.clock.times(),
            ..applied
        }
    }
}

pub(super) async fn drive<'a>(
    mut with: Drive<'a>,
    store: &mut Store,
    mut entry: JournalEntry,
    mut deploy: Deploy,
    mut stop: Pin<&mut dyn Future<Output = ()>>,
    tell: &mut dyn FnMut(Progress),
) -> Result<End<'a>, ApplyError> {
    let mut log_tail = String::new();
    let mut journal = Journal::after(with.recorded.take());
    let mut loss = Loss::default();
    while deploy.next().is_some() {
        deploy = journal.keep(store, &mut entry, deploy)?;
        let Some(action) = deploy.next() else { break };
        #[cfg(feature = "failpoints")]
        failpoint::before(&deploy.state);
        let begun = Instant::now();
        let told = RefCell::new(&mut *tell);
        let passed = |check| (told.borrow_mut())(Progress::Passed { check });
        let acted = tokio::select! {
            biased;
            () = stop.as_mut(), if may_be_left(&deploy.state) => return Err(ApplyError::Left(deploy.deploy)),
            acted = act(&with, &deploy, &action, &passed) => acted,
        };
        let took = begun.elapsed();
        with.clock.add(&step_name(&deploy.state), took);
        let before = deploy.state.clone();
        deploy = match acted {
            Err(lost) => loss.wait(&mut with.engine, deploy, took, lost).await?,
            Ok(acted) => {
                #[cfg(feature = "failpoints")]
                failpoint::after(&deploy.state);
                // After a loss it is read once more.
                if !log_tail.contains(&acted.log.text) {
                    log_tail.push_str(&acted.log.text);
                }
                if loss.is_over() {
                    deploy.after_a_loss(acted.event)
                } else {
                    deploy.on(acted.event)
                }
            }
        };
        if let Some(progress) = milestone(&before, &deploy.state) {
            tell(progress);
        }
    }
    Ok(End {
        deploy: deploy.or_stuck(),
        engine: with.engine,
        service: with.service,
        clock: with.clock,
        log_tail,
    })
}

/// Whether a recovery goes on from here as if nothing had happened. Every other step is short.
fn may_be_left(state: &State) -> bool {
    matches!(
        state,
        State::Replacing {
            step: Step::Look | Step::Gate,
            ..
        }
    )
}

/// An engine that does not answer, for a short time perhaps.
#[derive(Default)]
struct Loss {
    /// `None` while it answers.
    since: Option<Instant>,
    /// How long the deploy has waited in all, for nothing.
    waited: Duration,
    /// Whether the engine was connected to anew since, so that the next call is made to the one that is back.
    renewed: bool,
}

impl Loss {
    /// Waits a moment after a call that took so long; returns how the deploy goes on then, and leaves a new connection.
    ///
    /// When the engine is there, and only this call is never answered, not on the new connection either, it has failed:
    /// one container that hangs shall not keep the host busy for ever.
    async fn wait(
        &mut self,
        engine: &mut Cow<'_, Docker>,
        deploy: Deploy,
        took: Duration,
        lost: EngineError,
    ) -> Result<Deploy, ApplyError> {
        let begins = self.since.is_none();
        let since = *self.since.get_or_insert_with(Instant::now);
        // A version that was watched all the while was not waited for in vain.
        let in_vain = Some(took.min(UNHEARD / 2)).filter(|_| !may_be_left(&deploy.state));
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
            let why = lost.to_string();
            return Ok(deploy.after_a_loss(Event::Failed { why }));
        }
        if is_long && !answers {
            return Err(interrupted(&deploy, lost));
        }
        Ok(if begins { deploy.found_again() } else { deploy })
    }

    /// The engine has answered; whether it had to be waited for.
    fn is_over(&mut self) -> bool {
        self.renewed = false;
        self.since.take().is_some()
    }
}

fn interrupted(deploy: &Deploy, source: EngineError) -> ApplyError {
    ApplyError::Interrupted {
        deploy: deploy.deploy.clone(),
        source,
    }
}

fn step_name(state: &State) -> String {
    match state {
        State::Replacing { step, .. } => step.to_string(),
        State::Committed { .. } => "commit".to_owned(),
        State::RollingBack { .. } => "rollback".to_owned(),
        State::Ended { .. } => "end".to_owned(),
    }
}

/// What is to be told of a change of state.
fn milestone(before: &State, after: &State) -> Option<Progress> {
    match (before, after) {
        (State::Replacing { step: was, .. }, State::Replacing { step: is, .. }) if was != is => {
            forth(*was)
        }
        (State::Replacing { .. }, State::Committed { gate, .. }) => Some(match gate {
            Some(gate) => Progress::Healthy { gate: *gate },
            // One that was stopped stays so.
            None => Progress::Swapped,
        }),
        (
            State::Committed { .. },
            State::Ended {
                ending: Ending::Succeeded { .. },
            },
        ) => Some(Progress::Committed),
        (State::Replacing { .. }, State::RollingBack { why, .. }) => {
            Some(Progress::RollingBack { why: why.clone() })
        }
        (State::RollingBack { step: was, .. }, State::RollingBack { step: is, .. })
            if was != is =>
        {
            back(*was)
        }
        (
            State::RollingBack { .. },
            State::Ended {
                ending: Ending::RolledBack { .. },
            },
        ) => Some(Progress::RolledBack),
        _ => None,
    }
}

/// The step is done.
fn forth(step: Step) -> Option<Progress> {
    match step {
        Step::Create => Some(Progress::Created),
        Step::Stop => Some(Progress::Stopped),
        Step::Promote => Some(Progress::Swapped),
        Step::Start => Some(Progress::Started),
        Step::Tag | Step::Disarm | Step::Park | Step::Look | Step::Gate => None,
    }
}

/// The step back is done.
fn back(step: Undo) -> Option<Progress> {
    match step {
        Undo::StopNew => Some(Progress::StoppedNew),
        Undo::StartOld => Some(Progress::StartedOld),
        Undo::Find
        | Undo::Demote
        | Undo::StopOld
        | Undo::Restore
        | Undo::Rearm
        | Undo::Verify
        | Undo::Untag
        | Undo::SaveLog
        | Undo::RemoveNew => None,
    }
}

#[cfg(test)]
mod tests;
