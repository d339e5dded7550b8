//! The loop's parts with a real store, without an engine and without a relay.

mod acknowledging;
mod after;
mod again;
mod answers;
mod judging;
mod leftovers;
mod locks;
mod order;
mod recovery;
mod roll_back;
mod rung;
mod waiting;
mod watching;

use tempfile::TempDir;
use towline_protocol::{ChannelNews, Intent, Mark, Side, Source};

use super::*;
use crate::{
    docker::RegistryTrouble,
    machine::Fault,
    relay_client::{Answer, News},
    report,
    report::Delivery,
    store::{End, JournalEntry, Running, Standing, StoreError},
    testing,
    uptime::{Awaited, Moment, Uptime, Waited},
};

/// A poller of the service `web` whose engine is not there.
struct Host {
    poller: Poller,
    stop: Stop,
    _dir: TempDir,
}

impl Host {
    fn new() -> Self {
        Self::with_engine(None)
    }

    /// One whose engine is at this address.
    fn with_engine(address: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let nowhere = || format!("unix://{}", dir.path().join("no-engine.sock").display());
        let address = address.unwrap_or_else(nowhere);
        let token = Secret::new("tl1.e30.AAAA");
        let name = "pi".parse().unwrap();
        let settings = testing::settings("");
        let poller = Poller::new(settings, name, &token, store, Some(address)).unwrap();
        let stop = Stop::on_signals().unwrap();
        Self {
            poller,
            stop,
            _dir: dir,
        }
    }

    /// Takes in intents, whose acknowledgements the relay gets at once.
    fn receive(&mut self, intents: &[Intent]) {
        let channel = "octo-org/web".parse().unwrap();
        let newest = intents.last().unwrap().seq;
        let mark = Mark {
            epoch: 7,
            seq: newest,
        };
        let (host, services) = (&self.poller.host, &self.poller.settings.services);
        let acknowledged =
            |intent: &Intent| report::acknowledgement(host, services, intent, intent.created_at);
        let store = &mut self.poller.store;
        store
            .receive(&channel, mark, intents, acknowledged)
            .unwrap();
        let sent = store.spooled(9999).unwrap().into_iter();
        let acknowledgements = sent.filter(|one| one.report.service.is_none());
        let ids: Vec<_> = acknowledgements.map(|one| one.id).collect();
        store.acknowledge(&ids).unwrap();
        self.poller.todo.note_news();
    }

    /// Keeps an end of a deploy.
    fn ends(&mut self, end: &End) {
        let web = entry().service;
        self.poller.store.close_journal("0", &web, end).unwrap();
    }

    async fn work(&mut self) -> Result<(), StoreError> {
        self.poller.work(&self.stop).await
    }

    /// How long until the service is to be looked at again.
    fn pause(&self) -> Option<Duration> {
        let services = self.poller.settings.services.iter();
        let names = services.map(|service| &service.name);
        self.poller.todo.pause(names, Instant::now())
    }

    fn standing(&self) -> Standing {
        let standings = self.poller.store.standings(&entry().service).unwrap();
        standings[&entry().intent].clone()
    }
}

fn manual(seq: u64) -> Intent {
    Intent {
        source: Source::Manual {
            by: "night".to_owned(),
            reason: String::new(),
        },
        ..testing::intent(7, seq)
    }
}

fn entry() -> JournalEntry {
    JournalEntry {
        deploy: "0a0a0a0a".to_owned(),
        service: "web".parse().unwrap(),
        intent: manual(1).id,
        attempt: 1,
        body: "{}".to_owned(),
        on_purpose: None,
        begun: None,
    }
}

fn applied(outcome: Outcome) -> Applied {
    moved(outcome, Side::default(), Side::default())
}

/// An end of a deploy of one container from one version to another.
fn moved(outcome: Outcome, from: Side, to: Side) -> Applied {
    Applied::new(outcome, from, to, String::new())
}

/// Makes writes to `table` fail, as a full disk does.
fn fill_disk(table: &str) -> String {
    format!(
        "CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
    )
}

/// An answer to the usual question, with a tag.
fn answer(epoch: u64, intents: &[Intent]) -> Answer {
    let news = ChannelNews {
        epoch,
        head: intents.last().map_or(0, |intent| intent.seq),
        pruned_before: 0,
        intents: intents.to_vec(),
    };
    let channel = "octo-org/web".parse().unwrap();
    let unreadable = std::collections::BTreeSet::new();
    Answer {
        channels: [(channel, News { news, unreadable })].into(),
        complaints: Vec::new(),
        tag: Some(Tag::of("question", "v1")),
    }
}
