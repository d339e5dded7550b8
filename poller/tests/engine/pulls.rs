//! What stays of a pull that failed or was broken off: a version that is not tried again, or a state to go on from.

use std::{
    fs,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use towline_protocol::Outcome;

use crate::{
    again::Host,
    faulty::{Fault, Faulty},
    scene::docker,
};

/// A host on v1 that is to deploy v2 from a registry with this fault, by its intent 1, for commit 1.
async fn asked_for_v2(name: &'static str, fault: Fault) -> (Host, Faulty) {
    let mut host = Host::new(name, "").await;
    let registry = Faulty::start(fault, &host.scene);
    host.lines = format!("image = \"{}/{name}:v2\"", registry.address);
    host.receive(&host.intent(1, "1"));
    (host, registry)
}

#[tokio::test]
async fn a_digest_that_its_registry_does_not_keep_to_is_tried_again_only_on_purpose() {
    let (host, registry) = asked_for_v2("unkept", Fault::WrongLayer).await;
    host.once().await;
    assert_eq!(host.told(), [(1, Outcome::FailedUntouched)]);
    let message = host.last().message;
    assert!(
        message.contains("does not have the digest") && message.contains("`towline retry unkept`"),
        "{message}"
    );
    let held = host.quarantine();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].version, registry.digest().into());
    registry.heal();
    host.once().await;
    host.receive(&host.intent(2, "2"));
    host.once().await;
    assert_eq!(host.ends().len(), 1, "commit 2 waits for its own image");
    assert_eq!(host.scene.get().unwrap(), "toy v1 \n");
    host.retry().await.unwrap();
    let last = host.last();
    assert_eq!(last.outcome, Some(Outcome::Succeeded), "{}", last.message);
    assert_eq!(host.scene.get().unwrap(), "toy v2-unkept \n");
    assert_eq!(host.quarantine(), []);
}

#[tokio::test]
async fn a_version_for_other_platforms_is_quarantined_whether_the_registry_or_the_image_says_so() {
    for (name, fault, said) in [
        (
            "foreign-list",
            Fault::OnlyOtherPlatforms,
            "not for this platform",
        ),
        ("foreign", Fault::OtherPlatform, "s390x"),
    ] {
        let (host, registry) = asked_for_v2(name, fault).await;
        let old = host.scene.inspect();
        host.once().await;
        assert_eq!(host.told(), [(1, Outcome::FailedUntouched)]);
        let message = host.last().message;
        assert!(message.contains(said), "{message}");
        let held = host.quarantine();
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].version, registry.digest().into());
        let repository = format!("{}/{name}", registry.address);
        let left = docker(&["image", "ls", "--quiet", &repository]);
        assert_eq!(left, "", "what was pulled is gone");
        let now = host.scene.inspect();
        assert_eq!(
            (&now["Id"], &now["State"]["StartedAt"]),
            (&old["Id"], &old["State"]["StartedAt"])
        );
        host.once().await;
        assert_eq!(host.ends().len(), 1, "{name}: once for each intent");
    }
}

/// `towline run` on the host's file and state, with a relay that does not answer. It ends with the test.
struct Running(Child);

impl Running {
    fn start(host: &Host) -> Self {
        let file = host.state.path().join("towline.toml");
        fs::write(&file, host.file()).unwrap();
        let token = ["token", "--role", "host", "--name", "pi", "--channel", "*"];
        let token = Command::new(env!("CARGO_BIN_EXE_towline"))
            .args(token)
            .env("TOKEN_KEY", "-".repeat(32))
            .output()
            .unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_towline"))
            .arg("--config")
            .arg(&file)
            .arg("--state-dir")
            .arg(host.state.path().join("state"))
            .arg("run")
            .env(
                "TOWLINE_TOKEN",
                String::from_utf8(token.stdout).unwrap().trim(),
            )
            .stderr(Stdio::null())
            .spawn();
        Self(process.unwrap())
    }

    /// Asks it to end and waits for that.
    fn terminate(mut self) -> ExitStatus {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(sent.unwrap().success());
        until("towline ends", || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Well below the five minutes for which a silent registry is waited for.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn a_process_that_shall_end_gives_up_its_pull_and_the_next_one_deploys() {
    let (host, registry) = asked_for_v2("broken-off", Fault::StuckLayer).await;
    let old = host.scene.inspect();
    let towline = Running::start(&host);
    until("the layer is asked for", || registry.layer_was_asked_for());
    assert_eq!(towline.terminate().code(), Some(0));
    let now = host.scene.inspect();
    assert_eq!(
        (&now["Id"], &now["State"]["StartedAt"]),
        (&old["Id"], &old["State"]["StartedAt"])
    );
    assert_eq!(host.scene.containers(), ["broken-off"]);
    assert_eq!(
        docker(&["image", "ls", "--quiet", "towline/broken-off"]),
        ""
    );
    assert_eq!(host.told(), []);
    assert_eq!(host.store().open_journals().unwrap(), []);
    registry.heal();
    let towline = Running::start(&host);
    until("v2 answers", || {
        host.scene.get().as_deref() == Some("toy v2-broken-off \n")
    });
    until("the old one is gone", || {
        host.scene.containers() == ["broken-off"]
    });
    assert_eq!(towline.terminate().code(), Some(0));
    assert_eq!(host.told(), [(1, Outcome::Succeeded)]);
}
