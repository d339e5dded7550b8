//! `POST /v1/reports`: what a host tells, and which of two reports stays.

use towline_protocol::{MAX_MATCHED, MAX_REPORTS, Outcome, Report, report::log_tail};

use crate::{error::Refusal, json};

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
    let mut reports: Vec<Report> = json::of_bytes(body).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use towline_protocol::{MAX_LOG_TAIL, StepTime};

    use super::*;
    use crate::testing::report;

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
}
