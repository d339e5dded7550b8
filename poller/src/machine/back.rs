//! The way back to the old version: the same containers, never a reconstruction.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Action, Back, Deploy, Ending, Event, Place, State, Step, Tidy};

/// A step back. In which order they come is the strategy's: the old version serves again before anything is tidied up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Look for a new container whose id was not kept.
    Find,
    /// Stop the new one.
    StopNew,
    /// Give the new one its first name again.
    Demote,
    /// Give the old one the canonical name.
    Restore,
    /// Give the old one its restart policy: one that crashed before goes on to be started again.
    Rearm,
    /// Stop the old one once more, when nobody knows what became of its stop: one that is still under way would end it
    /// after it was found running, and the engine would not start it again.
    StopOld,
    /// Start the old one.
    StartOld,
    /// Wait until the old one is as well as it was.
    Verify,
    /// Let the local tag lead where it led.
    Untag,
    /// Keep the end of the new one's log.
    SaveLog,
    /// Remove the new one.
    RemoveNew,
}

impl Undo {
    /// In a sentence that begins with "could not".
    fn words(self) -> &'static str {
        match self {
            Self::Find => "look for the new container",
            Self::StopNew => "stop the new container",
            Self::Demote => "rename the new container",
            Self::Restore => "give the old container its name back",
            Self::StopOld => "wait for the end of the old container's stop",
            Self::StartOld => "start the old container",
            Self::Verify => "bring the old version up as well as it was",
            Self::Rearm => "give the old container its restart policy back",
            Self::Untag => "move the local tag back",
            Self::SaveLog => "read the new container's log",
            Self::RemoveNew => "remove the new container",
        }
    }

    /// Whether the old version serves without it.
    fn is_tidying(self) -> bool {
        matches!(
            self,
            Self::Find | Self::Untag | Self::SaveLog | Self::RemoveNew
        )
    }

    fn is_about_new(self) -> bool {
        matches!(
            self,
            Self::StopNew | Self::Demote | Self::SaveLog | Self::RemoveNew
        )
    }
}

impl Deploy {
    pub(super) fn undo(&self, step: Undo, at: usize, new: &[String]) -> Option<Action> {
        let member = self.members.get(at)?;
        let old = || member.old.clone();
        let new = || new.get(at).cloned();
        Some(match step {
            Undo::Find => Action::Find {
                name: self.new_name(member),
            },
            Undo::StopNew => Action::Stop { id: new()? },
            Undo::Demote => Action::Rename {
                id: new()?,
                to: self.new_name(member),
            },
            Undo::Restore => Action::Rename {
                id: old(),
                to: member.name.clone(),
            },
            Undo::StopOld => Action::Stop { id: old() },
            Undo::StartOld => Action::Start { id: old() },
            Undo::Verify => Action::Verify {
                members: self.ran(at),
            },
            Undo::Rearm => Action::SetPolicy {
                id: old(),
                policy: member.policy.clone(),
            },
            Undo::Untag => Action::MoveTagBack(member.tag.clone()?),
            Undo::SaveLog => Action::SaveLog { id: new()? },
            Undo::RemoveNew => Action::Remove { id: new()? },
        })
    }

