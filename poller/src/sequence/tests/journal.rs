//! What is read from a journal that is not as it was written.

use super::{
    scene::{Kind, a_project, a_service},
    *,
};
use crate::{
    machine::{self, JournalError},
    settings::Parts,
};

fn fresh() -> Sequence {
    let scene = a_service(Kind::Fit);
    scene.deploy(&mut scene.host(), 0)
}

#[test]
fn a_damaged_a_newer_and_a_containers_journal_are_told_apart() {
    let deploy = fresh();
    let text = deploy.to_journal().unwrap();
    assert_eq!(Sequence::from_journal(&text).unwrap(), deploy);
    assert!(Sequence::is_in(&text));
    let newer = text.replacen("\"format\":2", "\"format\":4", 1);
    assert!(matches!(
        Sequence::from_journal(&newer),
        Err(JournalError::Newer { found: 4, reads: 2 })
    ));
    assert!(Sequence::is_in(&newer));
    let half = text.get(..text.len() / 2).unwrap();
    assert!(matches!(
        Sequence::from_journal(half),
        Err(JournalError::Damaged(_))
    ));
    let other = crate::testing::deploy().to_journal().unwrap();
    assert!(matches!(
        Sequence::from_journal(&other),
        Err(JournalError::OfContainer)
    ));
    assert!(!Sequence::is_in(&other));
}

#[test]
fn an_older_towline_says_that_a_newer_one_wrote_it() {
    let text = fresh().to_journal().unwrap();
    assert!(matches!(
        machine::format_of(&text, 1),
        Err(JournalError::Newer { found: 2, reads: 1 })
    ));
}

#[test]
fn a_journal_without_a_part_is_refused() {
    let mut deploy = fresh();
    deploy.parts = Parts {
        git: None,
        command: None,
        ..deploy.parts
    };
    let text = deploy.to_journal().unwrap();
    assert!(matches!(
        Sequence::from_journal(&text),
        Err(JournalError::Empty(_))
    ));
}

#[test]
fn a_journal_whose_parts_do_not_fit_together_needs_an_operator() {
    let deploy = fresh();
    assert_eq!(deploy.clone().or_stuck(), deploy, "one under way goes on");
    let without = |change: fn(&mut Sequence)| {
        let mut deploy = fresh();
        change(&mut deploy);
        deploy
    };
    let at = |step| State::Replacing { step, at: 0 };
    for (mut deploy, step) in [
        (without(|it| it.before.backup = None), Step::BackUp),
        (without(|it| it.before.checkout = None), Step::CheckOut),
        (without(|it| it.before.new.sha = None), Step::CheckOut),
        (without(|it| it.parts.command = None), Step::Run),
        (without(|_| ()), Step::Tag),
    ] {
        deploy.state = at(step);
        assert_eq!(deploy.next(), None);
        let stuck = deploy.or_stuck();
        assert!(
            matches!(stuck.ending(), Some(Ending::NeedsOperator { why }) if why.contains(&format!("{step:?}"))),
            "{stuck:?}"
        );
        assert_eq!(stuck.clone().or_stuck(), stuck);
    }
}

#[test]
fn fields_that_came_later_may_be_missing() {
    let scene = a_project(Kind::Fit);
    let deploy = scene.deploy(&mut scene.host(), 0);
    let mut value: serde_json::Value = serde_json::from_str(&deploy.to_journal().unwrap()).unwrap();
    let fields = value.as_object_mut().unwrap();
    for field in [
        "notes",
        "fault",
        "watch",
        "resumed",
        "process",
        "ran",
        "interrupted",
    ] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    assert_eq!(Sequence::from_journal(&value.to_string()).unwrap(), deploy);
}
