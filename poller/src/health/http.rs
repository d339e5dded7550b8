//! One GET. `ureq` blocks, so that each runs on a thread of its own.

use std::{io::Read, time::Duration};

use serde_json::Value;
use ureq::Agent;

use crate::{
    redact::Secrets,
    settings::{HttpProbe, JsonProbe},
};

/// How much of a body is looked at, in bytes.
const MAX_BODY: u64 = 64 * 1024;

/// The address for logs and reports: a query may hold a token.
pub(super) fn shown(url: &str) -> String {
    match url.split_once('?') {
        Some((url, _)) => format!("{url}?..."),
        None => url.to_owned(),
    }
}

/// One try at `url`, which is the probe's with the container's address filled in; the reason when it is no good.
pub(super) async fn attempt(
    probe: &HttpProbe,
    url: String,
    secrets: &Secrets,
    limit: Duration,
) -> Result<(), String> {
    let (probe, secrets) = (probe.clone(), secrets.clone());
    let get = move || get(&probe, &url, &secrets, limit);
    tokio::task::spawn_blocking(get)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

/// Redirects are answers like any other: a new version that only sends elsewhere has not shown that it works.
fn get(probe: &HttpProbe, url: &str, secrets: &Secrets, limit: Duration) -> Result<(), String> {
    let config = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .proxy(None)
        .user_agent(concat!("towline/", env!("CARGO_PKG_VERSION")))
        .build();
    let mut answer = Agent::from(config)
        .get(url)
        .call()
        .map_err(|error| error.to_string().replace(url, &shown(url)))?;
    let found = answer.status().as_u16();
    let is_wanted = |status| status == found;
    if !probe.status.map_or((200..300).contains(&found), is_wanted) {
        return Err(format!("it answered {found}"));
    }
    if probe.contains.is_none() && probe.json.is_none() {
        return Ok(());
    }
    let mut body = Vec::new();
    let mut reader = answer.body_mut().as_reader().take(MAX_BODY);
    reader
        .read_to_end(&mut body)
        .map_err(|error| format!("its answer broke off: {error}"))?;
    if let Some(contains) = &probe.contains
        && !holds(&body, contains.as_bytes())
    {
        let start = start(&body, secrets);
        return Err(format!(
            "its answer does not hold {contains:?} but begins with {start:?}"
        ));
    }
    let json = probe.json.as_ref();
    json.map_or(Ok(()), |json| points_to(json, &body, secrets))
}

/// The beginning of an answer, for people. Secrets are hidden before the cut, which may leave a part of one that nobody
/// knows.
fn start(body: &[u8], secrets: &Secrets) -> String {
    let body = secrets.hide(&String::from_utf8_lossy(body));
    body.chars().take(80).collect()
}

/// Whether the value stands in `body` where it should; otherwise what does.
fn points_to(json: &JsonProbe, body: &[u8], secrets: &Secrets) -> Result<(), String> {
    let JsonProbe { pointer, equals } = json;
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        let start = start(body, secrets);
        return Err(format!("its answer is no JSON but begins with {start:?}"));
    };
    match document.pointer(pointer) {
        Some(found) if is_same(found, equals) => Ok(()),
        Some(found) => {
            let found = start(found.to_string().as_bytes(), secrets);
            Err(format!(
                "its answer has {found} at {pointer:?}, not {equals}"
            ))
        }
        None => Err(format!("its answer has nothing at {pointer:?}")),
    }
}

