//! `towline deploy` and `towline follow`: what is asked of the relay, what is shown, and how they end.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;

const ID: &str = "in_aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A status line with further headers, and a body.
type Said = (&'static str, Value);

/// A relay that gives its answers one behind the other, the last one again and again.
#[derive(Clone)]
struct Desk {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn answering(queue: &[Said], status: &[Said]) -> Self {
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
                let request = request(&stream);
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
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// `towline ARGS` on an operator's machine, which has no host's file.
    fn towline(&self, arguments: &[&str]) -> Command {
        let mut command = towline(arguments);
        command
            .args(["--config", "/nonexistent/towline.toml"])
            .env("TOWLINE_RELAY", format!("http://127.0.0.1:{}", self.port))
            .env("TOWLINE_TOKEN", operator("*"));
        command
    }
}

fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.split_once(':') {
            let name = name.to_ascii_lowercase();
            if name == "content-length" {
                length = value.trim().parse().unwrap();
            }
            line = format!("{name}:{value}");
        }
        head.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

fn token(role: &str, channels: &str) -> String {
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

fn operator(channels: &str) -> String {
    token("operator", channels)
}

fn intent() -> Value {
    json!({
        "id": ID, "channel": "octo-org/web", "epoch": 7, "seq": 3, "created_at": "2026-11-20T15:00:00Z",
        "source": { "kind": "manual", "by": "night" }, "revision": {}, "service": "web"
    })
}

fn queued() -> Said {
    ("201 Created", intent())
}

fn no(status: &'static str) -> Said {
    let error = json!({ "error": { "code": "c", "message": "because of this" } });
    (status, error)
}

/// How the intent stands: of each host what it has acknowledged, and how its service web stands.
fn stands(hosts: &[(&str, Value, Option<&str>)]) -> Said {
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
fn all(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    (status, out, log)
}

#[test]
fn what_was_asked_for_is_posted_and_the_id_alone_is_on_standard_output() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("ghcr.io/octo-org/web:v2@{digest}");
    let call = [
        "deploy",
        "Octo-Org/Web",
        "--service",
        "web",
        "--image",
        &image,
        "--sha",
        &"b".repeat(40),
        "--host",
        "pi",
        "--host",
        "nas",
        "--reason",
        "say \"hi\"",
        "--expires-in",
        "30m",
    ];
    let (status, out, log) = all(desk.towline(&call));
    assert_eq!((status, out), (0, format!("{ID}\n")), "{log}");
    assert!(
        log.contains("queued on channel octo-org/web as number 3, for service web on every host"),
        "{log}"
    );
    assert!(log.contains(&format!("towline follow {ID}")), "{log}");
    let [request] = &desk.heard()[..] else {
        panic!("one request: {:?}", desk.heard());
    };
    assert!(
        request.starts_with("POST /v1/intents HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("authorization: Bearer tl1."), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let wanted = json!({
        "channel": "octo-org/web", "service": "web", "hosts": ["pi", "nas"], "sha": "b".repeat(40),
        "image": { "reference": image, "digest": digest }, "reason": "say \"hi\"", "expires_in": "30m"
    });
    assert_eq!(body, wanted);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key_and_another_call_has_another() {
    let desk = Desk::answering(
        &[
            no("503 Service Unavailable"),
            ("200 OK", intent()),
            queued(),
        ],
        &[no("500 Error")],
    );
    let (status, out, log) = all(desk.towline(&["deploy", "octo-org/web"]));
    assert_eq!((status, out), (0, format!("{ID}\n")), "{log}");
    assert!(log.contains("because of this; trying again"), "{log}");
    assert_eq!(all(desk.towline(&["deploy", "octo-org/web"])).0, 0);
    let key = |request: &String| {
        let mut lines = request.lines();
        lines
            .find(|line| line.starts_with("idempotency-key:"))
            .unwrap()
            .to_owned()
    };
    let keys: Vec<_> = desk.heard().iter().map(key).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn a_refusal_is_1_and_says_what_to_do() {
    for (status, word) in [
        ("401 Unauthorized", "--role operator"),
        ("403 Forbidden", "--channel"),
        ("409 Conflict", "409"),
        ("426 Upgrade Required", "update towline or the relay"),
    ] {
        let desk = Desk::answering(&[no(status)], &[no("500 Error")]);
        let (exit, out, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
        assert_eq!((exit, out), (1, String::new()), "{log}");
        assert!(
            log.contains("because of this") && log.contains(word),
            "{log}"
        );
        assert_eq!(desk.heard().len(), 1, "{status}");
    }
}

#[test]
fn nothing_is_sent_with_a_token_that_cannot_do_it() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    for (token, word) in [
        (operator("other/*"), "is not for channel octo-org/web"),
        (token("host", "*"), "needs the role operator"),
        ("hunter2".to_owned(), "is not a token"),
        (" ".to_owned(), "is empty"),
    ] {
        let mut command = desk.towline(&["deploy", "octo-org/web"]);
        command.env("TOWLINE_TOKEN", &token);
        let (exit, _, log) = all(command);
        assert_eq!(exit, 1, "{log}");
        assert!(log.contains(word) && !log.contains("hunter2"), "{log}");
    }
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    for (wrong, word) in [
        (&["deploy"][..], "CHANNEL|SERVICE"),
        (&["deploy", "octo-org/web", "--sha", "main"], "40 or 64"),
        (
            &["deploy", "octo-org/web", "--image", "sha256:12"],
            "64 lower-case hex",
        ),
        (&["deploy", "octo-org/web", "--image", "a b"], "not valid"),
        (
            &["deploy", "octo-org/web", "--expires-in", "soon"],
            "90s, 30m",
        ),
        (&["deploy", "octo-org/web", "--timeout", "1m"], "--wait"),
        (
            &["deploy", "octo-org/web", "--wait", "--timeout", "0s"],
            "at least 1s",
        ),
        (
            &["deploy", "octo-org/web", "--relay", "http://relay.example"],
            "in the clear",
        ),
        (&["follow", "42"], "in_"),
    ] {
        let (exit, _, log) = all(desk.towline(wrong));
        assert_eq!(exit, 2, "{wrong:?}: {log}");
        assert!(log.contains(word), "{wrong:?}: {log}");
    }
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[test]
fn a_service_of_the_hosts_file_needs_neither_its_channel_nor_the_relays_address() {
    let desk = Desk::answering(&[queued()], &[no("500 Error")]);
    let host = Host::new(desk.port, "");
    fs::write(host.path("operator"), operator("octo-org/*")).unwrap();
    let mut command = host.command(&["deploy", "web"]);
    command.arg("--token-file").arg(host.path("operator"));
    let (exit, _, log) = all(command);
    assert_eq!(exit, 0, "{log}");
    assert!(
        log.contains("chmod 600"),
        "everybody can read the token: {log}"
    );
    let heard = desk.heard();
    assert!(
        heard[0].contains(r#"{"channel":"octo-org/web","service":"web"}"#),
        "{heard:?}"
    );
}

#[test]
fn waiting_tells_each_change_once_and_ends_well_when_all_have() {
    let desk = Desk::answering(
        &[queued()],
        &[
            stands(&[("pi", json!(null), None), ("nas", json!([]), None)]),
            no("503 Service Unavailable"),
            stands(&[
                ("pi", json!(["web"]), Some("applying")),
                ("nas", json!([]), None),
            ]),
            stands(&[
                ("pi", json!(["web"]), Some("succeeded")),
                ("nas", json!([]), None),
            ]),
        ],
    );
    let (exit, out, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
    assert_eq!((exit, out), (0, format!("{ID}\n")), "{log}");
    let said: Vec<_> = log.lines().skip(1).collect();
    let wanted = [
        "towline: nas: has no service that it is for",
        "towline: pi: has not acknowledged it, last heard of 2026-11-20T15:00:01Z",
        "towline: the relay cannot serve now (503): because of this; asking on",
        "towline: the relay answers again",
        "towline: pi web: applying: it answered 500",
        "towline: pi web: succeeded: it answered 500",
        "towline: 1 succeeded",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_host_that_went_back_is_3_with_its_last_words_and_an_operators_case_4() {
    for (outcome, status) in [
        ("rolled_back", 3),
        ("refused", 3),
        ("needs_operator", 4),
        ("superseded", 0),
    ] {
        let desk = Desk::answering(
            &[queued()],
            &[stands(&[("pi", json!(["web"]), Some(outcome))])],
        );
        let (exit, _, log) = all(desk.towline(&["follow", ID]));
        assert_eq!(exit, status, "{log}");
        assert_eq!(log.contains("  | two"), status != 0, "{log}");
        let told = log.matches("it answered 500").count();
        assert_eq!(told, 1, "{log}");
    }
}

#[test]
fn a_host_that_never_answers_ends_the_wait_at_its_time_by_name() {
    let hosts = [
        ("pi", json!(["web"]), Some("succeeded")),
        ("nas", json!(null), None),
    ];
    let desk = Desk::answering(&[queued()], &[stands(&hosts)]);
    let (exit, _, log) = all(desk.towline(&["follow", ID, "--timeout", "1s"]));
    assert_eq!(exit, 1, "{log}");
    assert!(log.contains("gave up after 1 s"), "{log}");
    assert!(log.contains("  nas: has not acknowledged it"), "{log}");
}

#[test]
fn nobody_there_a_relay_that_is_gone_and_a_refusal_end_with_1() {
    let desk = Desk::answering(&[queued()], &[stands(&[])]);
    let (exit, _, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
    assert_eq!(exit, 1, "{log}");
    assert!(
        log.contains("no host was seen on channel octo-org/web"),
        "{log}"
    );
    let gone = Desk {
        port: TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port(),
        heard: Arc::default(),
    };
    let (exit, _, log) = all(gone.towline(&["follow", ID, "--timeout", "1s"]));
    assert_eq!(exit, 1, "{log}");
    assert!(
        log.contains("was not to be asked") && log.contains("cannot reach"),
        "{log}"
    );
    let desk = Desk::answering(&[queued()], &[no("404 Not Found")]);
    let (exit, _, log) = all(desk.towline(&["follow", ID]));
    assert_eq!((exit, desk.heard().len()), (1, 1), "{log}");
    assert!(log.contains("does not know it"), "{log}");
}

#[test]
fn a_ticket_will_do_to_follow_and_not_to_deploy() {
    let desk = Desk::answering(
        &[queued()],
        &[stands(&[("pi", json!(["web"]), Some("unchanged"))])],
    );
    let with_ticket = |call: &[&str]| {
        let mut command = desk.towline(call);
        command.env("TOWLINE_TOKEN", "a.ticket");
        all(command)
    };
    let (exit, _, log) = with_ticket(&["follow", ID]);
    assert_eq!(exit, 0, "{log}");
    assert!(desk.heard()[0].contains("authorization: Bearer a.ticket"));
    assert_eq!(with_ticket(&["deploy", "octo-org/web"]).0, 1);
}

#[test]
fn at_a_terminal_each_host_has_one_line_that_is_written_over_and_stays() {
    let desk = Desk::answering(
        &[queued()],
        &[
            stands(&[("pi", json!(["web"]), Some("applying"))]),
            stands(&[
                ("nas", json!([]), None),
                ("pi", json!(["web"]), Some("succeeded")),
            ]),
        ],
    );
    let command = desk.towline(&["follow", ID]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let line = format!("stty rows 24 cols 80; {}", words.join(" "));
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm")
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null());
    let output = terminal.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let over = shown.find("pi web: applying").unwrap();
    let up = shown[over..].find("\u{1b}[").unwrap() + over;
    assert!(shown[up..].contains("pi web: succeeded"), "{shown:?}");
    assert!(shown[up..].contains("nas: has no service"), "{shown:?}");
    assert!(
        shown.trim_end().ends_with("towline: 1 succeeded"),
        "{shown:?}"
    );
}

#[test]
fn a_checkout_is_not_asked_for_without_the_commit_that_it_is_to_be_put_at() {
    let host = Host::with(1, "git = { path = \"DIR/app\" }\n");
    let (status, out, log) = all(host.command(&["deploy", "web"]));
    assert_eq!((status, out.as_str()), (1, ""), "{log}");
    assert!(
        log.contains("web is a git checkout") && log.contains("--sha"),
        "{log}"
    );
}