    pub(super) fn after_undo(
        mut self,
        step: Undo,
        at: usize,
        mut back: Back,
        event: Event,
    ) -> Self {
        match event {
            Event::Found { id } => back.new.extend(id),
            Event::Done => {}
            Event::Gone { .. } if step.is_about_new() => {}
            Event::Failed { why } if step == Undo::Rearm => {
                self.notes
                    .push(format!("could not {}: {why}", step.words()));
                // Whether it serves is worth more than its policy. Since that is not as it was, neither is the
                // container: it is looked at like one that was stopped.
                back.reached = self.strategy.later(back.reached, Step::Stop);
            }
            // What forbids this stop has forbidden the one before: none is under way.
            Event::Failed { why } if step == Undo::StopOld && is_forbidden(&why) => {
                self.notes
                    .push(format!("could not {}: {why}", step.words()));
            }
            Event::Failed { why } | Event::Gone { why } if step.is_tidying() => {
                self.notes
                    .push(format!("could not {}: {why}", step.words()));
            }
            Event::Failed { why } if step == Undo::StartOld && !self.is_watched(at) => {
                let of = self.of(at);
                self.notes
                    .push(format!("could not {}{of}: {why}", step.words()));
            }
            Event::Failed { why } | Event::Spoilt { why } | Event::Gone { why } => {
                // A look at all of a batch says itself of whom.
                let (members, of) = if step == Undo::Verify {
                    (self.batch(self.batch_of(at)), String::new())
                } else {
                    (at..at + 1, self.of(at))
                };
                let (first, words) = (&back.why, step.words());
                self = self.stuck_with(
                    members,
                    || format!("{first}; then it could not {words}{of}: {why}"),
                    || format!("nor {words}{of}: {why}"),
                );
            }
            other @ (Event::Created { .. } | Event::Looked { .. } | Event::Passed { .. }) => {
                self.notes.push(format!("unexpected answer {other:?}"));
            }
        }
        let from_here = self.places_back(back.batch);
        let from_here = from_here.skip_while(|place| *place != (step, at)).skip(1);
        let due = self.first_to_undo(from_here, &back);
        self.back_to(due, back)
    }

    /// Back from a failure at `step` of member `at`, whose call was made.
    pub(super) fn turned_back(self, step: Step, at: usize, new: Vec<String>, why: String) -> Self {
        let (reached, at) = match self.furthest {
            Some(furthest) if self.is_before((step, at), furthest) => furthest,
            Some(_) | None => (step, at),
        };
        let whole = self.paused_at(at, &why);
        let back = Back {
            new,
            reached,
            batch: whole.batch_of(at),
            stopping: (reached == Step::Stop).then_some(at),
            why,
        };
        let due = whole.first_to_undo(whole.places_back(back.batch), &back);
        whole.back_to(due, back)
    }

    /// On to the first step back that there is something to undo for, from `step` on of who has come the furthest.
    pub(super) fn back(self, step: Undo, back: Back) -> Self {
        let from_here = self.places_back(back.batch);
        let from_here = from_here.skip_while(|(other, _)| *other != step);
        let due = self.first_to_undo(from_here, &back);
        self.back_to(due, back)
    }

    fn first_to_undo(
        &self,
        mut places: impl Iterator<Item = Place<Undo>>,
        back: &Back,
    ) -> Option<Place<Undo>> {
        places.find(|(step, at)| self.is_to_undo(*step, *at, back))
    }

    fn back_to(self, place: Option<Place<Undo>>, back: Back) -> Self {
        let took_over = self.has_tried(self.strategy.takes_over(), 0, &back);
        let Back {
            mut new,
            reached,
            batch,
            stopping,
            why,
        } = back;
        match place {
            Some((step, at)) => Self {
                state: State::RollingBack {
                    step,
                    at,
                    new,
                    reached,
                    batch,
                    stopping,
                    why,
                },
                ..self
            },
            None if self.paused.is_some() => {
                new.truncate(self.committed());
                let gate = self.gate;
                self.commit(Tidy::Arm, 0, new, gate)
            }
            None if took_over => self.end_unless_stuck(Ending::RolledBack { why }),
            None => self.end_unless_stuck(Ending::FailedUntouched { why }),
        }
    }

    /// Whether the step may have been tried for the member.
    fn has_tried(&self, step: Step, at: usize, back: &Back) -> bool {
        match self.batch_of(at).cmp(&back.batch) {
            Ordering::Less => true,
            Ordering::Equal => self.strategy.has_come_to(back.reached, step),
            Ordering::Greater => false,
        }
    }

