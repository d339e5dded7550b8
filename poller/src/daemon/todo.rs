//! Which services have something to do, and when.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use towline_protocol::ServiceName;

/// Which services have something to do, and when. At the start all of them have.
#[derive(Debug, Default)]
pub(super) struct Todo {
    news: u64,
    /// The number of the news that each service has dealt with.
    dealt: BTreeMap<ServiceName, u64>,
    again: BTreeMap<ServiceName, Instant>,
    hold: Option<Instant>,
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

    /// Nothing is to be done before `until`, and something then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.hold = Some(until);
    }

    fn held(&self, now: Instant) -> Duration {
        self.hold
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether `service` has something to do at `now`; if so it counts as dealt with.
    pub(super) fn take(&mut self, service: &ServiceName, now: Instant) -> bool {
        if !self.held(now).is_zero() {
            return false;
        }
        self.hold = None;
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
        if self.hold.is_some() {
            return Some(self.held(now));
        }
        let pause = |service| {
            if self.dealt.get(service) != Some(&self.news) {
                return Some(Duration::ZERO);
            }
            let again = self.again.get(service)?;
            Some(again.saturating_duration_since(now))
        };
        services.filter_map(pause).min()
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
        todo.hold(until);
        assert_eq!(
            todo.pause([&web].into_iter(), now),
            Some(Duration::from_secs(9))
        );
        assert!(!todo.take(&web, until));
        assert_eq!(todo.pause([&web].into_iter(), until), None);
    }

    #[test]
    fn a_hold_stops_everything_for_its_time() {
        let (web, mut todo, now) = ("web".parse().unwrap(), Todo::default(), Instant::now());
        let until = now + Duration::from_secs(9);
        todo.hold(until);
        assert!(!todo.take(&web, now));
        assert_eq!(
            todo.pause([&web].into_iter(), now),
            Some(Duration::from_secs(9))
        );
        assert!(todo.take(&web, until));
    }
}
