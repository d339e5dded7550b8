//! What of a project a deploy has left in place, kept so that it can be told later what of it is gone or was changed. Pure.
//!
//! What has ended with status 0 may be a job that is done, or a server that was stopped: the engine does not tell. So a service
//! is one that must run when it is sure to be no job, and where nothing of a project runs any more, all that ran is missed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Container;

/// What of a project was in place when a deploy had succeeded, or had found nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The project's name.
    pub project: String,
    /// Of the services that were wanted, those with containers.
    pub services: BTreeMap<String, PlacedService>,
}

/// A service of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedService {
    /// The id of its image.
    pub image: String,
    /// How many of its containers ran. What had done its work and ended may be pruned.
    pub containers: u64,
    /// Whether it is sure to be no job that is done some day: it ran before the deploy too, publishes a port, or is always
    /// started again.
    #[serde(default)]
    pub must_run: bool,
}

impl Placed {
    /// What is in place of these services of the project, by all of its containers `now`; `must_run` says of which services it
    /// is known already that they must.
    pub fn of(
        project: &str,
        wanted: &[String],
        now: &[Container],
        must_run: impl Fn(&str) -> bool,
    ) -> Self {
        let mut services: BTreeMap<String, PlacedService> = BTreeMap::new();
        for one in now.iter().filter(|one| wanted.contains(&one.service)) {
            let service = services.entry(one.service.clone());
            let service = service.or_insert_with(|| PlacedService {
                image: one.image.clone(),
                containers: 0,
                must_run: false,
            });
            service.containers += u64::from(!one.is_done);
            service.must_run |= one.runs && (one.is_to_stay || must_run(&one.service));
        }
        Self {
            project: project.to_owned(),
            services,
        }
    }

    /// Whether this service is known to be no job.
    pub fn must_run(&self, service: &str) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| service.must_run)
    }

    /// Whether a container has another image than its service was left with: somebody else has brought it up.
    pub fn has_strayed(&self, now: &[Container]) -> bool {
        let mut now = now.iter();
        now.any(|one| {
            let placed = self.services.get(&one.service);
            placed.is_some_and(|placed| placed.image != one.image)
        })
    }

    /// Whether it is trouble that a container of this service has ended with status 0, or is gone; `is_up` is whether anything
    /// of the project runs.
    pub fn is_missed(&self, service: &str, is_up: bool) -> bool {
        let service = self.services.get(service);
        service.is_some_and(|service| service.must_run || (!is_up && service.containers > 0))
    }
}

/// Whether all that has ended of these services had ended when the project was left in place already. Where that is not known,
/// one may be a server that somebody has stopped: to bring it up once more does no harm, to leave it does.
pub fn had_ended(placed: Option<&Placed>, wanted: &[String], now: &[Container]) -> bool {
    let its = now.iter().filter(|one| wanted.contains(&one.service));
    let mut ended = its.filter(|one| !one.runs);
    ended.all(|one| {
        let service = placed.and_then(|placed| placed.services.get(&one.service));
        service.is_some_and(|service| service.containers == 0)
    })
}
