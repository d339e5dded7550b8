//! The hub as it is run: what the relay's `hub` does with its rows, its pacing and the alarm, in the same order.

use std::rc::Rc;

use towline_protocol::{Channel, ChannelNews, HostName, Mark};
use towline_relay::{
    error::Fault,
    hub::{ask::Committed, store::Store},
    mailbox::{Numbers, Room},
    pace::Pace,
};

use super::{
    puts::Put,
    sql::Sql,
    world::{CHANNELS, World},
};

/// The hub with its storage.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) sql: Rc<Sql>,
    pub(super) store: Store,
    pub(super) pace: Pace,
    /// Counts how often it was started on any storage.
    pub(super) life: u32,
    /// Counts its storages.
    pub(super) storage: u32,
    pub(super) alarm_at: Option<u64>,
    pub(super) alarm_fails: bool,
    /// Sockets that have said hello: host and number. The runtime keeps them.
    pub(super) greeted: Vec<(usize, u32)>,
}

impl Hub {
    pub(super) fn new(storage: u32, now: u64) -> Self {
        let sql = Rc::new(Sql::new());
        Self {
            store: Store::open(sql.clone(), now).unwrap(),
            sql,
            pace: Pace::default(),
            life: storage << 16,
            storage,
            alarm_at: None,
            alarm_fails: false,
            greeted: Vec::new(),
        }
    }

    /// Dropped and started again: rows, alarm and sockets stay.
    pub(super) fn restart(&mut self, now: u64) {
        self.sql.work();
        self.store = Store::open(self.sql.clone(), now).unwrap();
        self.pace = Pace::default();
        self.life += 1;
    }

    /// Whether a put of this life is under way.
    pub(super) fn is_putting(&self, puts: &[Put]) -> bool {
        puts.iter().any(|put| put.is_under_way(self.life))
    }

    /// What is on record for a cause, looked up without failing.
    pub(super) fn on_record(&self, key: String) -> Option<Committed> {
        self.sql.unhindered(|| self.store.find(&key).unwrap())
    }

    pub(super) fn forget_socket(&mut self, host: usize) {
        self.greeted.retain(|(own, _)| *own != host);
    }

    pub(super) fn arm(&mut self, at: u64) -> Result<(), Fault> {
        if std::mem::take(&mut self.alarm_fails) {
            return Err(Fault::storage("hub", "the alarm cannot be set"));
        }
        self.alarm_at.get_or_insert(at);
        Ok(())
    }
}

pub(super) fn name(channel: usize) -> Channel {
    CHANNELS[channel].parse().unwrap()
}

pub(super) fn index(channel: &Channel) -> usize {
    CHANNELS
        .iter()
        .position(|name| *name == channel.as_str())
        .unwrap()
}

pub(super) fn host_name(host: usize) -> HostName {
    format!("host-{host}").parse().unwrap()
}

pub(super) fn ms(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}

impl World {
    /// A channel's numbers, which it has.
    pub(super) fn numbers_of(&self, channel: usize) -> Numbers {
        let numbers = || self.hub.store.numbers(&name(channel)).unwrap().unwrap();
        self.hub.sql.unhindered(numbers)
    }

    /// The hub's own answer to a host. Room for about eight intents stands for a megabyte.
    pub(super) fn fresh(&self, channel: usize, mark: Mark) -> Option<ChannelNews> {
        let marks = [(name(channel), mark)].into();
        let room = Room::new(2_612);
        let polled = self.hub.store.since(&marks, room).ok()?;
        polled.channels.into_values().next()
    }
}
