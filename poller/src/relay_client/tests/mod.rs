//! Against a server on loopback that answers whatever the story needs.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Instant,
};

use towline_protocol::Outcome;
use towline_tests::server::request;

use super::{error::MAX_RETRY_AFTER, *};
use crate::{
    report,
    settings::{RelayUrl, Settings},
    testing::intent,
};

mod route;

/// A server that lives for one request each, and what it was asked.
struct Server {
    url: RelayUrl,
    asked: mpsc::Receiver<String>,
}

/// Serves each connection with the next of `answers`; a request is its head and body as text.
fn serve<A>(answers: Vec<A>) -> Server
where
    A: FnOnce(&mut TcpStream) + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(listener.local_addr().unwrap().port());
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (head, body) = request(&stream).unwrap();
            tell.send(head + std::str::from_utf8(&body).unwrap())
                .unwrap();
            answer(&mut stream);
        }
    });
    Server { url, asked }
}

fn url(port: u16) -> RelayUrl {
    let text = format!(
        "[relay]\nurl = \"http://127.0.0.1:{port}\"\n[service.a]\nchannel = \"a\"\ndocker = {{ container = \"aa\" }}"
    );
    Settings::parse(&text, "t").unwrap().relay.url
}

/// An answer with `head` lines after the status, and `body`.
fn answer(status: &str, head: &str, body: &str) -> impl FnOnce(&mut TcpStream) + Send + 'static {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    move |stream| {
        let _ = stream.write_all(text.as_bytes());
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

fn client(url: &RelayUrl) -> RelayClient {
    let deadlines = Deadlines {
        connect: Duration::from_millis(500),
        total: Duration::from_millis(1500),
    };
    RelayClient::new(
        &Route::direct(url.clone()),
        &Secret::new("tl1.e30.hunter2"),
        deadlines,
    )
    .unwrap()
}

fn ask(url: &RelayUrl) -> Result<Option<Answer>, RelayError> {
    client(url).intents(&["octo-org/web@7.3".parse().unwrap()], false, None)
}

/// What a poll makes of one answer.
fn poll(
    answer: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> Result<Option<Answer>, RelayError> {
    ask(&serve(vec![answer]).url)
}

fn news() -> String {
    let channels = serde_json::json!({ "octo-org/web": { "epoch": 7, "head": 4, "pruned_before": 0, "intents": [intent(7, 4)] } });
    serde_json::json!({ "channels": channels, "a newer relay's": true }).to_string()
}

#[test]
fn a_poll_asks_from_the_mark_with_token_and_version_and_reads_the_news() {
    let server = serve(vec![answer("200 OK", JSON, &news())]);
    let polled = ask(&server.url).unwrap().unwrap();
    let channel = polled.channels.values().next().unwrap();
    assert_eq!(channel.news.intents, [intent(7, 4)]);
    let asked = server.asked.recv().unwrap().to_ascii_lowercase();
    assert!(
        asked.starts_with("get /v1/intents?channel=octo-org/web@7.3 http/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("authorization: bearer tl1.e30.hunter2\r\n"),
        "{asked}"
    );
    assert!(asked.contains("towline-protocol: 1\r\n"), "{asked}");
    assert!(!asked.contains("accept-encoding: gzip"), "{asked}");
}

#[test]
fn the_same_question_carries_the_tag_and_unchanged_is_nothing() {
    let tagged = format!("{JSON}ETag: \"v1\"\r\n");
    let again = answer("304 Not Modified", "", "");
    let server = serve::<Box<dyn FnOnce(&mut TcpStream) + Send>>(vec![
        Box::new(answer("200 OK", &tagged, &news())),
        Box::new(again),
        Box::new(answer("200 OK", JSON, &news())),
    ]);
    let client = client(&server.url);
    let mark = ["octo-org/web@7.3".parse().unwrap()];
    let first = client.intents(&mark, false, None).unwrap().unwrap();
    let tag = first.tag.as_ref();
    assert_eq!(client.intents(&mark, false, tag).unwrap(), None);
    assert!(client.intents(&mark, true, tag).unwrap().is_some());
    let asked: Vec<_> = server
        .asked
        .iter()
        .take(3)
        .map(|text| text.to_ascii_lowercase())
        .collect();
    assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match: \"v1\""));
    assert!(asked[2].contains("&fresh=1 ") && !asked[2].contains("if-none-match"));
}

#[test]
fn unchanged_is_no_answer_to_a_question_without_a_tag() {
    let error = poll(answer("304 Not Modified", "", "")).unwrap_err();
    assert!(matches!(error, RelayError::NotARelay { .. }), "{error}");
    let tagged = format!("{JSON}ETag: \"v1\"\r\n");
    let first = poll(answer("200 OK", &tagged, &news())).unwrap().unwrap();
    let server = serve(vec![answer("304 Not Modified", "", "")]);
    let other = ["octo-org/web@7.4".parse().unwrap()];
    assert!(
        client(&server.url)
            .intents(&other, false, first.tag.as_ref())
            .is_err(),
        "the tag is another question's"
    );
}

