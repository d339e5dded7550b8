//! What a lost engine and an answer that never comes do to a deploy under way.

use serde_json::json;

use super::*;
use crate::docker::fake::connected;

fn lost() -> EngineError {
    EngineError::Unreachable {
        address: "unix:///run/docker.sock".to_owned(),
        why: "no answer within 120 s".to_owned(),
    }
}

/// How a deploy goes on that has waited like this for `engine`.
async fn after(loss: &mut Loss, engine: &Docker) -> Result<After, EngineError> {
    let mut engine = Cow::Borrowed(engine);
    loss.wait(&mut engine, false, Duration::ZERO, lost()).await
}

#[tokio::test]
async fn a_call_that_only_is_never_answered_has_failed_at_last() {
    let engine = connected(|_| (200, "{}".to_owned())).await;
    let long_ago = Instant::now().checked_sub(RECONNECT).unwrap();
    for mut loss in [
        Loss {
            since: Some(long_ago),
            waited: Duration::ZERO,
            renewed: false,
        },
        Loss {
            since: None,
            waited: UNHEARD,
            renewed: false,
        },
    ] {
        let again = after(&mut loss, &engine).await.unwrap();
        assert!(
            matches!(again, After::FoundAgain | After::Again),
            "{again:?}: it was not made to the engine that is back"
        );
        let failed = after(&mut loss, &engine).await.unwrap();
        assert!(
            matches!(&failed, After::Failed(why) if why.contains("no answer")),
            "{failed:?}"
        );
        assert!(!loss.is_over(), "the next call begins anew");
    }
}

#[tokio::test]
async fn a_call_is_made_again_when_the_engine_is_back_and_left_open_when_it_stays_away() {
    let engine = connected(|_| (200, "{}".to_owned())).await;
    let mut loss = Loss::default();
    let first = after(&mut loss, &engine).await.unwrap();
    assert!(matches!(first, After::FoundAgain), "{first:?}");
    let second = after(&mut loss, &engine).await.unwrap();
    assert!(matches!(second, After::Again), "{second:?}");
    let gone = gone().await;
    let again = after(&mut Loss::default(), &gone).await.unwrap();
    assert!(matches!(again, After::FoundAgain), "{again:?}");
    let since = Instant::now().checked_sub(RECONNECT);
    let waited = UNHEARD;
    let mut loss = Loss {
        since,
        waited,
        renewed: true,
    };
    let end = after(&mut loss, &gone).await;
    assert!(
        matches!(end, Err(EngineError::Unreachable { .. })),
        "{end:?}"
    );
}

#[tokio::test]
async fn only_what_was_waited_in_vain_counts_and_not_the_time_of_a_gate() {
    let engine = connected(|_| (200, "{}".to_owned())).await;
    let took = Duration::from_secs(100);
    for (was_watching, counted) in [(false, took), (true, Duration::ZERO)] {
        let mut loss = Loss::default();
        let mut engine = Cow::Borrowed(&engine);
        let waited = loss.wait(&mut engine, was_watching, took, lost());
        waited.await.unwrap();
        assert_eq!(loss.waited, counted + RECONNECT_PAUSE);
    }
}

/// A connection to an engine that has ended.
async fn gone() -> Docker {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        std::io::Read::read(&mut stream, &mut request).unwrap();
        let body = json!({ "ApiVersion": "1.41" }).to_string();
        let head = format!(
            "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        std::io::Write::write_all(&mut stream, (head + &body).as_bytes()).unwrap();
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    answering.join().unwrap();
    engine
}
