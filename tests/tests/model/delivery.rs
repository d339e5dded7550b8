//! Deliveries: what becomes an intent, in the order of the relay's `hub`.

use towline_protocol::{IntentId, Revision, Source};
use towline_relay::{
    gate::Candidate,
    hub::ask::Committed,
    mailbox::{LeftBehind, first_epoch},
    pace::{Event, FIRST_ALARM},
};

use super::{
    hub::{ms, name},
    kv::{HUBS_PLACE, STALE_MS},
    mutant::Mutant,
    world::{Accepted, LATENCY_MS, Later, World},
};

/// What a delivery is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) number: u32,
    pub(super) channel: usize,
    /// Which delivery of it this is, as GitHub counts.
    delivery: Option<u64>,
}

impl Cause {
    pub(super) fn key(&self) -> String {
        let delivery = self.delivery.map(|delivery| format!(" by {delivery}"));
        format!("cause {}{}", self.number, delivery.unwrap_or_default())
    }
}

fn candidate(cause: Cause) -> Candidate {
    Candidate {
        dedupe_key: cause.key(),
        channel: name(cause.channel),
        expires_in: None,
        source: Source::Manual {
            by: "ops".to_owned(),
            reason: String::new(),
        },
        revision: Revision::default(),
        image: None,
        service: None,
        hosts: Vec::new(),
    }
}

impl World {
    /// A delivery arrives. When nothing is said about it in the end, GitHub was told of a failure.
    pub(super) fn deliver(&mut self, number: u32, channel: usize) {
        self.deliveries += 1;
        let delivery = self
            .makes(Mutant::DedupesByDelivery)
            .then_some(self.deliveries);
        let cause = Cause {
            number,
            channel,
            delivery,
        };
        // GitHub redelivers for three days, and a hub forgets after more than a month.
        let id = IntentId::of_key(&cause.key());
        if self
            .accepted
            .get(&id)
            .is_some_and(|one| one.pruned && one.storage == self.hub.storage)
        {
            return;
        }
        let Ok(known) = self.hub.store.find(&cause.key()) else {
            return;
        };
        if let Some(known) = known {
            return self.answered(cause, &known);
        }
        match self.hub.store.numbers(&name(channel)) {
            Err(_) => {}
            Ok(Some(numbers)) => self.commit(cause, numbers.epoch),
            Ok(None) => {
                let left_behind = self.kv.read(HUBS_PLACE, channel, self.now, STALE_MS);
                let left_behind = left_behind.map(|mailbox| mailbox.epoch);
                let life = self.hub.life;
                self.after(
                    LATENCY_MS,
                    Later::Commit {
                        cause,
                        left_behind,
                        life,
                    },
                );
            }
        }
    }

    /// KV has said what an earlier hub left behind.
    pub(super) fn begin_channel(&mut self, cause: Cause, left_behind: Option<u64>) {
        let mut left_behind = left_behind.map(|epoch| LeftBehind { epoch });
        if self.makes(Mutant::EpochFromClockOnly) {
            left_behind = None;
        }
        let Ok(mut epoch) = first_epoch(self.hub.store.created_ms(), left_behind, self.now) else {
            return;
        };
        if self.makes(Mutant::KeepsTheEpoch) {
            epoch = left_behind.map_or(epoch, |there| there.epoch);
        }
        self.commit(cause, epoch);
    }

    fn commit(&mut self, cause: Cause, first_epoch: u64) {
        let (now, alarm) = (self.timestamp(), self.now + ms(FIRST_ALARM));
        let sql = self.hub.sql.clone();
        if self.makes(Mutant::AnswersBeforeCommit) {
            let id = IntentId::of_key(&cause.key());
            self.answered(
                cause,
                &Committed {
                    id,
                    seq: self.numbers[cause.channel].1 + 1,
                    duplicate: false,
                },
            );
        }
        let committed = sql.memory.transaction(|| {
            let committed = self.hub.store.commit(candidate(cause), first_epoch, now)?;
            self.hub.arm(alarm)?;
            Ok(committed)
        });
        let Ok(committed) = committed else {
            return;
        };
        if !committed.duplicate {
            let numbers = self.numbers_of(cause.channel);
            self.check_number(cause.channel, (numbers.epoch, committed.seq));
            self.ring(cause.channel, &committed.id);
            self.act(cause.channel, Event::Behind);
        }
        self.answered(cause, &committed);
    }

    fn answered(&mut self, cause: Cause, answer: &Committed) {
        self.check_answer(cause, answer);
        let accepted = Accepted {
            channel: cause.channel,
            storage: self.hub.storage,
            pruned: false,
        };
        self.accepted.insert(answer.id.clone(), accepted);
    }
}
