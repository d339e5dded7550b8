//! What hosts tell the hub of themselves and of intents, and what operators are told of hosts.

use towline_protocol::{Channel, Fleet, Glob, Hello, HostName, IntentId, Report};
use worker::console_log;

use super::{Hub, ask::Kept, now};
use crate::{api::fleet, doorbell, error::Fault, now_ms, tally::Event};

impl Hub {
    /// The fleet as an operator with these globs may see it.
    pub(super) fn fleet(&self, globs: &[Glob]) -> Result<Fleet, Fault> {
        let parts = self.parts()?;
        let (hosts, said, now) = (parts.store.hosts()?, parts.store.said()?, now()?);
        let today = parts.tally.borrow().today(now);
        let heard_at = |host: &HostName| self.heard_at(host);
        Ok(fleet::fleet(hosts, said, globs, now, today, heard_at))
    }

    /// Keeps a host's reports, as far as its token allows them.
    pub(super) fn keep(
        &self,
        host: &HostName,
        channels: &[Glob],
        reports: &[Report],
    ) -> Result<Kept, Fault> {
        let (store, now_ms) = (&self.parts()?.store, now_ms());
        let kept = store.keep(host, channels, reports, now_ms)?;
        store.saw(host, now_ms)?;
        self.parts()?.count(Event::Reports(kept.accepted.into()));
        if !kept.left_out.is_empty() {
            let ids: Vec<_> = kept.left_out.iter().map(IntentId::as_str).collect();
            let ids = ids.join(", ");
            console_log!("reports of {host}: left out, their channels are not its token's: {ids}");
        }
        Ok(kept)
    }

    /// Registers a host with what its token allows of its hello, and returns that.
    pub(super) fn register(
        &self,
        host: &HostName,
        channels: &[Glob],
        hello: Hello,
    ) -> Result<Hello, Fault> {
        let (hello, left_out) = doorbell::admitted(hello, channels);
        if !left_out.is_empty() {
            let names: Vec<_> = left_out.iter().map(Channel::as_str).collect();
            let names = names.join(", ");
            console_log!("hello of {host}: left out, not its token's channels: {names}");
        }
        self.parts()?.store.register(host, &hello, now_ms())?;
        Ok(hello)
    }
}
