//! What an inspected container says about how it is. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::redact::Secrets;

/// How much of a healthcheck's own numbers counts at most, of its start period and of its tries: some are asked once an
/// hour, and an image may name any number.
const LONGEST: (Duration, Duration) = (Duration::from_secs(60 * 60), Duration::from_secs(15 * 60));
/// Beyond what the healthcheck's own numbers add up to.
const MARGIN: Duration = Duration::from_secs(10);

/// The signs of life of one container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vitals {
    exists: bool,
    running: bool,
    /// Between a crash and the engine's next try.
    pub(super) restarting: bool,
    /// What it ended with the last time; 0 while it runs.
    pub(super) exit_code: i64,
    out_of_memory: bool,
    started_at: String,
    /// How often the engine has started it again.
    pub(super) restarts: u64,
    /// Whether the engine starts it again whatever it ended with.
    is_kept_up: bool,
    /// Whether it has ended, and may have; whoever looks decides.
    pub(super) is_done: bool,
    /// Whether the engine checks it.
    pub(super) has_healthcheck: bool,
    /// What must not be told of it.
    pub(super) secrets: Secrets,
    /// What that check says.
    pub(super) health: Option<Health>,
    /// How long the healthcheck may take to say `healthy`, by its own numbers.
    pub(super) patience: Duration,
}

/// What Docker's own healthcheck says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Health {
    status: String,
    output: String,
}

impl Health {
    pub(super) fn is_good(&self) -> bool {
        self.status == "healthy"
    }

    /// Whether it has no opinion yet.
    pub(super) fn is_starting(&self) -> bool {
        self.status == "starting"
    }
}

