//! What the relay is told of a try that has not come to its end: that it is at work, or what it waits for.
//!
//! `applying` is told from within a deploy and kept nowhere: what comes next is reported anyway, and a deploy shall not wait
//! for a disk or a relay that only wants to know. What an intent waits for goes through the spool.

use jiff::Timestamp;
use towline_protocol::{Intent, IntentId, Order, Outcome, Report, ServiceName};
use tracing::debug;

use super::{
    Poller,
    bell::Bell,
    deploy::next_try,
    ending::{of_try, since},
    relay_thread::RelayThread,
};
use crate::{
    apply::Progress,
    redact::Secrets,
    report::{blank, fitted},
    store::{JournalEntry, Standing},
};

/// A try of which the relay may hear while it goes on: when it begins to do something, and when it goes back.
#[derive(Debug)]
pub(super) struct Begun {
    applying: Report,
    from: From,
    is_told: bool,
}

/// From when on a try is told.
#[derive(Debug, PartialEq)]
enum From {
    /// The image is there, or on its way. Looking for it is no work yet.
    Image,
    /// The journal is open, so that there will be an end to tell.
    Journal,
    /// It goes back.
    WayBack,
}

impl Begun {
    /// The try `attempt` of `intent` with `service`; `standing` is how the last one stands.
    pub(super) fn of_try(
        service: &ServiceName,
        intent: &IntentId,
        attempt: u32,
        standing: Option<&Standing>,
    ) -> Self {
        // When something newer comes, a first try that has not begun is told as superseded, a further one is not told at all.
        let is_first = attempt == 1 || of_try(standing, attempt).is_some();
        let from = if is_first { From::Image } else { From::Journal };
        let applying = Outcome::Applying;
        Self {
            applying: blank(
                intent.clone(),
                service,
                attempt,
                applying,
                since(standing, attempt),
            ),
            from,
            is_told: false,
        }
    }

    /// The recovery of a try whose process has told of it.
    pub(super) fn of_recovery(entry: &JournalEntry) -> Self {
        Self {
            from: From::WayBack,
            ..Self::of_try(&entry.service, &entry.intent, entry.attempt, None)
        }
    }

    /// What the relay is to be told now, if anything; `place` is asked then.
    pub(super) fn note(
        &mut self,
        progress: &Progress,
        secrets: &Secrets,
        place: impl FnOnce() -> Order,
    ) -> Option<Report> {
        let goes_back = matches!(progress, Progress::RollingBack { .. });
        let prepares = matches!(
            progress,
            Progress::Pulling(_) | Progress::Pulled { .. } | Progress::Fetched { .. }
        );
        let is_due = match self.from {
            From::Image => true,
            From::Journal => !prepares,
            From::WayBack => goes_back,
        };
        if !is_due || (self.is_told && !goes_back) {
            return None;
        }
        self.is_told = true;
        let name = self.applying.service.as_ref()?;
        let message = secrets.hide(&format!("{name}: {progress}"));
        let applying = self.applying.clone();
        Some(fitted(Report {
            message,
            order: Some(place()),
            ..applying
        }))
    }

    /// What the relay was told, if it was.
    fn told(self) -> Option<Report> {
        self.is_told.then_some(self.applying)
    }
}

/// Places what is told past the spool among the host's reports: after all that was spooled, and told, before.
#[derive(Debug)]
pub(super) struct Aside {
    last: u64,
}

impl Aside {
    /// What a process tells that begins `now` comes after what those before it have told, if the clock goes right.
    pub(super) fn new(now: Timestamp) -> Self {
        let last = u64::try_from(now.as_millisecond()).unwrap_or_default();
        Self { last }
    }

    /// The next place, after the report that has got the number `spooled`.
    pub(super) fn place(&mut self, spooled: u64) -> Order {
        self.last = self.last.saturating_add(1);
        Order(spooled, self.last)
    }
}

/// Sends what is told of a try while it goes on, by the doorbell if it is connected. Whether it arrives is not waited for.
pub(super) fn mention(report: Option<Report>, bell: &Bell, relay: &RelayThread) {
    match (report, bell.open()) {
        (Some(report), Some(doorbell)) => doorbell.mention(report),
        (Some(report), None) => relay.mention(report),
        (None, _) => {}
    }
}

impl Poller {
    /// Keeps in mind that the relay was told of a try whose end it does not know.
    pub(super) fn note_begun(&mut self, begun: Begun) {
        if let Some(applying) = begun.told()
            && let Some(service) = applying.service.clone()
        {
            self.pending.insert(service, applying);
        }
    }

