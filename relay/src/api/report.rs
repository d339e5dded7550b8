//! `POST /v1/reports` and what `GET /v1/intents/{id}` makes of the reports.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_protocol::{
    HostName, Intent, IntentStatus, MAX_ANSWER, MAX_MATCHED, MAX_REPORTS, Outcome, Report,
    answer::HostStatus, report::log_tail,
};

use crate::error::Refusal;

/// The longest message that is kept, in bytes: it is one line for people.
pub const MAX_MESSAGE: usize = 1024;

/// The most steps of a report that are kept.
pub const MAX_STEPS: usize = 64;

/// The longest name of a step that is kept, in bytes.
pub const MAX_STEP: usize = 64;

/// Reads the body of `POST /v1/reports`; what is over its cap is cut.
///
/// # Errors
/// 400 when it is not an array of reports, or of more than 100.
pub fn read(body: &[u8]) -> Result<Vec<Report>, Refusal> {
    let mut reports: Vec<Report> = serde_json::from_slice(body).map_err(|error| {
        Refusal::BadRequest(format!("the body is not an array of reports: {error}"))
    })?;
    if reports.len() > MAX_REPORTS {
        let sent = reports.len();
        let message = format!("send at most {MAX_REPORTS} reports at once; these are {sent}");
        return Err(Refusal::BadRequest(message));
    }
    reports.iter_mut().for_each(cap);
    Ok(reports)
}

/// Cuts what is over its cap.
pub fn cap(report: &mut Report) {
    let tail = log_tail(&report.log_tail);
    if tail.len() < report.log_tail.len() {
        report.log_tail = tail.to_owned();
    }
    cut(&mut report.message, MAX_MESSAGE);
    report.steps.truncate(MAX_STEPS);
    for step in &mut report.steps {
        cut(&mut step.step, MAX_STEP);
    }
    report.matched.truncate(MAX_MATCHED);
}

/// Cuts a text to at most `limit` bytes.
pub fn cut(text: &mut String, limit: usize) {
    text.truncate(text.floor_char_boundary(limit));
}

/// Whether a report takes the place of the one that is there with the same host, intent, service and
/// attempt.
///
/// A pending one that was sent earlier may arrive later, so that it never replaces a terminal one.
pub fn replaces(there: Option<Outcome>, new: Option<Outcome>) -> bool {
    let terminal = |outcome: Option<Outcome>| outcome.is_some_and(Outcome::is_terminal);
    !terminal(there) || terminal(new)
}

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

/// Keeps an answer under its cap: of all reports first the log tails go, then the steps, then the
/// messages, then the reports themselves.
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
    status
}

fn fits(status: &IntentStatus) -> bool {
    serde_json::to_string(status).is_ok_and(|json| json.len() <= MAX_ANSWER)
}

#[cfg(test)]
mod tests {
    use towline_protocol::{IntentId, MAX_LOG_TAIL, Revision, Side, Source, StepTime};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn report(service: Option<&str>, attempt: u32, outcome: Option<Outcome>) -> Report {
        Report {
            intent: IntentId::of_key("run:1:2:3"),
            service: service.map(|name| name.parse().unwrap()),
            attempt,
            outcome,
            started_at: at(0),
            finished_at: None,
            gate: None,
            from: Side::default(),
            to: Side::default(),
            message: String::new(),
            log_tail: String::new(),
            steps: Vec::new(),
            matched: Vec::new(),
        }
    }

    fn heard(host: &str, second: i64, report: Report) -> Heard {
        Heard {
            host: host.parse().unwrap(),
            at: at(second),
            report,
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

    #[test]
    fn reports_are_read_and_a_long_log_keeps_its_end() {
        let mut long = report(Some("web"), 1, Some(Outcome::Succeeded));
        long.log_tail = format!("{}the end", "x".repeat(MAX_LOG_TAIL));
        let read = read(&serde_json::to_vec(&[long]).unwrap()).unwrap();
        assert_eq!(read[0].log_tail.len(), MAX_LOG_TAIL);
        assert!(read[0].log_tail.ends_with("the end"));
    }

    #[test]
    fn what_is_over_its_cap_is_cut_when_it_comes_in() {
        let mut long = report(Some("web"), 1, Some(Outcome::Succeeded));
        long.message = format!("x{}", "é".repeat(MAX_MESSAGE));
        let step = "é".repeat(MAX_STEP);
        long.steps = vec![StepTime { step, ms: 1 }; MAX_STEPS + 1];
        long.matched = vec!["web".parse().unwrap(); MAX_MATCHED + 1];
        let read = read(&serde_json::to_vec(&[long]).unwrap()).unwrap();
        assert_eq!(read[0].message.len(), MAX_MESSAGE - 1);
        assert_eq!(read[0].steps.len(), MAX_STEPS);
        assert!(read[0].steps.iter().all(|step| step.step.len() == MAX_STEP));
        assert_eq!(read[0].matched.len(), MAX_MATCHED);
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
    fn a_body_that_is_no_array_of_reports_says_where() {
        for bad in [
            &b"{}"[..],
            b"",
            b"[1]",
            b"[{}]",
            b"\xff",
            b"[{\"intent\": \"x\"}]",
        ] {
            let refusal = read(bad).unwrap_err();
            assert_eq!(refusal.status(), 400);
            assert!(refusal.to_string().contains(" at line "), "{refusal}");
        }
        assert_eq!(read(b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn a_hundred_reports_are_fine_and_one_more_is_not() {
        let many = |count| serde_json::to_vec(&vec![report(None, 1, None); count]).unwrap();
        assert!(read(&many(100)).is_ok());
        assert!(
            read(&many(101))
                .unwrap_err()
                .to_string()
                .contains("these are 101")
        );
    }

    #[test]
    fn a_late_pending_report_does_not_undo_an_outcome() {
        use Outcome::{Applying, RolledBack, Succeeded, Waiting};
        assert!(replaces(None, None) && replaces(None, Some(Waiting)));
        assert!(replaces(Some(Waiting), Some(Applying)));
        assert!(replaces(Some(Applying), Some(Waiting)));
        assert!(replaces(Some(Applying), Some(Succeeded)));
        assert!(!replaces(Some(Succeeded), Some(Applying)));
        assert!(!replaces(Some(RolledBack), None));
        assert!(replaces(Some(Succeeded), Some(Succeeded)));
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
}
