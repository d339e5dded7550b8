//! Holding the service off and letting it go in the middle of all that.

use super::{super::locks::lock, *};
use crate::{lock::Lock, uptime::Moment};

/// Who holds the service off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Dump,
    Operator,
}

/// What becomes of a lock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Locked {
    Held,
    /// Its time is over.
    Over,
    Released,
}

impl World {
    pub(super) fn lock(&mut self, name: Name, how: Locked) {
        let (web, now) = (entry().service, Moment::now());
        let since = match how {
            Locked::Held | Locked::Released => now.clone(),
            Locked::Over => Moment {
                at: Timestamp::UNIX_EPOCH,
                up: Uptime {
                    boot: "an earlier one".to_owned(),
                    ms: 0,
                },
            },
        };
        let lock = Lock {
            since,
            ..lock(&format!("{name:?}").to_lowercase())
        };
        let mut locks = self.store().locks();
        match how {
            Locked::Held | Locked::Over => locks.put(&web, &lock, &now).unwrap(),
            Locked::Released => locks.remove(&web, [&lock.name].into_iter()).unwrap(),
        }
        match how {
            Locked::Held => drop(self.locked.insert(name)),
            Locked::Over | Locked::Released => drop(self.locked.remove(&name)),
        }
    }

    /// Once nobody holds the service off any more, what has come has ended or has its turn.
    pub(super) fn finish(&mut self) {
        for name in [Name::Dump, Name::Operator] {
            self.lock(name, Locked::Released);
        }
        self.take(&Turn::Resolve);
        let service = self.poller().settings.services[0].clone();
        let judged = self.poller().judge(&service).unwrap();
        self.look();
        let next = judged.map(|(intent, _)| intent.id);
        let mut received = self.received.iter();
        let is_lost = |id: &&IntentId| {
            let has_ended = self.ended.keys().any(|(ended, _)| ended == *id);
            !has_ended && next.as_ref() != Some(*id)
        };
        if let Some(id) = received.find(is_lost) {
            let how = format!("{id} has come and neither ended nor its turn");
            self.breaks(Property::HeldOff, how);
        }
    }
}

/// What becomes of whose lock.
pub(super) fn a_lock() -> impl Strategy<Value = (Name, Locked)> {
    let name = prop_oneof![Just(Name::Dump), Just(Name::Operator)];
    let locked = prop_oneof![
        1 => Just(Locked::Held),
        1 => Just(Locked::Over),
        1 => Just(Locked::Released),
    ];
    (name, locked)
}