/// Whether two values are the same; a number may be written in several ways.
fn is_same(found: &Value, wanted: &Value) -> bool {
    let are_whole = !found.is_f64() && !wanted.is_f64();
    match (found.as_f64(), wanted.as_f64()) {
        (Some(found), Some(wanted)) if !are_whole => found.total_cmp(&wanted).is_eq(),
        _ => found == wanted,
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        thread,
        time::Instant,
    };

    use super::*;
    use crate::{
        docker::fake,
        health::{halt::verdict, probe, subject::Subject, tries::Budget},
        settings::Probe,
    };

    /// One try at the probe's own address.
    fn get(probe: &HttpProbe, secrets: &Secrets, limit: Duration) -> Result<(), String> {
        super::get(probe, probe.url.as_str(), secrets, limit)
    }

    /// A server that gives each connection the next of `answers`, and its address.
    fn server(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/health", listener.local_addr().unwrap());
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                read_request(&stream);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    fn read_request(mut stream: &TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            request.push(byte[0]);
        }
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn probe(url: &str, status: Option<u16>, contains: Option<&str>) -> HttpProbe {
        HttpProbe {
            url: url.parse().unwrap(),
            status,
            contains: contains.map(str::to_owned),
            json: None,
        }
    }

    /// What comes of trying until the time is over.
    async fn until(probe: &HttpProbe, within: Duration) -> Result<(), String> {
        let engine = fake::connected(|line| panic!("it was asked: {line}")).await;
        let subject = Subject::Containers {
            engine: &engine,
            members: &[],
        };
        let budget = Budget::new(within, Duration::ZERO);
        let probe = Probe::Http(probe.clone());
        let end = probe::until(&subject, &probe, &Secrets::default(), budget).await;
        verdict(end).unwrap()
    }

    fn got(
        answers: Vec<String>,
        status: Option<u16>,
        contains: Option<&str>,
    ) -> Result<(), String> {
        get(
            &probe(&server(answers), status, contains),
            &Secrets::default(),
            Duration::from_secs(5),
        )
    }

    #[test]
    fn any_2xx_is_good_unless_the_file_asks_for_a_status_or_a_text() {
        assert_eq!(got(vec![answer("204 No Content", "")], None, None), Ok(()));
        assert_eq!(
            got(vec![answer("200 OK", "all is ok")], Some(200), Some("ok")),
            Ok(())
        );
        assert_eq!(
            got(vec![answer("404 Not Found", "")], Some(404), None),
            Ok(())
        );
        assert_eq!(
            got(vec![answer("500 Oops", "")], None, None),
            Err("it answered 500".to_owned())
        );
        let error = got(vec![answer("200 OK", "starting")], None, Some("ok")).unwrap_err();
        assert!(
            error.contains("\"ok\"") && error.contains("starting"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_in_an_answer_is_hidden_before_the_answer_is_cut() {
        let mut secrets = Secrets::default();
        secrets.add("correct-horse-battery");
        let body = format!("{}correct-horse-battery", "x".repeat(70));
        let url = server(vec![answer("200 OK", &body)]);
        let why = get(
            &probe(&url, None, Some("ok")),
            &secrets,
            Duration::from_secs(5),
        )
        .unwrap_err();
        assert!(why.ends_with("xxx***\""), "{why}");
    }

    /// What comes of an answer with this body when `"on"`, or another value, must stand at `pointer`.
    fn pointed(body: &str, pointer: &str, equals: impl Into<Value>) -> Result<(), String> {
        let (pointer, equals) = (pointer.to_owned(), equals.into());
        let json = Some(JsonProbe { pointer, equals });
        let url = server(vec![answer("200 OK", body)]);
        let probe = HttpProbe {
            json,
            ..probe(&url, None, None)
        };
        get(&probe, &Secrets::default(), Duration::from_secs(5))
    }

    #[test]
    fn a_value_in_a_json_answer_must_be_the_one_that_the_file_asks_for() {
        let body = r#"{"db/main":[{"up":true,"lag":1.0}],"state":"on"}"#;
        assert_eq!(pointed(body, "/state", "on"), Ok(()));
        assert_eq!(pointed(body, "/db~1main/0/up", true), Ok(()));
        assert_eq!(pointed(body, "/db~1main/0/lag", 1), Ok(()));
        assert_eq!(pointed("3", "", 3), Ok(()));
        for (pointer, told) in [
            ("/db~1main/0/up", "its answer has true at"),
            ("/none", "its answer has nothing at \"/none\""),
        ] {
            let why = pointed(body, pointer, "on").unwrap_err();
            assert!(why.starts_with(told), "{why}");
        }
        let why = pointed(body, "/state", true).unwrap_err();
        assert_eq!(why, "its answer has \"on\" at \"/state\", not true");
        let why = pointed("starting", "/state", "on").unwrap_err();
        assert!(why.contains("no JSON but begins with \"starting"), "{why}");
        assert!(pointed("9007199254740993", "", 9_007_199_254_740_992_i64).is_err());
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let redirect =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                .to_owned();
        assert_eq!(
            got(vec![redirect], None, None),
            Err("it answered 302".to_owned())
        );
    }

    #[test]
    fn a_body_without_end_is_cut() {
        let huge = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1024 * 1024));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream);
            while stream.write_all(huge.as_bytes()).is_ok() {}
        });
        assert!(
            get(
                &probe(&url, None, Some("absent")),
                &Secrets::default(),
                Duration::from_secs(5)
            )
            .unwrap_err()
            .contains("does not hold")
        );
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_never_answers_costs_the_limit_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let begun = Instant::now();
        assert!(
            get(
                &probe(&url, None, None),
                &Secrets::default(),
                Duration::from_millis(100)
            )
            .is_err()
        );
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn tries_go_on_until_the_first_good_answer() {
        let url = server(vec![
            answer("503 Soon", ""),
            answer("503 Soon", ""),
            answer("200 OK", ""),
        ]);
        assert_eq!(
            until(&probe(&url, None, None), Duration::from_secs(20)).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn a_query_is_sent_and_never_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/up?token=hunter2", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = [0; 64];
            let read = stream.read(&mut line).unwrap();
            stream.write_all(answer("500 Oops", "").as_bytes()).unwrap();
            String::from_utf8_lossy(&line[..read]).into_owned()
        });
        let within = Duration::from_millis(200);
        let why = until(&probe(&url, None, None), within).await;
        let why = why.unwrap_err();
        assert!(!why.contains("hunter2") && why.contains("/up?..."), "{why}");
        assert!(server.join().unwrap().contains("/up?token=hunter2"));
    }

    #[tokio::test]
    async fn the_deadline_tells_the_last_answer() {
        let url = server((0..50).map(|_| answer("500 Oops", "")).collect());
        let within = Duration::from_millis(300);
        let why = until(&probe(&url, None, None), within).await.unwrap_err();
        assert!(why.contains("it answered 500"), "{why}");
    }

    #[tokio::test]
    async fn a_try_that_the_deadline_cuts_does_not_hide_the_answer_before_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream);
            stream.write_all(answer("500 Oops", "").as_bytes()).unwrap();
            let silent = listener.accept().unwrap();
            thread::sleep(Duration::from_secs(5));
            drop(silent);
        });
        let within = Duration::from_millis(500);
        let why = until(&probe(&url, None, None), within).await;
        let why = why.unwrap_err();
        assert!(why.contains("it answered 500"), "{why}");
    }
}
