//! The example units under a systemd that is the first process: the app of the guide, its socket, towline and its drop-in.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use towline_protocol::Role;
use towline_tests::{
    checkout::Checkout,
    git_server::GitServer,
    github::Delivery,
    machine::Machine,
    place::{root, towline, toy},
    prober::Prober,
    relay::token,
    wait::until,
};

use crate::{
    relay,
    whole_way::{PATIENCE, queued, reported},
};

/// Where the example's socket listens.
const PORT: u16 = 8080;
const URL: &str = "http://127.0.0.1:8080/";
/// What the example's unit runs.
const SERVE: &str = "#!/bin/sh\nexport TOY_ROOT=/home/pi/nutricount TOY_DATA=/home/pi/nutricount/data/visits\nexec /usr/local/bin/toy\n";
/// Writes into the data whose it is.
const UPDATE: &str = "#!/bin/sh\nset -e\nid -un >>data/visits\n";
/// Goes on until it is told that towline is to stop.
const SLOW: &str = "#!/bin/sh\nset -e\ntouch data/begun\nuntil test -e data/told; do sleep 0.1; done\necho slow >>data/visits\n";
/// A Raspberry Pi as the guide describes it.
struct Pi {
    machine: Machine,
    code: Checkout,
    _server: GitServer,
    etc: TempDir,
    /// Its own, and its repository's with this id at GitHub.
    name: &'static str,
    id: u64,
}

impl Pi {
    /// With the app of the guide at its first version, and towline with this command beside it; `None` where no machine can be
    /// started.
    fn new(name: &'static str, id: u64, command: &str) -> Result<Option<Self>> {
        let files = [
            (".gitignore", "data/\n"),
            ("VERSION", "v1"),
            ("MODE", "ok"),
            ("serve", SERVE),
            ("scripts/update.sh", UPDATE),
        ];
        let code = Checkout::new(&files)?;
        let server = code.over_http()?;
        fs::create_dir(code.path("checkout/data"))?;
        fs::write(code.path("checkout/data/visits"), "first\n")?;
        let etc = etc(name, command)?;
        let examples = root().join("docs/examples").canonicalize()?;
        let shared: [(&Path, &str); 5] = [
            (&towline()?, "/usr/local/bin/towline"),
            (&toy()?, "/usr/local/bin/toy"),
            (&examples, "/root/docs/examples"),
            (etc.path(), "/etc/towline"),
            (&code.path("checkout"), "/home/pi/nutricount"),
        ];
        let Some(machine) = Machine::start(name, &shared)? else {
            return Ok(None);
        };
        let pi = Self {
            machine,
            code,
            _server: server,
            etc,
            name,
            id,
        };
        pi.is_set_up()?;
        Ok(Some(pi))
    }

    /// What the guide's first section has typed, and towline's own unit.
    fn is_set_up(&self) -> Result<()> {
        self.machine.done(
            "chown -R pi: /home/pi\n\
             cp docs/examples/nutricount.service docs/examples/nutricount.socket /etc/systemd/system/\n\
             systemd-analyze verify /etc/systemd/system/nutricount.service\n\
             systemctl enable --now nutricount\n\
             cp docs/examples/towline.service /etc/systemd/system/\n\
             systemctl enable --now towline\n",
        )?;
        assert_eq!(self.page()?, "toy v1 first");
        Ok(())
    }

    /// The guide's drop-in, and its rule for the user.
    fn may_run_commands(&self) -> Result<()> {
        fs::write(self.etc.path().join("rule"), polkit()?)?;
        self.machine.done(
            "install -D -m 644 /etc/towline/rule /etc/polkit-1/rules.d/50-nutricount.rules\n\
             install -D -m 644 docs/examples/towline-commands.conf /etc/systemd/system/towline.service.d/commands.conf\n\
             systemd-analyze verify towline.service\n\
             systemctl daemon-reload\n\
             systemctl restart towline\n",
        )?;
        Ok(())
    }

    /// CI has succeeded on a commit of these files, in its run of this number: the intent.
    fn ci_succeeds(&self, number: u64, files: &[(&str, &str)]) -> Result<String> {
        let version = format!("v{number}");
        let files = [&[("VERSION", version.as_str())][..], files].concat();
        let sha = self.code.commit(&version, &files)?;
        queued(&Delivery::run(number, &sha)?.of(&format!("octo-org/{}", self.name), self.id))
    }

    /// How it ended here.
    fn report(&self, intent: &str) -> Result<Value> {
        let report = reported(intent, self.name, "nutricount");
        report.with_context(|| self.machine.journal("towline").unwrap_or_default())
    }

    fn page(&self) -> Result<String> {
        towline_tests::http::page(URL, PATIENCE)
    }
}

/// The guide's rule, by which its user may stop and start the app.
fn polkit() -> Result<String> {
    let page = fs::read_to_string(root().join("docs/guides/systemd.md"))?;
    let (_, after) = page.split_once("```js\n").context("no rule on the page")?;
    let (rule, _) = after.split_once("```").context("the rule has no end")?;
    Ok(rule.to_owned())
}

