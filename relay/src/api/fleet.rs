//! `GET /v1/fleet`: what the relay knows of the hosts that share a channel with the asker.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{
    Channel, Connection, Fleet, FleetHost, FleetService, Glob, HostName, MAX_ANSWER, ServiceName,
    ServiceState, Today, fleet::LastReport,
};

use crate::doorbell;

/// What the hub has written down of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: HostName,
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// Its poller's version, if it has said hello.
    pub version: Option<String>,
    /// The channels that it listens to.
    pub channels: Vec<Channel>,
    /// What it says that it runs.
    pub services: Vec<ServiceState>,
}

/// What a service of a host said last.
pub type Said = BTreeMap<(HostName, ServiceName), LastReport>;

/// The fleet as an operator with these globs may see it, as much as fits into one answer.
///
/// `heard_at` tells of hosts with an open doorbell when they were heard there: their pings are in no row.
pub fn fleet(
    known: Vec<Known>,
    mut said: Said,
    globs: &[Glob],
    now: Timestamp,
    today: Today,
    heard_at: impl Fn(&HostName) -> Option<Timestamp>,
) -> Fleet {
    let allows = |channel: &Channel| globs.iter().any(|glob| glob.matches(channel.as_str()));
    let mut hosts = BTreeMap::new();
    for host in known {
        if !host.channels.iter().any(allows) {
            continue;
        }
        let services = host.services.into_iter();
        let services = services.filter(|service| allows(&service.channel));
        let services = services.map(|service| {
            let last = said.remove(&(host.name.clone(), service.name.clone()));
            let shown = FleetService {
                channel: service.channel,
                kind: service.kind,
                running: service.running,
                last,
            };
            (service.name, shown)
        });
        let heard_at = heard_at(&host.name);
        let shown = FleetHost {
            seen_at: heard_at.map_or(host.seen_at, |at| at.max(host.seen_at)),
            connection: if heard_at.is_some_and(|at| doorbell::is_there(at, now)) {
                Connection::Connected
            } else {
                Connection::Polling
            },
            version: host.version,
            services: services.collect(),
        };
        hosts.insert(host.name, shown);
    }
    fit(Fleet { hosts, today })
}

/// Keeps the answer under its cap: first what services said last goes, then what they run, then they
/// themselves.
fn fit(mut fleet: Fleet) -> Fleet {
    let shorter: [fn(&mut FleetHost); 3] = [
        |host| host.services.values_mut().for_each(|it| it.last = None),
        |host| host.services.values_mut().for_each(|it| it.running = None),
        |host| host.services.clear(),
    ];
    for shorten in shorter {
        let fits = serde_json::to_string(&fleet).is_ok_and(|json| json.len() <= MAX_ANSWER);
        if fits {
            break;
        }
        fleet.hosts.values_mut().for_each(shorten);
    }
    fleet
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towline_protocol::{IntentId, Outcome};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn today() -> Today {
        serde_json::from_value(json!({
            "date": "2026-11-20", "hub_requests": 1, "frames": 2, "kv_writes": 3, "intents": 4, "reports": 5,
        }))
        .unwrap()
    }

    fn known(name: &str, channels: &[&str]) -> Known {
        let digest = format!("sha256:{}", "a".repeat(64));
        let service = |channel: &&str| {
            let (_, service) = channel.split_once('/').unwrap();
            let state = json!({
                "name": service, "channel": channel, "kind": "docker", "running": { "sha": null, "digest": digest },
            });
            serde_json::from_value(state).unwrap()
        };
        Known {
            name: name.parse().unwrap(),
            seen_at: at(5),
            version: Some("0.1.0".to_owned()),
            channels: channels.iter().map(|name| name.parse().unwrap()).collect(),
            services: channels.iter().map(service).collect(),
        }
    }

    fn said(host: &str, service: &str) -> ((HostName, ServiceName), LastReport) {
        let last = LastReport {
            intent: IntentId::of_key("run:1:2:3"),
            outcome: Outcome::Succeeded,
            at: at(4),
        };
        ((host.parse().unwrap(), service.parse().unwrap()), last)
    }

    fn seen(known: Vec<Known>, globs: &[&str]) -> Fleet {
        let globs: Vec<_> = globs.iter().map(|glob| Glob::new(*glob)).collect();
        let said = Said::from([said("pi", "web")]);
        // One pinged a moment ago, the other's socket is open and silent for long.
        let heard_at = |host: &HostName| match host.as_str() {
            "pi" => Some(at(995)),
            "dark" => Some(at(800)),
            _ => None,
        };
        fleet(known, said, &globs, at(1000), today(), heard_at)
    }

    #[test]
    fn hosts_are_told_with_how_they_listen_and_what_their_services_run_and_said() {
        let fleet = seen(
            vec![
                known("pi", &["octo-org/web"]),
                known("nas", &["octo-org/web"]),
                known("dark", &["octo-org/web"]),
            ],
            &["*"],
        );
        let host = |name: &str| &fleet.hosts[&name.parse::<HostName>().unwrap()];
        let listens = |name: &str| (host(name).connection, host(name).seen_at);
        assert_eq!(listens("pi"), (Connection::Connected, at(995)));
        assert_eq!(listens("nas"), (Connection::Polling, at(5)));
        assert_eq!(listens("dark"), (Connection::Polling, at(800)));
        let (name, web) = host("pi").services.first_key_value().unwrap();
        assert_eq!((name.as_str(), web.kind.as_str()), ("web", "docker"));
        assert!(web.running.as_ref().unwrap().digest.is_some());
        assert_eq!(web.last.as_ref().unwrap().outcome, Outcome::Succeeded);
        assert_eq!(host("nas").services.values().next().unwrap().last, None);
        assert_eq!(fleet.today, today());
    }

    #[test]
    fn an_operator_sees_no_host_and_no_service_of_channels_that_are_not_the_tokens() {
        let hosts = vec![
            known("pi", &["octo-org/web", "elsewhere/api"]),
            known("nas", &["elsewhere/api"]),
        ];
        let fleet = seen(hosts, &["octo-org/*"]);
        let (name, pi) = fleet.hosts.first_key_value().unwrap();
        assert_eq!((fleet.hosts.len(), name.as_str()), (1, "pi"));
        let services: Vec<_> = pi.services.keys().map(ServiceName::as_str).collect();
        assert_eq!(services, ["web"]);
        assert!(
            seen(vec![known("pi", &["octo-org/web"])], &[])
                .hosts
                .is_empty()
        );
    }

    #[test]
    fn a_large_fleet_always_fits_and_keeps_all_its_hosts() {
        for (hosts, has_services) in [(1000, true), (4000, true), (8000, false)] {
            let known = (0..hosts).map(|n| known(&format!("host-{n}"), &["octo-org/web"]));
            let fleet = seen(known.collect(), &["*"]);
            let bytes = serde_json::to_string(&fleet).unwrap().len();
            assert!(bytes <= MAX_ANSWER, "{hosts}: {bytes}");
            assert_eq!(fleet.hosts.len(), hosts);
            let services = fleet
                .hosts
                .values()
                .map(|host| host.services.len())
                .sum::<usize>();
            assert_eq!(services, if has_services { hosts } else { 0 });
        }
    }
}
