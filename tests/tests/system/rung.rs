//! The real binary at the doorbell of the real relay, with polls an hour apart. No deploy comes of it: the container that
//! the host's file names is not there.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::Value;
use towline_protocol::{Claims, Glob, Role};
use towline_tests::{
    child::Process,
    forward::Forward,
    github::Delivery,
    host::Host,
    relay::{WEBHOOK_SECRET, token, token_of},
    wait::until,
};

use crate::relay;

/// Far less than an hour, and enough for a busy machine.
const SOON: Duration = Duration::from_secs(60);

const CONNECTED: &str = "the doorbell is connected";

/// A host `name` that deploys from the repository octo-org/NAME, reaches the relay at `url` and has `more` under [relay].
fn host(name: &str, url: &str, more: &str) -> Result<Host> {
    let service = format!(
        "[service.web]\nrepository = \"octo-org/{name}\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
         docker = {{ container = \"{name}\" }}\n"
    );
    let host = Host::new(url, &token(Role::Host, name, &["octo-org/*"])?, &service)?;
    let file = fs::read_to_string(host.path("towline.toml"))?;
    host.write(&file.replacen("[relay]\n", &format!("[relay]\n{more}\n"), 1))?;
    Ok(host)
}

fn run(host: &Host) -> Result<Process> {
    let mut command = host.towline(&["run", "--interval", "1h"])?;
    Process::start("towline", command.stdin(Stdio::null()))
}

/// Queues run `number` of the repository that `name` listens to; returns the intent.
fn queue(name: &str, number: u64) -> Result<String> {
    let id = 9000 + name.bytes().map(u64::from).sum::<u64>();
    let delivery = Delivery::run(number, &format!("{number:040x}"))?;
    let answer = delivery
        .of(&format!("octo-org/{name}"), id)
        .send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    Ok(answer.json()?["intent"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn status(host: &Host) -> Result<Value> {
    let output = host.call(&["status", "--json"])?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn received(process: &mut Process, intent: &str) -> Result<()> {
    let wanted = format!("intent={intent}");
    let is_it = |line: &str| line.contains(" received ") && line.contains(&wanted);
    process.line(SOON, is_it).map(drop)
}

/// How the relay knows the intent to stand with the service of the host `name`.
fn outcome(name: &str, intent: &str) -> Result<Value> {
    let operator = token(Role::Operator, "ops", &["octo-org/*"])?;
    let answer = relay()?.get(&format!("/v1/intents/{intent}"), &operator)?;
    Ok(answer.json()?["hosts"][name]["services"]["web"]["outcome"].clone())
}

#[test]
fn an_intent_arrives_at_once_though_polls_are_an_hour_apart_and_the_relay_hears_what_became_of_it()
-> Result<()> {
    let host = host("rung-at-once", &relay()?.url, "")?;
    let mut process = run(&host)?;
    process.line(SOON, |line| line.contains(CONNECTED))?;
    for number in 1..=3 {
        let intent = queue("rung-at-once", number)?;
        let queued = Instant::now();
        received(&mut process, &intent)?;
        println!("received {} ms after the 202", queued.elapsed().as_millis());
        until("the report", SOON, || {
            Ok((!outcome("rung-at-once", &intent)?.is_null()).then_some(()))
        })?;
    }
    let doorbell = &status(&host)?["relay"]["doorbell"];
    assert_eq!(doorbell["state"], "connected", "{doorbell}");
    assert!(doorbell["since"].is_string(), "{doorbell}");
    assert!(process.terminate(SOON)?.success());
    Ok(())
}

#[test]
fn a_connection_that_is_cut_comes_again_and_brings_what_came_meanwhile() -> Result<()> {
    let network = Forward::to(&relay()?.url)?;
    let host = host("rung-again", &network.url, "")?;
    let mut process = run(&host)?;
    process.line(SOON, |line| line.contains(CONNECTED))?;
    network.cut();
    let intent = queue("rung-again", 1)?;
    received(&mut process, &intent)?;
    process.line(SOON, |line| line.contains("connected again"))?;
    let output = process.output();
    assert_eq!(output.matches("no doorbell").count(), 1, "{output}");
    network.cut();
    received(&mut process, &queue("rung-again", 2)?)?;
    assert!(process.terminate(SOON)?.success());
    Ok(())
}

#[test]
fn a_second_machine_with_the_same_token_is_told_to_the_first() -> Result<()> {
    let first = host("rung-twice", &relay()?.url, "")?;
    let mut process = run(&first)?;
    process.line(SOON, |line| line.contains(CONNECTED))?;
    let second = host("rung-twice", &relay()?.url, "")?;
    let mut other = run(&second)?;
    other.line(SOON, |line| line.contains(CONNECTED))?;
    let told = process.line(SOON, |line| line.contains("no doorbell"))?;
    assert!(
        told.text
            .contains("does another machine use the same token?"),
        "{}",
        told.text
    );
    received(&mut other, &queue("rung-twice", 1)?)
}

#[test]
fn a_token_that_is_not_good_any_more_is_told_in_the_relays_words() -> Result<()> {
    let host = host("nas", &relay()?.url, "")?;
    let token_of_generation = |generation| {
        let claims = Claims {
            role: Role::Host,
            name: "nas".parse()?,
            channels: vec![Glob::new("octo-org/*")],
            generation,
            iat: 1_795_186_000,
        };
        Ok::<_, anyhow::Error>(fs::write(host.path("token"), token_of(&claims)?)?)
    };
    token_of_generation(2)?;
    let mut process = run(&host)?;
    process.line(SOON, |line| line.contains(CONNECTED))?;
    assert!(process.terminate(SOON)?.success());
    token_of_generation(1)?;
    let mut process = run(&host)?;
    let told = process.line(SOON, |line| line.contains("no doorbell"))?;
    let wanted = "the relay does not accept this host's token (401)";
    assert!(told.text.contains(wanted), "{}", told.text);
    Ok(())
}

#[test]
fn a_host_that_wants_no_doorbell_has_none() -> Result<()> {
    let host = host("rung-not", &relay()?.url, "doorbell = false")?;
    let mut process = run(&host)?;
    let fleet = || {
        let operator = token(Role::Operator, "ops", &["octo-org/*"])?;
        let fleet = relay()?.get("/v1/fleet", &operator)?.json()?;
        Ok(fleet["hosts"]["rung-not"]["connection"]
            .as_str()
            .map(str::to_owned))
    };
    // What a relay under load was too slow for is said again half a minute later.
    let connection = until("the host in the fleet", 3 * SOON, fleet)?;
    assert_eq!(connection, "polling");
    assert_eq!(status(&host)?["relay"]["doorbell"]["state"], "off");
    let output = process.output();
    assert!(!output.contains("doorbell"), "{output}");
    assert!(process.terminate(SOON)?.success());
    Ok(())
}