/// Towline's own folder: its token, and a host's file with the guide's section, whose command is this one.
fn etc(name: &str, command: &str) -> Result<TempDir> {
    let etc = TempDir::with_prefix("towline-etc-")?;
    let url = &relay()?.url;
    let file = format!(
        r#"[relay]
url = {url:?}
token_file = "/etc/towline/token"

[service.nutricount]
repository = "octo-org/{name}"
workflow = "ci.yml"
branch = "main"
user = "pi"
git = {{ path = "/home/pi/nutricount" }}
backup = {{ paths = ["/home/pi/nutricount/data"], restore = {} }}
health = [{{ http = {URL:?}, contains = "toy", within = "20s" }}]
command = {{ {command} }}
"#,
        command.contains("stop")
    );
    let token = token(Role::Host, name, &["octo-org/*"])?;
    for (name, text) in [("towline.toml", file), ("token", token)] {
        let path = etc.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(etc)
}

/// The example's socket has one port.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Stopped for the deploy, as most apps are.
const STOPPED: &str = r#"stop = ["systemctl", "stop", "nutricount.socket", "nutricount.service"], run = ["./scripts/update.sh"], start = ["systemctl", "start", "nutricount"]"#;
/// Restarted after it, behind its socket.
const RESTARTED: &str =
    r#"run = ["./scripts/update.sh"], start = ["systemctl", "restart", "nutricount"]"#;

#[test]
fn under_systemd_an_app_is_stopped_updated_started_and_taken_back_and_a_stop_of_towline_waits()
-> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(pi) = Pi::new("pi-stopped", 742, STOPPED)? else {
        return Ok(());
    };
    // Towline's own unit is for containers alone.
    let report = pi.report(&pi.ci_succeeds(2, &[])?)?;
    let message = report["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("towline-commands.conf"), "{report}");
    assert_eq!(pi.page()?, "toy v1 first");

    pi.may_run_commands()?;
    let report = pi.report(&pi.ci_succeeds(3, &[])?)?;
    assert_eq!(report["outcome"], "succeeded", "{report}");
    assert_eq!(pi.page()?, "toy v3 first,pi");

    let report = pi.report(&pi.ci_succeeds(4, &[("MODE", "500")])?)?;
    assert_eq!(report["outcome"], "rolled_back", "{report}");
    assert_eq!(pi.page()?, "toy v3 first,pi");

    let slow = pi.ci_succeeds(5, &[("MODE", "ok"), ("scripts/update.sh", SLOW)])?;
    until("the command's begin", PATIENCE, || {
        Ok(pi.code.path("checkout/data/begun").exists().then_some(()))
    })?;
    pi.machine.done("systemctl stop --no-block towline")?;
    until("the word to stop", PATIENCE, || {
        let journal = pi.machine.journal("towline")?;
        Ok(journal.contains("asked to stop").then_some(()))
    })?;
    fs::write(pi.code.path("checkout/data/told"), "")?;
    pi.machine.done("systemctl stop towline")?;
    assert_eq!(pi.page()?, "toy v5 first,pi,slow", "a stop lets it finish");
    // The new version is watched on by the next one.
    pi.machine.done("systemctl start towline")?;
    let report = pi.report(&slow)?;
    assert_eq!(report["outcome"], "succeeded", "{report}");
    Ok(())
}

#[test]
fn under_systemd_no_request_is_refused_while_an_app_behind_its_socket_is_restarted() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(pi) = Pi::new("pi-restarted", 743, RESTARTED)? else {
        return Ok(());
    };
    pi.may_run_commands()?;
    let prober = Prober::of(PORT);
    for number in 2..=4 {
        let intent = pi.ci_succeeds(number, &[])?;
        let report = pi.report(&intent)?;
        assert_eq!(report["outcome"], "succeeded", "{report}");
    }
    let (count, answers) = prober.end();
    let all = [
        "toy v1 first",
        // While the next one is prepared beside it.
        "toy v1 first,pi",
        "toy v2 first,pi",
        "toy v2 first,pi,pi",
        "toy v3 first,pi,pi",
        "toy v3 first,pi,pi,pi",
        "toy v4 first,pi,pi,pi",
    ];
    let refused: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert!(refused.is_empty(), "of {count} requests: {refused:?}");
    let answers: Vec<String> = answers.into_iter().flatten().collect();
    for answer in &answers {
        assert!(all.contains(&answer.as_str()), "{answer}");
    }
    for version in ["toy v1", "toy v2", "toy v3", "toy v4"] {
        let is_its = |answer: &String| answer.starts_with(version);
        assert!(
            answers.iter().any(is_its),
            "{version} was never asked: {answers:?}"
        );
    }
    assert_eq!(pi.page()?, "toy v4 first,pi,pi,pi");
    Ok(())
}
