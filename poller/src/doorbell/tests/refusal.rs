//! Relays, and what is none, that let nobody in.

use std::io::{Read, Write};

use super::*;

/// Answers every request with `answer`.
fn refusing(answer: &'static str) -> Route {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 2048]);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            // In two pieces, as networks deliver it.
            let _ = write!(stream, "{head}\r\n\r\n");
            thread::sleep(Duration::from_millis(20));
            let _ = stream.write_all(body.as_bytes());
        }
    });
    direct(port)
}

async fn refused(answer: &'static str) -> RelayError {
    let mut bell = start(refusing(answer), timing());
    let why = lost(&mut bell).await;
    let Lost::Relay(error) = why else {
        panic!("{why:?}");
    };
    error
}

macro_rules! answer {
    ($status:literal, $more:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\n",
            $more,
            "Content-Type: application/json\r\nContent-Length: 42\r\n\r\n",
            r#"{"error":{"code":"c","message":"because"}}"#
        )
    };
}

#[tokio::test]
async fn a_wrong_token_an_old_version_and_a_busy_relay_are_told_apart() {
    let message = "because".to_owned();
    for (answer, wanted) in [
        (
            answer!("401 Unauthorized", ""),
            RelayError::Token {
                message: message.clone(),
            },
        ),
        (
            answer!("403 Forbidden", ""),
            RelayError::Forbidden {
                message: message.clone(),
            },
        ),
        (
            answer!("426 Upgrade Required", ""),
            RelayError::Upgrade {
                message: message.clone(),
            },
        ),
        (
            answer!("404 Not Found", ""),
            RelayError::Refused {
                status: 404,
                message: message.clone(),
            },
        ),
        (
            answer!("503 Service Unavailable", "Retry-After: 7\r\n"),
            RelayError::Busy {
                status: 503,
                message,
                retry_after: Some(Duration::from_secs(7)),
            },
        ),
    ] {
        assert_eq!(refused(answer).await, wanted, "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_is_read_whole_though_its_length_is_not_told_before() {
    let until_the_end =
        "HTTP/1.1 403 Forbidden\r\n\r\n{\"error\":{\"code\":\"c\",\"message\":\"because\"}}";
    let chunked = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: Chunked\r\n\r\n\
         0F;a=b\r\n{\"error\":{\"code\r\n1B\r\n\":\"c\",\"message\":\"because\"}}\r\n0\r\n\r\n";
    for answer in [until_the_end, chunked] {
        let message = "because".to_owned();
        assert_eq!(refused(answer).await, RelayError::Forbidden { message });
    }
    for cut in [
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
    ] {
        let error = refused(cut).await;
        assert!(matches!(error, RelayError::NotARelay { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn tries_that_take_long_and_fail_are_no_connections_that_stood() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hurried = Timing {
        deadlines: Deadlines {
            connect: Duration::from_secs(5),
            total: Duration::from_millis(100),
        },
        rhythm: Rhythm {
            every: Duration::from_millis(50),
            ..timing().rhythm
        },
        ..timing()
    };
    let mut bell = start(direct(silent.local_addr().unwrap().port()), hurried);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let Event::Lost { again_in, .. } = next(&mut bell).await else {
            panic!("it is connected");
        };
        pauses.push(again_in);
    }
    // At least 8 s at the fourth, at most 2 s at the first; times 0.001.
    assert!(pauses[3] > 2 * pauses[0], "{pauses:?}");
}

#[tokio::test]
async fn what_is_no_relay_is_told_and_a_redirect_is_not_followed() {
    for (answer, told) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n",
            "redirects (302) to \"http://evil.example/\"",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "answered 200",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nhi",
            "answered 401",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "not the WebSocket",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            "not the WebSocket",
        ),
    ] {
        let error = refused(answer).await;
        assert!(matches!(error, RelayError::NotARelay { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
    let error = refused("220 mail.example ESMTP\r\n\r\n").await;
    assert!(error.to_string().contains("is not HTTP"), "{error}");
}

#[tokio::test]
async fn silence_and_nobody_there_end_at_the_deadline_and_no_error_names_the_token() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hurried = Timing {
        deadlines: Deadlines {
            connect: Duration::from_millis(100),
            total: Duration::from_millis(200),
        },
        ..timing()
    };
    for port in [silent.local_addr().unwrap().port(), 1] {
        let mut bell = start(direct(port), hurried);
        let why = lost(&mut bell).await;
        assert!(
            matches!(why, Lost::Relay(RelayError::Unreachable { .. })),
            "{why:?}"
        );
        let told = format!("{why} {why:?} {bell:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
