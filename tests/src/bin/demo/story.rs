//! What both demos tell alike: GitHub's delivery, towline's log lines, the report at the relay.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    github::Delivery,
    host::Host,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

/// Longer than any step takes on a busy machine; the demo fails rather than hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Tells what happens, with the time since the demo began.
pub(crate) struct Story(Instant);

impl Story {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    #[expect(
        clippy::print_stdout,
        reason = "telling the story is what this program is for"
    )]
    pub(crate) fn tell(&self, what: &str) {
        println!("{:7.2} s  {what}", self.0.elapsed().as_secs_f64());
    }

    /// Starts the relay.
    pub(crate) fn relay(&self) -> Result<Relay> {
        let relay = Relay::start(Face::Deployed, &json!({}))?;
        self.tell(&format!("the relay runs in workerd at {}", relay.url));
        Ok(relay)
    }

    /// Starts towline on a host with these services.
    pub(crate) fn towline(&self, relay: &Relay, services: &str) -> Result<(Host, Process)> {
        let token = token(Role::Host, "pi", &["octo-org/*"])?;
        let host = Host::new(&relay.url, &token, services)?;
        let mut towline = host.run()?;
        towline.line(PATIENCE, |line| line.contains("running"))?;
        self.tell("towline runs, with an open doorbell at the relay and no inbound port");
        Ok((host, towline))
    }

    /// GitHub's part: run `number` of `ci.yml` on `main` has succeeded for commit `sha`. Returns the intent.
    pub(crate) fn deliver(&self, relay: &Relay, number: u64, sha: &str) -> Result<String> {
        let answer = Delivery::run(number, sha)?.send(&relay.url, WEBHOOK_SECRET)?;
        let (status, body) = (answer.status, &answer.body);
        ensure!(status == 202, "the webhook answered {status}: {body}");
        let queued = answer.json()?;
        let (sha, seq) = (sha.get(..7).unwrap_or(sha), &queued["seq"]);
        self.tell(&format!(
            "GitHub says that CI succeeded on {sha}: queued as seq {seq}"
        ));
        let intent = queued["intent"].as_str();
        Ok(intent.context("the answer names no intent")?.to_owned())
    }

    /// Tells towline's own log lines as they come: which has what in it, and what that means.
    pub(crate) fn follow(&self, towline: &mut Process, steps: &[(&str, String)]) -> Result<()> {
        for (word, told) in steps {
            towline.line(PATIENCE, |line| line.contains(word))?;
            self.tell(told);
        }
        Ok(())
    }

    /// Waits for what the relay knows of the outcome for `service`.
    pub(crate) fn reported(&self, relay: &Relay, intent: &str, service: &str) -> Result<()> {
        let operator = token(Role::Operator, "ops", &["*"])?;
        let report = until("the report at the relay", PATIENCE, || {
            let status = relay
                .get(&format!("/v1/intents/{intent}"), &operator)?
                .json()?;
            let report = status["hosts"]["pi"]["services"][service].clone();
            Ok(Some(report).filter(|report| report["finished_at"] != Value::Null))
        })?;
        ensure!(report["outcome"] == "succeeded", "the report says {report}");
        self.tell(&format!(
            "reported as {}: {}",
            report["outcome"], report["message"]
        ));
        Ok(())
    }

    /// The page must say `wanted`; then towline ends.
    pub(crate) fn end(&self, mut towline: Process, page: &str, wanted: &str) -> Result<()> {
        ensure!(
            page == wanted,
            "the page says {page:?} and not {wanted:?}:\n{}",
            towline.output()
        );
        self.tell(&format!("the page answers {page:?}"));
        let ended = towline.terminate(PATIENCE)?;
        ensure!(
            ended.success(),
            "towline ended with {ended}:\n{}",
            towline.output()
        );
        self.tell("done; towline has ended, and everything else ends with the demo");
        Ok(())
    }
}
