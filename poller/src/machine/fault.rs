//! Whose fault it is that a replacement did not succeed: only a version's own fault keeps it from being tried again.

use serde::{Deserialize, Serialize};

use super::{Deploy, Step};

/// Whose fault it is that a replacement did not succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The host's or the engine's, or nobody's.
    #[default]
    Host,
    /// The new version's: it did not start, or did not pass its checks.
    Version,
    /// Nobody's: the process, the engine or the machine went away in the middle.
    Interruption,
}

/// What an engine says in a refused start that has nothing to do with the version.
const OF_THE_HOST: [&str; 3] = [
    "no space left on device",
    "port is already allocated",
    "address already in use",
];

impl Fault {
    /// Whose fault a failure of `step` is, for which the engine or the gate says `why`.
    pub(super) fn of(step: Step, why: &str) -> Self {
        let of_the_host = Self::is_of_the_host(why);
        match step {
            // A gate's words may be the version's own.
            Step::Look | Step::Gate | Step::LookAgain | Step::GateAgain | Step::Drain => {
                Self::Version
            }
            Step::Start if !of_the_host => Self::Version,
            Step::Start
            | Step::Tag
            | Step::Create
            | Step::Disarm
            | Step::Stop
            | Step::Park
            | Step::Promote
            | Step::Join
            | Step::Switch => Self::Host,
        }
    }

    /// Whether what an engine says of a refused start has nothing to do with the version.
    pub fn is_of_the_host(why: &str) -> bool {
        let words = why.to_lowercase();
        OF_THE_HOST.iter().any(|known| words.contains(known))
    }
}

impl Deploy {
    /// The deploy, whose failure is `fault`'s.
    pub(super) fn by(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        machine::{Action, Ending, Event},
        testing::deploy,
    };

    /// A replacement of one container that ran, whose new version has been started.
    fn in_the_gate() -> Deploy {
        let id = "new".to_owned();
        let created = deploy().on(Event::Created { id });
        // stop, park, promote, start
        let started = (0..4).fold(created, |deploy, _| deploy.on(Event::Done));
        started.on(Event::Looked {
            starts: vec!["once".to_owned()],
            now: None,
        })
    }

    fn failed() -> Event {
        Event::Failed {
            why: "it answered 500".to_owned(),
        }
    }

    /// The deploy taken to its end, on which everything is undone well.
    fn taken_back(mut deploy: Deploy) -> Deploy {
        while deploy.next().is_some() {
            deploy = deploy.on(Event::Done);
        }
        assert!(matches!(deploy.ending(), Some(Ending::RolledBack { .. })));
        deploy
    }

    #[test]
    fn a_version_stays_at_fault_when_its_rollback_is_interrupted() {
        let failed = in_the_gate().on(failed());
        assert_eq!(taken_back(failed.clone()).fault, Fault::Version);
        assert_eq!(taken_back(failed.resume()).fault, Fault::Version);
    }

    #[test]
    fn an_interruption_and_a_lost_journal_are_not_the_versions_fault() {
        let ended_meanwhile = in_the_gate().resume().on(failed());
        let started_meanwhile = in_the_gate().resume().on(Event::Looked {
            starts: vec!["again".to_owned()],
            now: None,
        });
        for interrupted in [ended_meanwhile, started_meanwhile] {
            assert_eq!(taken_back(interrupted).fault, Fault::Interruption);
        }
        let recorded = in_the_gate();
        let lost = in_the_gate().unrecorded(&recorded, "disk is full".to_owned());
        assert_eq!(taken_back(lost).fault, Fault::Host);
    }

    #[test]
    fn a_gate_whose_checks_nobody_knows_any_more_is_not_gone_on_with() {
        assert!(matches!(
            in_the_gate().resume().next(),
            Some(Action::Look { .. })
        ));
        let ended = taken_back(in_the_gate().resume_ungated());
        assert_eq!(ended.fault, Fault::Interruption);
    }

    #[test]
    fn a_version_that_an_outage_of_the_engine_has_stopped_is_not_at_fault_and_one_that_failed_before_stays_so()
     {
        let stopped = taken_back(in_the_gate().after_a_loss(failed()));
        assert_eq!(stopped.fault, Fault::Interruption);
        let Some(Ending::RolledBack { why }) = stopped.ending() else {
            panic!("{stopped:?}");
        };
        assert!(why.contains("the engine did not answer"), "{why}");
        let failed_before = in_the_gate().on(failed()).after_a_loss(Event::Done);
        assert_eq!(taken_back(failed_before).fault, Fault::Version);
    }

    #[test]
    fn whatever_step_forth_an_outage_of_the_engine_makes_fail_is_tried_again() {
        let id = "new".to_owned();
        let mut forth = vec![deploy(), deploy().on(Event::Created { id })];
        // stop, park, promote, start
        for at in 1..5 {
            let next = forth[at].clone().on(Event::Done);
            forth.push(next);
        }
        for at_a_step in forth {
            let state = at_a_step.state.clone();
            let back = at_a_step.after_a_loss(failed());
            assert_eq!(back.fault, Fault::Interruption, "{state:?}");
        }
    }

    #[test]
    fn a_journal_of_an_older_version_blames_nobody() {
        let text = in_the_gate().on(failed()).to_journal().unwrap();
        let mut old: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(old["fault"], "version");
        old.as_object_mut().unwrap().remove("fault");
        let read = Deploy::from_journal(&old.to_string()).unwrap();
        assert_eq!(read.fault, Fault::Host);
    }

    #[test]
    fn a_version_that_does_not_start_or_pass_is_at_fault_and_a_full_or_taken_host_is_not() {
        let of = |step, why: &str| Fault::of(step, why);
        assert_eq!(of(Step::Gate, "it answered 500"), Fault::Version);
        assert_eq!(
            of(Step::Start, "exec: \"serve\": not found"),
            Fault::Version
        );
        for why in [
            "Bind for 0.0.0.0:80 failed: port is already allocated",
            "mkdir: no space left on device",
            "listen tcp4 0.0.0.0:80: bind: address already in use",
        ] {
            assert_eq!(of(Step::Start, why), Fault::Host, "{why}");
        }
        assert_eq!(
            of(Step::Gate, "the log says: address already in use"),
            Fault::Version
        );
        assert_eq!(of(Step::Stop, "it does not stop"), Fault::Host);
    }
}
