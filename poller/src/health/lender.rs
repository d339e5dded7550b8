//! Waiting for a container before those are started that share a namespace of it: what a VPN lends is a network that leads
//! nowhere until it is connected, and a program that does not find its peers there may end at once.
//!
//! Not here: whether it is well, which the gate says.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::vitals::Vitals;
use crate::{
    docker::{Docker, EngineError},
    redact::Secrets,
};

/// For how long it is waited for at most from its start, which is time without the others.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until Docker's own healthcheck of the container says how it is: well or not, or not in time. One without is not
/// waited for, nor one that does not run.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn lender_has_come_up(engine: &Docker, id: &str) -> Result<(), EngineError> {
    let begun = Instant::now();
    // Its own start counts, so that several that share with it wait once; but not by a clock that is ahead.
    while begun.elapsed() < LONGEST {
        let shown = engine.container(id).await?;
        let vitals = Vitals::read(shown.as_ref(), Secrets::default());
        if !vitals.is_coming_up(LONGEST, Timestamp::now()) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
