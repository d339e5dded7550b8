//! The whole way once, on real parts, told as it happens: `make demo`.
//!
//! A web service runs as v1. GitHub, played here, says that the workflow which built v2 has succeeded. What follows is
//! Towline's own work: the relay in workerd, the `towline` binary, a Docker engine, a registry.

#![expect(
    clippy::print_stdout,
    reason = "telling the story is what this program is for"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    docker::{Web, push},
    github::Delivery,
    host::Host,
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// Longer than any step takes on a busy machine; the demo fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let story = Story(Instant::now());
    let relay = Relay::start(Face::Deployed, &json!({}))?;
    story.tell(&format!("the relay runs in workerd at {}", relay.url));
    push("web", "v1", "ok")?;
    let web = Web::start("web", "v1")?;
    story.tell(&format!(
        "web v1 runs on this host and answers {:?}",
        web.page(PATIENCE)?
    ));
    let host = Host::new(
        &relay.url,
        &token(Role::Host, "pi", &["octo-org/*"])?,
        &web.section(),
    )?;
    let mut towline = host.run()?;
    towline.line(PATIENCE, |line| line.contains("running"))?;
    story.tell("towline runs and asks the relay every second");
    let digest = push("web", "v2", "ok")?;
    story.tell(&format!("CI has pushed web v2 as {}", short(&digest)));

    let intent = deliver(&relay, &story)?;
    follow(&mut towline, &digest, &story)?;
    reported(&relay, &intent, &story)?;
    let page = web.page(PATIENCE)?;
    ensure!(
        page == "toy v2",
        "the page says {page:?} and not v2:\n{}",
        towline.output()
    );
    story.tell(&format!("the page answers {page:?}"));
    let ended = towline.terminate(PATIENCE)?;
    ensure!(
        ended.success(),
        "towline ended with {ended}:\n{}",
        towline.output()
    );
    story.tell("done; towline has ended, and everything else ends with the demo");
    Ok(())
}

/// Tells what happens, with the time since the demo began.
struct Story(Instant);

impl Story {
    fn tell(&self, what: &str) {
        println!("{:7.2} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

/// GitHub's part: run number 2 of `ci.yml` on `main` has succeeded.
fn deliver(relay: &Relay, story: &Story) -> Result<String> {
    let answer = Delivery::run(2, SHA)?.send(&relay.url, WEBHOOK_SECRET)?;
    ensure!(
        answer.status == 202,
        "the webhook answered {}: {}",
        answer.status,
        answer.body
    );
    let queued = answer.json()?;
    story.tell(&format!(
        "GitHub says that CI succeeded on {}: queued as seq {}",
        &SHA[..7],
        queued["seq"]
    ));
    Ok(queued["intent"]
        .as_str()
        .context("the answer names no intent")?
        .to_owned())
}

/// Tells towline's own log lines as they come.
fn follow(towline: &mut Process, pushed: &str, story: &Story) -> Result<()> {
    let digest = pushed.rsplit_once('@').map_or(pushed, |(_, digest)| digest);
    let steps = [
        ("picked up", "picked up by the host".to_owned()),
        (
            &format!("pulled {digest}"),
            format!("pulled by digest, {}", short(digest)),
        ),
        (
            "started the new container",
            "swapped: the old container waits, the new one has started".to_owned(),
        ),
        (
            "healthy",
            "healthy: the new one answers and has not restarted".to_owned(),
        ),
    ];
    for (word, told) in steps {
        towline.line(PATIENCE, |line| line.contains(word))?;
        story.tell(&told);
    }
    Ok(())
}

/// Waits for what the relay knows of the outcome.
fn reported(relay: &Relay, intent: &str, story: &Story) -> Result<()> {
    let operator = token(Role::Operator, "ops", &["*"])?;
    let report = until("the report at the relay", PATIENCE, || {
        let status = relay
            .get(&format!("/v1/intents/{intent}"), &operator)?
            .json()?;
        let report = status["hosts"]["pi"]["services"]["web"].clone();
        Ok(Some(report).filter(|report| report["finished_at"] != Value::Null))
    })?;
    ensure!(report["outcome"] == "succeeded", "the report says {report}");
    story.tell(&format!(
        "reported as {}: {}",
        report["outcome"], report["message"]
    ));
    Ok(())
}

fn short(reference: &str) -> &str {
    let digest = reference
        .rsplit_once('@')
        .map_or(reference, |(_, digest)| digest);
    digest.get(..19).unwrap_or(digest)
}
