//! The calls by which clients go over from the old version to the new one while both run: the new one gets the aliases and the name
//! that the old one is found by, and the old one is left a while.

use std::time::{Duration, Instant};

use super::drive::Drive;
use crate::{
    docker::{Docker, EngineError},
    health,
    machine::Event,
};

/// For how long, and how often, the name is asked for that the old container has to let go of first.
const SWITCH: Duration = Duration::from_secs(5);
const SWITCH_PAUSE: Duration = Duration::from_millis(1);
/// How often is looked at the new containers while the old ones are left.
const DRAIN_PAUSE: Duration = Duration::from_secs(1);

/// Lets others on its networks find the new container `id` of a member by that one's aliases.
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

/// Gives the new container the old one's name, and the old one another.
///
/// The engine lets go of a name before its DNS does, and gives it to another one at once: asked for both at the same time, it leaves next to no
/// moment in which the name leads nowhere. An alias would leave none, and would lead to the container until it has
/// ended, also when it is the old one.
pub(super) async fn switch(
    engine: &Docker,
    (old, parked): (&str, &str),
    (new, name): (&str, &str),
) -> Result<Event, EngineError> {
    let park = engine.rename(old, parked);
    let promote = async {
        let begun = Instant::now();
        loop {
            match engine.rename(new, name).await {
                Err(EngineError::Refused { status: 409, .. }) if begun.elapsed() < SWITCH => {
                    tokio::time::sleep(SWITCH_PAUSE).await;
                }
                other => return other,
            }
        }
    };
    let (parked, promoted) = tokio::join!(park, promote);
    parked?;
    Ok(match promoted {
        Ok(()) => Event::Done,
        Err(lost) if lost.is_loss() => return Err(lost),
        Err(why) => Event::Failed {
            why: why.to_string(),
        },
    })
}

/// Waits for as long as clients may go on to use an address that they have asked for before.
///
/// The new ones have no restart policy yet: one that ends meanwhile has failed, and the old ones still run.
pub(super) async fn drain(with: &Drive<'_>, ids: &[String]) -> Result<Event, EngineError> {
    let start_first = with
        .service
        .and_then(|service| service.start_first.as_ref());
    let drain = start_first.map_or(Duration::ZERO, |start_first| start_first.drain);
    let begun = Instant::now();
    loop {
        let left = drain.saturating_sub(begun.elapsed());
        tokio::time::sleep(left.min(DRAIN_PAUSE)).await;
        for id in ids {
            let Some(shown) = with.engine.container(id).await? else {
                let why = "the new container was removed".to_owned();
                return Ok(Event::Failed { why });
            };
            if let Some(why) = health::how_ended(&with.engine, id, &shown).await {
                return Ok(Event::Failed { why });
            }
        }
        if begun.elapsed() >= drain {
            return Ok(Event::Done);
        }
    }
}
