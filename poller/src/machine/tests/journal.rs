//! What is read from a journal that is not as it was written.

use super::{scene::Scene, *};

fn fresh() -> Deploy {
    let scene = Scene::one(true);
    scene.deploy(&mut scene.engine(), 0).unwrap()
}

#[test]
fn a_damaged_an_empty_and_a_newer_journal_are_told_apart() {
    let deploy = fresh();
    let text = deploy.to_journal().unwrap();
    assert_eq!(Deploy::from_journal(&text).unwrap(), deploy);
    let newer = text.replacen("\"format\":1", "\"format\":4", 1);
    assert!(matches!(
        Deploy::from_journal(&newer),
        Err(JournalError::Newer { found: 4, reads: 3 })
    ));
    let half = text.get(..text.len() / 2).unwrap();
    assert!(matches!(
        Deploy::from_journal(half),
        Err(JournalError::Damaged(_))
    ));
    let none = Deploy {
        members: Vec::new(),
        ..deploy
    }
    .to_journal()
    .unwrap();
    assert!(matches!(
        Deploy::from_journal(&none),
        Err(JournalError::Empty(_))
    ));
}

#[test]
fn a_journal_whose_parts_do_not_fit_together_needs_an_operator() {
    let mut deploy = fresh();
    assert_eq!(deploy.clone().or_stuck(), deploy, "one under way goes on");
    deploy.state = State::Replacing {
        step: Step::Promote,
        at: 0,
        new: Vec::new(),
    };
    assert_eq!(deploy.next(), None);
    let deploy = deploy.or_stuck();
    assert!(
        matches!(deploy.ending(), Some(Ending::NeedsOperator { why }) if why.contains("Promote")),
        "{deploy:?}"
    );
    assert_eq!(deploy.clone().or_stuck(), deploy);
}
