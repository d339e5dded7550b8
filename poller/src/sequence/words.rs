//! What a deploy would do, in words.

use towline_protocol::Gate;

use super::{Action, Ending, Event, Sequence, State, Step, Which};

/// What a way back waits for at its end.
pub const AS_BEFORE: &str = "wait until the service is as well as before";

impl Sequence {
    /// What there is to do when everything works, a line for each step, in its order: found by going through it.
    pub fn steps(&self) -> Vec<String> {
        let planned = self.planned().into_iter();
        planned.map(|(_, words)| words).collect()
    }

    /// The same, each with the step that reports count its time for.
    pub fn planned(&self) -> Vec<(Step, String)> {
        self.until(|_| false).0
    }

    /// What would be done if the new version did not pass the gate, in its order, and how that would end when all of it
    /// works.
    pub fn way_back(&self) -> (Vec<String>, Option<Ending>) {
        let (_, at_gate) = self.until(|step| step == Step::Gate);
        let why = "it did not pass its checks".to_owned();
        let mut dry = at_gate.on(Event::Failed { why });
        let mut lines = Vec::new();
        for _ in 0..self.most() {
            let Some(action) = dry.next() else { break };
            lines.extend(self.words(&action));
            dry = dry.on(works(&action));
        }
        (lines, dry.ending().cloned())
    }

    /// The steps in words, with everything working, and the deploy as it is then: at its end, or at the step that `is_last`
    /// names.
    fn until(&self, is_last: impl Fn(Step) -> bool) -> (Vec<(Step, String)>, Self) {
        let mut dry = self.clone();
        let mut lines = Vec::new();
        for _ in 0..self.most() {
            let (State::Replacing { step, .. }, Some(action)) = (&dry.state, dry.next()) else {
                break;
            };
            let step = *step;
            if is_last(step) {
                break;
            }
            lines.extend(self.words(&action).map(|words| (step, words)));
            dry.ran |= step == Step::Run;
            dry = dry.on(works(&action));
        }
        (lines, dry)
    }

    /// More actions than any way has: every step is made once, or once for each tag.
    fn most(&self) -> usize {
        20 + self.before.tags.len()
    }

    /// An action in words; `None` for one that people take for a part of the next.
    pub fn words(&self, action: &Action) -> Option<String> {
        Some(match action {
            Action::Command { which, .. } => self.command_words(*which),
            Action::BackUp { name } => format!("back up {} as {name}", self.backup_paths()),
            Action::CheckOut { to, from } => format!(
                "check out {} in {} (now {})",
                to.short(),
                self.checkout_path(),
                from.short()
            ),
            Action::CheckOutOld { checkout, .. } => format!(
                "check out {} in {} again",
                checkout.commit.short(),
                self.checkout_path()
            ),
            Action::MoveTag(tag) => {
                format!("let the local tag {} lead to {}", tag.reference, tag.to)
            }
            Action::MoveTagBack(tag) => {
                format!("let the local tag {} lead where it led", tag.reference)
            }
            Action::Up => format!("docker compose up -d, of {}", self.compose_words()),
            Action::UpOld => format!(
                "docker compose up -d, of {} as it was",
                self.compose_words()
            ),
            Action::SaveLog => "read the new containers' logs".to_owned(),
            Action::StopContainers => format!("stop the containers of {}", self.compose_words()),
            Action::Restore { name } => {
                format!("restore {} from the backup {name}", self.backup_paths())
            }
            Action::Look => return None,
            Action::Gate { .. } => "wait until the service passes its checks".to_owned(),
            Action::Verify => AS_BEFORE.to_owned(),
        })
    }

    fn command_words(&self, which: Which) -> String {
        let argv = self.argv(which).map_or(String::new(), |argv| shown(argv));
        format!("{}: {argv}", which.word())
    }

    fn backup_paths(&self) -> String {
        let backup = self.parts.backup.as_ref();
        let paths = backup.map_or(&[][..], |backup| &backup.paths);
        let paths: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.join(", ")
    }

    fn checkout_path(&self) -> String {
        let git = self.parts.git.as_ref();
        git.map_or(String::new(), |git| git.path.display().to_string())
    }

    fn compose_words(&self) -> String {
        let file = self.parts.compose_file().unwrap_or_default();
        let services = self.parts.compose.as_ref();
        let services = services.map_or(&[][..], |compose| &compose.services);
        if services.is_empty() {
            return file.display().to_string();
        }
        format!("{} in {}", services.join(", "), file.display())
    }
}

/// What comes of an action that works.
fn works(action: &Action) -> Event {
    match action {
        Action::Look => Event::Looked {
            starts: Vec::new(),
            now: None,
        },
        Action::Gate { .. } => Event::Passed {
            gate: Gate::Healthy,
        },
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
        | Action::Restore { .. }
        | Action::Verify => Event::Done,
    }
}

/// A program and its arguments, with quotes around what a shell would part.
fn shown(argv: &[String]) -> String {
    let one = |word: &String| {
        let is_plain = !word.is_empty()
            && !word.contains(|c: char| c.is_whitespace() || "'\"\\$`".contains(c));
        if is_plain {
            word.clone()
        } else {
            format!("{word:?}")
        }
    };
    argv.iter().map(one).collect::<Vec<_>>().join(" ")
}
