//! A fake relay on loopback for operators: what it says to who asks for a deploy and follows it.

use std::{
    io::Write,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use towline_tests::server::request;

use super::*;

pub(super) const ID: &str = "in_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A status line with further headers, and a body.
pub(super) type Said = (&'static str, Value);

/// A relay that gives its answers one behind the other, the last one again and again.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    /// One at whose address nobody listens.
    pub(super) fn gone() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            port: listener.local_addr().unwrap().port(),
            heard: Arc::default(),
        }
    }

    pub(super) fn answering(queue: &[Said], status: &[Said]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let desk = Self {
            port: listener.local_addr().unwrap().port(),
            heard: Arc::default(),
        };
        let (mut queue, mut status) = (queue.to_vec(), status.to_vec());
        let heard = Arc::clone(&desk.heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (head, body) = request(&stream).unwrap();
                let request = head + std::str::from_utf8(&body).unwrap();
                let answers = if request.starts_with("POST") {
                    &mut queue
                } else {
                    &mut status
                };
                heard.lock().unwrap().push(request);
                let (head, body) = if answers.len() > 1 {
                    answers.remove(0)
                } else {
                    answers[0].clone()
                };
                let body = body.to_string();
                let length = body.len();
                let _ = stream.write_all(
                    format!("HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes(),
                );
            }
        });
        desk
    }

    /// The heads and bodies of the requests that came, header names in lower case.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// `towline ARGS` on an operator's machine, which has no host's file.
    pub(super) fn towline(&self, arguments: &[&str]) -> Command {
        let mut command = towline(arguments);
        command
            .args(["--config", "/nonexistent/towline.toml"])
            .env("TOWLINE_RELAY", format!("http://127.0.0.1:{}", self.port))
            .env("TOWLINE_TOKEN", operator("*"));
        command
    }
}

pub(super) fn token(role: &str, channels: &str) -> String {
    let call = [
        "token",
        "--role",
        role,
        "--name",
        "night",
        "--channel",
        channels,
    ];
    let output = towline(&call).env("TOKEN_KEY", KEY).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn operator(channels: &str) -> String {
    token("operator", channels)
}

pub(super) fn intent() -> Value {
    json!({
        "id": ID, "channel": "octo-org/web", "epoch": 7, "seq": 3, "created_at": "2026-11-20T15:00:00Z",
        "source": { "kind": "manual", "by": "night" }, "revision": {}, "service": "web"
    })
}

pub(super) fn queued() -> Said {
    ("201 Created", intent())
}

pub(super) fn no(status: &'static str) -> Said {
    let error = json!({ "error": { "code": "c", "message": "because of this" } });
    (status, error)
}

/// How the intent stands: of each host what it has acknowledged, and how its service web stands.
pub(super) fn stands(hosts: &[(&str, Value, Option<&str>)]) -> Said {
    let host = |(name, matched, outcome): &(&str, Value, Option<&str>)| {
        let report = outcome.map(|outcome| {
            json!({ "web": {
                "intent": ID, "service": "web", "attempt": 1, "outcome": outcome,
                "started_at": "2026-11-20T15:00:01Z", "message": "web: it answered 500", "log_tail": "one\ntwo"
            }})
        });
        let services = report.unwrap_or(json!({}));
        let host =
            json!({ "seen_at": "2026-11-20T15:00:01Z", "matched": matched, "services": services });
        ((*name).to_owned(), host)
    };
    let hosts: serde_json::Map<_, _> = hosts.iter().map(host).collect();
    ("200 OK", json!({ "intent": intent(), "hosts": hosts }))
}

/// The exit status, standard output and standard error.
pub(super) fn all(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    (status, out, log)
}
