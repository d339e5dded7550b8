//! What the relay knows of a deploy while it goes on, and of a host that has no doorbell.

use std::fs;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{docker::push, relay::token, wait::until};

use crate::{
    relay,
    whole_way::{PATIENCE, Scene},
};

/// A service whose next version takes some seconds to serve, with or without a doorbell.
fn scene(name: &str, id: u64, doorbell: bool) -> Result<Scene> {
    let scene = Scene::new(name, id)?;
    let file = fs::read_to_string(scene.host.path("towline.toml"))?;
    let relay = format!("[relay]\ndoorbell = {doorbell}\n");
    scene.host.write(&file.replace("[relay]\n", &relay))?;
    push(name, "v2", "slow")?;
    Ok(scene)
}

fn follow(scene: &Scene) -> Result<()> {
    let towline = scene.host.run()?;
    let intent = scene.ci_succeeds(2)?;
    until("the work", PATIENCE, || {
        let told = scene.told(&intent)?;
        let web = &told["services"]["web"];
        if web["outcome"] == "succeeded" {
            bail!("the end came before the work: {told}\n{}", towline.output());
        }
        let is_at_work = web["outcome"] == "applying" && web["finished_at"].is_null();
        Ok((is_at_work && told["matched"] == json!(["web"])).then_some(()))
    })?;
    until("the end", PATIENCE, || {
        Ok((scene.report(&intent)?["outcome"] == "succeeded").then_some(()))
    })?;
    assert_eq!(scene.told(&intent)?["matched"], json!(["web"]));
    Ok(())
}

#[test]
fn who_follows_an_intent_sees_the_acknowledgement_and_the_work_before_the_end() -> Result<()> {
    follow(&scene("followed", 721, true)?)
}

#[test]
fn a_host_without_a_doorbell_is_seen_at_work_and_in_the_fleet_with_what_it_runs() -> Result<()> {
    let scene = scene("followed-by-polls", 722, false)?;
    follow(&scene)?;
    let operator = token(Role::Operator, "ops", &["*"])?;
    let host = || -> Result<Value> {
        let fleet = relay()?.get("/v1/fleet", &operator)?.json()?;
        Ok(fleet["hosts"]["followed-by-polls"].clone())
    };
    assert_eq!(host()?["connection"], "polling");
    // The poller that was followed has gone; another one says what it has brought.
    let said = scene.host.call(&["once"])?;
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let sha = host()?["services"]["web"]["running"]["sha"].clone();
    assert_eq!(sha, format!("{:040x}", 2));
    Ok(())
}
