//! Exit statuses, assigned in one place (contract, section "Host").

use towline_protocol::Outcome;

/// How a command ended.
#[derive(Debug)]
pub enum Ending {
    /// It did what it was asked, or only had to say something.
    Done,
    /// It was called in a way that it does not understand.
    Usage,
    /// It could not do its work.
    Failed,
    /// It applied intents.
    Applied {
        /// The outcomes that this call brought about.
        outcomes: Vec<Outcome>,
        /// Whether something of the work could not be done all the same.
        failed: bool,
    },
}

impl Ending {
    /// The exit status: 0 nothing to do or all well, 1 could not do its work, 2 usage, 3 a deploy ended otherwise,
    /// 4 an operator is needed. The most urgent one wins.
    pub fn status(&self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Applied { outcomes, failed } => {
                let worst = outcomes.iter().map(|outcome| of_outcome(*outcome)).max();
                worst.unwrap_or(0).max(u8::from(*failed))
            }
        }
    }
}

/// Whether an outcome is no reason to look after the deploy.
pub fn is_well(outcome: Outcome) -> bool {
    of_outcome(outcome) == 0
}

fn of_outcome(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Succeeded
        | Outcome::Unchanged
        | Outcome::Superseded
        | Outcome::Stale
        | Outcome::Expired => 0,
        // It has not ended: the work could not be done now.
        Outcome::Waiting | Outcome::Applying => 1,
        Outcome::RolledBack
        | Outcome::FailedUntouched
        | Outcome::Quarantined
        | Outcome::Refused => 3,
        Outcome::NeedsOperator => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(outcomes: &[Outcome], failed: bool) -> u8 {
        let outcomes = outcomes.to_vec();
        Ending::Applied { outcomes, failed }.status()
    }

    #[test]
    fn nothing_to_do_and_what_does_not_count_is_0() {
        assert_eq!(applied(&[], false), 0);
        let well = [Outcome::Succeeded, Outcome::Unchanged];
        let not_counted = [Outcome::Superseded, Outcome::Stale, Outcome::Expired];
        assert_eq!(applied(&[&well[..], &not_counted].concat(), false), 0);
    }

    #[test]
    fn a_deploy_that_ended_otherwise_is_3_and_an_operators_case_4() {
        for outcome in [
            Outcome::RolledBack,
            Outcome::FailedUntouched,
            Outcome::Quarantined,
            Outcome::Refused,
        ] {
            assert_eq!(
                applied(&[Outcome::Succeeded, outcome], false),
                3,
                "{outcome:?}"
            );
        }
        assert_eq!(
            applied(&[Outcome::NeedsOperator, Outcome::RolledBack], true),
            4
        );
    }

    #[test]
    fn work_that_could_not_be_done_is_1_unless_a_deploy_says_worse() {
        assert_eq!(applied(&[Outcome::Succeeded], true), 1);
        assert_eq!(applied(&[Outcome::RolledBack], true), 3);
        let waiting = [Outcome::Succeeded, Outcome::Waiting];
        assert_eq!(applied(&waiting, false), 1);
        assert_eq!(
            (
                Ending::Done.status(),
                Ending::Failed.status(),
                Ending::Usage.status()
            ),
            (0, 1, 2)
        );
    }
}
