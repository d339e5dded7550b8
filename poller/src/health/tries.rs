//! Tries until one is good or a check's time is over.

use std::time::{Duration, Instant};

use super::Halt;

/// The pauses between tries: the first, and the longest. Each is half as long again as the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_secs(1));
/// What the one try gets that is made when no time is left.
const LAST_TRY: Duration = Duration::from_secs(1);

/// The time that a check has, of which an earlier process may have used up some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All of it.
    pub(super) within: Duration,
    begun: Instant,
    spent: Duration,
}

impl Budget {
    /// `within`, of which `spent` is used up.
    pub(super) fn new(within: Duration, spent: Duration) -> Self {
        let begun = Instant::now();
        Self {
            within,
            begun,
            spent,
        }
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Duration {
        let used = self.spent.saturating_add(self.begun.elapsed());
        self.within.saturating_sub(used)
    }
}

/// Tries until an answer is good or the time is over; then the last answer is the reason. A try that the deadline cut
/// short says less than the answer before it. At least one try is made, and none after one that cannot be ended. The first take
/// `longest` at most; after one that was given up at that, the next may take twice as long, since there may be an answer that
/// needs it.
pub(super) async fn until(
    budget: Budget,
    mut longest: Duration,
    attempt: impl AsyncFn(Duration) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let mut pause = Pause::new();
    let mut last = None;
    let first = match budget.left() {
        left if left.is_zero() => LAST_TRY,
        left => left,
    };
    let mut left = first;
    loop {
        let limit = longest.min(left);
        let begun = Instant::now();
        let why = match attempt(limit).await {
            Err(Halt::Failed(why)) => why,
            other => return other,
        };
        if begun.elapsed() >= limit {
            longest = longest.saturating_mul(2);
        }
        let was_cut = budget.left().is_zero();
        let why = if was_cut { last.unwrap_or(why) } else { why };
        let pause = pause.next();
        if pause >= budget.left() {
            return Err(Halt::Failed(why));
        }
        last = Some(why);
        tokio::time::sleep(pause).await;
        left = budget.left().max(Duration::from_millis(1));
    }
}

/// Pauses that grow.
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(PAUSE.0)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 3 / 2).min(PAUSE.1);
        pause
    }

    pub(super) async fn take(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::docker::EngineError;

    const LONGEST: Duration = Duration::from_secs(5);

    /// How many tries were made that all failed, and the reason that was told.
    async fn failing(within: Duration, spent: Duration) -> (u32, String) {
        let tries = Cell::new(0);
        let attempt = async |limit: Duration| {
            assert!(!limit.is_zero());
            tries.set(tries.get() + 1);
            Err(Halt::Failed(format!("try {}", tries.get())))
        };
        let end = until(Budget::new(within, spent), LONGEST, attempt).await;
        let Err(Halt::Failed(why)) = end else {
            panic!("{end:?}");
        };
        (tries.get(), why)
    }

    #[tokio::test]
    async fn one_try_is_made_even_when_all_the_time_was_spent_before() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(failing(day, day).await, (1, "try 1".to_owned()));
        assert_eq!(failing(day, Duration::MAX).await, (1, "try 1".to_owned()));
        let good = async |_| Ok(());
        assert!(until(Budget::new(day, day), LONGEST, good).await.is_ok());
    }

    #[tokio::test]
    async fn tries_go_on_while_there_is_time() {
        let tries = Cell::new(0);
        let attempt = async |_| {
            tries.set(tries.get() + 1);
            if tries.get() < 3 {
                Err(Halt::Failed("not yet".to_owned()))
            } else {
                Ok(())
            }
        };
        let day = Duration::from_secs(24 * 60 * 60);
        let budget = Budget::new(day, Duration::ZERO);
        assert!(until(budget, LONGEST, attempt).await.is_ok());
        assert_eq!(tries.get(), 3);
    }

    #[tokio::test]
    async fn an_answer_that_needs_longer_than_the_first_tries_gets_it_and_a_refusal_does_not() {
        let limits = |takes_all: bool| async move {
            let limits = RefCell::new(Vec::new());
            let attempt = async |limit: Duration| {
                limits.borrow_mut().push(limit);
                if takes_all {
                    tokio::time::sleep(limit).await;
                }
                match limits.borrow().len() {
                    4 => Ok(()),
                    _ => Err(Halt::Failed("no answer".to_owned())),
                }
            };
            let day = Budget::new(Duration::from_secs(24 * 60 * 60), Duration::ZERO);
            // Long enough that no refusal is mistaken for a try that took all of its time.
            let longest = Duration::from_millis(if takes_all { 10 } else { 60_000 });
            assert!(until(day, longest, attempt).await.is_ok());
            let times = limits.into_inner().into_iter();
            times
                .map(move |limit| limit.as_millis() / longest.as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(limits(true).await, [1, 2, 4, 8]);
        assert_eq!(limits(false).await, [1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn an_engine_that_cannot_be_asked_is_not_a_bad_answer() {
        let lost = async |_| {
            let why = "gone".to_owned();
            Err(Halt::Engine(EngineError::Unexpected(why)))
        };
        let day = Duration::from_secs(24 * 60 * 60);
        let end = until(Budget::new(day, Duration::ZERO), LONGEST, lost).await;
        assert!(matches!(end, Err(Halt::Engine(_))), "{end:?}");
    }
}
