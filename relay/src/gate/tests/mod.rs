//! What GitHub sends, and what becomes of it: each kind of event has a file.

mod deployment;
mod package;
mod push;
mod release;
mod run;
mod workflow;

use super::*;
use crate::{
    event::{self, Event},
    settings::{self, Var},
};

fn gate(json: &str) -> Gate {
    settings::gate(&|_: &str| Var::Json(json.to_owned())).unwrap()
}

fn queued(decision: Decision) -> Candidate {
    match decision {
        Decision::Queue(candidate) => *candidate,
        Decision::Ignore(reason) => panic!("ignored: {reason}"),
    }
}

fn ignored(decision: Decision) -> Reason {
    match decision {
        Decision::Queue(candidate) => panic!("queued: {candidate:?}"),
        Decision::Ignore(reason) => reason,
    }
}

#[test]
fn an_event_that_is_no_source_is_ignored_and_the_twin_of_one_says_which_to_send() {
    let all = gate(r#"{"sources": ["registry_package", "push"]}"#);
    assert_eq!(all.ignore("issues"), Reason::Source("issues".to_owned()));
    assert_eq!(all.ignore("package"), Reason::Twin);
    let runs = gate("{}").ignore("package");
    assert_eq!(runs, Reason::Source("package".to_owned()));
}

#[test]
fn a_source_that_is_not_listed_is_ignored_whatever_it_holds() {
    for kind in SourceKind::ALL {
        let others = SourceKind::ALL.into_iter().filter(|other| *other != kind);
        let others: Vec<_> = others.map(|other| format!("{:?}", other.name())).collect();
        let gate = gate(&format!(r#"{{"sources": [{}]}}"#, others.join(", ")));
        let decision = match kind {
            SourceKind::WorkflowRun => gate.run(&run::completed()),
            SourceKind::Push => gate.push(&push::branch()),
            SourceKind::RegistryPackage => gate.package(&package::published()),
            SourceKind::Release => gate.release(&release::published()),
            SourceKind::Deployment => gate.deployment(&deployment::created()),
        };
        let reason = ignored(decision.unwrap());
        assert_eq!(reason, Reason::Source(kind.name().to_owned()));
    }
}
