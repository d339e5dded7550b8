//! Whether a version that a deploy has brought is well still. Pure.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use towline_protocol::{Digest, ServiceName};

use super::{Observed, PendingState, ServiceStatus, project, replicas};
use crate::store::Unwell;

/// How many starts, each seen for the first time, make a version one that is started again and again.
const STARTS: u32 = 3;

impl ServiceStatus {
    /// What is wrong with the version that the last deploy has brought, by what the engine shows now. Nothing is known of
    /// what somebody else has put in its place.
    pub fn trouble(&self) -> Option<String> {
        if !self.is_as_deployed() || self.is_under_way() {
            return None;
        }
        match &self.containers {
            Some(containers) => project::trouble(containers, &self.missing),
            None if !self.replicas.is_empty() => replicas::trouble(&self.replicas),
            None => self.observed.as_ref()?.trouble(),
        }
    }

    /// Whether a deploy is at it, or was interrupted at it: then it is that one's to say what is there.
    pub(super) fn is_under_way(&self) -> bool {
        let pending = self.pending.as_ref().map(|pending| pending.state);
        matches!(
            pending,
            Some(PendingState::Applying | PendingState::Interrupted)
        )
    }

    /// What the engine shows of it, all containers of a project together; of a project without any that should have some,
    /// that there are none.
    fn watched(&self) -> Option<Observed> {
        match &self.containers {
            Some(containers) if containers.is_empty() && self.missing.is_empty() => None,
            Some(containers) => Some(project::together(containers)),
            None => self.observed.clone(),
        }
    }
}

impl Observed {
    /// Whether it has been started and has not ended for good.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "running" | "restarting" | "paused")
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<String> {
        match (self.state.as_str(), self.health.as_deref()) {
            ("exited" | "dead", _) => Some(match self.exit_code {
                Some(code) => format!("it ended with status {code}"),
                None => "it ended".to_owned(),
            }),
            ("restarting", _) => Some("it is started again and again".to_owned()),
            (_, Some("unhealthy")) => Some("unhealthy".to_owned()),
            _ => None,
        }
    }
}

/// How often the services were seen to start, since this process looks.
#[derive(Debug, Default)]
pub struct Watch(BTreeMap<ServiceName, Watched>);

#[derive(Debug)]
struct Watched {
    digest: Option<Digest>,
    started_at: Option<Timestamp>,
    /// How many looks in a row have found another start than the one before.
    starts: u32,
    /// Whether something of it was missing.
    missed: bool,
}

/// What is new of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is wrong, or was.
    pub what: String,
    /// When that was first seen.
    pub since: Timestamp,
    /// When it was first seen to be well again.
    pub until: Option<Timestamp>,
}

impl Change {
    /// What is wrong from now on.
    pub fn unwell(&self) -> Option<Unwell> {
        let (what, since) = (self.what.clone(), self.since);
        self.until.is_none().then_some(Unwell { what, since })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, since, until } = self;
        match until {
            None => write!(f, "not well since {since:.0}: {what}"),
            Some(until) => write!(f, "not well from {since:.0} to {until:.0}: {what}"),
        }
    }
}

