//! The store on real files.

mod damage;
mod keeping;
mod locks;
mod migration;
mod revisions;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
};

use serde_json::json;
use tempfile::TempDir;
use towline_protocol::{Channel, Intent, Mark, Order, Outcome, Report, ServiceName, Side};

use super::*;
use crate::{
    report::{acknowledgement, blank},
    select::Seen,
    settings::Service,
    testing::{self, intent},
};

fn channel() -> Channel {
    "octo-org/web".parse().unwrap()
}

fn web() -> ServiceName {
    "web".parse().unwrap()
}

fn report(seq: u64, outcome: Outcome) -> Report {
    blank(intent(7, seq).id, &web(), 1, outcome, Timestamp::UNIX_EPOCH)
}

/// The acknowledgement of a host that runs `web` and `api`.
fn acknowledged(intent: &Intent) -> Report {
    let mut services = vec![testing::service("")];
    services.push(Service {
        name: "api".parse().unwrap(),
        ..services[0].clone()
    });
    acknowledgement(
        &"pi".parse().unwrap(),
        &services,
        intent,
        Timestamp::UNIX_EPOCH,
    )
}

fn at(seq: u64) -> Mark {
    Mark { epoch: 7, seq }
}

fn entry(deploy: &str, body: &str) -> JournalEntry {
    JournalEntry {
        deploy: deploy.to_owned(),
        service: web(),
        intent: intent(7, 1).id,
        attempt: 1,
        body: body.to_owned(),
        on_purpose: None,
        begun: None,
    }
}

/// A store with something in every table, closed again.
fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store
        .receive(
            &channel(),
            at(2),
            &[intent(7, 2), intent(7, 1)],
            acknowledged,
        )
        .unwrap();
    let seen = Seen {
        channel: Some(channel()),
        newest: at(2),
        runs: vec![],
    };
    store
        .settle(&web(), &seen, &[report(1, Outcome::Superseded)])
        .unwrap();
    store.write_journal(&entry("0a0a0a0a", "{}")).unwrap();
    dir
}

/// Changes the closed database as a program that is not the poller would.
fn change(dir: &TempDir, sql: &str) {
    let db = Connection::open(dir.path().join("state.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

fn failed(digest: char) -> Quarantined {
    Quarantined {
        version: testing::digest(digest).into(),
        sha: None,
        intent: Some(intent(7, 1).id),
        channel: channel(),
        place: at(1),
        since: Timestamp::UNIX_EPOCH,
        why: "gate".to_owned(),
        on_purpose: false,
    }
}
