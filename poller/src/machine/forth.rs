//! The way to the new version, and what is tidied up after the commit.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;
use towline_protocol::Gate;

use super::{Action, Deploy, Ending, Event, Expected, Fault, Paused, State};

/// A step to the new version. In which order they come is the strategy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Move the local tag, from which the replacement is created.
    Tag,
    /// Create the new container beside the old one.
    Create,
    /// Take the old one's restart policy, so that a reboot in between starts nothing.
    Disarm,
    /// Stop the old one.
    Stop,
    /// Give the old one its parked name.
    Park,
    /// Give the new one the canonical name.
    Promote,
    /// Start the new one.
    Start,
    /// Look whether it runs, and since when: who goes on with the gate after a crash must know that start again.
    Look,
    /// Wait for the new one's health.
    Gate,
    /// Let the new one, which passed the gate beside the old one, be found by the aliases that the old one is found by.
    Join,
    /// Give the old one its parked name and the new one the canonical name at once, so that one of them is always found by it.
    Switch,
    /// Look whether it runs under the canonical name.
    LookAgain,
    /// Ask its checks once more: it has another address since it joined.
    GateAgain,
    /// Leave the old one the time in which clients still go to it.
    Drain,
}

/// A step after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tidy {
    /// Give the new one the restart policy.
    Arm,
    /// Start the new one: a restart of the engine before it had its policy has stopped it.
    Start,
    /// Look whether the new one runs under its name, since the next step takes the way back away.
    Confirm,
    /// Remove the old one; Compose would take it for a twin of its own.
    RemoveOld,
}

/// An old container that the engine did not let go after the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its id.
    pub id: String,
    /// Its parked name.
    pub name: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Create => "create",
            Self::Disarm => "disarm",
            Self::Stop => "stop",
            Self::Park => "park",
            Self::Promote => "promote",
            Self::Start => "start",
            // To people it is how the gate begins.
            Self::Look | Self::Gate => "gate",
            Self::Join => "join",
            Self::Switch => "switch",
            Self::LookAgain | Self::GateAgain => "gate again",
            Self::Drain => "drain",
        })
    }
}

impl Step {
    /// Whether a failure here is about the old container.
    fn is_about_old(self) -> bool {
        matches!(self, Self::Disarm | Self::Stop | Self::Park | Self::Switch)
    }

    /// Whether it is looking at what runs.
    fn is_look(self) -> bool {
        matches!(self, Self::Look | Self::LookAgain)
    }

    /// Whether it is asking the checks.
    fn is_gate(self) -> bool {
        matches!(self, Self::Gate | Self::GateAgain)
    }
}

impl Deploy {
    pub(super) fn step(&self, step: Step, at: usize, new: &[String]) -> Option<Action> {
        let member = self.members.get(at)?;
        let old = || member.old.clone();
        Some(match step {
            Step::Tag => Action::MoveTag(member.tag.clone()?),
            Step::Create => Action::Create {
                member: at,
                name: self.new_name(member),
            },
            Step::Disarm => Action::SetPolicy {
                id: old(),
                policy: json!({ "Name": "no" }),
            },
            Step::Stop => Action::Stop { id: old() },
            Step::Park => Action::Rename {
                id: old(),
                to: self.parked_name(member),
            },
            Step::Promote => Action::Rename {
                id: new.get(at)?.clone(),
                to: member.name.clone(),
            },
            Step::Start => Action::Start {
                id: new.get(at)?.clone(),
            },
            Step::Look | Step::LookAgain => self.look(step, at, new),
            Step::Gate | Step::GateAgain => Action::Gate {
                ids: self.running(at, new),
                spent: self.spent(),
                brief: step == Step::GateAgain,
            },
            Step::Join => Action::Join {
                member: at,
                id: new.get(at)?.clone(),
            },
            Step::Switch => Action::Switch {
                old: old(),
                parked: self.parked_name(member),
                new: new.get(at)?.clone(),
                name: member.name.clone(),
            },
            Step::Drain => Action::Drain {
                ids: self.running(at, new),
            },
        })
    }

