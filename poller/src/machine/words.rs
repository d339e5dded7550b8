//! What a replacement would do, in words.

use towline_protocol::Gate;

use super::{Action, Deploy, Ending, Event, Member, State, Step};

impl State {
    /// The name by which reports count the time of what comes next.
    pub fn name(&self) -> String {
        match self {
            Self::Replacing { step, .. } => step.to_string(),
            Self::Committed { .. } => "commit".to_owned(),
            Self::RollingBack { .. } => "rollback".to_owned(),
            Self::Ended { .. } => "end".to_owned(),
        }
    }
}

impl Deploy {
    /// What there is to do when everything works: the name that reports count its time by, and words for people, in its
    /// order. Found by going through it.
    pub fn planned(&self) -> Vec<(String, String)> {
        let mut lines: Vec<(String, String)> = Vec::new();
        self.until(&mut |deploy, action| {
            let name = deploy.state.name();
            let words = deploy.words(action);
            match (lines.last_mut(), words) {
                (Some((last, before)), Some(words)) if *last == name => {
                    before.push_str("; ");
                    before.push_str(&words);
                }
                (_, Some(words)) => lines.push((name, words)),
                (_, None) => {}
            }
            true
        });
        lines
    }

    /// What would be done if the new version did not pass the gate, in its order, and how that would end when all of it
    /// works. A container that was stopped is not looked at, and has no such way.
    pub fn way_back(&self) -> (Vec<String>, Option<Ending>) {
        let is_gate = |state: &State| {
            matches!(
                state,
                State::Replacing {
                    step: Step::Gate,
                    ..
                }
            )
        };
        let at_gate = self.until(&mut |deploy, _| !is_gate(&deploy.state));
        if !is_gate(&at_gate.state) {
            return (Vec::new(), None);
        }
        let why = "it did not pass its checks".to_owned();
        let mut lines = Vec::new();
        let end = at_gate
            .on(Event::Failed { why })
            .until(&mut |deploy, action| {
                lines.extend(deploy.words(action));
                true
            });
        (lines, end.ending().cloned())
    }

    /// Who has which version where it ended after a pause.
    pub fn paused_in_words(&self) -> Option<String> {
        let paused = self.paused.as_ref().filter(|_| self.ending().is_some())?;
        let (new, old) = self.members.split_at_checked(paused.passed)?;
        let rest = match self.ending() {
            Some(Ending::Paused { .. }) => "the others have the one before",
            _ => "the others were to go back to the one before",
        };
        let names = |members: &[Member]| {
            let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
            names.join(", ")
        };
        Some(format!(
            "it is paused (on_failure): {} of {} have the new version and keep it ({}), {rest} ({})",
            new.len(),
            self.members.len(),
            names(new),
            names(old)
        ))
    }

    /// Goes through it with everything working, for as long as `goes_on` says so, to which each action is told.
    fn until(&self, goes_on: &mut dyn FnMut(&Self, &Action) -> bool) -> Self {
        let mut dry = self.clone();
        // More than any way has: every step is made once for each member.
        for _ in 0..40 * self.members.len().max(1) {
            let Some(action) = dry.next() else { break };
            if !goes_on(&dry, &action) {
                break;
            }
            dry = dry.on(works(&action));
        }
        dry
    }

    /// An action in words; `None` for one that people take for a part of the next.
    fn words(&self, action: &Action) -> Option<String> {
        let of = |id: &str| self.shown(id);
        Some(match action {
            Action::MoveTag(tag) => {
                format!("let the local tag {} lead to the new image", tag.reference)
            }
            Action::MoveTagBack(tag) => {
                format!("let the local tag {} lead where it led", tag.reference)
            }
            Action::Create { member, .. } => {
                let name = self.members.get(*member).map_or("", |member| &member.name);
                format!("create the new container beside {name}, not started")
            }
            Action::Find { .. } | Action::Look { .. } => return None,
            Action::SetPolicy { id, policy } => {
                let policy = policy.get("Name").and_then(|name| name.as_str());
                let policy = policy.filter(|name| !name.is_empty()).unwrap_or("no");
                format!("give {} the restart policy {policy}", of(id))
            }
            Action::Stop { id } => format!("stop {}", of(id)),
            Action::Rename { id, to } if self.members.iter().any(|one| one.name == *to) => {
                format!("give {} the name {to}", of(id))
            }
            Action::Rename { id, .. } => format!("put {} aside under another name", of(id)),
            Action::Start { id } => format!("start {}", of(id)),
            Action::Gate { brief: false, .. } => "wait until it passes its checks".to_owned(),
            Action::Gate { brief: true, .. } => "ask its checks once more".to_owned(),
            Action::Switch { name, .. } => {
                format!("give the new container the name {name}, and the old one another")
            }
            Action::Join { member, .. } => {
                let name = self.members.get(*member).map_or("", |member| &member.name);
                format!("let the new container have the network names of {name}")
            }
            Action::Drain { .. } => "wait until everybody goes to the new container".to_owned(),
            Action::Verify { .. } => "wait until the old container is as well as before".to_owned(),
            Action::SaveLog { id } => format!("read the log of {}", of(id)),
            Action::Remove { id } => format!("remove {}", of(id)),
        })
    }

    /// The container, by its member's name where there are several.
    fn shown(&self, id: &str) -> String {
        let old = self.members.iter().find(|member| member.old == id);
        let new = id.strip_prefix(NEW).and_then(|at| at.parse::<usize>().ok());
        let new = new.and_then(|at| self.members.get(at));
        let what = match old {
            Some(_) => "the old container",
            None => "the new container",
        };
        match old.or(new) {
            Some(member) if self.members.len() > 1 => format!("{what} of {}", member.name),
            Some(_) | None => what.to_owned(),
        }
    }
}

/// What the id of a new container begins with in a deploy that is only gone through; its member's number follows.
const NEW: &str = "new ";

/// What comes of an action that works.
fn works(action: &Action) -> Event {
    match action {
        Action::Create { member, .. } => Event::Created {
            id: format!("{NEW}{member}"),
        },
        Action::Find { .. } => Event::Found { id: None },
        Action::Look { .. } => Event::Looked {
            starts: Vec::new(),
            now: None,
        },
        Action::Gate { .. } => Event::Passed {
            gate: Gate::Healthy,
        },
        Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::SetPolicy { .. }
        | Action::Stop { .. }
        | Action::Rename { .. }
        | Action::Start { .. }
        | Action::Verify { .. }
        | Action::Join { .. }
        | Action::Switch { .. }
        | Action::Drain { .. }
        | Action::SaveLog { .. }
        | Action::Remove { .. } => Event::Done,
    }
}
