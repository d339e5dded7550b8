//! `status`, `history` and the orders, with `towline run` by its control socket and without it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    process::Child,
};

use serde_json::{Value, json};
use towline::store::Quarantined;

use super::*;

/// A `towline run`, which ends with this.
pub(super) struct Run(Child);

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
fn ask(host: &Host, request: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(host.path("state/control")).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(serde_json::from_str(&line).unwrap())
}

/// What a command prints; it must succeed.
fn said(host: &Host, arguments: &[&str]) -> String {
    let output = host.command(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    assert_eq!(status, 0, "{text}{log}");
    text
}

fn json_of(host: &Host, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(host, arguments)).unwrap()
}

/// What a command says to standard error; it must fail.
fn refused(host: &Host, arguments: &[&str]) -> String {
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
fn blocked(port: u16) -> Host {
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
    assert_eq!(said(&host, &["history"]), "no deploy has ended yet\n");
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
fn a_state_that_another_command_has_is_told() {
    let host = blocked(9);
    let _store = Store::open(&host.path("state")).unwrap();
    let orders = [
        &["retry", "web"][..],
        &["rollback", "web"],
        &["resolve", "web"],
    ];
    for command in [&["status"][..], &["history"]].into_iter().chain(orders) {
        let log = refused(&host, command);
        assert!(
            log.contains("serves no control socket: a towline once"),
            "{log}"
        );
    }
}

#[test]
fn resolve_tells_a_run_which_goes_on_at_once() {
    let relay = Relay::start();
    let host = blocked(relay.port);
    relay.change(|state| state.intents = news(&[manual(1)]));
    let run = Run::of(&host);
    let pending =
        |host: &Host| json_of(host, &["status", "web", "--json"])["services"][0]["pending"].clone();
    assert_eq!(pending(&host)["state"], "needs_operator");
    let resolved = said(&host, &["resolve", "web"]);
    assert!(
        resolved.starts_with(
            "web may be deployed again; what is left of the failed deploy is not known: "
        ),
        "{resolved}"
    );
    until("the newest intent has its turn", || {
        let pending = pending(&host);
        pending["state"] == "queued" || pending["state"] == "applying"
    });
    assert_eq!(
        said(&host, &["resolve", "web"]),
        "web was not waiting for an operator\n"
    );
    run.terminate();
}

#[test]
fn an_order_is_declined_with_the_same_words_with_a_run_and_without_one() {
    let relay = Relay::start();
    let host = blocked(relay.port);
    let declined = || {
        let orders = [
            (["retry", "web"], "see to it and run `towline resolve web`"),
            (
                ["rollback", "web"],
                "see to it and run `towline resolve web`",
            ),
            (["retry", "api"], "there is no [service.api]"),
            (["rollback", "api"], "there is no [service.api]"),
            (["resolve", "api"], "there is no [service.api]"),
        ];
        for (order, told) in orders {
            let log = refused(&host, &order);
            assert!(log.contains(told), "{order:?}: {log}");
        }
    };
    declined();
    let run = Run::of(&host);
    declined();
    run.terminate();
}

#[test]
fn a_retry_that_finds_no_engine_is_not_done_yet_and_goes_on_later() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    until("the intent is there", || {
        !json_of(&host, &["status", "--json"])["services"][0]["pending"].is_null()
    });
    let output = host.command(&["retry", "web"]).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(ended(output).0, 1);
    assert!(
        text.starts_with("not done yet: ") && text.contains("trying again in"),
        "{text}"
    );
    run.terminate();
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_away_with_the_run() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let found = fs::symlink_metadata(host.path("state/control")).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    run.terminate();
    assert!(!host.path("state/control").exists());
}

#[test]
fn what_a_killed_run_leaves_is_passed_over_and_replaced() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    drop(Run::of(&host));
    assert!(host.path("state/control").exists());
    assert!(json_of(&host, &["status", "--json"])["poller"].is_null());
    Run::of(&host).terminate();
}

