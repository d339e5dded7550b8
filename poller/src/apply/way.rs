//! Which of the two versions gives way first: what the host's file asks for, where the container allows it.

use serde_json::Value;

use super::inspect::brings_healthcheck;
use crate::{
    plan::{Observed, Refusal, Way, choose_way},
    settings::Service,
    spec::CreateRequest,
};

/// The replacement of one container as it is to be made.
pub(super) struct Replacement<'a> {
    /// What runs.
    pub(super) observed: &'a Observed,
    /// The container whose settings the new one gets, where that is not the one that runs.
    pub(super) model: Option<&'a Value>,
    /// How the new one is made, and its image; `None` as long as that is not known.
    pub(super) made: Option<(&'a CreateRequest, &'a Value)>,
    /// Whether the service has others.
    pub(super) is_one_of_several: bool,
}

/// The way that the service asks for, or the one that its `fallback` allows.
///
/// # Errors
/// [`Refusal::Unfit`] when that is not possible.
pub(super) fn way_of(service: &Service, replacement: &Replacement<'_>) -> Result<Way, Refusal> {
    let Replacement {
        observed,
        model,
        made,
        is_one_of_several,
    } = *replacement;
    // What is not known yet is found out when it is here.
    let is_own = made.is_none_or(|(create, image)| brings_healthcheck(create, image));
    let is_checked = !service.health.is_empty() || is_own;
    let way = choose_way(service.start_first.as_ref(), observed, model, is_checked);
    let name = observed.name();
    match way {
        Ok(Way::StopFirst(Some(why))) if is_one_of_several => {
            Ok(Way::StopFirst(Some(format!("{name}: {why}"))))
        }
        Ok(way) => Ok(way),
        Err(refused) => Err(refused.of(name, is_one_of_several)),
    }
}