    pub(super) fn after_step(
        mut self,
        step: Step,
        at: usize,
        mut new: Vec<String>,
        event: Event,
    ) -> Self {
        let (fault, why) = match event {
            Event::Passed { gate } if step.is_gate() => {
                if step == Step::Gate {
                    self.gate = Some(weaker(self.gate, gate));
                }
                return self.past(step, at, new);
            }
            Event::Created { id } if step == Step::Create => {
                new.push(id);
                return self.past(step, at, new);
            }
            Event::Looked { starts, now } if step.is_look() => {
                return self.watched(step, at, new, starts, now);
            }
            Event::Done if step != Step::Create && !step.is_look() && !step.is_gate() => {
                return self.past(step, at, new);
            }
            Event::Gone { why } if step.is_about_old() => {
                let of = self.of(at);
                let why = format!("{step}: somebody removed the old container{of}: {why}");
                let (first, more) = (why.clone(), why.clone());
                let back = self.by(Fault::Host).stuck_with([at], || first, || more);
                return back.turned_back(step, at, new, why);
            }
            Event::Failed { why } if step == Step::Start && !self.is_watched(at) => {
                let name = self.members.get(at).map_or("", |member| &member.name);
                self.notes.push(format!(
                    "{name}, which was unwell before, was not started: {why}"
                ));
                return self.past(step, at, new);
            }
            Event::Failed { why } => (Fault::of(step, &why), why),
            // It is no good one that could be left.
            Event::Spoilt { why } => {
                self = self.without_pause();
                (Fault::Version, why)
            }
            Event::Gone { why } => (Fault::Host, why),
            other @ (Event::Done
            | Event::Created { .. }
            | Event::Found { .. }
            | Event::Looked { .. }
            | Event::Passed { .. }) => (Fault::Host, format!("unexpected answer {other:?}")),
        };
        let (fault, why) = if step.is_look() && self.was_interrupted(step, at) {
            (Fault::Interruption, format!("interrupted (gate): {why}"))
        } else {
            (fault, format!("{step}: {}", self.said_of(step, at, why)))
        };
        self.by(fault).turned_back(step, at, new, why)
    }

    /// What is wrong with one member, by its name where others are another batch. A look and a gate say themselves of whom.
    fn said_of(&self, step: Step, at: usize, why: String) -> String {
        let names_it = self.parallel.is_some() && !step.is_look() && !step.is_gate();
        match self.members.get(at).filter(|_| names_it) {
            Some(member) => format!("{}: {why}", member.name),
            None => why,
        }
    }

    /// On to the first step that there is something to do for, from `step` of member `at`.
    pub(super) fn forth(self, step: Step, at: usize, new: Vec<String>) -> Self {
        let from_here = self.places().skip_while(|place| *place != (step, at));
        let mut due = from_here.filter(|(step, at)| self.is_due(*step, *at));
        let first = due.next();
        drop(due);
        self.on_to(first, new)
    }

    /// On to the first step that there is something to do for after `step` of member `at`.
    pub(super) fn past(mut self, step: Step, at: usize, new: Vec<String>) -> Self {
        let from_here = self.places().skip_while(|place| *place != (step, at));
        let mut due = from_here
            .skip(1)
            .filter(|(step, at)| self.is_due(*step, *at));
        let next = due.next();
        drop(due);
        if next.is_some_and(|(step, _)| step.is_look()) {
            // What another gate was told does not count in this one.
            self.watch = None;
        }
        self.on_to(next, new)
    }

    fn on_to(self, place: Option<(Step, usize)>, new: Vec<String>) -> Self {
        match place {
            Some((step, at)) => Self {
                state: State::Replacing { step, at, new },
                ..self
            },
            None => {
                let gate = self.gate;
                self.commit(Tidy::Arm, 0, new, gate)
            }
        }
    }

    pub(super) fn is_due(&self, step: Step, at: usize) -> bool {
        let Some(member) = self.members.get(at) else {
            return false;
        };
        match step {
            Step::Tag => member.tag.is_some(),
            Step::Disarm => member.armed(),
            Step::Stop | Step::Start => member.runs,
            Step::Look | Step::Gate | Step::LookAgain | Step::GateAgain | Step::Drain => {
                let mut batch = self.batch(self.batch_of(at));
                self.leads(at) && batch.any(|one| self.is_watched(one))
            }
            Step::Create | Step::Park | Step::Promote | Step::Join | Step::Switch => true,
        }
    }

    /// Whether no other gate is to be passed after the one that it is in.
    pub fn is_in_last_gate(&self) -> bool {
        let State::Replacing { step, at, .. } = &self.state else {
            return false;
        };
        let here = (*step, *at);
        let after = self.places().skip_while(|place| *place != here).skip(1);
        let mut gates = after.filter(|(step, at)| step.is_gate() && self.is_due(*step, *at));
        step.is_gate() && gates.next().is_none()
    }

    /// The new containers of the batches before the one that it is in, which are to stay well meanwhile.
    pub fn passed_before(&self) -> Vec<Expected> {
        let State::Replacing { at, new, .. } = &self.state else {
            return Vec::new();
        };
        let first = self.batch(self.batch_of(*at)).start;
        let all = new.iter().zip(&self.members).take(first).enumerate();
        let watched = all.filter(|(one, _)| self.is_watched(*one));
        let expected = watched.map(|(_, (id, member))| Expected {
            id: id.clone(),
            name: member.name.clone(),
        });
        expected.collect()
    }

    /// What is wrong with the new containers of these ids, which is said of one batch of several.
    pub fn told_of(&self, ids: &[String], why: String) -> String {
        let State::Replacing { new, .. } = &self.state else {
            return why;
        };
        if self.parallel.is_none() {
            return why;
        }
        let called = new.iter().zip(&self.members);
        let called = called.filter(|(id, _)| ids.contains(id));
        let names: Vec<_> = called.map(|(_, member)| member.name.as_str()).collect();
        format!("{}: {why}", names.join(", "))
    }