#[test]
fn a_file_or_link_in_the_sockets_place_is_left_alone_and_run_goes_on() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    drop(Store::open(&host.path("state")).unwrap());
    fs::write(host.path("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(host.path("precious"), host.path("state/control")).unwrap();
    let run = host
        .command(&["run", "--interval", "1s"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut run = Run(run);
    until("it polls", || relay.change(|state| state.polls > 0));
    let mut log = run.0.stderr.take().unwrap();
    run.terminate();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("no control socket") && text.contains("is there and no socket"),
        "{text}"
    );
    assert_eq!(
        fs::read_to_string(host.path("precious")).unwrap(),
        "precious"
    );
}

#[test]
fn a_state_directory_too_deep_for_a_socket_costs_only_the_socket() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let deep = host.path(&"d".repeat(120));
    let mut run = towline(&["run", "--config"]);
    run.arg(host.path("towline.toml"))
        .arg("--state-dir")
        .arg(&deep);
    let mut run = Run(run.stderr(Stdio::piped()).spawn().unwrap());
    until("it polls", || relay.change(|state| state.polls > 0));
    let mut log = run.0.stderr.take().unwrap();
    run.terminate();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(text.contains("choose a shorter --state-dir"), "{text}");
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_is_answered() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let long = format!("{{\"v\":1,\"ask\":\"{}\"}}\n", "x".repeat(1 << 20));
    for (request, code, told) in [
        ("garbage\n", "bad_request", "one line of JSON"),
        (&long, "bad_request", "at most 4096 bytes"),
        (
            "{\"v\":1,\"ask\":\"reboot\"}\n",
            "bad_request",
            "\"status\"",
        ),
        (
            "{\"v\":2,\"ask\":\"status\"}\n",
            "version",
            "restart the service",
        ),
    ] {
        let answer = ask(&host, request).unwrap();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
    said(&host, &["status"]);
    run.terminate();
}

#[test]
fn clients_that_say_nothing_keep_nobody_out_for_long() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let silent: Vec<_> = (0..50)
        .map(|_| UnixStream::connect(host.path("state/control")).unwrap())
        .collect();
    said(&host, &["status"]);
    drop(silent);
    run.terminate();
}

#[test]
fn a_status_in_the_middle_of_a_deploy_says_so_and_resolve_waits_for_its_end() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "");
    let engine = Engine::start(&host);
    let run = Run::of(&host);
    let status = || json_of(&host, &["status", "--json"])["services"][0].clone();
    until("the deploy is under way", || engine.is_asked());
    let service = status();
    assert_eq!(service["pending"]["state"], "applying", "{service}");
    assert_eq!(service["pending"]["intent"], manual(1)["id"]);
    assert_eq!(service["observed"]["state"], "running");
    let mut resolve = host.command(&["resolve", "web"]);
    let mut resolve = resolve
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(resolve.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "towline: waiting for the deploy of web to end\n");
    assert_eq!(resolve.try_wait().unwrap(), None);
    engine.answer();
    let output = resolve.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"web was not waiting for an operator\n");
    until("the deploy has ended", || {
        status()["pending"]["state"] != "applying"
    });
    run.terminate();
}

/// An engine that runs `web` and keeps whoever wants more than to look at it waiting, until it refuses.
struct Engine {
    gate: std::sync::Arc<std::sync::Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    is_asked: bool,
    answers: bool,
}

impl Engine {
    fn start(host: &Host) -> Self {
        let listener = UnixListener::bind(host.path("no-engine.sock")).unwrap();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(Gate::default()));
        let engine = Self { gate: gate.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, gate) = (stream.unwrap(), gate.clone());
                thread::spawn(move || serve(stream, &gate));
            }
        });
        engine
    }

    fn is_asked(&self) -> bool {
        self.gate.lock().unwrap().is_asked
    }

    fn answer(&self) {
        self.gate.lock().unwrap().answers = true;
    }
}

fn serve(mut stream: UnixStream, gate: &std::sync::Mutex<Gate>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        if first.is_empty() {
            first.clone_from(&line);
        }
        line.clear();
    }
    let container = json!({
        "Id": "c1", "Name": "/web", "Image": "sha256:1", "Config": { "Image": "registry.example/web:live" },
        "HostConfig": {}, "State": { "Status": "running", "Running": true, "ExitCode": 0 }
    });
    let (status, body) = if first.contains("/version") {
        (200, json!({ "ApiVersion": "1.41" }))
    } else if first.contains("/containers/web/json") {
        (200, container)
    } else if first.contains("/images/") {
        (200, json!({ "Id": "sha256:1", "RepoDigests": [] }))
    } else {
        gate.lock().unwrap().is_asked = true;
        until("the test lets the engine answer", || {
            gate.lock().unwrap().answers
        });
        (500, json!({ "message": "enough" }))
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}
