//! All checks of a service side by side, each with its own time, and the window in which nothing may go wrong.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::{
    Halt,
    crash::{Scene, Seen},
    probe,
    subject::Subject,
    tries::{Budget, Pause},
    vitals::Vitals,
};
use crate::{
    redact::Secrets,
    settings::{HealthCheck, Probe},
};

/// How often the checks are made again within the window.
const AGAIN: Duration = Duration::from_secs(1);

/// Hears of a check that was passed, in the words of `probe`.
pub(super) type Tell<'a> = &'a dyn Fn(String);

/// The checks of some containers, which run since the same start.
#[derive(Debug)]
pub(super) struct Trials<'a> {
    subject: Subject<'a>,
    each: Vec<Trial<'a>>,
    secrets: Secrets,
    first: Vec<Vitals>,
    seen: Seen,
}

/// One check, and the time that it has.
#[derive(Debug)]
struct Trial<'a> {
    what: What<'a>,
    budget: Budget,
}

#[derive(Debug)]
enum What<'a> {
    /// Something that is tried.
    Probe(&'a Probe),
    /// Docker's own healthcheck.
    Own,
}

impl<'a> Trials<'a> {
    /// `checks` of the containers that were seen as `first`, of whose time `spent` is used up.
    pub(super) fn new(
        subject: Subject<'a>,
        checks: &'a [HealthCheck],
        first: Vec<Vitals>,
        spent: Duration,
    ) -> Self {
        let patience = first.iter().map(|vitals| vitals.patience).max();
        let each = checks.iter().map(|check| match check {
            HealthCheck::Tried { probe, within } => Trial {
                what: What::Probe(probe),
                budget: Budget::new(*within, spent),
            },
            HealthCheck::Docker { within } => Trial {
                what: What::Own,
                budget: Budget::new(within.or(patience).unwrap_or_default(), spent),
            },
        });
        Self {
            subject,
            each: each.collect(),
            secrets: subject.secrets(&first),
            first,
            seen: Seen::default(),
        }
    }

    /// Waits until each check was passed once. The first that fails ends it, and so does a container's end.
    pub(super) async fn pass(&self, tell: Tell<'_>) -> Result<(), Halt> {
        let all = try_join_all(self.each.iter().map(|trial| self.pass_one(trial, tell)));
        tokio::select! {
            biased;
            passed = all => match passed {
                Ok(_) => Ok(()),
                Err(halt) => Err(self.scene().answered(halt).await),
            },
            halt = self.subject.ended(&self.seen) => Err(self.scene().ended(halt).await),
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            subject: &self.subject,
            first: &self.first,
            seen: &self.seen,
        }
    }

    /// Waits until each check was passed and nothing has gone wrong for `window`. A check that fails in between begins
    /// the window anew, as long as it has time; a restart, an end and `unhealthy` are the last word.
    pub(super) async fn stay_passed(&self, window: Duration, tell: Tell<'_>) -> Result<(), Halt> {
        loop {
            self.pass(tell).await?;
            let calm = tokio::select! {
                biased;
                calm = self.stay(window) => calm?,
                halt = self.subject.ended(&self.seen) => return Err(self.scene().ended(halt).await),
            };
            if calm {
                return Ok(());
            }
        }
    }

    /// Whether the checks stayed good for `window`.
    async fn stay(&self, window: Duration) -> Result<bool, Halt> {
        let begun = Instant::now();
        loop {
            let left = window.saturating_sub(begun.elapsed());
            tokio::time::sleep(AGAIN.min(left)).await;
            let now = match self.subject.look().await {
                Ok(now) => now,
                Err(halt) => return Err(self.scene().ended(halt).await),
            };
            self.seen.note(&now);
            let mut pairs = now.iter().zip(&self.first);
            if let Some(at) = pairs.position(|(now, first)| !now.is_same_run(first)) {
                let restarted = self.subject.failed(at, "it restarted");
                return Err(self.scene().ended(restarted).await);
            }
            let again = self.each.iter().map(|trial| self.again(trial, &now));
            match try_join_all(again).await {
                Ok(good) if good.contains(&false) => return Ok(false),
                Ok(_) => {}
                Err(halt) => return Err(self.scene().answered(halt).await),
            }
            if left.is_zero() {
                return Ok(true);
            }
        }
    }

    async fn pass_one(&self, trial: &Trial<'_>, tell: Tell<'_>) -> Result<(), Halt> {
        match trial.what {
            What::Probe(it) => {
                probe::until(&self.subject, it, &self.secrets, trial.budget).await?;
                tell(self.secrets.hide(&probe::shown(it)));
            }
            What::Own => {
                self.own_healthcheck(trial.budget).await?;
                tell("the container's own healthcheck".to_owned());
            }
        }
        Ok(())
    }

    /// Whether a check that was passed is good still; one that is not and has no time left has failed.
    async fn again(&self, trial: &Trial<'_>, now: &[Vitals]) -> Result<bool, Halt> {
        let tried = match trial.what {
            What::Probe(it) => probe::once(&self.subject, it, &self.secrets).await,
            What::Own => return self.healthy_still(now).map(|()| true),
        };
        match tried {
            Err(Halt::Failed(_)) if !trial.budget.left().is_zero() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Waits until Docker's own healthcheck says `healthy` of each. `unhealthy` is not the last word before the
    /// deadline.
    async fn own_healthcheck(&self, budget: Budget) -> Result<(), Halt> {
        let mut pause = Pause::new();
        loop {
            let all = self.subject.look().await?;
            if !all.iter().any(|vitals| vitals.has_healthcheck) {
                let what = match self.subject.members() {
                    [_] => "the container has no healthcheck",
                    _ => "no container has a healthcheck",
                };
                return Err(Halt::Failed(what.to_owned()));
            }
            let Some((at, waiting)) = all.iter().enumerate().find(|(_, vitals)| vitals.is_sick())
            else {
                return Ok(());
            };
            if budget.left().is_zero() {
                let within = budget.within.as_secs_f64();
                let last = waiting.last_word();
                let why = format!("not healthy within {within} s: {last}");
                return Err(self.subject.failed(at, &why));
            }
            pause.take().await;
        }
    }

    /// A healthcheck that has turned `unhealthy` has failed several times in a row by its own rule.
    fn healthy_still(&self, now: &[Vitals]) -> Result<(), Halt> {
        match now.iter().enumerate().find(|(_, vitals)| vitals.is_sick()) {
            None => Ok(()),
            Some((at, sick)) => {
                let last = sick.last_word();
                let why = format!("it was healthy, and then {last}");
                Err(self.subject.failed(at, &why))
            }
        }
    }
}
