//! `GET /v1/intents/{id}`: how an intent fares, by what hosts said of it and which hosts have yet to.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use towline_protocol::{HostName, Intent, IntentStatus, MAX_ANSWER, Report, answer::HostStatus};

/// For how long a host that was seen on a channel is expected to say something of its intents.
const EXPECTED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What one host said, and when the hub heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who said it.
    pub host: HostName,
    /// When the hub heard it.
    pub at: Timestamp,
    /// What it said.
    pub report: Report,
}

/// A host that listens to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub host: HostName,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

/// How an intent fares: of each host and service the report of the last attempt.
pub fn status(intent: Intent, heard: Vec<Heard>) -> IntentStatus {
    let mut hosts: BTreeMap<HostName, HostStatus> = BTreeMap::new();
    for Heard { host, at, report } in heard {
        let status = hosts.entry(host).or_insert_with(|| HostStatus {
            seen_at: at,
            matched: None,
            services: BTreeMap::new(),
        });
        status.seen_at = status.seen_at.max(at);
        let Some(service) = report.service.clone() else {
            status.matched = Some(report.matched);
            continue;
        };
        let later = status.services.get(&service);
        if later.is_none_or(|later| later.attempt <= report.attempt) {
            status.services.insert(service, report);
        }
    }
    IntentStatus { intent, hosts }
}

/// Adds the hosts that should say something of the intent and have not yet: those it is for that listen to
/// its channel and were heard of in the last seven days. `heard_at` tells of those with an open doorbell when
/// they were heard there: their pings are in no row.
pub fn add_silent(
    status: &mut IntentStatus,
    listeners: Vec<Listener>,
    now: Timestamp,
    heard_at: impl Fn(&HostName) -> Option<Timestamp>,
) {
    let named = &status.intent.hosts;
    for Listener { host, seen_at } in listeners {
        let is_meant = named.is_empty() || named.contains(&host);
        if !is_meant || status.hosts.contains_key(&host) {
            continue;
        }
        let seen_at = heard_at(&host).map_or(seen_at, |at| at.max(seen_at));
        if now.duration_since(seen_at) <= EXPECTED_FOR {
            let silent = HostStatus {
                seen_at,
                matched: None,
                services: BTreeMap::new(),
            };
            status.hosts.insert(host, silent);
        }
    }
}

/// Keeps an answer under its cap: of all reports first the log tails go, then the steps, then the
/// messages, then the reports themselves, then what matched.
pub fn fit(mut status: IntentStatus) -> IntentStatus {
    let shorter: [fn(&mut Report); 3] = [
        |report| report.log_tail.clear(),
        |report| report.steps.clear(),
        |report| report.message.clear(),
    ];
    for shorten in shorter {
        if fits(&status) {
            return status;
        }
        let hosts = status.hosts.values_mut();
        hosts
            .flat_map(|host| host.services.values_mut())
            .for_each(shorten);
    }
    if !fits(&status) {
        let hosts = status.hosts.values_mut();
        hosts.for_each(|host| host.services.clear());
    }
    if !fits(&status) {
        let hosts = status.hosts.values_mut();
        hosts.for_each(|host| host.matched = None);
    }
    status
}

fn fits(status: &IntentStatus) -> bool {
    serde_json::to_string(status).is_ok_and(|json| json.len() <= MAX_ANSWER)
}

#[cfg(test)]
mod tests {
    use towline_protocol::{IntentId, Outcome, Revision, Source};

    use super::*;
    use crate::testing::{at, report};

    const DAY: i64 = 24 * 60 * 60;

    fn listener(host: &str, seen_at: Timestamp) -> Listener {
        Listener {
            host: host.parse().unwrap(),
            seen_at,
        }
    }

    fn intent() -> Intent {
        Intent {
            id: IntentId::of_key("run:1:2:3"),
            channel: "octo-org/web".parse().unwrap(),
            epoch: 1,
            seq: 1,
            created_at: at(0),
            expires_at: None,
            source: Source::Unknown,
            revision: Revision::default(),
            image: None,
            service: None,
            hosts: Vec::new(),
        }
    }

    fn heard(host: &str, second: i64, report: Report) -> Heard {
        Heard {
            host: host.parse().unwrap(),
            at: at(second),
            report,
        }
    }

