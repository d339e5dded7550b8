//! A set in which only the first member is the service's own container. The others are its companions: they share a namespace of
//! one before them, and are replaced only since that one is.

use super::{Deploy, Member, State, journal};

impl Deploy {
    /// The deploy, which has not begun, of such a set.
    #[must_use]
    pub fn accompanied(self) -> Self {
        let own = (self.members.len() > 1).then_some(1);
        let format = journal::format_for(self.strategy, self.parallel, own);
        Self {
            format,
            own,
            ..self
        }
    }

    /// Whether the service's checks are not about this member.
    pub fn is_companion(&self, at: usize) -> bool {
        self.own.is_some_and(|own| at >= own)
    }

    /// The companions.
    pub fn companions(&self) -> &[Member] {
        let own = self.own.unwrap_or(self.members.len());
        self.members.get(own..).unwrap_or_default()
    }

    /// The companion that this container is, the old one or the new one, if it is one.
    pub fn companion(&self, id: &str) -> Option<&Member> {
        let at = self.position(id)?;
        self.members.get(at).filter(|_| self.is_companion(at))
    }

    /// The member that this container is, the old one or the new one.
    fn position(&self, id: &str) -> Option<usize> {
        let new = match &self.state {
            State::Replacing { new, .. }
            | State::Committed { new, .. }
            | State::RollingBack { new, .. } => new.as_slice(),
            State::Ended { .. } => &[],
        };
        let is_old = |member: &Member| member.old == id;
        let old = self.members.iter().position(is_old);
        old.or_else(|| new.iter().position(|one| one == id))
    }

    /// What the member that this container is, is called where it is one of several.
    pub fn one_of_several(&self, id: &str) -> Option<&str> {
        let member = self.members.get(self.position(id)?)?;
        (self.members.len() > 1).then_some(member.name.as_str())
    }

    /// Whether the new version must run well. A companion that was unwell before says nothing about it.
    pub(super) fn is_watched(&self, at: usize) -> bool {
        let member = self.members.get(at);
        member.is_some_and(|member| member.runs && (member.was_healthy || !self.is_companion(at)))
    }
}
