//! Sets in which one shares a namespace of the other: they are together at the end.

use super::{
    fate::{Fate, Moment, at_call},
    play::{Stage, calls, perform},
    scene::Scene,
    *,
};
use crate::{sequence::Sequence, testing::Property};

impl Stage {
    /// At the end each one that runs is in the namespace that its lender has now.
    pub(super) fn check_together(&mut self) {
        if !self.scene.chained || self.human {
            return;
        }
        let engine = &self.engine;
        let holder = |member: &Member| {
            let id = engine.named(&member.name)?;
            let container = engine.containers.get(&id)?;
            Some((id, container))
        };
        let apart = self.deploy.members.windows(2).find_map(|pair| {
            let ((lender, lends), (_, shares)) = (holder(&pair[0])?, holder(&pair[1])?);
            let inside = Some((lender, lends.starts));
            let is_apart = shares.running && (shares.inside != inside || !lends.running);
            is_apart.then(|| format!("{shares:?} is not with {lends:?}"))
        });
        if let Some(how) = apart {
            self.breaks(Property::AtRest, how);
        }
    }
}

/// The names of the members in the order in which they are stopped, or started.
fn order(passes: bool, is_it: fn(&Action) -> Option<&String>) -> Vec<String> {
    let mut ids = Vec::new();
    perform(&Scene::chain(passes), |moment| {
        if let Moment::Call(action) = moment {
            ids.extend(is_it(action).cloned());
        }
        Fate::Works
    });
    ids
}

#[test]
fn the_lender_is_stopped_last_and_started_first_forth_and_back() {
    fn stops(action: &Action) -> Option<&String> {
        if let Action::Stop { id } = action {
            return Some(id);
        }
        None
    }
    fn starts(action: &Action) -> Option<&String> {
        if let Action::Start { id } = action {
            return Some(id);
        }
        None
    }
    assert_eq!(order(true, stops), ["old2", "old1", "old0"]);
    let forth = order(true, starts);
    assert_eq!(forth, ["new1", "new2", "new3", "new1", "new2", "new3"]);
    let stopped = order(false, stops);
    assert_eq!(stopped[3..], ["new3", "new2", "new1"]);
    assert_eq!(order(false, starts)[3..], ["old0", "old1", "old2"]);
}

#[test]
fn a_failure_at_each_call_leaves_them_together() {
    for fate in [Fate::Refused, Fate::RefusedYetDone, Fate::DiesAfter] {
        for at in 0..calls(&Scene::chain(true)) {
            let end = perform(&Scene::chain(true), at_call(at, fate));
            assert!(end.deploy.ending().is_some());
        }
    }
}

#[test]
fn one_that_was_unwell_before_is_neither_looked_at_nor_gated_and_the_first_one_is() {
    let scene = Scene::chain(true);
    let mut engine = scene.engine();
    let mut deploy = scene.deploy(&mut engine, 0).unwrap();
    deploy.members[0].was_healthy = false;
    deploy.members[2].was_healthy = false;
    let mut asked = Vec::new();
    while let Some(action) = deploy.next() {
        if let Action::Look { containers } = &action {
            asked.push(containers.len());
        }
        if let Action::Gate { ids, .. } = &action {
            asked.push(ids.len());
        }
        deploy = deploy.on(engine.act(&action));
    }
    assert_eq!(asked, [2, 2, 2]);
    assert!(matches!(deploy.ending(), Some(Ending::Succeeded { .. })));
}

#[test]
fn only_those_behind_the_first_are_companions_and_an_older_version_does_not_read_their_journal() {
    let scene = Scene::chain(true);
    let deploy = scene.deploy(&mut scene.engine(), 0).unwrap();
    let names: Vec<_> = deploy.companions().iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["web1", "web2"]);
    assert!(!deploy.is_companion(0) && deploy.is_companion(1));
    let text = deploy.to_journal().unwrap();
    assert!(text.contains("\"format\":3"), "{text}");
    let said_again = deploy.clone().with_strategy(Strategy::StopFirst);
    assert_eq!(said_again, deploy);
    assert_eq!(Deploy::from_journal(&text).unwrap(), deploy);
    assert!(!Sequence::is_in(&text), "it is taken for one of parts");
    let alone = Scene::one(true);
    let alone = alone.deploy(&mut alone.engine(), 0).unwrap().accompanied();
    assert!(alone.companions().is_empty());
    assert!(alone.to_journal().unwrap().contains("\"format\":1"));
}

#[test]
fn a_companion_is_known_by_its_old_and_by_its_new_container_forth_and_back() {
    for passes in [true, false] {
        let scene = Scene::chain(passes);
        let mut engine = scene.engine();
        let mut deploy = scene.deploy(&mut engine, 0).unwrap();
        let mut stopped = Vec::new();
        while let Some(action) = deploy.next() {
            if let Action::Stop { id } = &action {
                let name = deploy.companion(id).map(|one| one.name.clone());
                stopped.push((id.clone(), name));
                assert!(deploy.one_of_several(id).is_some(), "{id}");
            }
            deploy = deploy.on(engine.act(&action));
        }
        assert!(stopped.len() >= 3);
        for (id, name) in stopped {
            let name = name.as_deref();
            match id.as_str() {
                "old0" | "new1" => assert_eq!(name, None, "{id}"),
                "old1" | "new2" => assert_eq!(name, Some("web1"), "{id}"),
                _ => assert_eq!(name, Some("web2"), "{id}"),
            }
        }
        assert_eq!(deploy.companion("elsewhere"), None);
    }
    let alone = Scene::one(true);
    let alone = alone.deploy(&mut alone.engine(), 0).unwrap();
    assert_eq!(alone.one_of_several(&alone.members[0].old), None);
}
