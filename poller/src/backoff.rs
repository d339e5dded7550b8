//! When to ask again. Pure: the jitter is an argument, and [`jitter`] is where callers have it from.

use std::time::Duration;

/// The longest pause after failures, unless the usual one is longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long to wait before asking again, after `failures` failures in a row.
///
/// Without failures it is `interval` give or take a tenth, so that hosts do not ask in step. Each failure doubles it,
/// up to five minutes; then up to half is taken off. What the relay asked for (`retry_after`) is the least.
/// `jitter` is from 0 to 1.
pub(crate) fn pause(
    interval: Duration,
    failures: u32,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    if failures == 0 {
        return interval.mul_f64(0.9 + 0.2 * jitter);
    }
    let doubled = interval.saturating_mul(2u32.saturating_pow(failures.min(16)));
    let capped = doubled.min(LONGEST.max(interval));
    let jittered = capped.mul_f64(1.0 - 0.5 * jitter);
    jittered.max(retry_after.unwrap_or_default())
}

/// How soon to look again for an image that is not there yet; the least, whatever the trouble.
pub(crate) const IMAGE_RETRY: Duration = Duration::from_secs(10);

/// How long a commit is waited for that the remote does not have yet.
pub(crate) const COMMIT_WAIT: Duration = Duration::from_secs(5 * 60);

/// How long to leave a registry alone that wants rest, after so many tries of a service in a row: at first 10 to 20 s,
/// doubled by each, at most five minutes. `jitter` is from 0 to 1.
pub(crate) fn image_pause(tries: u32, jitter: f64) -> Duration {
    pause(IMAGE_RETRY, tries.max(1), None, jitter)
}

/// A number from 0 to 1. Without randomness hosts are apart by their clocks.
pub(crate) fn jitter() -> f64 {
    f64::from(random()) / f64::from(u32::MAX)
}

/// Any number, from the clock where the system has no randomness.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or_else(|_| jiff::Timestamp::now().subsec_nanosecond().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_with_each_failure_and_stop_growing() {
        let seconds = |failures| pause(SECOND, failures, None, 0.0).as_secs();
        assert_eq!([1, 2, 3, 8, 9, 1000].map(seconds), [2, 4, 8, 256, 300, 300]);
        assert_eq!(pause(LONGEST * 4, 3, None, 0.0), LONGEST * 4);
    }

    #[test]
    fn a_registry_is_left_alone_for_longer_and_longer() {
        let seconds = |tries| image_pause(tries, 0.0).as_secs();
        assert_eq!(
            [1, 2, 3, 4, 5, 1000].map(seconds),
            [20, 40, 80, 160, 300, 300]
        );
    }

    proptest! {
        #[test]
        fn a_registry_is_never_asked_more_often_than_one_without_trouble(tries in 0u32.., more in 0u32..9, jitter in 0.0..=1.0f64) {
            let pause = image_pause(tries, jitter);
            prop_assert!((IMAGE_RETRY..=LONGEST).contains(&pause));
            prop_assert!(image_pause(tries.saturating_add(more), jitter) >= pause);
        }

        #[test]
        fn a_pause_is_never_far_from_what_was_asked(failures in 0u32.., jitter in 0.0..=1.0f64, after in 0u64..3600) {
            let interval = SECOND * 30;
            let pause = pause(interval, failures, Some(SECOND * after as u32), jitter);
            prop_assert!(pause >= interval.mul_f64(0.9));
            prop_assert!(pause <= LONGEST.max(SECOND * after as u32));
        }
    }
}
