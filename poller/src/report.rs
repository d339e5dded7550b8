//! Reports: how they are put together, cut into requests, and told apart when the relay refuses one. Pure.
//!
//! Not here: where they wait (`store`), how they travel (`relay_client`).

use jiff::Timestamp;
use towline_protocol::{
    HostName, Intent, IntentId, MAX_MATCHED, MAX_REPORTS, MAX_REQUEST_BODY, Outcome, Report,
    ServiceName, Side,
};

use crate::{
    relay_client::RelayError,
    select::{Match, Settled, matches},
    settings::Service,
    store::Spooled,
};

/// What a report's place among the host's takes of a request, in bytes at most: two numbers and their name.
const PLACE: usize = 64;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 1000;

/// The report by which `host` acknowledges that it has received `intent`: it names the `services` that say what becomes of
/// it, possibly none.
pub fn acknowledgement(
    host: &HostName,
    services: &[Service],
    intent: &Intent,
    now: Timestamp,
) -> Report {
    let matched = services
        .iter()
        .filter(|service| matches(host, service, intent) != Match::No)
        .map(|service| service.name.clone());
    Report {
        matched: matched.take(MAX_MATCHED).collect(),
        ..about(intent.id.clone(), 1, now)
    }
}

/// The report of an intent that was settled without touching anything.
pub fn of_settled(
    settled: &Settled,
    service: &ServiceName,
    attempt: u32,
    now: Timestamp,
) -> Report {
    Report {
        finished_at: Some(now),
        message: format!("{service}: {}", settled.message),
        ..blank(
            settled.intent.clone(),
            service,
            attempt,
            settled.outcome,
            now,
        )
    }
}

/// A report that says only what it is about and how it stands.
pub fn blank(
    intent: IntentId,
    service: &ServiceName,
    attempt: u32,
    outcome: Outcome,
    started_at: Timestamp,
) -> Report {
    Report {
        service: Some(service.clone()),
        outcome: Some(outcome),
        ..about(intent, attempt, started_at)
    }
}

fn about(intent: IntentId, attempt: u32, started_at: Timestamp) -> Report {
    Report {
        intent,
        service: None,
        attempt,
        outcome: None,
        started_at,
        finished_at: None,
        gate: None,
        from: Side::default(),
        to: Side::default(),
        message: String::new(),
        log_tail: String::new(),
        steps: Vec::new(),
        matched: Vec::new(),
        order: None,
    }
}

