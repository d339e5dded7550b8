//! When to ask again. Pure: the jitter is an argument.

use std::time::Duration;

/// The longest pause after failures, unless the usual one is longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long to wait before asking again, after `failures` failures in a row.
///
/// Without failures it is `interval` give or take a tenth, so that hosts do not ask in step. Each failure doubles it,
/// up to five minutes; then up to half is taken off. What the relay asked for (`retry_after`) is the least.
/// `jitter` is from 0 to 1.
pub(super) fn pause(
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

    proptest! {
        #[test]
        fn a_pause_is_never_far_from_what_was_asked(failures in 0u32.., jitter in 0.0..=1.0f64, after in 0u64..3600) {
            let interval = SECOND * 30;
            let pause = pause(interval, failures, Some(SECOND * after as u32), jitter);
            prop_assert!(pause >= interval.mul_f64(0.9));
            prop_assert!(pause <= LONGEST.max(SECOND * after as u32));
        }
    }
}
