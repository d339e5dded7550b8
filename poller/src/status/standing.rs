//! What a service comes to by all that is known and seen of it. Pure.

use towline_protocol::{Digest, Sha};

use super::{Observed, ProjectContainer, ServiceStatus, Sought};
use crate::settings::Choice;

impl ServiceStatus {
    pub(super) fn sought(&self) -> Sought {
        if let Some(parts) = &self.parts {
            let placed = self.placed.clone();
            return Sought::Parts(parts.clone(), placed);
        }
        let deployed = self.deployed.as_ref();
        Sought::Container {
            choice: self.choice(),
            brought: deployed.and_then(|deployed| deployed.digest.clone()),
        }
    }

    /// By what its container is known.
    fn choice(&self) -> Choice {
        let label = self.label.as_ref().and_then(|label| label.parse().ok());
        match label {
            Some(label) => Choice::Label(label),
            None => Choice::Name(self.container.clone().unwrap_or_default()),
        }
    }

    /// The commit that runs; `None` when what the engine shows is not what a deploy has brought. What is checked out counts.
    pub fn sha(&self) -> Option<&Sha> {
        if let Some(commit) = self.checked_out() {
            return Some(commit);
        }
        (self.is_as_deployed() && !self.is_absent())
            .then(|| self.deployed.as_ref()?.sha.as_ref())
            .flatten()
    }

    /// The digest that runs, as far as it is known: what the engine shows counts.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.observed {
            Some(observed) => observed.digest.as_ref(),
            None if self.unsure || self.is_absent() || self.others().next().is_some() => None,
            None => self.deployed.as_ref()?.digest.as_ref(),
        }
    }

    fn checked_out(&self) -> Option<&Sha> {
        self.checkout.as_ref()?.commit.as_ref()
    }

    /// Whether something else runs than what the last deploy has brought. While a deploy is at it, or was interrupted
    /// at it, that is as it should be.
    pub fn is_something_else(&self) -> bool {
        let is_there = |seen: &Observed| !matches!(seen.state.as_str(), "absent" | "ambiguous");
        self.deployed.is_some()
            && self.observed.as_ref().is_none_or(is_there)
            && !self.is_under_way()
            && !self.is_unknown()
            && !self.is_as_deployed()
    }

    /// Whether it is not known what is in place: an operator was needed, and no digest of a container that is there tells it.
    pub fn is_unknown(&self) -> bool {
        let digest = self.observed.as_ref().map(|seen| seen.digest.as_ref());
        self.unsure && digest.flatten().is_none()
    }

    /// The containers of its project that have another image than the last deploy has brought: somebody else has made them.
    pub fn others(&self) -> impl Iterator<Item = &ProjectContainer> {
        let all = self.containers.iter().flatten();
        all.filter(|one| one.as_deployed == Some(false))
    }

    /// Whether its project is known to have no container of those that were deployed.
    fn is_absent(&self) -> bool {
        let containers = self.containers.as_ref();
        containers.is_some_and(|all| all.iter().all(|one| one.beside))
    }

    /// Whether what is there is what the last deploy has brought, as far as that can be seen. What is missing of a project is
    /// another matter.
    pub fn is_as_deployed(&self) -> bool {
        let Some(deployed) = &self.deployed else {
            return false;
        };
        if self.is_unknown() {
            return false;
        }
        if self.kind != super::docker() {
            let there = self.checked_out();
            let is_there = there.is_none() || there == deployed.sha.as_ref();
            return is_there && self.others().next().is_none();
        }
        let digest = deployed.digest.as_ref();
        match &self.observed {
            Some(observed) => digest.is_some() && digest == observed.digest.as_ref(),
            None => digest.is_some(),
        }
    }
}
