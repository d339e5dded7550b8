//! Members with which nothing more can be done, so that an operator is needed: the others are still taken to their end.

use serde::{Deserialize, Serialize};

use super::{Deploy, Ending};

/// What an operator is needed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stuck {
    /// The members; nothing more is done with them.
    members: Vec<usize>,
    /// What went wrong with the first of them, and then with others.
    why: String,
}

impl Deploy {
    /// Whether nothing more is done with this member.
    pub(super) fn is_stuck(&self, at: usize) -> bool {
        let stuck = self.stuck.as_ref();
        stuck.is_some_and(|stuck| stuck.members.contains(&at))
    }

    /// The deploy, in which nothing more can be done with these members. They are why it ends, in the words of `first`; where others
    /// were stuck before, `more` is added to those words.
    pub(super) fn stuck_with(
        mut self,
        members: impl IntoIterator<Item = usize>,
        first: impl FnOnce() -> String,
        more: impl FnOnce() -> String,
    ) -> Self {
        let stuck = match self.stuck.take() {
            None => Stuck {
                members: members.into_iter().collect(),
                why: first(),
            },
            Some(mut stuck) => {
                stuck.members.extend(members);
                stuck.why = format!("{}; {}", stuck.why, more());
                stuck
            }
        };
        self.stuck = Some(stuck);
        self
    }

    /// Its end, unless an operator is needed.
    pub(super) fn end_unless_stuck(self, ending: Ending) -> Self {
        match &self.stuck {
            Some(stuck) => {
                let why = stuck.why.clone();
                self.end(Ending::NeedsOperator { why })
            }
            None => self.end(ending),
        }
    }

    /// ` of NAME`, where there are others.
    pub(super) fn of(&self, at: usize) -> String {
        let named = self.members.get(at).filter(|_| self.members.len() > 1);
        named.map_or_else(String::new, |member| format!(" of {}", member.name))
    }
}
