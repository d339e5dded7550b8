//! The two calls by which clients go over from the old version to the new one while both run: the new one gets the names that
//! the old one is found by, and the old one is left a while.

use std::time::Duration;

use super::drive::Drive;
use crate::{docker::EngineError, machine::Event};

/// Lets others on its networks find the new container `id` of a member by that one's name and aliases.
///
/// By its own name it is found from the moment that it has it; by this alias also in the moment in which neither has.
pub(super) async fn join(
    with: &Drive<'_>,
    member: usize,
    name: &str,
    id: &str,
) -> Result<Event, EngineError> {
    let Some((request, _)) = with.create.get(member) else {
        let why = "a recovery does not know the networks of the new container".to_owned();
        return Ok(Event::Failed { why });
    };
    with.engine.join(id, &request.named(name)).await?;
    Ok(Event::Done)
}

/// Waits for as long as clients may go on to use an address that they have asked for before.
pub(super) async fn drain(with: &Drive<'_>) -> Result<Event, EngineError> {
    let start_first = with
        .service
        .and_then(|service| service.start_first.as_ref());
    let drain = start_first.map_or(Duration::ZERO, |start_first| start_first.drain);
    tokio::time::sleep(drain).await;
    Ok(Event::Done)
}
