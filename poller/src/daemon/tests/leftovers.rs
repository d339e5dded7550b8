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
    host.poller.clear_leftovers().await.unwrap();
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
    host.poller.clear_leftovers().await.unwrap();
    assert_eq!(host.poller.store.leftovers().unwrap(), [leftover()]);
}
