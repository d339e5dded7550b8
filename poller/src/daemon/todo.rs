//! Which services have something to do, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use towline_protocol::{IntentId, ServiceName};

/// Which services have something to do, and when. At the start all of them have.
#[derive(Debug, Default)]
pub(super) struct Todo {
    news: u64,
    /// The number of the news that each service has dealt with.
    dealt: BTreeMap<ServiceName, u64>,
    again: BTreeMap<ServiceName, Instant>,
    /// The intent of each service that is not to be tried before a time, whatever else comes.
    put_off: BTreeMap<ServiceName, (IntentId, Instant)>,
    hold: Option<Hold>,
}

/// Services that wait for the same thing, and until when.
#[derive(Debug)]
struct Hold {
    services: BTreeSet<ServiceName>,
    until: Instant,
}

impl Todo {
    /// New intents have come.
    pub(super) fn note_news(&mut self) {
        self.news += 1;
    }

    /// `service` wants to be tried again at `at`.
    pub(super) fn again(&mut self, service: &ServiceName, at: Instant) {
        self.again.insert(service.clone(), at);
    }

    /// `intent` is to be tried again with `service` at `at`, and not sooner because of news of others.
    pub(super) fn put_off(&mut self, service: &ServiceName, intent: &IntentId, at: Instant) {
        self.again(service, at);
        self.put_off.insert(service.clone(), (intent.clone(), at));
    }

    /// Until when `intent` is put off with `service`, if it is at `now`; it is looked at again then.
    pub(super) fn is_put_off(
        &mut self,
        service: &ServiceName,
        intent: &IntentId,
        now: Instant,
    ) -> bool {
        let (_, until) = match self.put_off.get(service) {
            Some(put_off) if put_off.0 == *intent && put_off.1 > now => put_off,
            Some(_) | None => return false,
        };
        let until = *until;
        self.again(service, until);
        true
    }

    /// Nothing is to be done with `services` before `until`, and something is to be done then, also if they are none.
    pub(super) fn hold(&mut self, services: BTreeSet<ServiceName>, until: Instant) {
        self.hold = Some(Hold { services, until });
    }

    fn is_held(&self, service: &ServiceName, now: Instant) -> bool {
        let hold = self.hold.as_ref().filter(|hold| hold.until > now);
        hold.is_some_and(|hold| hold.services.contains(service))
    }

    /// Whether `service` has something to do at `now`; if so it counts as dealt with.
    pub(super) fn take(&mut self, service: &ServiceName, now: Instant) -> bool {
        if self.is_held(service, now) {
            return false;
        }
        self.hold.take_if(|hold| hold.until <= now);
        let news = self.dealt.get(service) != Some(&self.news);
        let due = self.again.get(service).is_some_and(|at| *at <= now);
        if news || due {
            self.dealt.insert(service.clone(), self.news);
            self.again.remove(service);
        }
        news || due
    }

    /// How long until one of `services` has something to do; `None` when that needs news.
    pub(super) fn pause<'a>(
        &self,
        services: impl Iterator<Item = &'a ServiceName>,
        now: Instant,
    ) -> Option<Duration> {
        let hold = self.hold.as_ref();
        let held = hold.map(|hold| hold.until.saturating_duration_since(now));
        let pause = |service: &'a ServiceName| {
            if self.dealt.get(service) != Some(&self.news) {
                return Some(Duration::ZERO);
            }
            let again = self.again.get(service)?;
            Some(again.saturating_duration_since(now))
        };
        let free = services.filter(|service| !self.is_held(service, now));
        free.filter_map(pause).chain(held).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_works_at_the_start_on_news_and_when_it_asked_for_it() {
        let (web, mut todo, now) = ("web".parse().unwrap(), Todo::default(), Instant::now());
        assert_eq!(todo.pause([&web].into_iter(), now), Some(Duration::ZERO));
        assert!(todo.take(&web, now) && !todo.take(&web, now));
        assert_eq!(todo.pause([&web].into_iter(), now), None);
        todo.note_news();
        assert!(todo.take(&web, now) && !todo.take(&web, now));
        let later = now + Duration::from_secs(9);
        todo.again(&web, later);
        assert_eq!(
            todo.pause([&web].into_iter(), now),
            Some(Duration::from_secs(9))
        );
        assert!(!todo.take(&web, now) && todo.take(&web, later) && !todo.take(&web, later));
    }

    #[test]
    fn a_service_that_the_file_names_no_longer_keeps_nobody_busy() {
        let (web, mut todo, now) = ("web".parse().unwrap(), Todo::default(), Instant::now());
        assert!(todo.take(&web, now));
        todo.again(&"gone".parse().unwrap(), now);
        assert_eq!(todo.pause([&web].into_iter(), now), None);
    }

    #[test]
    fn a_hold_is_looked_at_again_when_it_ends_though_no_service_has_news() {
        let (web, mut todo, now) = ("web".parse().unwrap(), Todo::default(), Instant::now());
        assert!(todo.take(&web, now));
        let until = now + Duration::from_secs(9);
        todo.hold(BTreeSet::new(), until);
        assert_eq!(
            todo.pause([&web].into_iter(), now),
            Some(Duration::from_secs(9))
        );
        assert!(!todo.take(&web, until));
        assert_eq!(todo.pause([&web].into_iter(), until), None);
    }

    #[test]
    fn a_hold_stops_its_services_for_its_time_and_no_other() {
        let (web, pi) = ("web".parse().unwrap(), "pi".parse().unwrap());
        let (mut todo, now) = (Todo::default(), Instant::now());
        let until = now + Duration::from_secs(9);
        todo.hold(BTreeSet::from([ServiceName::clone(&web)]), until);
        let pause = |todo: &Todo| todo.pause([&web, &pi].into_iter(), now);
        assert_eq!(pause(&todo), Some(Duration::ZERO), "the other has news");
        assert!(!todo.take(&web, now) && todo.take(&pi, now));
        assert_eq!(pause(&todo), Some(Duration::from_secs(9)));
        assert!(todo.take(&web, until));
    }
}
