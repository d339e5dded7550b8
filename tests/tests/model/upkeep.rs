//! The hourly upkeep, in the order of the relay's `upkeep`.

use towline_relay::{
    pace::{Event, FIRST_ALARM},
    upkeep::{self, Finding, MAILBOXES_A_RUN, ROWS_A_RUN},
};

use super::{
    hub::{index, ms, name},
    kv::{HUBS_PLACE, STALE_MS},
    world::World,
};

impl World {
    /// The hourly run, in the order of the relay's `upkeep`.
    pub(super) fn cron(&mut self) {
        let Ok(channels) = self.hub.store.next_mailboxes(MAILBOXES_A_RUN) else {
            return;
        };
        let mut doubted = Vec::new();
        for (name, known) in &channels {
            let channel = index(name);
            let in_kv = self.kv.read(HUBS_PLACE, channel, self.now, STALE_MS);
            let json = in_kv
                .map(|there| format!(r#"{{"epoch": {}, "head": {}}}"#, there.epoch, there.head));
            let done = match upkeep::compare(*known, json.as_deref(), self.now) {
                Finding::Fine | Finding::Incredible => continue,
                Finding::Overtaken(epoch) => self.hub.store.raise_epoch(name, epoch),
                Finding::Lost => Ok(()),
            };
            if done.is_err() {
                return;
            }
            doubted.push(channel);
        }
        let alarm = self.now + ms(FIRST_ALARM);
        let is_due = self.hub.store.due().is_ok_and(|due| !due.is_empty());
        if is_due && self.hub.arm(alarm).is_err() {
            return;
        }
        for channel in doubted {
            self.act(channel, Event::Doubt);
        }
        let is_full = channels.len() as u64 >= MAILBOXES_A_RUN;
        let last = channels.last().filter(|_| is_full);
        let _ = self.hub.store.compared(last.map(|(name, _)| name));
    }

    /// Five weeks pass for what is there now: no delivery of it comes again, and what a channel says that it has forgotten
    /// nobody fetches any more.
    pub(super) fn prune(&mut self) {
        let _ = self.hub.store.prune_intents(self.now + 1, ROWS_A_RUN);
        self.hub.sql.unhindered(|| {
            for (id, accepted) in &mut self.accepted {
                let numbers = self.hub.store.numbers(&name(accepted.channel)).unwrap();
                let before = numbers.map_or(0, |numbers| numbers.pruned_before);
                let intent = self.hub.store.intent(id).unwrap();
                accepted.pruned |= intent.is_none_or(|intent| intent.seq < before);
            }
        });
    }
}
