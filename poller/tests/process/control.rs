//! `status` and `history`, with `towline run` by its control socket and without it; and what is done with such a run.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::Child,
};

use serde_json::{Value, json};
use towline::store::Quarantined;

use super::*;

/// A `towline run`, which ends with this.
pub(super) struct Run(pub(super) Child);

impl Run {
    /// Waits until it answers.
    pub(super) fn of(host: &Host) -> Self {
        let run = Self(
            host.command(&["run", "--interval", "1s"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        until("it serves", || {
            ask(host, "{\"v\":1,\"ask\":\"status\"}\n")
                .is_some_and(|line| line.get("status").is_some())
        });
        run
    }

    pub(super) fn terminate(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the control socket answers; `None` when nobody does.
pub(super) fn ask(host: &Host, request: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(host.path("state/control")).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(serde_json::from_str(&line).unwrap())
}

/// What a command prints; it must succeed.
pub(super) fn said(host: &Host, arguments: &[&str]) -> String {
    let output = host.command(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    assert_eq!(status, 0, "{text}{log}");
    text
}

pub(super) fn json_of(host: &Host, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(host, arguments)).unwrap()
}

/// What a command says to standard error; it must fail.
pub(super) fn refused(host: &Host, arguments: &[&str]) -> String {
    let (status, log) = ended(host.command(arguments).output().unwrap());
    assert_eq!(status, 1, "{log}");
    log
}

/// The values that differ from run to run, replaced by their type.
fn stable(mut value: Value, names: &[&str]) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                *member = if names.contains(&name.as_str()) && !member.is_null() {
                    json!("[...]")
                } else {
                    stable(member.take(), names)
                };
            }
        }
        Value::Array(members) => {
            for member in members {
                *member = stable(member.take(), names);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// A host whose service has needed an operator since an earlier deploy.
pub(super) fn blocked(port: u16) -> Host {
    let host = Host::new(port, "");
    let mut store = Store::open(&host.path("state")).unwrap();
    let web = "web".parse().unwrap();
    let failed = towline_protocol::Report {
        message: "both containers are kept".to_owned(),
        ..report::blank(
            IntentId::of_key("an earlier one"),
            &web,
            1,
            Outcome::NeedsOperator,
            Timestamp::now(),
        )
    };
    let quarantined = Quarantined {
        version: format!("sha256:{}", "b".repeat(64)).parse().unwrap(),
        sha: None,
        intent: None,
        channel: "octo-org/web".parse().unwrap(),
        place: towline_protocol::Mark { epoch: 7, seq: 1 },
        since: Timestamp::now(),
        why: String::new(),
        on_purpose: false,
    };
    let end = End {
        failed: Some(quarantined),
        ..End::of(failed)
    };
    store.close_journal("0", &web, &end).unwrap();
    drop(store);
    host
}

const CHANGING: [&str; 10] = [
    "at",
    "answered_at",
    "since",
    "until",
    "pid",
    "version",
    "url",
    "trouble",
    "ms",
    "finished_at",
];

#[test]
fn status_and_history_say_the_same_with_a_run_and_without_one() {
    let relay = Relay::start();
    let host = blocked(relay.port);
    let without = [
        json_of(&host, &["status", "--json"]),
        json_of(&host, &["history", "--json"]),
    ];
    let run = Run::of(&host);
    until("the relay has answered", || {
        !json_of(&host, &["status", "--json"])["relay"]["answered_at"].is_null()
    });
    until("there is no doorbell", || {
        json_of(&host, &["status", "--json"])["relay"]["doorbell"]["state"] == "lost"
    });
    until("the blocked service's report is sent", || {
        json_of(&host, &["status", "--json"])["reports"]["unsent"] == 0
    });
    let with = [
        json_of(&host, &["status", "--json"]),
        json_of(&host, &["history", "--json"]),
    ];
    let pid = run.0.id();
    run.terminate();
    assert_eq!(
        (&without[0]["poller"], &with[0]["poller"]["pid"]),
        (&Value::Null, &json!(pid))
    );
    assert_eq!(without[0]["services"], with[0]["services"]);
    assert_eq!(without[1], with[1]);
    let with = with.map(|answer| stable(answer, &CHANGING));
    insta::assert_snapshot!(serde_json::to_string_pretty(&with).unwrap());
}

#[test]
fn a_table_says_what_needs_an_operator_and_that_the_engine_does_not_answer() {
    let host = blocked(9);
    let text = said(&host, &["status"]);
    for told in [
        "towline run does not run on pi",
        "engine: the Docker engine at",
        "SERVICE",
        "web: needs operator",
        "both containers are kept; see to it, then run `towline resolve web`",
        "1 not sent yet",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let text = said(&host, &["history", "web", "--limit", "1"]);
    assert!(
        text.contains("needs_operator") && text.lines().count() == 2,
        "{text}"
    );
}

#[test]
fn a_service_or_state_that_is_not_there_is_told_and_nothing_is_made() {
    let host = Host::new(9, "");
    for command in [
        &["status"][..],
        &["history"],
        &["retry", "web"],
        &["rollback", "web"],
        &["hold", "web"],
        &["release", "web"],
    ] {
        let log = refused(&host, command);
        assert!(
            log.contains("has not run with this state directory yet"),
            "{log}"
        );
    }
    assert!(!host.path("state").exists());
    drop(Store::open(&host.path("state")).unwrap());
    let log = refused(&host, &["status", "wbe"]);
    assert!(
        log.contains("no service wbe is known; the host's file names web"),
        "{log}"
    );
    for command in [["history"].as_slice(), &["history", "web"]] {
        assert_eq!(said(&host, command), "no deploy has ended yet\n");
    }
    let log = refused(&host, &["history", "wbe"]);
    assert_eq!(
        log,
        "towline: no service wbe is known; the host's file names web\n"
    );
    assert_eq!(
        host.command(&["history", "--limit", "0"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn what_became_of_a_service_that_the_file_names_no_more_is_still_told() {
    let relay = Relay::start();
    let host = blocked(relay.port);
    let file = host.path("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("service.web", "service.api")).unwrap();
    let tell = || {
        assert!(said(&host, &["history", "web"]).contains("needs_operator"));
        assert_eq!(
            said(&host, &["history", "api"]),
            "no deploy has ended yet\n"
        );
        let wrong = refused(&host, &["history", "wbe"]);
        let told =
            "no service wbe is known; the host's file names api, and does not name any more: web";
        assert!(wrong.contains(told), "{wrong}");
        let gone = refused(&host, &["status", "web"]);
        let told =
            "does not name web any more, only api; how its deploys ended: towline history web";
        assert!(gone.contains(told), "{gone}");
    };
    tell();
    let _run = Run::of(&host);
    tell();
}

#[test]
fn a_state_that_another_command_has_is_told() {
    let host = blocked(9);
    let _store = Store::open(&host.path("state")).unwrap();
    let orders = [
        &["retry", "web"][..],
        &["rollback", "web"],
        &["resolve", "web"],
        &["hold", "web"],
        &["release", "web"],
    ];
    for command in [&["status"][..], &["history"]].into_iter().chain(orders) {
        let log = refused(&host, command);
        assert!(
            log.contains("serves no control socket: a towline once"),
            "{log}"
        );
    }
}