    #[test]
    fn an_answer_of_many_reports_loses_what_is_longest_first_and_always_fits() {
        let said = |hosts: usize, tail: usize, message: usize| {
            let mut one = report(Some("web"), 1, Some(Outcome::Succeeded));
            one.log_tail = "x".repeat(tail);
            one.message = "y".repeat(message);
            let heard = (0..hosts).map(|n| heard(&format!("h{n}"), 1, one.clone()));
            fit(status(intent(), heard.collect()))
        };
        let reports = |status: &IntentStatus| -> Vec<Report> {
            let hosts = status.hosts.values();
            hosts
                .flat_map(|host| host.services.values().cloned())
                .collect()
        };
        let few = reports(&said(100, 8000, 10));
        assert!(few.iter().all(|report| report.log_tail.len() == 8000));
        let more = said(150, 8000, 10);
        let kept = reports(&more);
        assert!(fits(&more) && kept.len() == 150);
        assert!(
            kept.iter()
                .all(|report| report.log_tail.is_empty() && report.message.len() == 10)
        );
        let many = said(1500, 8000, 1000);
        let kept = reports(&many);
        assert!(fits(&many) && kept.len() == 1500);
        assert!(kept.iter().all(|report| report.message.is_empty()));
        let too_many = said(6000, 0, 0);
        assert!(fits(&too_many) && reports(&too_many).is_empty());
        assert_eq!(too_many.hosts.len(), 6000);
        let ack = Report {
            matched: vec!["m".repeat(60).parse().unwrap(); 10],
            ..report(None, 1, None)
        };
        let acks = (0..6000).map(|n| heard(&format!("h{n}"), 1, ack.clone()));
        let acked = fit(status(intent(), acks.collect()));
        assert!(fits(&acked) && acked.hosts.len() == 6000);
    }

    #[test]
    fn a_host_that_acknowledged_names_what_matched_and_one_that_did_not_is_told_apart() {
        let ack = Report {
            matched: vec!["web".parse().unwrap()],
            ..report(None, 1, None)
        };
        let applying = report(Some("web"), 1, Some(Outcome::Applying));
        let said = vec![
            heard("pi", 1, ack.clone()),
            heard("pi", 2, applying.clone()),
            heard("nas", 1, report(None, 1, None)),
            heard("old", 1, applying),
        ];
        let status = status(intent(), said);
        let matched: Vec<_> = status.hosts.values().map(|host| &host.matched).collect();
        assert_eq!(matched, [&Some(vec![]), &None, &Some(ack.matched)]);
    }

    #[test]
    fn the_last_attempt_speaks_for_a_service_and_an_acknowledgement_for_its_host() {
        let status = status(
            intent(),
            vec![
                heard("pi", 5, report(None, 1, None)),
                heard("nas", 6, report(Some("web"), 2, Some(Outcome::Succeeded))),
                heard("nas", 7, report(Some("web"), 1, Some(Outcome::RolledBack))),
            ],
        );
        let host = |name: &str| &status.hosts[&name.parse::<HostName>().unwrap()];
        assert!(host("pi").services.is_empty());
        assert_eq!((host("pi").seen_at, host("nas").seen_at), (at(5), at(7)));
        let (_, web) = host("nas").services.first_key_value().unwrap();
        assert_eq!(web.outcome, Some(Outcome::Succeeded));
    }

    #[test]
    fn a_host_that_was_heard_of_within_seven_days_is_expected() {
        let now = at(30 * DAY);
        let mut status = status(intent(), vec![heard("pi", 5, report(None, 1, None))]);
        let listeners = vec![
            listener("pi", at(29 * DAY)),
            listener("nas", at(23 * DAY)),
            listener("gone", at(23 * DAY - 1)),
            listener("quiet", at(2 * DAY)),
        ];
        add_silent(&mut status, listeners, now, |host| {
            (host.as_str() == "quiet").then_some(at(29 * DAY))
        });
        let hosts: Vec<_> = status
            .hosts
            .iter()
            .map(|(name, host)| (name.as_str(), host.seen_at, host.matched.is_some()))
            .collect();
        assert_eq!(
            hosts,
            [
                ("nas", at(23 * DAY), false),
                ("pi", at(5), true),
                ("quiet", at(29 * DAY), false)
            ]
        );
    }

    #[test]
    fn an_intent_for_named_hosts_waits_for_no_others() {
        let intent = Intent {
            hosts: vec!["nas".parse().unwrap(), "never-seen".parse().unwrap()],
            ..intent()
        };
        let mut status = status(intent, Vec::new());
        let listeners = vec![listener("pi", at(0)), listener("nas", at(0))];
        add_silent(&mut status, listeners, at(0), |_| None);
        let hosts: Vec<_> = status.hosts.keys().map(HostName::as_str).collect();
        assert_eq!(hosts, ["nas"]);
    }
}