impl Vitals {
    /// Reads `GET /containers/{id}/json`; `None` is a container that does not exist. `secrets` must not be told of it, beside
    /// those of its environment.
    pub(super) fn read(container: Option<&Value>, mut secrets: Secrets) -> Self {
        let at = |path: &str| container.and_then(|container| container.pointer(path));
        let is = |path: &str| at(path).and_then(Value::as_bool).unwrap_or_default();
        let text = |path: &str| {
            at(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let status = text("/State/Health/Status");
        let has_healthcheck = !matches!(status.as_str(), "" | "none");
        let last = at("/State/Health/Log")
            .and_then(Value::as_array)
            .and_then(|log| log.last());
        let output = last
            .and_then(|last| last.get("Output")?.as_str())
            .unwrap_or_default();
        if let Some(container) = container {
            secrets.add_environment(container);
        }
        // Hidden before the cut, which may leave a part of a secret that nobody knows.
        let output = secrets.hide(output.trim()).chars().take(200).collect();
        let health = Health { status, output };
        Self {
            exists: container.is_some(),
            running: is("/State/Running"),
            restarting: is("/State/Restarting"),
            exit_code: at("/State/ExitCode")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            out_of_memory: is("/State/OOMKilled"),
            started_at: text("/State/StartedAt"),
            restarts: at("/RestartCount")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            is_kept_up: matches!(
                at("/HostConfig/RestartPolicy/Name").and_then(Value::as_str),
                Some("always" | "unless-stopped")
            ),
            is_done: false,
            has_healthcheck,
            secrets,
            health: has_healthcheck.then_some(health),
            patience: patience(at("/Config/Healthcheck")),
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        if !self.exists {
            return Some("the container was removed".to_owned());
        }
        let memory = if self.out_of_memory {
            ", out of memory"
        } else {
            ""
        };
        (!self.running && !self.restarting)
            .then(|| format!("it ended with status {}{memory}", self.exit_code))
    }

    /// Whether it ran, has ended with status 0, and stays so.
    pub(super) fn has_done_its_work(&self) -> bool {
        // The engine writes the year 1 for one that was never started.
        let ran = !self.started_at.is_empty() && !self.started_at.starts_with("0001-");
        let ended = self.exists && !self.running && !self.restarting;
        ran && ended && self.exit_code == 0 && !self.out_of_memory && !self.is_kept_up
    }

    /// Whether it has run since `before` without a restart.
    pub(super) fn is_same_run(&self, before: &Self) -> bool {
        !self.restarting && self.started_at == before.started_at && self.restarts == before.restarts
    }

    /// Whether it runs and its own healthcheck does not say that it is well, or not yet.
    pub(super) fn is_sick(&self) -> bool {
        !self.is_done && self.health.as_ref().is_some_and(|own| !own.is_good())
    }

    /// Whether it runs and its own healthcheck has still to say how it is: for as long as that takes by its own numbers, and for
    /// `at_most` from its start.
    pub(super) fn is_coming_up(&self, at_most: Duration, now: Timestamp) -> bool {
        let is_starting = self.health.as_ref().is_some_and(Health::is_starting);
        let started: Timestamp = self.started_at.parse().unwrap_or(now);
        let passed = Duration::try_from(now.duration_since(started)).unwrap_or_default();
        self.running && is_starting && passed < self.patience.min(at_most)
    }

    /// The healthcheck's last output.
    pub(super) fn last_word(&self) -> String {
        match &self.health {
            Some(Health { status, output }) if output.is_empty() => status.clone(),
            Some(Health { status, output }) => format!("{status}: {output}"),
            None => "no healthcheck".to_owned(),
        }
    }
}

/// `start_period + retries * (interval + timeout)` and a margin; zero and absent mean the engine's defaults
/// (moby `daemon/health.go`). Within the start period a check comes every `start_interval` (from API 1.44), and the first
/// after the start period may be that much later.
fn patience(healthcheck: Option<&Value>) -> Duration {
    let number = |field: &str| {
        healthcheck
            .and_then(|check| check.get(field)?.as_u64())
            .filter(|number| *number > 0)
    };
    let span = |field: &str, default: u64| {
        number(field).map_or(Duration::from_secs(default), Duration::from_nanos)
    };
    let retries = u32::try_from(number("Retries").unwrap_or(3)).unwrap_or(u32::MAX);
    let tries = (span("Interval", 30) + span("Timeout", 30)).saturating_mul(retries);
    let start = match span("StartPeriod", 0) {
        none if none.is_zero() => none,
        period => period.saturating_add(span("StartInterval", 0)),
    };
    start.min(LONGEST.0) + tries.min(LONGEST.1) + MARGIN
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(state: Value) -> Vitals {
        let shown = json!({ "State": state, "RestartCount": 0 });
        Vitals::read(Some(&shown), Secrets::default())
    }

    #[test]
    fn an_exit_says_its_status_and_a_restart_loop_is_not_an_exit() {
        assert_eq!(read(json!({ "Running": true })).ended(), None);
        assert_eq!(
            read(json!({ "Running": true, "Restarting": true })).ended(),
            None
        );
        let ended = read(json!({ "Running": false, "ExitCode": 137, "OOMKilled": true }))
            .ended()
            .unwrap();
        assert_eq!(ended, "it ended with status 137, out of memory");
        assert_eq!(
            Vitals::read(None, Secrets::default()).ended().unwrap(),
            "the container was removed"
        );
    }

    #[test]
    fn another_start_and_a_restart_are_not_the_same_run() {
        let first = read(json!({ "Running": true, "StartedAt": "a" }));
        assert!(first.is_same_run(&first));
        assert!(!read(json!({ "Running": true, "StartedAt": "b" })).is_same_run(&first));
        let restarted =
            json!({ "State": { "Running": true, "StartedAt": "a" }, "RestartCount": 1 });
        let restarted = Vitals::read(Some(&restarted), Secrets::default());
        assert!(!restarted.is_same_run(&first));
    }

    #[test]
    fn what_comes_up_is_what_runs_and_has_not_said_yet_how_it_is_for_a_while() {
        let second = Duration::from_secs(1);
        let now: Timestamp = "2026-11-20T15:01:00Z".parse().unwrap();
        let of = |status: &str, started: &str| json!({ "Running": true, "StartedAt": started, "Health": { "Status": status } });
        let just_now = "2026-11-20T15:00:59.5Z";
        assert!(read(of("starting", just_now)).is_coming_up(second, now));
        assert!(read(of("starting", "2026-11-20T15:02:00Z")).is_coming_up(second, now));
        assert!(!read(of("starting", "2026-11-20T15:00:59Z")).is_coming_up(second, now));
        for status in ["healthy", "unhealthy", "none"] {
            assert!(
                !read(of(status, just_now)).is_coming_up(second, now),
                "{status}"
            );
        }
        let mut ended = of("starting", just_now);
        ended["Running"] = json!(false);
        assert!(!read(ended).is_coming_up(second, now));
        let quick = json!({ "Config": { "Healthcheck": { "Interval": 1, "Timeout": 1, "Retries": 1 } },
            "State": of("starting", "2026-11-20T15:00:49Z") });
        let quick = Vitals::read(Some(&quick), Secrets::default());
        assert!(!quick.is_coming_up(60 * second, now));
        assert!(read(of("starting", "2026-11-20T15:00:49Z")).is_coming_up(60 * second, now));
    }

    #[test]
    fn the_healthcheck_is_read_with_its_last_output() {
        let sick = read(
            json!({ "Running": true, "Health": { "Status": "unhealthy", "Log": [{ "Output": "a" }, { "Output": "boom\n" }] } }),
        );
        assert_eq!(sick.last_word(), "unhealthy: boom");
        assert!(sick.has_healthcheck);
        assert!(!read(json!({ "Running": true, "Health": { "Status": "none" } })).has_healthcheck);
        assert!(!read(json!({ "Running": true })).has_healthcheck);
    }

    #[test]
    fn patience_follows_the_healthchecks_own_numbers() {
        assert_eq!(patience(None), Duration::from_secs(190));
        let check = json!({ "Interval": 1_000_000_000u64, "Timeout": 2_000_000_000u64, "Retries": 4, "StartPeriod": 5_000_000_000u64 });
        assert_eq!(patience(Some(&check)), Duration::from_secs(5 + 4 * 3 + 10));
        let mut check = check;
        check["StartInterval"] = json!(60_000_000_000u64);
        assert_eq!(
            patience(Some(&check)),
            Duration::from_secs(5 + 60 + 4 * 3 + 10)
        );
        check["StartPeriod"] = json!(0);
        assert_eq!(patience(Some(&check)), Duration::from_secs(4 * 3 + 10));
        let odd =
            json!({ "Interval": u64::MAX, "Retries": u64::MAX, "Timeout": -1, "StartPeriod": "x" });
        assert_eq!(patience(Some(&odd)), LONGEST.1 + MARGIN);
        let slow = json!({ "StartPeriod": 1_800_000_000_000u64 });
        assert_eq!(patience(Some(&slow)), Duration::from_secs(1800 + 190));
        let hourly = json!({ "StartPeriod": u64::MAX, "Interval": 3_600_000_000_000u64 });
        assert_eq!(patience(Some(&hourly)), LONGEST.0 + LONGEST.1 + MARGIN);
    }
}