    fn is_to_undo(&self, step: Undo, at: usize, back: &Back) -> bool {
        let Some(member) = self.members.get(at) else {
            return false;
        };
        let (tried, exists) = (|step| self.has_tried(step, at, back), at < back.new.len());
        // It was stopped, or a restart of the engine has stopped it while it, or another one of the set, was being disarmed or
        // gave way.
        let may_be_down = tried(Step::Disarm) || tried(self.strategy.takes_over());
        let (parks, promotes) = self.strategy.renames();
        match step {
            Undo::Verify => self.leads(at) && may_be_down && !self.ran(at).is_empty(),
            // A tag may be several members', and leads whoever makes them anew.
            Undo::Untag if self.members.len() > 1 => member.tag.is_some(),
            _ if self.is_stuck(at) => false,
            Undo::Find => back.reached == Step::Create && at == back.new.len(),
            Undo::StopNew => tried(Step::Start) && exists && member.runs,
            // What has passed has nothing to say about it.
            Undo::SaveLog => {
                let has_failed = self.batch_of(at) == back.batch;
                has_failed && tried(Step::Start) && exists && member.runs
            }
            Undo::Demote => tried(promotes) && exists,
            Undo::Restore => tried(parks),
            Undo::StopOld => back.stopping == Some(at),
            Undo::StartOld => may_be_down && member.runs,
            Undo::Rearm => tried(Step::Disarm) && member.armed(),
            Undo::Untag => member.tag.is_some(),
            Undo::RemoveNew => exists,
        }
    }

    /// The members of this one's batch that ran and are to be as well as they were.
    fn ran(&self, at: usize) -> Vec<usize> {
        let ran = |at: &usize| self.is_watched(*at) && !self.is_stuck(*at);
        self.batch(self.batch_of(at)).filter(ran).collect()
    }
}

/// Whether an answer says that this may not be done at all: the engine's, which a security module forbids the signal
/// ("permission denied"), or a proxy's. Who was not answered has no status.
fn is_forbidden(why: &str) -> bool {
    let words = why.to_lowercase();
    let has = |text: &str| words.contains(text);
    let by_a_proxy = ["(status 401)", "(status 403)", "(status 405)"];
    by_a_proxy.into_iter().any(has) || (has("permission denied") && has("(status "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::deploy;

    const DENIED: &str = "cannot stop container: old: permission denied (status 500)";

    fn failed(why: &str) -> Event {
        let why = why.to_owned();
        Event::Failed { why }
    }

    /// Right before the old version is stopped.
    fn at_its_stop() -> Deploy {
        let id = "new".to_owned();
        deploy().on(Event::Created { id })
    }

    /// The deploy whose stop of the old version, made once more on the way back, ends like this, and all else works.
    fn stopped_again(mut deploy: Deploy, event: &Event) -> Deploy {
        let mut stops = 0;
        while let Some(action) = deploy.next() {
            let is_stop = matches!(action, Action::Stop { .. });
            stops += u32::from(is_stop);
            deploy = deploy.on(if is_stop { event.clone() } else { Event::Done });
        }
        assert_eq!(stops, 1);
        deploy
    }

    #[test]
    fn an_old_version_that_may_not_be_stopped_at_all_is_looked_at_and_serves_on() {
        for why in [DENIED, "<h1>403 Forbidden</h1> (status 403)"] {
            let refused = at_its_stop().on(failed(why));
            for back in [refused, at_its_stop().resume()] {
                let end = stopped_again(back, &failed(why));
                assert!(
                    matches!(end.ending(), Some(Ending::RolledBack { why }) if why.contains("stop")),
                    "{end:?}"
                );
                assert!(end.notes.iter().any(|note| note.ends_with(why)), "{end:?}");
            }
        }
    }

    #[test]
    fn an_old_version_that_may_not_be_stopped_and_does_not_serve_needs_an_operator() {
        let mut back = at_its_stop().on(failed(DENIED)).on(failed(DENIED));
        while let Some(action) = back.next() {
            let is_verify = matches!(action, Action::Verify { .. });
            back = back.on(if is_verify {
                failed("it answers 500")
            } else {
                Event::Done
            });
        }
        assert!(
            matches!(back.ending(), Some(Ending::NeedsOperator { why }) if why.contains("answers 500")),
            "{back:?}"
        );
    }

    #[test]
    fn a_stop_that_may_be_under_way_still_needs_an_operator() {
        let killed = "tried to kill container, but did not receive an exit event (status 500)";
        let silent = "the Docker engine at tcp://engine:2375 does not answer: permission denied";
        for why in [killed, silent, "Bad Gateway (status 502)"] {
            let end = stopped_again(at_its_stop().on(failed(why)), &failed(why));
            assert!(
                matches!(end.ending(), Some(Ending::NeedsOperator { why }) if why.contains("old container's stop")),
                "{end:?}"
            );
        }
    }
}
