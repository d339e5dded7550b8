//! `retry`, `rollback` and `resolve`, with `towline run` by its control socket and without it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
};

use serde_json::json;

use super::{
    control::{Run, blocked, json_of, refused, said},
    *,
};

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
            (["restore", "api"], "restart towline run"),
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
