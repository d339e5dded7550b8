//! What is checked: containers, looked at on the engine, or something on this host that only its checks show.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use super::{Halt, tries::Pause, vitals::Vitals};
use crate::{docker::Docker, redact::Secrets};

/// How long the look at one that has no opinion of itself yet may take.
pub(super) const GLANCE: Duration = Duration::from_secs(5);

/// What is checked as one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// Containers.
    Containers {
        /// Where they are.
        engine: &'a Docker,
        /// Which.
        ids: &'a [String],
    },
    /// No container: a service on this host.
    Host,
}

impl<'a> Subject<'a> {
    /// Its containers, and where they are.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&'a Docker, &'a String)> + use<'a> {
        let (engine, ids) = match *self {
            Self::Containers { engine, ids } => (Some(engine), ids),
            Self::Host => (None, [].as_slice()),
        };
        engine
            .into_iter()
            .flat_map(move |engine| ids.iter().map(move |id| (engine, id)))
    }

    /// Whether it is no container.
    pub(super) fn is_host(&self) -> bool {
        matches!(self, Self::Host)
    }

    /// What the engine shows of each; why not, when one of them has ended.
    pub(super) async fn look(&self) -> Result<Vec<Vitals>, Halt> {
        let mut all = Vec::new();
        for (engine, id) in self.containers() {
            let vitals = Vitals::read(engine.container(id).await?.as_ref());
            if let Some(why) = vitals.ended() {
                return Err(Halt::Failed(why));
            }
            all.push(vitals);
        }
        Ok(all)
    }

    /// Waits until one of the containers has ended, and says how.
    pub(super) async fn ended(&self) -> Halt {
        if self.containers().next().is_none() {
            return pending().await;
        }
        let mut pause = Pause::new();
        loop {
            pause.take().await;
            if let Err(halt) = self.look().await {
                return halt;
            }
        }
    }
}

/// What the engine shows of one container once its own healthcheck has an opinion, or soon.
pub(super) async fn settled(engine: &Docker, id: &str) -> Result<Vitals, Halt> {
    let begun = Instant::now();
    let mut pause = Pause::new();
    loop {
        let vitals = Vitals::read(engine.container(id).await?.as_ref());
        let is_undecided = vitals.health.as_ref().is_some_and(|own| own.is_starting());
        if vitals.ended().is_some() || !is_undecided || begun.elapsed() >= GLANCE {
            return Ok(vitals);
        }
        pause.take().await;
    }
}

/// What must not be told of any of them.
pub(super) fn known(containers: &[Vitals]) -> Secrets {
    let mut known = Secrets::default();
    for vitals in containers {
        known.add_all(&vitals.secrets);
    }
    known
}
