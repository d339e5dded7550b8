//! What of a project a deploy has left in place, kept so that it can be told later what of it is gone or was changed. Pure.

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
    /// How many of its containers are to stay. One that had done what it should and ended may be pruned.
    pub containers: u64,
}

impl Placed {
    /// What is in place of these services of the project, by all of its containers `now`.
    pub fn of(project: &str, wanted: &[String], now: &[Container]) -> Self {
        let mut services: BTreeMap<String, PlacedService> = BTreeMap::new();
        for one in now.iter().filter(|one| wanted.contains(&one.service)) {
            let service = services.entry(one.service.clone());
            let service = service.or_insert_with(|| PlacedService {
                image: one.image.clone(),
                containers: 0,
            });
            service.containers += u64::from(!one.is_done);
        }
        Self {
            project: project.to_owned(),
            services,
        }
    }
}
