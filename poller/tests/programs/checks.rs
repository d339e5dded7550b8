//! Programs as health checks of a service that has no container.

use towline::{
    health::{Host, gate_host, is_well_host, returned_host},
    redact::Secrets,
    settings::{HealthCheck, Probe},
};
use towline_protocol::Gate;

use super::*;

/// How the gate ends for a check that runs this, with so much time and for a service with these variables.
struct Checked {
    dir: TempDir,
    env: Vec<(String, String)>,
    secrets: Secrets,
}

impl Checked {
    fn new() -> Self {
        let mut secrets = Secrets::default();
        secrets.add("correct-horse-battery");
        Self {
            dir: folder(),
            env: vec![("PASSWORD".to_owned(), "correct-horse-battery".to_owned())],
            secrets,
        }
    }

    /// What `ask` says of the check `argv`, which has so much time.
    async fn ask<T>(
        &self,
        argv: &[&str],
        within: Duration,
        ask: impl AsyncFn(&Host<'_>, &[HealthCheck]) -> T,
    ) -> T {
        let launcher = launcher();
        let host = Host {
            launcher: &launcher,
            user: None,
            dir: self.dir.path(),
            env: &self.env,
            secrets: &self.secrets,
        };
        let words = argv.iter().map(|&word| word.to_owned()).collect();
        let probe = Probe::Exec(words);
        ask(&host, &[HealthCheck::Tried { probe, within }]).await
    }

    async fn gate(&self, argv: &[&str], within: Duration) -> Result<Gate, String> {
        let brief = Some(Duration::from_millis(10));
        let gate = async |host: &Host<'_>, checks: &[HealthCheck]| {
            gate_host(host, checks, brief, Duration::ZERO, &|_| ()).await
        };
        self.ask(argv, within, gate).await
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_check_that_ends_with_0_is_passed_and_runs_in_the_folder_of_the_service() {
    let here = Checked::new();
    executable(
        &here.dir,
        "well.sh",
        "#!/bin/sh\ntest \"$PASSWORD\" && exec test -e ready\n",
    );
    assert!(here.gate(&["./well.sh"], SHORT).await.is_err());
    let is_well = async |host: &Host<'_>, checks: &[HealthCheck]| is_well_host(host, checks).await;
    assert!(!here.ask(&["./well.sh"], SHORT, is_well).await);
    file(&here.dir, "ready", "");
    assert_eq!(here.gate(&["./well.sh"], LONG).await, Ok(Gate::Healthy));
    assert!(here.ask(&["./well.sh"], LONG, is_well).await);
    let back = async |host: &Host<'_>, checks: &[HealthCheck]| returned_host(host, checks).await;
    assert_eq!(here.ask(&["./well.sh"], LONG, back).await, Ok(()));
}

#[tokio::test]
async fn a_check_that_fails_says_how_without_secrets_and_is_tried_again() {
    let here = Checked::new();
    let script = "echo no >> tries; echo \"wrong: $PASSWORD\"; exit 3";
    let why = here
        .gate(&["sh", "-c", script], Duration::from_secs(2))
        .await;
    assert_eq!(
        why.unwrap_err(),
        "exec sh ... was not good within 2 s: it ended with status 3 and said \"wrong: ***\""
    );
    let tries = fs::read_to_string(here.dir.path().join("tries")).unwrap();
    assert!(tries.lines().count() > 1, "{tries}");
    let why = here.gate(&["sh", "-c", "kill -9 $$"], SHORT).await;
    assert!(why.unwrap_err().contains("it was ended by signal 9"));
    let why = here.gate(&["no-such-program"], SHORT).await.unwrap_err();
    assert!(
        why.contains("there is no program \"no-such-program\""),
        "{why}"
    );
}

#[tokio::test]
async fn a_check_that_hangs_is_ended_with_all_that_it_has_started() {
    let here = Checked::new();
    let script = "echo $$ >> pids; sleep 1000 & echo $! >> pids; wait";
    let why = here
        .gate(&["sh", "-c", script], Duration::from_secs(2))
        .await;
    assert!(why.unwrap_err().contains("it had not ended after 2 s"));
    let pids = numbers(&here.dir.path().join("pids"));
    assert_eq!(pids.len() % 2, 0, "{pids:?}");
    until("nothing of them is left", || {
        !pids.iter().any(|pid| lives(*pid))
    });
}
