//! What is checked: containers, looked at on the engine, or something of this host, of which nothing is to be seen but
//! what its checks say.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use super::{Halt, Host, Member, crash::Seen, tries::Pause, vitals::Vitals};
use crate::{docker::Docker, redact::Secrets};

/// How long the look at one that has no opinion of itself yet may take.
pub(super) const GLANCE: Duration = Duration::from_secs(5);

/// What is checked together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// These containers.
    Containers {
        engine: &'a Docker,
        members: &'a [Member],
    },
    /// Something without a container.
    Host(&'a Host<'a>),
}

impl Subject<'_> {
    /// What the engine shows of each; why not, when one of them has ended and should not have.
    pub(super) async fn look(&self) -> Result<Vec<Vitals>, Halt> {
        let Self::Containers { engine, members } = self else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for member in *members {
            let shown = engine.container(&member.id).await?;
            let vitals = member.vitals(shown.as_ref());
            if let Some(why) = vitals.ended().filter(|_| !vitals.is_done) {
                return Err(Halt::Failed(member.told(&why)));
            }
            all.push(vitals);
        }
        Ok(all)
    }

    /// Waits until one of the containers has ended that should not have, and says how. `seen` takes note of those that go on.
    pub(super) async fn ended(&self, seen: &Seen) -> Halt {
        if self.members().is_empty() {
            return pending().await;
        }
        let mut pause = Pause::new();
        loop {
            pause.take().await;
            match self.look().await {
                Ok(all) => seen.note(&all),
                Err(halt) => return halt,
            }
        }
    }

    /// The containers.
    pub(super) fn members(&self) -> &[Member] {
        match self {
            Self::Containers { members, .. } => members,
            Self::Host(_) => &[],
        }
    }

    /// The container at this place and what is wrong with it.
    pub(super) fn failed(&self, at: usize, why: &str) -> Halt {
        let member = self.members().get(at);
        Halt::Failed(member.map_or_else(|| why.to_owned(), |member| member.told(why)))
    }

    /// What must not be told of what was seen so.
    pub(super) fn secrets(&self, containers: &[Vitals]) -> Secrets {
        let mut known = match self {
            Self::Containers { .. } => Secrets::default(),
            Self::Host(host) => host.secrets.clone(),
        };
        for vitals in containers {
            known.add_all(&vitals.secrets);
        }
        known
    }
}

/// What the engine shows of one container once its own healthcheck has an opinion, or soon.
pub(super) async fn settled(engine: &Docker, id: &str) -> Result<Vitals, Halt> {
    let begun = Instant::now();
    let mut pause = Pause::new();
    loop {
        let vitals = Vitals::read(engine.container(id).await?.as_ref(), Secrets::default());
        let is_undecided = vitals.health.as_ref().is_some_and(|own| own.is_starting());
        if vitals.ended().is_some() || !is_undecided || begun.elapsed() >= GLANCE {
            return Ok(vitals);
        }
        pause.take().await;
    }
}