    /// The new containers of this member's batch that are to run well.
    fn running(&self, at: usize, new: &[String]) -> Vec<String> {
        let batch = self.batch(self.batch_of(at));
        let watched = new.iter().enumerate();
        watched
            .filter(|(at, _)| batch.contains(at) && self.is_watched(*at))
            .map(|(_, id)| id.clone())
            .collect()
    }

    pub(super) fn tidy(&self, step: Tidy, at: usize, new: &[String]) -> Option<Action> {
        let member = self.members.get(at)?;
        let id = || new.get(at).cloned();
        Some(match step {
            Tidy::Arm => Action::SetPolicy {
                id: id()?,
                policy: member.policy.clone(),
            },
            Tidy::Start => Action::Start { id: id()? },
            Tidy::Confirm => self.look_at_all(new),
            Tidy::RemoveOld => Action::Remove {
                id: member.old.clone(),
            },
        })
    }

    pub(super) fn after_tidy(
        mut self,
        step: Tidy,
        at: usize,
        new: Vec<String>,
        gate: Option<Gate>,
        event: Event,
    ) -> Self {
        match (step, event) {
            (Tidy::Arm | Tidy::Start | Tidy::RemoveOld, Event::Done)
            | (Tidy::Confirm, Event::Looked { .. })
            | (Tidy::RemoveOld, Event::Gone { .. }) => {}
            (Tidy::RemoveOld, Event::Failed { why }) => {
                let left = self.members.get(at).map(|member| Leftover {
                    id: member.old.clone(),
                    name: self.parked_name(member),
                });
                let name = left.as_ref().map_or("", |left| &left.name);
                self.notes.push(format!(
                    "the old container is still there, remove it with `docker rm {name}`: {why}"
                ));
                self.left.extend(left);
            }
            (step, Event::Gone { why } | Event::Failed { why } | Event::Spoilt { why }) => {
                let before = self.paused.as_ref();
                let before = before.map_or(String::new(), |paused| format!("{}; ", paused.why));
                let (failure, of) = (step.failure(), self.of(at));
                // Without a look at all of them no old one is removed.
                let members = match step {
                    Tidy::Confirm => 0..self.members.len(),
                    Tidy::Arm | Tidy::Start | Tidy::RemoveOld => at..at + 1,
                };
                self = self.stuck_with(
                    members,
                    || {
                        format!(
                            "{before}the new version passed its checks, but {failure}{of}: {why}"
                        )
                    },
                    || format!("{failure}{of}: {why}"),
                );
            }
            (
                _,
                Event::Done
                | Event::Created { .. }
                | Event::Found { .. }
                | Event::Looked { .. }
                | Event::Passed { .. },
            ) => {
                self.notes
                    .push("an unexpected answer was taken for done".to_owned());
            }
        }
        self.commit(step, at + 1, new, gate)
    }

    /// On to the first step after the commit that there is something to do for.
    pub(super) fn commit(
        self,
        step: Tidy,
        at: usize,
        new: Vec<String>,
        gate: Option<Gate>,
    ) -> Self {
        let from_here = Tidy::ALL.into_iter().filter(|other| *other >= step);
        let places = from_here.flat_map(|other| {
            let first = if other == step { at } else { 0 };
            (first..self.committed()).map(move |at| (other, at))
        });
        let due = places
            .into_iter()
            .find(|(step, at)| self.is_to_tidy(*step, *at));
        match due {
            Some((step, at)) => Self {
                state: State::Committed {
                    step,
                    at,
                    new,
                    gate,
                },
                ..self
            },
            None => match self.paused.clone() {
                Some(Paused { passed, why }) => {
                    self.end_unless_stuck(Ending::Paused { passed, why })
                }
                None => self.end_unless_stuck(Ending::Succeeded { gate }),
            },
        }
    }

    fn is_to_tidy(&self, step: Tidy, at: usize) -> bool {
        let Some(member) = self.members.get(at) else {
            return false;
        };
        let is_looked_at = |one: usize| self.is_watched(one) && !self.is_stuck(one);
        match step {
            Tidy::Confirm => at == 0 && (0..self.committed()).any(is_looked_at),
            _ if self.is_stuck(at) => false,
            Tidy::Arm => member.armed(),
            Tidy::Start => member.runs,
            Tidy::RemoveOld => true,
        }
    }
}

/// How sure two gates together were.
fn weaker(before: Option<Gate>, gate: Gate) -> Gate {
    match before {
        Some(Gate::Weak) => Gate::Weak,
        Some(Gate::Healthy) | None => gate,
    }
}

impl Tidy {
    const ALL: [Self; 4] = [Self::Arm, Self::Start, Self::Confirm, Self::RemoveOld];

    /// What has gone wrong when it has.
    fn failure(self) -> &'static str {
        match self {
            Self::Arm => "its restart policy could not be set",
            Self::Start => "it could not be started again",
            Self::Confirm => "then it did not serve any more",
            Self::RemoveOld => "the old one could not be removed",
        }
    }
}
