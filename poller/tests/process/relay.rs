//! A relay on loopback that says what a test wants and remembers what it was told.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use towline_tests::server::request;

/// Status line, content type and body.
type Answer = (&'static str, &'static str, String);

/// What the relay says and has heard.
pub(crate) struct State {
    /// The answer to every `GET /v1/intents`.
    pub(crate) intents: Answer,
    /// The answer to those of them that ask the hub.
    pub(crate) fresh: Answer,
    /// The answer to every `POST /v1/reports`.
    pub(crate) reports: Answer,
    /// The reports that came, in order.
    pub(crate) heard: Vec<Value>,
    /// What the last question for intents named, as it stood in the request.
    pub(crate) asked: String,
    /// The answer to every `POST /v1/hello`.
    pub(crate) hello: Answer,
    /// What hosts have said of themselves, in order.
    pub(crate) greeted: Vec<Value>,
    /// How often intents were asked for.
    pub(crate) polls: usize,
    /// How often somebody wanted a doorbell, which an older relay does not have.
    pub(crate) bells: usize,
}

/// The relay; it serves until the test's process ends.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            intents: news(&[]),
            fresh: (
                "503 Service Unavailable",
                "application/json",
                "{}".to_owned(),
            ),
            reports: ("202 Accepted", "application/json", "{}".to_owned()),
            heard: vec![],
            hello: ("202 Accepted", "application/json", "{}".to_owned()),
            greeted: vec![],
            asked: String::new(),
            polls: 0,
            bells: 0,
        }));
        let relay = Self { port, state };
        let served = relay.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                served.serve(stream.unwrap());
            }
        });
        relay
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// The `(service, outcome)` of every report that came and is no acknowledgement.
    pub(crate) fn outcomes(&self) -> Vec<(String, String)> {
        let text = |report: &Value, key: &str| report[key].as_str().unwrap_or_default().to_owned();
        self.change(|state| {
            let each = state.heard.iter().filter(|one| !one["service"].is_null());
            each.map(|report| (text(report, "service"), text(report, "outcome")))
                .collect()
        })
    }

    /// The intents that were acknowledged, each with the services that it matched.
    pub(crate) fn acknowledged(&self) -> Vec<(String, Value)> {
        self.change(|state| {
            let each = state.heard.iter().filter(|one| one["service"].is_null());
            each.map(|one| {
                (
                    one["intent"].as_str().unwrap().to_owned(),
                    one["matched"].clone(),
                )
            })
            .collect()
        })
    }

    fn serve(&self, mut stream: TcpStream) {
        let Ok((head, body)) = request(&stream) else {
            return;
        };
        let line = head.lines().next().unwrap_or_default();
        let (status, kind, text) = self.change(|state| {
            if line.starts_with("POST /v1/reports") {
                if state.reports.0.starts_with("202") {
                    state
                        .heard
                        .extend(serde_json::from_slice::<Vec<Value>>(&body).unwrap());
                }
                state.reports.clone()
            } else if line.starts_with("POST /v1/hello") {
                state.greeted.push(serde_json::from_slice(&body).unwrap());
                state.hello.clone()
            } else if line.starts_with("GET /v1/doorbell") {
                state.bells += 1;
                let refusal =
                    json!({ "error": { "code": "not_found", "message": "no such page" } });
                ("404 Not Found", "application/json", refusal.to_string())
            } else {
                state.polls += 1;
                line.clone_into(&mut state.asked);
                if line.contains("fresh=1") {
                    state.fresh.clone()
                } else {
                    state.intents.clone()
                }
            }
        });
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            text.len()
        );
        let _ = stream.write_all((head + &text).as_bytes());
    }
}

/// The answer that the mailbox of octo-org/web holds `intents`.
pub(crate) fn news(intents: &[Value]) -> Answer {
    let head = intents
        .last()
        .map_or(0, |intent| intent["seq"].as_u64().unwrap());
    let channel = json!({ "epoch": if head == 0 { 0 } else { 7 }, "head": head, "pruned_before": 0, "intents": intents });
    let body = json!({ "channels": { "octo-org/web": channel } });
    ("200 OK", "application/json", body.to_string())
}

/// An intent that an operator has asked for, for the service `web`.
pub(crate) fn manual(seq: u64) -> Value {
    let id = char::from(b'a' + u8::try_from(seq).unwrap())
        .to_string()
        .repeat(26);
    json!({
        "id": format!("in_{id}"), "channel": "octo-org/web", "epoch": 7, "seq": seq,
        "created_at": "2026-11-20T15:00:00Z", "source": { "kind": "manual", "by": "night" },
        "revision": {}, "image": { "reference": "registry.example/web:v2" }, "service": "web"
    })
}
