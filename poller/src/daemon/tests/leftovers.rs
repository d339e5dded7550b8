//! Old containers that an engine did not let go.

use serde_json::json;

use super::*;
use crate::{docker::fake::engine, machine::Leftover};

fn leftover() -> Leftover {
    Leftover {
        id: "abc".to_owned(),
        name: "web--old-0a1b2c3d".to_owned(),
    }
}

/// A host that has one, whose engine shows it under `name` and answers `status` when it is to be removed; that host, and
/// how often the engine was asked to.
async fn after_a_start(name: &'static str, status: u16) -> (Host, usize) {
    let (address, asked) = engine(move |line| {
        if line.starts_with("DELETE") {
            (status, json!({ "message": "it is in use" }).to_string())
        } else {
            (200, json!({ "Id": "abc", "Name": name }).to_string())
        }
    });
    let mut host = Host::with_engine(Some(address));
    let end = End {
        left: vec![leftover()],
        ..End::default()
    };
    let web = entry().service;
    host.poller.store.close_journal("0", &web, &end).unwrap();
    host.poller.clear_leftovers(&host.stop).await.unwrap();
    let lines = asked.lock().unwrap();
    let removals = lines.iter().filter(|line| line.starts_with("DELETE"));
    (host, removals.count())
}

#[tokio::test]
async fn what_the_engine_lets_go_by_now_is_removed_and_forgotten() {
    let (host, removals) = after_a_start("/web--old-0a1b2c3d", 204).await;
    assert_eq!(
        (host.poller.store.leftovers().unwrap(), removals),
        (vec![], 1)
    );
}

#[tokio::test]
async fn what_the_engine_still_holds_is_tried_again_at_the_next_start() {
    let (host, removals) = after_a_start("/web--old-0a1b2c3d", 409).await;
    let left = host.poller.store.leftovers().unwrap();
    assert_eq!((left, removals), (vec![leftover()], 1));
}

#[tokio::test]
async fn what_somebody_has_renamed_is_left_alone_for_good() {
    let (host, removals) = after_a_start("/precious", 204).await;
    assert_eq!(
        (host.poller.store.leftovers().unwrap(), removals),
        (vec![], 0)
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_keeps_no_service_waiting() {
    let mut host = Host::with_engine(Some("tcp://127.0.0.1:1".to_owned()));
    let end = End {
        left: vec![leftover()],
        ..End::default()
    };
    let web = entry().service;
    host.poller.store.close_journal("0", &web, &end).unwrap();
    host.poller.clear_leftovers(&host.stop).await.unwrap();
    assert_eq!(host.poller.store.leftovers().unwrap(), [leftover()]);
}

/// A host that has one, whose engine is at its removal and never done.
fn before_a_slow_engine() -> Host {
    let (address, _) = engine(|line| {
        if line.starts_with("DELETE") {
            let message = "removal of container abc is already in progress";
            (409, json!({ "message": message }).to_string())
        } else {
            let shown = json!({ "Id": "abc", "Name": "/web--old-0a1b2c3d" });
            (200, shown.to_string())
        }
    });
    let mut host = Host::with_engine(Some(address));
    host.ends(&End {
        left: vec![leftover()],
        ..End::default()
    });
    host
}

#[tokio::test]
async fn an_engine_that_is_never_done_holds_up_a_start_for_no_more_than_some_seconds() {
    let mut host = before_a_slow_engine();
    let clearing = host.poller.clear_leftovers(&host.stop);
    // A deploy would give it half a minute.
    let cleared = tokio::time::timeout(Duration::from_secs(20), clearing).await;
    cleared.expect("the start goes on").unwrap();
    assert_eq!(host.poller.store.leftovers().unwrap(), [leftover()]);
}

#[tokio::test]
async fn a_stop_is_heeded_while_the_engine_removes() {
    let mut host = before_a_slow_engine();
    let (tell, stop) = Stop::when_told();
    let clearing = host.poller.clear_leftovers(&stop);
    let asking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        tell.send(true).unwrap();
        std::future::pending::<()>().await;
    };
    let begun = Instant::now();
    tokio::select! {
        cleared = clearing => cleared.unwrap(),
        () = asking => {}
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "it ends at once");
    assert_eq!(host.poller.store.leftovers().unwrap(), [leftover()]);
}
