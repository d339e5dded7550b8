//! The start of a container, a new one or an old one that is put back. Not here: how it is from then on (`health`).

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::drive::Drive;
use crate::{
    docker::EngineError,
    health::lender_has_come_up,
    machine::{Deploy, State},
    plan::lenders,
};

/// For how long, and how often, the old version's start is tried again.
const AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Starts it; what shares a namespace of a container that was started a moment ago finds it ready.
pub(super) async fn start(with: &Drive<'_>, deploy: &Deploy, id: &str) -> Result<(), EngineError> {
    if deploy.companion(id).is_some() {
        lenders_have_come_up(with, id).await?;
    }
    match deploy.state {
        State::RollingBack { .. } => start_patiently(with, id).await,
        State::Replacing { .. } | State::Committed { .. } | State::Ended { .. } => {
            with.engine.start(id).await
        }
    }
}

async fn lenders_have_come_up(with: &Drive<'_>, id: &str) -> Result<(), EngineError> {
    let shown = with.engine.container(id).await?.unwrap_or_default();
    let waited = lenders(&shown).map(|(_, lender)| lender_has_come_up(&with.engine, lender));
    try_join_all(waited).await.map(drop)
}

/// The old version is worth more than one try: the failed one's port may be free a moment later only.
async fn start_patiently(with: &Drive<'_>, id: &str) -> Result<(), EngineError> {
    let begun = Instant::now();
    loop {
        match with.engine.start(id).await {
            Err(EngineError::Refused { .. }) if begun.elapsed() < AGAIN => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}
