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

/// Whether `new` takes the place of the report that is `there` with the same host, intent, service and attempt.
///
/// They may come in another order than the host has made them: what is told while a deploy goes on takes another way than
/// what waits in the spool, and a request that was given up may still arrive. An outcome is never undone by a pending one;
/// else the one that was made later stays, and where the host does not say which that is, the one that came later.
pub fn replaces(there: &Report, new: &Report) -> bool {
    match (is_terminal(there), is_terminal(new)) {
        (true, false) => false,
        (false, true) => true,
        (true, true) | (false, false) => !is_overtaken(there, new),
    }
}

/// Whether the host says that it has made `new` before what is `there`, and it only came later.
pub fn is_overtaken(there: &Report, new: &Report) -> bool {
    there
        .order
        .zip(new.order)
        .is_some_and(|(there, new)| new < there)
}

fn is_terminal(report: &Report) -> bool {
    report.outcome.is_some_and(Outcome::is_terminal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towline_protocol::{MAX_LOG_TAIL, Order, StepTime};

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

    fn told(outcome: Option<Outcome>, order: Option<Order>) -> Report {
        Report {
            order,
            ..report(Some("web"), 1, outcome)
        }
    }

    #[test]
    fn a_late_pending_report_does_not_undo_an_outcome() {
        use Outcome::{Applying, RolledBack, Succeeded, Waiting};
        let replaces = |there, new| replaces(&told(there, None), &told(new, None));
        assert!(replaces(None, None) && replaces(None, Some(Waiting)));
        assert!(replaces(Some(Waiting), Some(Applying)));
        assert!(replaces(Some(Applying), Some(Waiting)));
        assert!(replaces(Some(Applying), Some(Succeeded)));
        assert!(!replaces(Some(Succeeded), Some(Applying)));
        assert!(!replaces(Some(RolledBack), None));
        assert!(replaces(Some(Succeeded), Some(Succeeded)));
    }

    #[test]
    fn a_pending_report_that_was_overtaken_by_another_one_does_not_undo_it() {
        use Outcome::{Applying, Succeeded, Waiting};
        let applying = told(Some(Applying), Some(Order(4, 1)));
        let waiting = told(Some(Waiting), Some(Order(5, 0)));
        assert!(replaces(&applying, &waiting) && !replaces(&waiting, &applying));
        let again = told(Some(Applying), Some(Order(5, 1)));
        assert!(replaces(&waiting, &again) && !replaces(&again, &waiting));
        let ended = told(Some(Succeeded), Some(Order(1, 0)));
        assert!(replaces(&again, &ended) && !replaces(&ended, &again));
    }

    #[test]
    fn one_that_does_not_say_when_it_was_made_counts_as_made_when_it_came() {
        use Outcome::{Applying, Waiting};
        let ordered = told(Some(Waiting), Some(Order(5, 0)));
        let unordered = told(Some(Applying), None);
        assert!(replaces(&ordered, &unordered) && replaces(&unordered, &ordered));
    }

    /// What stays of reports that come in this order.
    fn kept(coming: &[Report]) -> Report {
        let (first, rest) = coming.split_first().unwrap();
        rest.iter().fold(first.clone(), |there, new| {
            if replaces(&there, new) {
                new.clone()
            } else {
                there
            }
        })
    }

    fn reports() -> impl Strategy<Value = Vec<Report>> {
        use Outcome::{Applying, NeedsOperator, Succeeded, Waiting};
        let outcomes = prop::sample::select(vec![Waiting, Applying, Succeeded, NeedsOperator]);
        let orders = prop::collection::btree_set((0..4u64, 0..4u64), 1..8);
        (orders, prop::collection::vec(outcomes, 8)).prop_map(|(orders, outcomes)| {
            let made = orders.into_iter().zip(outcomes);
            made.map(|((first, second), outcome)| told(Some(outcome), Some(Order(first, second))))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn in_whatever_order_they_come_and_however_often_the_same_one_stays(
            (made, coming) in reports().prop_flat_map(|made| {
                let twice = [made.clone(), made.clone()].concat();
                (Just(made), Just(twice).prop_shuffle())
            })
        ) {
            let outcome = made.iter().rfind(|one| is_terminal(one));
            prop_assert_eq!(Some(&kept(&coming)), outcome.or(made.last()));
        }

        #[test]
        fn no_outcome_is_undone_also_where_some_do_not_say_when_they_were_made(
            (coming, silent) in (reports().prop_shuffle(), prop::collection::vec(any::<bool>(), 8))
        ) {
            let coming: Vec<_> = coming.into_iter().zip(silent).map(|(one, is_silent)| Report {
                order: one.order.filter(|_| !is_silent),
                ..one
            }).collect();
            prop_assert_eq!(is_terminal(&kept(&coming)), coming.iter().any(is_terminal));
        }
    }
}
