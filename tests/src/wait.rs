//! Waiting for something to become true, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Asks `look` again and again until it says `Some`, for at most `within`.
///
/// # Errors
/// When it never did; `what` names what was waited for.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            bail!("{what} did not come within {within:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