#[test]
fn a_refusal_in_other_words_than_the_relays_says_that_this_is_no_relay() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let error = poll(answer(status, "Content-Type: text/html\r\n", "<h1>no</h1>")).unwrap_err();
        assert!(matches!(error, RelayError::NotARelay { .. }), "{error}");
        assert!(
            !error.is_permanent() && error.to_string().contains("127.0.0.1"),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_token_an_old_version_and_a_busy_relay_are_told_apart() {
    let body = r#"{"error":{"code":"c","message":"because"}}"#;
    let told = |status: &str, head: &str| {
        poll(answer(status, &format!("{JSON}{head}"), body)).unwrap_err()
    };
    let message = || "because".to_owned();
    assert_eq!(
        told("401 Unauthorized", ""),
        RelayError::Token { message: message() }
    );
    assert_eq!(
        told("403 Forbidden", ""),
        RelayError::Forbidden { message: message() }
    );
    assert_eq!(
        told("426 Upgrade Required", ""),
        RelayError::Upgrade { message: message() }
    );
    assert_eq!(
        told("400 Bad Request", ""),
        RelayError::Refused {
            status: 400,
            message: message()
        }
    );
    let later = told("429 Too Many Requests", "Retry-After: 7\r\n");
    assert_eq!(later.retry_after(), Some(Duration::from_secs(7)));
    let endless = told("503 Service Unavailable", "Retry-After: 999999999\r\n");
    assert_eq!(endless.retry_after(), Some(MAX_RETRY_AFTER));
    let date = told(
        "503 Service Unavailable",
        "Retry-After: Fri, 20 Nov 2026 15:00:00 GMT\r\n",
    );
    assert_eq!(date.retry_after(), None);
    assert!(matches!(date, RelayError::Busy { status: 503, .. }));
}

#[test]
fn a_redirect_is_not_followed() {
    let error = poll(answer(
        "302 Found",
        "Location: http://127.0.0.1:1/steal\r\n",
        "",
    ))
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("redirects (302) to \"http://127.0.0.1:1/steal\""),
        "{error}"
    );
}

#[test]
fn a_page_and_broken_or_foreign_json_are_not_a_relay() {
    let told = |head: &str, body: &str| poll(answer("200 OK", head, body)).unwrap_err().to_string();
    assert!(
        told("Content-Type: text/html\r\n", "<html>")
            .contains("expected JSON, found \"text/html\"")
    );
    assert!(told("", "{}").contains("expected JSON"));
    assert!(told(JSON, "{").contains("is not understood"));
    assert!(told(JSON, r#"{"hello":"world"}"#).contains("is not understood"));
    assert!(told(&format!("{JSON}Content-Encoding: gzip\r\n"), "x").contains("was not asked for"));
    assert!(matches!(
        poll(answer("101 Switching", "", "")),
        Err(RelayError::NotARelay { .. } | RelayError::Unreachable { .. })
    ));
    assert!(matches!(
        poll(|stream: &mut TcpStream| stream.write_all(b"SSH-2.0-x\r\n\r\n").unwrap()),
        Err(RelayError::NotARelay { .. })
    ));
}

#[test]
fn ten_mebibytes_are_given_up_after_one() {
    let (tell, wrote) = mpsc::channel();
    let endless = move |stream: &mut TcpStream| {
        let _ = stream.write_all(
            format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n").as_bytes(),
        );
        let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
        let count = (0..160)
            .take_while(|_| stream.write_all(chunk.as_bytes()).is_ok())
            .count();
        tell.send(count).unwrap();
    };
    let error = poll(endless).unwrap_err();
    assert!(
        error.to_string().contains("longer than 1048576 bytes"),
        "{error}"
    );
    assert!(wrote.recv().unwrap() < 160, "all of it was read");
    let announced = poll(answer("200 OK", JSON, &" ".repeat(MAX_ANSWER + 1))).unwrap_err();
    assert!(announced.to_string().contains("longer than"), "{announced}");
}

#[test]
fn a_slow_drip_and_silence_end_at_the_deadline() {
    let drip = |stream: &mut TcpStream| {
        let _ = stream
            .write_all(format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 1000\r\n\r\n").as_bytes());
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    };
    let silence = |_: &mut TcpStream| thread::sleep(Duration::from_secs(4));
    for error in [poll(drip), poll(silence)] {
        let begun = Instant::now();
        assert!(
            matches!(error, Err(RelayError::Unreachable { .. })),
            "{error:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn a_cut_answer_is_an_error_and_not_half_of_the_news() {
    let cut = |stream: &mut TcpStream| {
        let text = format!(
            "HTTP/1.1 200 OK\r\n{JSON}Content-Length: 100000\r\n\r\n{}",
            news()
        );
        let _ = stream.write_all(text.as_bytes());
    };
    assert!(poll(cut).is_err());
}

#[test]
fn nobody_there_is_unreachable_and_no_error_names_the_token() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = ask(&url(port)).unwrap_err();
    assert!(matches!(error, RelayError::Unreachable { .. }), "{error}");
    let told = format!("{error} {error:?} {:?}", client(&url(port)));
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn reports_are_posted_as_json_and_202_takes_them() {
    let one = report::blank(
        intent(7, 1).id,
        &"web".parse().unwrap(),
        1,
        Outcome::Succeeded,
        jiff::Timestamp::UNIX_EPOCH,
    );
    let server = serve(vec![
        answer("202 Accepted", JSON, "{}"),
        answer("200 OK", JSON, "{}"),
    ]);
    let client = client(&server.url);
    client.report(&[&one]).unwrap();
    assert!(
        client.report(&[&one]).is_err(),
        "200 is not the contract's answer"
    );
    let asked = server.asked.recv().unwrap();
    assert!(
        asked.starts_with("POST /v1/reports HTTP/1.1\r\n"),
        "{asked}"
    );
    let body = asked.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Report>>(body).unwrap(), [one]);
}
