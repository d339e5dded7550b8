//! What is told while a deploy of parts goes on, and what its steps are called in reports.

use super::super::Progress;
use crate::sequence::{Action, Ending, Sequence, State, Step, Which};

/// The step that the time is counted for.
pub(super) fn step_name(state: &State) -> String {
    match state {
        State::Replacing { step, .. } => step.to_string(),
        State::RollingBack { .. } => "rollback".to_owned(),
        State::Ended { .. } => "end".to_owned(),
    }
}

/// What is to be told after `action`, which has led from `before` to `after`; `worked` is whether it did.
pub(super) fn milestone(
    before: &Sequence,
    action: &Action,
    worked: bool,
    after: &Sequence,
) -> Option<Progress> {
    match (&before.state, &after.state) {
        (
            State::Replacing { .. },
            State::Ended {
                ending: Ending::Succeeded { gate },
            },
        ) => Some(Progress::Healthy { gate: *gate }),
        (State::Replacing { step, at }, State::Replacing { .. }) => {
            forth(*step, *at, before).map(Progress::Did)
        }
        (State::Replacing { .. }, State::RollingBack { why, .. }) => {
            Some(Progress::RollingBack { why: why.clone() })
        }
        (
            State::RollingBack { .. },
            State::Ended {
                ending: Ending::RolledBack { .. },
            },
        ) => Some(Progress::RolledBack),
        (State::RollingBack { .. }, State::RollingBack { .. }) if worked => {
            back(action).map(Progress::Did)
        }
        (State::Replacing { .. } | State::RollingBack { .. }, State::Ended { .. })
        | (State::RollingBack { .. }, _)
        | (State::Ended { .. }, _) => None,
    }
}

/// The step is done.
fn forth(step: Step, at: usize, sequence: &Sequence) -> Option<String> {
    let before = &sequence.before;
    Some(match step {
        Step::Stop | Step::StopAgain => "stopped the service".to_owned(),
        Step::BackUp => format!("backed up to {}", before.backup.as_deref()?),
        Step::CheckOut => format!("checked out {}", before.new.sha.as_ref()?.short()),
        Step::Tag => format!(
            "let {} lead to the new image",
            before.tags.get(at)?.reference
        ),
        Step::Up => "brought the project up".to_owned(),
        Step::Run => "ran the command".to_owned(),
        Step::Start => "started the service".to_owned(),
        Step::Look | Step::Gate => return None,
    })
}

/// The step back is done, or gone on without.
fn back(action: &Action) -> Option<String> {
    Some(match action {
        Action::Command { which, .. } => match which {
            Which::Stop => "stopped the service".to_owned(),
            Which::Start => "started the service again".to_owned(),
            Which::RollBack => "ran the rollback command".to_owned(),
            Which::Run => return None,
        },
        Action::CheckOutOld { checkout, .. } => {
            format!("checked out {} again", checkout.commit.short())
        }
        Action::Restore { name } => format!("restored the data from {name}"),
        Action::UpOld => "brought the project up as it was".to_owned(),
        Action::MoveTagBack(tag) => format!("let {} lead where it led", tag.reference),
        Action::StopContainers => "stopped the containers".to_owned(),
        Action::BackUp { .. }
        | Action::CheckOut { .. }
        | Action::MoveTag(_)
        | Action::Up
        | Action::SaveLog
        | Action::Look
        | Action::Gate { .. }
        | Action::Verify => return None,
    })
}
