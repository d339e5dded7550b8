//! A service that is nothing but a command, deployed because an operator asks for it: relay, binary and real processes.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use towline_protocol::Role;
use towline_tests::{child::Process, host::Host, program, relay::token};

use crate::{
    deploy::{ended, waiting},
    relay,
    whole_way::PATIENCE,
};

/// A host whose service `job` is a script, and its poller.
pub(crate) struct Scene {
    channel: String,
    pub(crate) host: Host,
    pub(crate) towline: Process,
}

impl Scene {
    /// The host, its repository and the script, which first writes its commit into `ran`; all are called `name`.
    pub(crate) fn new(name: &str, script: &str) -> Result<Self> {
        let channel = format!("octo-org/{name}");
        let pi = token(Role::Host, name, &["octo-org/*"])?;
        let host = Host::new(&relay()?.url, &pi, "")?;
        let folder = host.path("").display().to_string();
        let file = fs::read_to_string(host.path("towline.toml"))?;
        host.write(&format!(
            "{file}[service.job]\nrepository = {channel:?}\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             command = {{ run = [\"./job\"], dir = {folder:?} }}\n"
        ))?;
        // It is at the doorbell before anything is asked of it, so that all that it says comes by one way, in order.
        let mut towline = host.run()?;
        towline.line(PATIENCE, |line| line.contains("the doorbell is connected"))?;
        let scene = Self {
            channel,
            host,
            towline,
        };
        scene.write(script)?;
        Ok(scene)
    }

    fn write(&self, script: &str) -> Result<()> {
        let path = self.host.path("job");
        let text = format!("#!/bin/sh\necho $TOWLINE_SHORT_SHA >>ran\n{script}\n");
        program::write(&path, &text)
    }

    /// `towline deploy --wait` of the commit of forty times this digit.
    pub(crate) fn deploy(&self, digit: &str) -> Result<Process> {
        let sha = digit.repeat(40);
        Ok(waiting(&[&self.channel, "--service", "job", "--sha", &sha])?.0)
    }

    pub(crate) fn ran(&self) -> Result<String> {
        Ok(fs::read_to_string(self.host.path("ran"))?)
    }

    pub(crate) fn status(&self) -> Result<Value> {
        Ok(self.host.json(&["status"])?["services"][0].clone())
    }
}

#[test]
fn a_command_that_puts_its_deploy_off_is_waited_for_until_it_has_succeeded() -> Result<()> {
    let scene = Scene::new("put-off", "test -e ready || { echo not now; exit 75; }")?;
    let mut deploy = scene.deploy("a")?;
    let waits = deploy.line(PATIENCE, |line| {
        line.contains("put-off job: waiting") && line.contains("not now")
    });
    waits.with_context(|| scene.towline.output())?;
    assert_eq!(scene.status()?["pending"]["state"], "waiting");
    fs::write(scene.host.path("ready"), "")?;
    let retried = scene.host.call(&["retry", "job"])?;
    assert!(retried.status.success(), "{}", scene.towline.output());
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(0), "{said}{}", scene.towline.output());
    assert!(said.contains("put-off job: succeeded"), "{said}");
    assert_eq!(scene.ran()?, "aaaaaaa\naaaaaaa\n");
    assert_eq!(scene.status()?["deployed"]["sha"], "a".repeat(40));
    Ok(())
}

#[test]
fn a_command_that_fails_without_a_way_back_needs_an_operator_who_resolves_it() -> Result<()> {
    let scene = Scene::new("halfway", "echo half done >&2; exit 3")?;
    let mut deploy = scene.deploy("a")?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(4), "{said}{}", scene.towline.output());
    assert!(said.contains("halfway job: needs_operator"), "{said}");
    assert!(said.contains("run: exit status 3: half done"), "{said}");
    assert_eq!(scene.status()?["pending"]["state"], "needs_operator");

    // Nothing is run again before somebody has looked.
    scene.write("")?;
    let mut held = scene.deploy("b")?;
    held.line(PATIENCE, |line| line.contains("halfway job: "))?;
    assert_eq!(scene.ran()?, "aaaaaaa\n");
    let resolved = scene.host.call(&["resolve", "job"])?;
    assert!(resolved.status.success(), "{}", scene.towline.output());
    let (status, said) = ended(&mut held)?;
    assert_eq!(status, Some(0), "{said}{}", scene.towline.output());
    assert_eq!(scene.ran()?, "aaaaaaa\nbbbbbbb\n");
    assert_eq!(scene.status()?["pending"], Value::Null);
    Ok(())
}