impl Watch {
    /// Takes note of what is seen of `service` at `now`; returns what is new beside what was told as wrong with it, `told`.
    ///
    /// Well again is what was found by two looks in the same run, since what crashes again and again runs in between. What is
    /// missing must be so at two looks as well: whoever makes a container anew removes it first. While a deploy is under way it
    /// is not known how the version is.
    pub fn note(
        &mut self,
        service: &ServiceStatus,
        told: Option<&Unwell>,
        now: Timestamp,
    ) -> Option<Change> {
        let observed = service.watched()?;
        if !service.is_as_deployed() || service.is_under_way() {
            self.0.remove(&service.name);
            return None;
        }
        let before = self.0.remove(&service.name);
        let before = before.filter(|before| before.digest == observed.digest);
        let is_same_run = before
            .as_ref()
            .is_some_and(|before| before.started_at == observed.started_at);
        let starts = match &before {
            // What somebody has started, a deploy that went back for instance, is nobody's crash.
            Some(before) if !is_same_run && observed.restarts > 0 => before.starts + 1,
            _ => 1,
        };
        let again = || "it is started again and again".to_owned();
        let trouble = service.trouble().or_else(|| (starts >= STARTS).then(again));
        let missed = !service.missing.is_empty();
        let is_new_gap = missed && !before.is_some_and(|before| before.missed);
        let is_settled = is_same_run && observed.health.as_deref() != Some("starting");
        let watched = Watched {
            digest: observed.digest.clone(),
            started_at: observed.started_at,
            starts,
            missed,
        };
        self.0.insert(service.name.clone(), watched);
        match (trouble, told.cloned()) {
            (None, Some(Unwell { what, since })) if is_settled => Some(Change {
                what,
                since,
                until: Some(now),
            }),
            (Some(what), None) if !is_new_gap => Some(Change {
                what,
                since: now,
                until: None,
            }),
            (None | Some(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const START: &str = "2026-11-20T15:00:00Z";

    /// A service whose last deploy has brought one digest, with what the engine shows of its container.
    fn web(observed: &Value, digest: char) -> ServiceStatus {
        let mut observed = observed.clone();
        observed["digest"] = json!(crate::testing::digest(digest));
        serde_json::from_value(json!({
            "name": "web", "container": "web", "pending": null, "last": null, "observed": observed,
            "deployed": { "sha": null, "digest": crate::testing::digest('a'), "intent": null, "since": START }
        }))
        .unwrap()
    }

    fn seen(state: &str, health: Option<&str>, started_at: &str) -> Value {
        json!({ "state": state, "health": health, "exit_code": null, "started_at": started_at, "reference": null })
    }

    fn at(minute: u32) -> Timestamp {
        format!("2026-11-20T16:{minute:02}:00Z").parse().unwrap()
    }

    /// What is told, look after look, a minute apart.
    fn told(looks: &[Value]) -> Vec<String> {
        let mut watch = Watch::default();
        let mut unwell = None;
        let changes = (0..).zip(looks).filter_map(|(minute, look)| {
            let change = watch.note(&web(look, 'a'), unwell.as_ref(), at(minute))?;
            unwell = change.unwell();
            Some(change)
        });
        changes.map(|change| change.to_string()).collect()
    }

    #[test]
    fn what_turns_unhealthy_ends_or_restarts_is_told_once() {
        let good = seen("running", Some("healthy"), START);
        let mut ended = seen("exited", None, START);
        ended["exit_code"] = json!(137);
        for (bad, what) in [
            (seen("running", Some("unhealthy"), START), "unhealthy"),
            (
                seen("restarting", None, START),
                "it is started again and again",
            ),
            (ended, "it ended with status 137"),
        ] {
            let looks = [good.clone(), bad.clone(), bad.clone(), bad];
            assert_eq!(
                told(&looks),
                [format!("not well since 2026-11-20T16:01:00Z: {what}")]
            );
        }
        assert_eq!(
            told(&[good.clone(), good, seen("created", None, START)]),
            [""; 0]
        );
    }

    #[test]
    fn it_is_well_again_when_it_stays_up() {
        let good = |start| seen("running", None, start);
        let bad = || seen("restarting", None, START);
        let late = "2026-11-20T16:30:00Z";
        assert_eq!(
            told(&[
                bad(),
                good("2026-11-20T16:01:00Z"),
                bad(),
                good(late),
                good(late),
                good(late)
            ])[1..],
            [
                "not well from 2026-11-20T16:00:00Z to 2026-11-20T16:04:00Z: it is started again and again"
            ]
        );
        let starting = seen("running", Some("starting"), START);
        assert_eq!(
            told(&[
                seen("running", Some("unhealthy"), START),
                starting.clone(),
                starting
            ])
            .len(),
            1
        );
    }

    #[test]
    fn what_runs_at_each_look_but_never_the_same_run_is_started_again_and_again() {
        let run_of = |restarts: u64, minute: u32| {
            let mut run = seen("running", None, &at(minute).to_string());
            run["restarts"] = json!(restarts);
            run
        };
        let run = |minute| run_of(7, minute);
        assert_eq!(told(&[run(0), run(1), run(1), run(3), run(3)]), [""; 0]);
        let by_hand = [0, 1, 2, 3, 4].map(|minute| run_of(0, minute));
        assert_eq!(told(&by_hand), [""; 0], "deploys that went back, say");
        assert_eq!(
            told(&[run(0), run(1), run(2), run(3), run(4)]),
            ["not well since 2026-11-20T16:02:00Z: it is started again and again"]
        );
    }

    #[test]
    fn what_towline_has_not_brought_is_nobodys_trouble_and_a_new_version_begins_anew() {
        let bad = seen("running", Some("unhealthy"), START);
        assert_eq!(web(&bad, 'b').trouble(), None);
        let mut watch = Watch::default();
        assert_eq!(watch.note(&web(&bad, 'b'), None, at(0)), None);
        let told = watch.note(&web(&bad, 'a'), None, at(1)).unwrap().unwell();
        assert_eq!(watch.note(&web(&bad, 'b'), told.as_ref(), at(2)), None);
        assert!(watch.note(&web(&bad, 'a'), None, at(3)).is_some());
        let mut unseen = web(&bad, 'a');
        unseen.observed = None;
        assert_eq!(watch.note(&unseen, told.as_ref(), at(4)), None);
        assert_eq!(
            watch.note(&web(&bad, 'a'), told.as_ref(), at(5)),
            None,
            "told"
        );
    }

    #[test]
    fn what_another_process_has_told_is_not_told_again_but_taken_back() {
        let told = Unwell {
            what: "unhealthy".to_owned(),
            since: at(0),
        };
        let mut watch = Watch::default();
        let bad = web(&seen("running", Some("unhealthy"), START), 'a');
        assert_eq!(watch.note(&bad, Some(&told), at(1)), None);
        let good = web(&seen("running", Some("healthy"), START), 'a');
        let change = watch.note(&good, Some(&told), at(2)).unwrap();
        assert_eq!(
            change.to_string(),
            "not well from 2026-11-20T16:00:00Z to 2026-11-20T16:02:00Z: unhealthy"
        );
        assert_eq!(change.unwell(), None);
    }

    /// A project whose last deploy has brought an api and a database, with what there is of it now.
    fn stack(containers: &Value, missing: &Value) -> ServiceStatus {
        serde_json::from_value(json!({
            "name": "stack", "kind": "compose", "container": null, "pending": null, "last": null, "observed": null,
            "deployed": { "sha": crate::testing::SHA, "digest": null, "intent": null, "since": START },
            "containers": containers, "missing": missing
        }))
        .unwrap()
    }

    fn member(service: &str, as_deployed: bool) -> Value {
        let mut member = seen("running", None, START);
        member["service"] = json!(service);
        member["as_deployed"] = json!(as_deployed);
        member
    }

    #[test]
    fn what_is_gone_of_a_project_is_told_once_and_taken_back_when_it_is_there_again() {
        let (api, db) = (member("api", true), member("db", true));
        let no_db = json!([{ "service": "db", "there": 0, "of": 1 }]);
        let all = stack(&json!([api, db]), &json!([]));
        let looks = [
            all.clone(),
            stack(&json!([api]), &no_db),
            all.clone(),
            stack(&json!([api]), &no_db),
            stack(&json!([api]), &no_db),
            stack(&json!([]), &no_db),
            all.clone(),
            all,
        ];
        let (mut watch, mut unwell, mut told) = (Watch::default(), None, Vec::new());
        for (minute, look) in (0..).zip(&looks) {
            if let Some(change) = watch.note(look, unwell.as_ref(), at(minute)) {
                unwell = change.unwell();
                told.push(change.to_string());
            }
        }
        assert_eq!(
            told,
            [
                "not well since 2026-11-20T16:04:00Z: db is gone",
                "not well from 2026-11-20T16:04:00Z to 2026-11-20T16:07:00Z: db is gone"
            ]
        );
        let gone = "all of its containers are gone";
        assert_eq!(looks[5].trouble().as_deref(), Some(gone));
        assert_eq!((looks[5].sha(), looks[5].digest()), (None, None));
    }

    #[test]
    fn too_few_containers_and_one_that_ended_are_told_together_unless_a_deploy_is_at_it() {
        let mut ended = member("db", true);
        (ended["state"], ended["exit_code"]) = (json!("exited"), json!(0));
        let few = json!([{ "service": "api", "there": 1, "of": 2 }]);
        let mut project = stack(&json!([member("api", true), ended]), &few);
        let trouble = "api has 1 of 2 containers; db: it ended with status 0";
        assert_eq!(project.trouble().as_deref(), Some(trouble));
        for state in ["applying", "interrupted"] {
            under_way(&mut project, state);
            assert_eq!(project.trouble(), None, "{state}");
        }
    }

    /// Has a deploy be at it, or interrupted at it.
    fn under_way(service: &mut ServiceStatus, state: &str) {
        service.pending = serde_json::from_value(json!({
            "state": state, "intent": crate::testing::intent(7, 1).id, "sha": null, "why": "", "since": null, "until": null
        }))
        .unwrap();
    }

    #[test]
    fn while_a_deploy_is_under_way_nothing_is_well_again_and_nothing_something_else() {
        let told = Unwell {
            what: "unhealthy".to_owned(),
            since: at(0),
        };
        let good = seen("running", Some("healthy"), START);
        for state in ["applying", "interrupted"] {
            let mut watch = Watch::default();
            let [mut same, mut other] = ['a', 'b'].map(|digit| web(&good, digit));
            assert!(other.is_something_else());
            for service in [&mut same, &mut other] {
                under_way(service, state);
                assert!(!service.is_something_else(), "{state}");
            }
            for minute in 1..4 {
                assert_eq!(watch.note(&same, Some(&told), at(minute)), None, "{state}");
            }
        }
    }

    #[test]
    fn a_project_in_which_somebody_has_put_another_image_is_not_what_was_deployed() {
        let containers = json!([member("api", false), member("db", true)]);
        let project = stack(&containers, &json!([]));
        assert!(project.is_something_else());
        assert_eq!((project.trouble(), project.sha()), (None, None));
        let others: Vec<_> = project.others().map(|one| one.service.as_str()).collect();
        assert_eq!(others, ["api"]);
        let mut watch = Watch::default();
        assert_eq!(watch.note(&project, None, at(0)), None);
    }

    #[test]
    fn a_project_of_which_nothing_is_known_and_nothing_is_there_is_nobodys_trouble() {
        let told = Unwell {
            what: "api: unhealthy".to_owned(),
            since: at(0),
        };
        let (mut watch, project) = (Watch::default(), stack(&json!([]), &json!([])));
        for minute in 1..4 {
            assert_eq!(watch.note(&project, Some(&told), at(minute)), None);
        }
    }
}