/// The text as far as a report has room for it.
pub fn message(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

/// Cuts a report's texts so that it fits into one request on its own, with its place among the host's.
pub fn fitted(mut report: Report) -> Report {
    report.message = message(&report.message);
    report.log_tail = towline_protocol::report::log_tail(&report.log_tail).to_owned();
    // JSON writes a control character as six, so that 8 KiB of log may still be too much.
    while size(&report) > MAX_REQUEST_BODY - 2 - PLACE && !report.log_tail.is_empty() {
        let half = report.log_tail.chars().count().div_ceil(2);
        report.log_tail = report.log_tail.chars().skip(half).collect();
    }
    report
}

/// The first of `spooled` that go into one request: at most 100 and 64 KiB, at least one.
pub fn batch(spooled: &[Spooled]) -> &[Spooled] {
    let mut bytes = 2;
    let fits = |one: &&Spooled| {
        bytes += size(&one.report) + 1;
        bytes <= MAX_REQUEST_BODY
    };
    let count = spooled.iter().take(MAX_REPORTS).take_while(fits).count();
    spooled.get(..count.max(1)).unwrap_or(spooled)
}

fn size(report: &Report) -> usize {
    serde_json::to_vec(report).map_or(0, |json| json.len())
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// What the relay has taken.
    pub taken: Vec<Spooled>,
    /// Numbers of the reports that it will never take, and why.
    pub refused: Vec<(i64, String)>,
    /// Why the rest must wait.
    pub trouble: Option<RelayError>,
    /// Whether the doorbell has lost sight of the rest, which is then sent without it.
    pub unanswered: bool,
}

/// Sends `batch` by `send`; when the relay refuses it for good, halves it until the culprit is alone.
pub fn deliver(
    batch: &[Spooled],
    send: &mut impl FnMut(&[&Report]) -> Result<(), RelayError>,
) -> Delivery {
    let mut delivery = Delivery::default();
    let mut left = vec![batch];
    while let Some(part) = left.pop() {
        let reports: Vec<_> = part.iter().map(|one| &one.report).collect();
        match (send(&reports), part) {
            (Ok(()), part) => delivery.taken.extend_from_slice(part),
            (Err(error), [one]) if error.is_permanent() => {
                delivery.refused.push((one.id, error.to_string()));
            }
            (Err(error), part) if error.is_permanent() => {
                let (first, second) = part.split_at(part.len() / 2);
                left.extend([second, first]);
            }
            (Err(error), _) => {
                delivery.trouble = Some(error);
                break;
            }
        }
    }
    delivery
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towline_protocol::{MAX_LOG_TAIL, Order};

    use super::*;
    use crate::testing::intent;

    fn spooled(count: i64, log_tail: &str) -> Vec<Spooled> {
        let one = |id| Spooled {
            id,
            report: Report {
                log_tail: log_tail.to_owned(),
                ..blank(
                    intent(7, 1).id,
                    &"web".parse().unwrap(),
                    1,
                    Outcome::RolledBack,
                    Timestamp::UNIX_EPOCH,
                )
            },
        };
        (0..count).map(one).collect()
    }

    fn bytes(batch: &[Spooled]) -> usize {
        let reports: Vec<_> = batch.iter().map(|one| &one.report).collect();
        serde_json::to_vec(&reports).unwrap().len()
    }

    #[test]
    fn a_batch_has_at_most_a_hundred_reports_and_64_kib() {
        let small = spooled(150, "");
        assert_eq!(batch(&small).len(), MAX_REPORTS);
        let large = spooled(20, &"x".repeat(MAX_LOG_TAIL));
        assert_eq!(batch(&large).len(), 7);
        assert!(bytes(batch(&large)) <= MAX_REQUEST_BODY);
        assert!(bytes(&large[..8]) > MAX_REQUEST_BODY);
        assert_eq!(batch(&[]), []);
    }

    #[test]
    fn a_report_is_cut_until_it_fits_into_a_request_of_its_own() {
        let report = Report {
            message: "m".repeat(100_000),
            log_tail: "\u{1}".repeat(100_000),
            ..spooled(1, "")[0].report.clone()
        };
        let fitted = fitted(report);
        assert_eq!(
            (fitted.message.len(), fitted.log_tail.len()),
            (MAX_MESSAGE, MAX_LOG_TAIL)
        );
        assert!(
            bytes(&[Spooled {
                id: 0,
                report: Report {
                    order: Some(Order(u64::MAX, u64::MAX)),
                    ..fitted
                }
            }]) <= MAX_REQUEST_BODY
        );
    }

    fn refusal(status: u16) -> RelayError {
        RelayError::Refused {
            status,
            message: String::new(),
        }
    }

    #[test]
    fn trouble_that_may_pass_keeps_the_reports() {
        let busy = RelayError::Busy {
            status: 503,
            message: String::new(),
            retry_after: None,
        };
        for error in [
            busy,
            refusal(404),
            refusal(408),
            RelayError::Token {
                message: String::new(),
            },
        ] {
            let delivery = deliver(&spooled(3, ""), &mut |_| Err(error.clone()));
            assert_eq!(
                delivery,
                Delivery {
                    trouble: Some(error),
                    ..Delivery::default()
                }
            );
        }
    }

    proptest! {
        #[test]
        fn a_refused_report_is_found_and_the_others_are_taken(bad in proptest::collection::btree_set(0i64..40, 0..5)) {
            let mut batch = spooled(40, "");
            for one in &mut batch {
                one.report.attempt = if bad.contains(&one.id) { 666 } else { 1 };
            }
            let mut requests = 0;
            let delivery = deliver(&batch, &mut |reports| {
                requests += 1;
                if reports.iter().any(|one| one.attempt == 666) { Err(refusal(400)) } else { Ok(()) }
            });
            let refused: Vec<_> = delivery.refused.iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(refused, bad.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(delivery.taken.len(), 40 - bad.len());
            prop_assert!(requests <= 1 + 2 * 6 * bad.len());
        }
    }
}
