//! An operator's own deploy, followed to its end: the real binary, relay and poller.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{child::Process, docker::push, place, relay::token, simulated::Simulated};

use crate::{
    actions::{PUBLIC_URL, world},
    relay,
    whole_way::Scene,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// `towline ARGS` on an operator's machine, which has no host's file.
fn operator(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(place::towline()?);
    command
        .args(arguments)
        .args(["--config", "/nonexistent/towline.toml"])
        .env_clear()
        .env("TOWLINE_RELAY", &relay()?.url)
        .env(
            "TOWLINE_TOKEN",
            token(Role::Operator, "ops", &["octo-org/*"])?,
        );
    Ok(command)
}

/// A `towline deploy --wait` that has queued its intent, and the intent's id.
pub(crate) fn waiting(arguments: &[&str]) -> Result<(Process, String)> {
    let mut command = operator(&[&["deploy", "--wait"][..], arguments].concat())?;
    let mut deploy = Process::start("towline deploy", &mut command)?;
    let id = deploy.line(PATIENCE, |line| line.starts_with("in_"))?;
    Ok((deploy, id.text))
}

pub(crate) fn ended(deploy: &mut Process) -> Result<(Option<i32>, String)> {
    let status = deploy.ended(PATIENCE)?;
    Ok((status.code(), deploy.output()))
}

#[test]
fn every_host_that_is_there_is_waited_for_and_all_well_is_0() -> Result<()> {
    let channel = "octo-org/followed";
    let pi = Simulated::new(relay()?, "well-pi")?;
    let nas = Simulated::new(relay()?, "well-nas")?;
    let edge = Simulated::new(relay()?, "well-edge")?;
    for host in [&pi, &nas, &edge] {
        host.greets(channel)?;
    }
    let (mut deploy, id) = waiting(&[channel, "--service", "web"])?;
    edge.acknowledges(&id, &[])?;
    pi.acknowledges(&id, &["web"])?;
    pi.says(&id, "succeeded", "web: v1 -> v2", "")?;
    deploy.line(PATIENCE, |line| {
        line.contains("well-pi web: succeeded: v1 -> v2")
    })?;
    nas.acknowledges(&id, &["web"])?;
    nas.says(&id, "applying", "web: pulling", "")?;
    deploy.line(PATIENCE, |line| {
        line.contains("well-nas web: applying: pulling")
    })?;
    nas.says(&id, "unchanged", "", "")?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("well-edge: has no service that it is for"),
        "{said}"
    );
    assert!(said.contains("1 unchanged, 1 succeeded"), "{said}");
    Ok(())
}

#[test]
fn a_host_that_was_seen_and_stays_silent_ends_the_wait_by_name() -> Result<()> {
    let channel = "octo-org/half-silent";
    let pi = Simulated::new(relay()?, "quick-pi")?;
    pi.greets(channel)?;
    Simulated::new(relay()?, "silent-nas")?.greets(channel)?;
    let (mut deploy, id) = waiting(&[channel, "--timeout", "3s"])?;
    pi.acknowledges(&id, &["web"])?;
    pi.says(&id, "succeeded", "", "")?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("  silent-nas: has not acknowledged it"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_channel_that_nobody_listens_to_and_one_that_is_not_the_operators_are_1() -> Result<()> {
    let output = operator(&["deploy", "octo-org/empty", "--wait"])?.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no host was seen on channel octo-org/empty"),
        "{said}"
    );
    let mut other = operator(&["deploy", "octo-org/empty"])?;
    other.env(
        "TOWLINE_TOKEN",
        token(Role::Operator, "lost", &["octo-org/*"])?,
    );
    let output = other.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("does not accept this token (401)"),
        "revoked: {said}"
    );
    Ok(())
}

#[test]
fn a_jobs_ticket_is_enough_to_follow_and_not_to_deploy() -> Result<()> {
    let world = world()?;
    let host = Simulated::new(&world.relay, "ticketed")?;
    host.greets("octo-org/web")?;
    let token = world.issuer.key()?.sign(&world.issuer.claims(PUBLIC_URL))?;
    let order = json!({ "channel": "octo-org/web", "hosts": ["ticketed"] });
    let queued = world.relay.post("/v1/intents", &token, &order)?.json()?;
    let text = |key: &str| queued[key].as_str().unwrap_or_default().to_owned();
    let (id, ticket) = (text("id"), text("ticket"));
    host.acknowledges(&id, &["web"])?;
    host.says(&id, "quarantined", "web: it failed here before", "")?;
    let call = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = operator(arguments)?;
        command
            .env("TOWLINE_RELAY", &world.relay.url)
            .env("TOWLINE_TOKEN", &ticket);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said))
    };
    let (status, said) = call(&["follow", &id])?;
    assert_eq!(status, Some(3), "{said}");
    assert!(
        said.contains("ticketed web: quarantined: it failed here before"),
        "{said}"
    );
    assert_eq!(call(&["deploy", "octo-org/web"])?.0, Some(1));
    let (status, said) = call(&["follow", "in_aaaaaaaaaaaaaaaaaaaaaaaaaa"])?;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("does not know it"), "{said}");
    Ok(())
}

#[test]
fn a_real_host_deploys_what_an_operator_asked_for_and_goes_back_from_what_is_broken() -> Result<()>
{
    let scene = Scene::new("asked-for", 720)?;
    push("asked-for", "v2", "ok")?;
    push("asked-for", "v3", "exit")?;
    // It says that it is there before it ends.
    assert_eq!(scene.once()?.0, Some(0));
    let towline = scene.host.run()?;
    let image = |tag: &str| format!("{}:{tag}", scene.web.repository);
    let (mut deploy, id) = waiting(&[
        &scene.repository,
        "--image",
        &image("v2"),
        "--host",
        "asked-for",
    ])?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(0), "{said}{}", towline.output());
    assert!(said.contains("asked-for web: succeeded"), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2");
    assert_eq!(scene.report(&id)?["outcome"], "succeeded");
    let (mut deploy, _) = waiting(&[&scene.repository, "--image", &image("v3")])?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(3), "{said}{}", towline.output());
    assert!(said.contains("asked-for web: rolled_back"), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2");
    let words = said.lines().find(|line| line.contains("  | "));
    words.context("the broken version's last words")?;
    Ok(())
}
