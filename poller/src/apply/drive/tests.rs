//! What a lost engine, an answer that never comes and a refusal do to a deploy under way.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::{
    docker::fake::{connected, engine},
    testing::deploy,
};

fn lost() -> EngineError {
    EngineError::Unreachable {
        address: "unix:///run/docker.sock".to_owned(),
        why: "no answer within 120 s".to_owned(),
    }
}

/// What a deploy comes to that has waited like this for `engine`.
async fn after(loss: &mut Loss, engine: &Docker) -> Result<Deploy, ApplyError> {
    let mut engine = Cow::Borrowed(engine);
    loss.wait(&mut engine, deploy(), Duration::ZERO, lost())
        .await
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
        assert_eq!(
            again,
            deploy(),
            "it was not made to the engine that is back"
        );
        let deploy = after(&mut loss, &engine).await.unwrap();
        assert!(
            matches!(&deploy.state, State::RollingBack { why, .. } if why.contains("no answer")),
            "{deploy:?}"
        );
        assert!(!loss.is_over(), "the next call begins anew");
    }
}

#[tokio::test]
async fn a_call_is_made_again_when_the_engine_is_back_and_left_open_when_it_stays_away() {
    let engine = connected(|_| (200, "{}".to_owned())).await;
    let again = after(&mut Loss::default(), &engine).await.unwrap();
    assert_eq!(again, deploy());
    let gone = gone().await;
    let again = after(&mut Loss::default(), &gone).await.unwrap();
    assert_eq!(again, deploy());
    let since = Instant::now().checked_sub(RECONNECT);
    let waited = UNHEARD;
    let mut loss = Loss {
        since,
        waited,
        renewed: true,
    };
    let end = after(&mut loss, &gone).await;
    assert!(
        matches!(end, Err(ApplyError::Interrupted { .. })),
        "{end:?}"
    );
}

#[tokio::test]
async fn only_what_was_waited_in_vain_counts_and_not_the_time_of_a_gate() {
    let engine = connected(|_| (200, "{}".to_owned())).await;
    let id = "new".to_owned();
    let created = deploy().on(Event::Created { id });
    // stop, park, promote, start
    let started = (0..4).fold(created.clone(), |deploy, _| deploy.on(Event::Done));
    let in_gate = started.clone().on(Event::Looked {
        starts: vec!["once".to_owned()],
        now: None,
    });
    let counts = Duration::from_secs(100);
    for (deploy, counted) in [
        (created, counts),
        (started, Duration::ZERO),
        (in_gate, Duration::ZERO),
    ] {
        let mut loss = Loss::default();
        let mut engine = Cow::Borrowed(&engine);
        let took = counts;
        loss.wait(&mut engine, deploy, took, lost()).await.unwrap();
        assert_eq!(loss.waited, counted + RECONNECT_PAUSE);
    }
}

#[tokio::test]
async fn a_container_whose_creation_was_not_answered_makes_room_for_a_whole_one() {
    let half_made = AtomicBool::new(true);
    let (address, asked) = engine(move |line| {
        let is_taken = half_made.load(Ordering::Relaxed);
        let labels = json!({ "towline.deploy": "0a1b2c3d" });
        match line {
            line if line.starts_with("DELETE") => {
                half_made.store(false, Ordering::Relaxed);
                (204, String::new())
            }
            line if line.contains("/create") && is_taken => {
                (409, json!({ "message": "is already in use" }).to_string())
            }
            line if line.contains("/create") => (201, json!({ "Id": "whole" }).to_string()),
            line if line.contains("/whole/") => (
                200,
                json!({ "Id": "whole", "Image": "sha256:2" }).to_string(),
            ),
            _ => {
                let name = "/web--new-0a1b2c3d";
                let shown = json!({ "Id": "half", "Name": name, "Config": { "Labels": labels } });
                (200, shown.to_string())
            }
        }
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let request = CreateRequest {
        body: json!({}),
        connect: Vec::new(),
        disconnect: None,
    };
    let with = Drive {
        engine: Cow::Owned(engine),
        service: None,
        create: Some((request, "sha256:2".to_owned())),
        recorded: None,
        clock: StepClock::default(),
    };
    let action = deploy().next().unwrap();
    let acted = act(&with, &deploy(), &action, &|_| ()).await.unwrap();
    let id = "whole".to_owned();
    assert_eq!(acted.event, Event::Created { id });
    let asked = asked.lock().unwrap();
    let removed = asked.iter().find(|line| line.starts_with("DELETE"));
    assert!(
        removed.is_some_and(|line| line.contains("/half?")),
        "{asked:?}"
    );
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
