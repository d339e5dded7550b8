//! The loop: write the journal, make the machine's call, tell the machine what came of it.

use std::{
    borrow::Cow,
    cell::RefCell,
    pin::Pin,
    time::{Duration, Instant},
};

use super::{
    Applied, ApplyError, Progress, StepClock,
    act::act,
    journal::Journal,
    loss::{After, Loss},
    said::{POSTPONED, join},
};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::{
    docker::{Docker, EngineError},
    machine::{Deploy, Ending, Event, Fault, State, Step, Undo},
    process::Launcher,
    settings::Service,
    spec::CreateRequest,
    store::{JournalEntry, Store},
};

/// What the loop acts with.
pub(super) struct Drive<'a> {
    pub(super) engine: Cow<'a, Docker>,
    /// `None` when the host's file does not name it any more.
    pub(super) service: Option<&'a Service>,
    /// How the new container of each member is made, and the id of the image that it must have; a recovery makes none.
    pub(super) create: Vec<(CreateRequest, String)>,
    /// The deploy as the journal has it already; `None` when nothing is on record.
    pub(super) recorded: Option<Deploy>,
    pub(super) launcher: &'a Launcher,
    /// What the deploy is for.
    pub(super) entry: JournalEntry,
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
    /// Whether a hook has put it off.
    is_put_off: bool,
}

impl End<'_> {
    pub(super) fn applied(self, took: Duration) -> Applied {
        let applied = Applied::of(&self.deploy, self.service, took);
        Applied {
            log_tail: self.log_tail,
            pause: self.is_put_off.then_some(POSTPONED),
            steps: self.clock.times(),
            ..applied
        }
    }
}

pub(super) async fn drive<'a>(
    mut with: Drive<'a>,
    store: &mut Store,
    mut deploy: Deploy,
    mut stop: Pin<&mut dyn Future<Output = ()>>,
    tell: &mut dyn FnMut(Progress),
) -> Result<End<'a>, ApplyError> {
    let (mut log_tail, mut hooked, mut is_put_off) = (String::new(), String::new(), false);
    let mut journal = Journal::after(with.recorded.take());
    let mut loss = Loss::default();
    while deploy.next().is_some() {
        deploy = journal.keep(store, &mut with.entry, deploy)?;
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
        with.clock.add(&deploy.state.name(), took);
        let before = deploy.state.clone();
        deploy = match acted {
            Err(lost) => {
                let was_watching = may_be_left(&deploy.state);
                let waited = loss.wait(&mut with.engine, was_watching, took, lost);
                match waited.await {
                    Ok(After::FoundAgain) => deploy.found_again(),
                    Ok(After::Again) => deploy,
                    Ok(After::Failed(why)) => deploy.after_a_loss(Event::Failed { why }),
                    Err(lost) => return Err(interrupted(&deploy, lost)),
                }
            }
            Ok(acted) => {
                #[cfg(feature = "failpoints")]
                failpoint::after(&deploy.state);
                if acted.hook.is_none() {
                    log_tail = join(log_tail, &acted.log.text);
                }
                if let Some(fault) = acted.hook {
                    is_put_off = fault == Fault::Interruption;
                    hooked = acted.log.text;
                    deploy.failed_by(acted.event, fault)
                } else if loss.is_over() {
                    deploy.after_a_loss(acted.event)
                } else {
                    deploy.on(acted.event)
                }
            }
        };
        for progress in milestones(&before, &deploy.state) {
            tell(progress);
        }
    }
    Ok(End {
        is_put_off,
        deploy: deploy.or_stuck(),
        engine: with.engine,
        service: with.service,
        clock: with.clock,
        // A report has the end of it all.
        log_tail: join(log_tail, &hooked),
    })
}

/// Whether a recovery goes on from here as if nothing had happened. Every other step is short.
fn may_be_left(state: &State) -> bool {
    matches!(
        state,
        State::Replacing {
            step: Step::Look | Step::Gate | Step::LookAgain | Step::GateAgain | Step::Drain,
            ..
        }
    )
}

fn interrupted(deploy: &Deploy, source: EngineError) -> ApplyError {
    ApplyError::Interrupted {
        deploy: deploy.deploy.clone(),
        source,
    }
}

/// What is to be told of a change of state.
fn milestones(before: &State, after: &State) -> Vec<Progress> {
    let told = match (before, after) {
        (State::Replacing { step: was, .. }, State::Replacing { step: is, .. }) if was != is => {
            forth(*was)
        }
        (State::Replacing { step: last, .. }, State::Committed { gate, .. }) => {
            // One that was stopped stays so, and is not watched.
            let passed = gate.map(|gate| Progress::Healthy { gate });
            return forth(*last).into_iter().chain(passed).collect();
        }
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
    };
    told.into_iter().collect()
}

/// The step is done.
fn forth(step: Step) -> Option<Progress> {
    match step {
        Step::Create => Some(Progress::Created),
        Step::Stop => Some(Progress::Stopped),
        Step::Promote | Step::Switch => Some(Progress::Swapped),
        Step::Start => Some(Progress::Started),
        Step::Join => Some(Progress::Joined),
        Step::Drain => Some(Progress::Drained),
        Step::Tag
        | Step::Disarm
        | Step::Park
        | Step::Look
        | Step::Gate
        | Step::LookAgain
        | Step::GateAgain => None,
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
