//! A service that somebody holds off: relay, binary and real processes.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{command::Scene, deploy::ended, whole_way::PATIENCE};

impl Scene {
    /// What `towline ARGS` says on the host; it must succeed.
    fn said(&self, arguments: &[&str]) -> Result<String> {
        let output = self.host.call(arguments)?;
        let (said, log) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        ensure!(output.status.success(), "{arguments:?}: {said}{log}");
        Ok(said)
    }
}

#[test]
fn an_intent_waits_while_its_service_is_held_off_and_is_applied_when_it_is_released() -> Result<()>
{
    let scene = Scene::new("held-off", "")?;
    let hold = [
        "hold",
        "job",
        "--for",
        "1h",
        "--as",
        "dump",
        "--reason",
        "nightly dump",
    ];
    let said = scene.said(&hold)?;
    assert!(said.starts_with("job is held off by dump until "), "{said}");
    let mut deploy = scene.deploy("a")?;
    let waits = deploy.line(PATIENCE, |line| {
        line.contains("held-off job: waiting") && line.contains("(nightly dump)")
    });
    waits.with_context(|| scene.towline.output())?;
    let status = scene.status()?;
    let pending = &status["pending"];
    assert_eq!(pending["state"], "waiting", "{status}");
    assert_eq!(status["locks"][0]["name"], "dump");
    assert_eq!(status["locks"][0]["until"], pending["until"]);
    assert!(scene.ran().is_err(), "nothing has run");

    // A program that lets go of its own lock leaves the others.
    scene.said(&["hold", "job"])?;
    scene.said(&["release", "job"])?;
    assert!(scene.ran().is_err(), "nothing has run");
    scene.said(&["release", "job", "--as", "dump"])?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(0), "{said}{}", scene.towline.output());
    assert!(said.contains("held-off job: succeeded"), "{said}");
    assert_eq!(scene.ran()?, "aaaaaaa\n");
    let status = scene.status()?;
    assert_eq!(
        (&status["pending"], &status["locks"]),
        (&Value::Null, &json!([]))
    );
    Ok(())
}

#[test]
fn a_hold_that_nobody_releases_is_over_by_itself_and_what_has_waited_is_applied() -> Result<()> {
    let scene = Scene::new("forgotten", "")?;
    scene.said(&["hold", "job", "--for", "15s"])?;
    let mut deploy = scene.deploy("a")?;
    let waits = deploy.line(PATIENCE, |line| {
        line.contains("forgotten job: waiting") && line.contains("held off by operator until")
    });
    waits.with_context(|| scene.towline.output())?;
    let (status, said) = ended(&mut deploy)?;
    assert_eq!(status, Some(0), "{said}{}", scene.towline.output());
    assert_eq!(scene.ran()?, "aaaaaaa\n");
    assert_eq!(scene.status()?["locks"], json!([]));
    Ok(())
}