    /// Tells the relay why `intent` has not its turn with `service`, once as long as that stays so; `standing` is how its
    /// last try stands. Only who follows the intent needs to know, so that nothing fails for it.
    pub(super) fn tell_waiting(
        &mut self,
        service: &ServiceName,
        intent: &Intent,
        standing: Option<&Standing>,
        why: &str,
    ) {
        if standing.is_some_and(|standing| standing.outcome.is_terminal()) {
            // When something newer comes, nothing more would be told of it.
            return;
        }
        let attempt = next_try(standing);
        let begun_at = since(standing, attempt);
        let waiting = blank(
            intent.id.clone(),
            service,
            attempt,
            Outcome::Waiting,
            begun_at,
        );
        self.tell_once(service, waiting, why);
    }

    /// Tells the relay why a deploy that was interrupted is not taken to its end yet, once as long as that stays so. Its end
    /// will be told.
    pub(super) fn tell_interrupted(&mut self, entry: &JournalEntry, why: &str) {
        if entry.on_purpose.is_some() {
            return;
        }
        let (service, waiting) = (&entry.service, Outcome::Waiting);
        let begun_at = entry.begun.as_ref().map(|begun| begun.at);
        let begun_at = begun_at.unwrap_or_else(Timestamp::now);
        let waiting = blank(
            entry.intent.clone(),
            service,
            entry.attempt,
            waiting,
            begun_at,
        );
        let why = format!("a deploy was interrupted and cannot be taken to its end yet: {why}");
        self.tell_once(service, waiting, &why);
    }

    fn tell_once(&mut self, service: &ServiceName, waiting: Report, why: &str) {
        let message = self.secrets.hide(&format!("{service}: {why}"));
        let report = fitted(Report { message, ..waiting });
        let is_same = |told: &Report| {
            (&told.intent, told.outcome, &told.message)
                == (&report.intent, report.outcome, &report.message)
        };
        if self.pending.get(service).is_some_and(is_same) {
            return;
        }
        match self.store.spool(&report) {
            Ok(()) => drop(self.pending.insert(service.clone(), report)),
            Err(error) => debug!(%service, "that it waits is not reported: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{docker::Layers, testing};

    fn told(begun: &mut Begun, progress: &[Progress]) -> Vec<String> {
        let mut secrets = Secrets::default();
        secrets.add("tl1.e30.AAAA");
        let told = progress.iter();
        let mut aside = Aside::new(Timestamp::UNIX_EPOCH);
        let told = told.filter_map(|progress| begun.note(progress, &secrets, || aside.place(7)));
        told.map(|report| {
            assert_eq!(report.outcome, Some(Outcome::Applying));
            report.message
        })
        .collect()
    }

    fn deploy() -> Vec<Progress> {
        let pulling = || Progress::Pulling(Layers::default());
        let pulled = Progress::Pulled {
            digest: testing::digest('a'),
            layers: Layers::default(),
        };
        let why = "it answered tl1.e30.AAAA".to_owned();
        let back = Progress::RollingBack { why };
        vec![
            pulling(),
            pulling(),
            pulled,
            Progress::Created,
            Progress::Started,
            back,
            Progress::RolledBack,
        ]
    }

    fn of(attempt: u32, standing: Option<&Standing>) -> Begun {
        let web = "web".parse().unwrap();
        Begun::of_try(&web, &testing::intent(7, 1).id, attempt, standing)
    }

    #[test]
    fn a_try_is_told_when_it_begins_and_when_it_goes_back_without_secrets() {
        let mut begun = of(1, None);
        let messages = told(&mut begun, &deploy());
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].starts_with("web: pulling"), "{messages:?}");
        assert_eq!(messages[1], "web: rolling back: it answered ***");
        assert_eq!(begun.told().unwrap().attempt, 1);
    }

    #[test]
    fn what_is_told_past_the_spool_comes_after_what_was_spooled_and_told_before() {
        let mut aside = Aside::new(Timestamp::UNIX_EPOCH);
        let mut places = vec![Order(6, 0)];
        places.extend([6, 6, 7].map(|spooled| aside.place(spooled)));
        let mut next_process =
            Aside::new(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1));
        places.extend([next_process.place(7), Order(8, 0)]);
        assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
    }

    #[test]
    fn a_further_try_is_told_only_once_its_end_is_sure_to_be_told() {
        let messages = told(&mut of(2, None), &deploy());
        assert_eq!(messages[0], "web: created the new container");
        let mut never = of(2, None);
        assert!(told(&mut never, &deploy()[..3]).is_empty());
        assert_eq!(never.told(), None);
    }

    #[test]
    fn a_recovery_is_told_only_when_it_goes_back() {
        let entry = JournalEntry {
            deploy: "0a0a0a0a".to_owned(),
            service: "web".parse().unwrap(),
            intent: testing::intent(7, 1).id,
            attempt: 1,
            body: String::new(),
            on_purpose: None,
            begun: None,
        };
        let messages = told(&mut Begun::of_recovery(&entry), &deploy());
        assert_eq!(messages, ["web: rolling back: it answered ***"]);
    }
}
