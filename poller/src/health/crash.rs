//! What became of the containers while they were checked: one that ends, or is started again and again, says more than that
//! nobody answered.

use std::{cell::RefCell, collections::BTreeMap};

use super::{Halt, subject::Subject, vitals::Vitals};
use crate::{docker::Docker, redact::Secrets};

/// How much of a container's last line is told, in characters.
const MAX_TOLD: usize = 200;

/// How containers that were started again had ended, by their places: one that runs again does not show it.
#[derive(Debug, Default)]
pub(super) struct Seen(RefCell<BTreeMap<usize, i64>>);

impl Seen {
    /// Takes note of those that are about to be started again.
    pub(super) fn note(&self, all: &[Vitals]) {
        let restarting = all.iter().enumerate().filter(|(_, it)| it.restarting);
        let mut seen = self.0.borrow_mut();
        seen.extend(restarting.map(|(at, vitals)| (at, vitals.exit_code)));
    }

    /// How the container at this place has come to its end since `first`, if it has.
    fn end(&self, at: usize, now: &Vitals, first: Option<&Vitals>) -> Option<String> {
        if let Some(ended) = now.ended() {
            return (!now.is_done).then_some(ended);
        }
        let first = first.filter(|first| !now.is_same_run(first))?;
        let seen = self.0.borrow().get(&at).copied();
        let status = now.restarting.then_some(now.exit_code).or(seen);
        let after = status.map(|status| format!("after it ended with status {status}"));
        Some(match (now.restarts.saturating_sub(first.restarts), after) {
            (0 | 1, None) => "it restarted".to_owned(),
            (0 | 1, Some(after)) => format!("it restarted {after}"),
            (times, None) => format!("it restarted {times} times"),
            (times, Some(after)) => format!("it restarted {times} times, the last time {after}"),
        })
    }
}

/// What is looked at, as it was first seen and since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// Empty where nothing was seen before.
    pub(super) first: &'a [Vitals],
    pub(super) seen: &'a Seen,
}

impl Scene<'_> {
    /// `halt`, which says that a container has come to its end, with its last words.
    pub(super) async fn ended(self, halt: Halt) -> Halt {
        match halt {
            Halt::Failed(why) => self.told(why, "").await,
            Halt::GoesOn(_) | Halt::Engine(_) => halt,
        }
    }

    /// `halt`, which has the answer of a check, behind what became of the containers.
    pub(super) async fn answered(self, halt: Halt) -> Halt {
        match halt {
            Halt::Failed(why) => {
                let answer = format!("; {why}");
                self.told(why, &answer).await
            }
            Halt::GoesOn(_) | Halt::Engine(_) => halt,
        }
    }

    /// The end of the first container that has come to one, with its last words, and `more` behind it; else `why`.
    async fn told(self, why: String, more: &str) -> Halt {
        let Subject::Containers { engine, members } = self.subject else {
            return Halt::Failed(why);
        };
        let mut all = Vec::new();
        for member in *members {
            all.push(match engine.container(&member.id).await {
                Ok(shown) => Some(member.vitals(shown.as_ref())),
                Err(lost) if lost.is_loss() => return lost.into(),
                // What was found before holds.
                Err(_) => None,
            });
        }
        let ends = members.iter().zip(&all).enumerate();
        let mut ends = ends.filter_map(|(at, (member, now))| {
            let end = self.seen.end(at, now.as_ref()?, self.first.get(at))?;
            Some((member, member.told(&end)))
        });
        if let Some((member, end)) = ends.next() {
            let words = match secrets(&all) {
                Some(secrets) => last_words(engine, &member.id, &secrets).await,
                None => String::new(),
            };
            // A check that has looked at the container itself says the same.
            let more = if why == end { "" } else { more };
            return Halt::Failed(format!("{end}{words}{more}"));
        }
        Halt::Failed(why)
    }
}

/// What must not be told of any of the containers, which may know of each other's; `None` where one of them cannot be looked at.
fn secrets(all: &[Option<Vitals>]) -> Option<Secrets> {
    let mut known = Secrets::default();
    for vitals in all {
        known.add_all(&vitals.as_ref()?.secrets);
    }
    Some(known)
}

/// The last line that a container has written, without those secrets. One that cannot be read changes no verdict.
pub(super) async fn last_words(engine: &Docker, id: &str, secrets: &Secrets) -> String {
    let Ok(tail) = engine.log_tail(id).await else {
        return String::new();
    };
    let text = if tail.is_cut {
        secrets.hide_in_tail(&tail.text)
    } else {
        secrets.hide(&tail.text)
    };
    let mut lines = text.lines().rev().map(str::trim);
    match lines.find(|line| !line.is_empty()) {
        Some(line) => {
            let line: String = line.chars().take(MAX_TOLD).collect();
            format!(", and said last {line:?}")
        }
        None => ", and said nothing".to_owned(),
    }
}
