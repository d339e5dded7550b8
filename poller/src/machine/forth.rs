//! The way to the new version, and what is tidied up after the commit.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;
use towline_protocol::Gate;

use super::{Action, Back, Deploy, Ending, Event, Fault, Member, State, Undo};

/// A step to the new version. The order is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
        })
    }
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Tag,
        Self::Create,
        Self::Disarm,
        Self::Stop,
        Self::Park,
        Self::Promote,
        Self::Start,
        Self::Look,
        Self::Gate,
    ];

    /// Whether a failure here is about the old container.
    fn is_about_old(self) -> bool {
        matches!(self, Self::Disarm | Self::Stop | Self::Park)
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
            Step::Look => self.look(new),
            Step::Gate => Action::Gate {
                ids: self.running(new),
                spent: self.spent(),
            },
        })
    }

    pub(super) fn after_step(
        self,
        step: Step,
        at: usize,
        mut new: Vec<String>,
        event: Event,
    ) -> Self {
        let (fault, why) = match event {
            Event::Passed { gate } if step == Step::Gate => {
                return self.commit(Tidy::Arm, 0, new, Some(gate));
            }
            Event::Created { id } if step == Step::Create => {
                new.push(id);
                return self.forth(step, at + 1, new);
            }
            Event::Looked { starts, now } if step == Step::Look => {
                return self.watched(new, starts, now);
            }
            Event::Done if !matches!(step, Step::Create | Step::Look | Step::Gate) => {
                return self.forth(step, at + 1, new);
            }
            Event::Gone { why } if step.is_about_old() => {
                return self
                    .needs_operator(format!("{step}: somebody removed the old container: {why}"));
            }
            Event::Failed { why } => (Fault::of(step, &why), why),
            Event::Gone { why } => (Fault::Host, why),
            other @ (Event::Done
            | Event::Created { .. }
            | Event::Found { .. }
            | Event::Looked { .. }
            | Event::Passed { .. }) => (Fault::Host, format!("unexpected answer {other:?}")),
        };
        let (fault, why) = if step == Step::Look && self.resumed > 0 {
            (Fault::Interruption, format!("interrupted (gate): {why}"))
        } else {
            (fault, format!("{step}: {why}"))
        };
        self.by(fault)
            .back(Undo::Find, 0, Back::after(step, at, new, why))
    }

    /// On to the first step that there is something to do for, from `step` of member `at`.
    pub(super) fn forth(self, step: Step, at: usize, new: Vec<String>) -> Self {
        let from_here = Step::ALL.into_iter().filter(|other| *other >= step);
        let places = from_here.flat_map(|other| {
            let first = if other == step { at } else { 0 };
            (first..self.members.len()).map(move |at| (other, at))
        });
        let due = places
            .into_iter()
            .find(|(step, at)| self.is_due(*step, *at));
        match due {
            Some((step, at)) => Self {
                state: State::Replacing { step, at, new },
                ..self
            },
            None => self.commit(Tidy::Arm, 0, new, None),
        }
    }

    fn is_due(&self, step: Step, at: usize) -> bool {
        let Some(member) = self.members.get(at) else {
            return false;
        };
        match step {
            Step::Tag => member.tag.is_some(),
            Step::Disarm => member.armed(),
            Step::Stop | Step::Start => member.runs,
            Step::Look | Step::Gate => at == 0 && self.members.iter().any(|member| member.runs),
            Step::Create | Step::Park | Step::Promote => true,
        }
    }

    fn running(&self, new: &[String]) -> Vec<String> {
        let runs = |(_, member): &(&String, &Member)| member.runs;
        new.iter()
            .zip(&self.members)
            .filter(runs)
            .map(|(id, _)| id.clone())
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
            Tidy::Confirm => self.look(new),
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
            (step, Event::Gone { why } | Event::Failed { why }) => {
                return self.needs_operator(format!(
                    "the new version passed its checks, but {}: {why}",
                    step.failure()
                ));
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
            (first..self.members.len()).map(move |at| (other, at))
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
            None => self.end(Ending::Succeeded { gate }),
        }
    }

    fn is_to_tidy(&self, step: Tidy, at: usize) -> bool {
        let Some(member) = self.members.get(at) else {
            return false;
        };
        match step {
            Tidy::Arm => member.armed(),
            Tidy::Start => member.runs,
            Tidy::Confirm => at == 0 && self.members.iter().any(|member| member.runs),
            Tidy::RemoveOld => true,
        }
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
