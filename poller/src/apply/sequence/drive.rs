//! The loop: write the journal, do what the machine asks for, tell it what came of that.

use std::{
    borrow::Cow,
    cell::RefCell,
    pin::Pin,
    time::{Duration, Instant},
};

use towline_protocol::{Channel, Outcome};

use super::{
    super::{
        Applied, ApplyError, Progress, StepClock,
        journal::Journal,
        loss::{After, Loss},
        said::{POSTPONED, join},
    },
    Host,
    act::{Acted, act},
    ended::applied,
    ground::Ground,
    keep,
    stack::placed,
    words::{milestone, step_name},
};
#[cfg(feature = "failpoints")]
use crate::failpoint;
use crate::{
    backup::Shelf,
    compose::Placed,
    docker::{Docker, EngineError},
    machine::Fault,
    process::Identity,
    redact::Secrets,
    sequence::{About, Action, Event, Sequence, State, Step},
    settings::{HealthCheck, Service},
    store::{JournalEntry, KeptRevision, Store, StoreError},
};

/// What the loop acts with.
pub(super) struct Drive<'a> {
    pub(super) host: Host<'a>,
    /// `None` when the host's file does not name it any more.
    pub(super) service: Option<&'a Service>,
    pub(super) entry: JournalEntry,
    /// The intent's channel, if it is known still.
    pub(super) channel: Option<Channel>,
    pub(super) ground: Ground,
    /// Its backups.
    pub(super) shelf: Shelf,
    /// The connection that is used now: a new one, when the engine was lost in the middle.
    engine: Option<Cow<'a, Docker>>,
    clock: StepClock,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        host: Host<'a>,
        service: Option<&'a Service>,
        entry: JournalEntry,
        ground: Ground,
        shelf: Shelf,
        clock: StepClock,
    ) -> Self {
        Self {
            host,
            service,
            entry,
            channel: None,
            ground,
            shelf,
            engine: host.engine.map(Cow::Borrowed),
            clock,
        }
    }

    /// The engine, if the parts need one.
    pub(super) fn engine(&self) -> Option<&Docker> {
        self.engine.as_deref()
    }

    /// How `sequence` goes on after an action that the engine was lost in.
    async fn after_loss(
        &mut self,
        loss: &mut Loss,
        sequence: Sequence,
        took: Duration,
        lost: EngineError,
    ) -> Result<Sequence, ApplyError> {
        let was_watching = may_be_left(&sequence.state);
        let after = match &mut self.engine {
            Some(engine) => loss.wait(engine, was_watching, took, lost).await,
            None => Err(lost),
        };
        match after {
            Ok(After::FoundAgain) => Ok(sequence.found_again()),
            Ok(After::Again) => Ok(sequence),
            Ok(After::Failed(why)) => Ok(sequence.after_a_loss(Event::Failed { why })),
            Err(source) => Err(ApplyError::Interrupted {
                deploy: sequence.deploy,
                source,
            }),
        }
    }

    /// What the deploy is for.
    pub(super) fn about(&self) -> About<'_> {
        About {
            service: &self.entry.service,
            channel: self.channel.as_ref(),
            intent: &self.entry.intent,
            attempt: self.entry.attempt,
        }
    }

    pub(super) fn checks(&self) -> &'a [HealthCheck] {
        self.service
            .map(|service| service.health.as_slice())
            .unwrap_or_default()
    }
}

/// Where the loop ended.
pub(super) struct End<'a> {
    pub(super) sequence: Sequence,
    pub(super) with: Drive<'a>,
    last_words: String,
    /// Whether a hook has put it off.
    is_put_off: bool,
    /// What of its project is in place after a success, if it has one.
    placed: Option<Placed>,
    /// The version that is in place after a success, as it can be gone back to.
    pub(super) kept: Option<KeptRevision>,
}

impl End<'_> {
    pub(super) fn applied(self, took: Duration) -> Applied {
        let applied = applied(&self.sequence, &self.with.entry.service, took);
        let is_well = applied.outcome == Outcome::Succeeded;
        Applied {
            log_tail: if is_well {
                String::new()
            } else {
                self.last_words
            },
            steps: self.with.clock.times(),
            pause: applied.pause.or(self.is_put_off.then_some(POSTPONED)),
            placed: self.placed,
            kept: self.kept,
            ..applied
        }
    }
}

pub(super) async fn drive<'a>(
    mut with: Drive<'a>,
    store: &mut Store,
    mut journal: Journal<Sequence>,
    mut sequence: Sequence,
    mut leave: Pin<&mut dyn Future<Output = ()>>,
    tell: &mut dyn FnMut(Progress),
) -> Result<End<'a>, ApplyError> {
    let (mut last_words, mut hooked, mut is_put_off) = (String::new(), String::new(), false);
    let mut loss = Loss::default();
    while sequence.next().is_some() {
        sequence = journal.keep(store, &mut with.entry, sequence)?;
        let Some(action) = sequence.next() else { break };
        let may_go_unrecorded = sequence.may_go_unrecorded();
        if !may_go_unrecorded && let Err(error) = journal.insist(store, &mut with.entry, &sequence)
        {
            let why = unwritable(&error);
            sequence = sequence.on(Event::Failed { why });
            continue;
        }
        #[cfg(feature = "failpoints")]
        failpoint::before(&sequence.state);
        let begun = Instant::now();
        let mut on_record = None;
        let acted = {
            let told = RefCell::new(&mut *tell);
            let passed = |check| (told.borrow_mut())(Progress::Passed { check });
            let mut entry = with.entry.clone();
            let mut record = |process: &Identity| {
                let begun = sequence.clone().begun(process.clone());
                let written = journal.write(store, &mut entry, &begun);
                #[cfg(feature = "failpoints")]
                failpoint::begun(&begun.state);
                if !may_go_unrecorded {
                    written.map_err(|error| unwritable(&error))?;
                }
                on_record = Some(begun);
                Ok(())
            };
            tokio::select! {
                biased;
                () = leave.as_mut(), if may_be_left(&sequence.state) => return Err(ApplyError::Left(sequence.deploy)),
                acted = act(&with, &sequence, &action, &mut record, &passed) => acted,
            }
        };
        let took = begun.elapsed();
        with.clock.add(&step_name(&sequence.state), took);
        let worked = acted.as_ref().is_ok_and(Acted::has_worked);
        let has_not_run = acted.as_ref().is_ok_and(|acted| acted.has_not_run);
        let before = on_record.filter(|_| !has_not_run).unwrap_or(sequence);
        sequence = match acted {
            Ok(Acted {
                event,
                log,
                note,
                hook,
                ..
            }) => {
                #[cfg(feature = "failpoints")]
                failpoint::after(&before.state);
                let before = before.clone().noting(note);
                match hook {
                    Some(fault) => (hooked, is_put_off) = (log, fault == Fault::Interruption),
                    None => last_words = join(last_words, &log),
                }
                let event = hidden(event, &with.ground.secrets);
                if let Some(fault) = hook {
                    before.clone().failed_by(event, fault)
                } else if asks_engine(&action) && loss.is_over() {
                    before.clone().after_a_loss(event)
                } else {
                    before.clone().on(event)
                }
            }
            Err(lost) => {
                let before = before.clone();
                with.after_loss(&mut loss, before, took, lost).await?
            }
        };
        if let Some(progress) = milestone(&before, &action, worked, &sequence) {
            tell(progress);
        }
    }
    let sequence = sequence.or_stuck();
    let placed = placed(&with, &sequence).await;
    let kept = keep::current(&with, &sequence).await;
    Ok(End {
        sequence,
        with,
        // A report has the end of it all.
        last_words: join(last_words, &hooked),
        is_put_off,
        placed,
        kept,
    })
}

/// Whether an action that ended shows that the engine answers, for a service that needs one.
fn asks_engine(action: &Action) -> bool {
    match action {
        Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::Up
        | Action::UpOld
        | Action::SaveLog
        | Action::StopContainers
        | Action::Look
        | Action::Gate { .. }
        | Action::Verify => true,
        Action::Command { .. }
        | Action::BackUp { .. }
        | Action::Restore { .. }
        | Action::CheckOut { .. }
        | Action::CheckOutOld { .. } => false,
    }
}

fn unwritable(error: &StoreError) -> String {
    format!("the journal could not be written: {error}")
}

/// Whether a recovery goes on from here as if nothing had happened.
fn may_be_left(state: &State) -> bool {
    matches!(
        state,
        State::Replacing {
            step: Step::Look | Step::Gate,
            ..
        }
    )
}

fn hidden(event: Event, secrets: &Secrets) -> Event {
    match event {
        Event::Failed { why } => Event::Failed {
            why: secrets.hide(&why),
        },
        Event::Refused { why } => Event::Refused {
            why: secrets.hide(&why),
        },
        Event::Postponed { why } => Event::Postponed {
            why: secrets.hide(&why),
        },
        Event::Outlived { why } => Event::Outlived {
            why: secrets.hide(&why),
        },
        other @ (Event::Done | Event::Looked { .. } | Event::Passed { .. }) => other,
    }
}
