//! Whether a play has kept to the properties: at every instant, at its end, and when it is recovered once more.

use std::collections::BTreeMap;

use super::{
    super::{Deploy, Ending, Member, State, Strategy, Tidy},
    fate::Fate,
    model::{Container, Engine},
    play::Stage,
    scene::is_policy,
};
use crate::testing::Property;

impl Stage {
    /// After every call, commit, restart and deed of a human.
    pub(super) fn check_instant(&mut self) {
        if self.engine.volumes != self.before.volumes {
            self.breaks(Property::StrangersKept, "a volume was removed".to_owned());
        }
        let containers = &self.engine.containers;
        let mut strangers = self.strangers.iter();
        let is_changed = |(id, should): &(&String, &Container)| {
            !containers.get(*id).is_some_and(|is| is_same(is, should))
        };
        if let Some((id, should)) = strangers.find(is_changed) {
            let is = containers.get(id);
            let how = format!("nobody's {id} is {is:?}, not {should:?}");
            self.breaks(Property::StrangersKept, how);
        }
        for at in 0..self.deploy.members.len() {
            self.check_pair(at);
        }
        self.check_served();
    }

    fn check_served(&mut self) {
        if self.deploy.strategy == Strategy::StartFirst {
            let members = &self.deploy.members;
            let runs = |one: &Container| one.port.is_some_and(|at| members[at].runs);
            let is_found =
                |one: &Container| one.joined || members.iter().any(|m| m.name == one.name);
            let is_new = |one: &Container| one.deploy.as_ref() == Some(&self.engine.deploy);
            let mut all = self.engine.containers.values();
            let early = all
                .find(|one| is_new(one) && runs(one) && is_found(one) && !one.gated && one.running)
                .cloned();
            if let Some(early) = early {
                let how = format!("found by name before it has passed the gate: {early:?}");
                self.breaks(Property::Served, how);
            }
        }
        let at_once = match (self.deploy.strategy, self.deploy.parallel) {
            (Strategy::StartFirst, _) => 0,
            (Strategy::StopFirst, Some(parallel)) => parallel,
            (Strategy::StopFirst, None) => return,
        };
        // Where nothing more can be done with one of them, the others are taken back all the same.
        let is_stuck = self.deploy.stuck.is_some();
        if self.human || self.restarted || self.was_lost || self.scene.fragile || is_stuck {
            return;
        }
        let down = (0..self.deploy.members.len()).filter(|at| !self.is_served(*at));
        let down: Vec<usize> = down.collect();
        if down.len() > at_once {
            let how = format!("{down:?} are down: {:?}", self.engine.containers);
            self.breaks(Property::Served, how);
        }
    }

    /// Whether a version of this member's that is well runs, if one ran.
    fn is_served(&self, at: usize) -> bool {
        let old = &self.deploy.members[at].old;
        let is_well =
            |one: &Container| one.gated || one.deploy.as_ref() != Some(&self.engine.deploy);
        let mut pair = self
            .engine
            .containers
            .values()
            .filter(|one| one.port == Some(at));
        !self.before.containers[old].running || pair.any(|one| one.running && is_well(one))
    }

    fn check_pair(&mut self, at: usize) {
        let containers = &self.engine.containers;
        let pair = containers.values().filter(|one| one.port == Some(at));
        if pair.filter(|one| one.armed()).count() > 1 {
            let how = format!("both have a policy: {containers:?}");
            self.breaks(Property::OneArmed, how);
        }
        let old = &self.deploy.members[at].old;
        if at < self.committed || self.removed_by_human.contains(old) {
            return;
        }
        let was = &self.before.containers[old];
        let is = self.engine.containers.get(old);
        if !is.is_some_and(|is| stays(is, was)) {
            let how = format!("before the commit the old one is {is:?}, not {was:?}");
            self.breaks(Property::OldKept, how);
        }
    }

    /// At the end.
    pub(super) fn check_rest(&mut self) {
        let ending = self.ending().clone();
        if let Ending::NeedsOperator { why } = &ending {
            self.check_need(why);
            return;
        }
        if self.meddled {
            return;
        }
        let should = !self.disturbed && !self.scene.lookalike && self.is_fit();
        if should && !matches!(ending, Ending::Succeeded { .. }) {
            let how = format!("nothing was in the way of the new version, and yet: {ending:?}");
            self.breaks(Property::AtRest, how);
        }
        for (at, member) in self.deploy.members.clone().iter().enumerate() {
            self.check_holder(member, &of_member(&ending, at));
        }
        if let Ending::Paused { passed, .. } = ending {
            let all = self.deploy.members.len();
            if !self.scene.pauses || !(1..all).contains(&passed) {
                let how = format!("{passed} of {all} were left, which nobody has asked for");
                self.breaks(Property::Truthful, how);
            }
        }
        self.check_together();
        self.check_nothing_left(&ending);
        if let Ending::Succeeded { gate: Some(_) } = ending
            && !self.is_fit()
        {
            let how = "a version that never passes the gate has succeeded".to_owned();
            self.breaks(Property::Truthful, how);
        }
    }

    /// Whether the new version passes the gate.
    fn is_fit(&self) -> bool {
        self.engine.fit.contains(&self.engine.wanted)
    }

    /// An operator is asked for only where something was refused, a human did something, or a version does not come up
    /// any more; and keeps what there is.
    fn check_need(&mut self, why: &str) {
        let may_stay_down = self.scene.fragile || !self.engine.frail.is_empty();
        if !self.hindered && !may_stay_down {
            let how = format!("without need for an operator: {why}");
            self.breaks(Property::Truthful, how);
        }
        for member in self.deploy.members.clone() {
            let is_there = self.engine.containers.contains_key(&member.old);
            if !is_there && !self.removing && !self.removed_by_human.contains(&member.old) {
                let how = "the old container is not there for the operator".to_owned();
                self.breaks(Property::Truthful, how);
            }
        }
    }

    fn check_holder(&mut self, member: &Member, ending: &Ending) {
        let was = self.before.containers[&member.old].clone();
        let holder = self.engine.named(&member.name);
        let Some((id, holder)) = holder.map(|id| (id.clone(), self.engine.containers[&id].clone()))
        else {
            let how = format!("nothing has the name {} after {ending:?}", member.name);
            self.breaks(Property::AtRest, how);
            return;
        };
        // A restart of the engine starts what has a policy, and stops for good what has none: what was never touched, or
        // when there was nothing more to do.
        let is_left = self.restarted_at_last
            || matches!(ending, Ending::FailedUntouched { .. })
            || !self.touched.contains(&member.old);
        let by_engine = self.restarted && (is_left || holder.running);
        if holder.running != was.running && !by_engine {
            let how = format!("{ending:?}, and {} runs: {}", member.name, holder.running);
            self.breaks(Property::AtRest, how);
        }
        let is_new = holder.deploy.as_ref() == Some(&self.engine.deploy);
        let (is_it, untouched) = match ending {
            Ending::Succeeded { .. } => (is_new && holder.image == self.engine.wanted, true),
            Ending::RolledBack { .. } => (id == member.old, true),
            Ending::FailedUntouched { .. } => (
                id == member.old,
                self.restarted || self.human || holder.starts == was.starts,
            ),
            Ending::NeedsOperator { .. } | Ending::Paused { .. } => (true, true),
        };
        if !is_it || !untouched {
            let how = format!("{ending:?}, and the name has {id}: {holder:?}");
            self.breaks(Property::Truthful, how);
        }
        if !is_policy(&holder.policy, &member.policy) && !told(&self.deploy, "restart policy") {
            let how = format!("a lost policy is not told: {holder:?}");
            self.breaks(Property::Truthful, how);
        }
    }

    /// What is left behind is told.
    fn check_nothing_left(&mut self, ending: &Ending) {
        if !self.deploy.notes.is_empty() {
            return;
        }
        let is_new = matches!(ending, Ending::Succeeded { .. } | Ending::Paused { .. });
        if !is_new && self.engine.tags != self.before.tags {
            let how = format!("the tags are {:?} after {ending:?}", self.engine.tags);
            self.breaks(Property::Truthful, how);
        }
        let ours = |engine: &Engine| {
            let all = engine.containers.values();
            all.filter(|one| one.port.is_some()).count()
        };
        if !self.human && ours(&self.engine) != ours(&self.before) {
            let how = format!("something is left behind and not told: {:?}", self.engine);
            self.breaks(Property::Truthful, how);
        }
    }

    /// Had the last commit not worked, the recovery would end the same.
    pub(super) fn check_again(&mut self) {
        let is_over = self.hindered || self.restarted_at_last || !self.broken.is_empty();
        if is_over || self.journal.is_none() {
            return;
        }
        let mut again = self.clone();
        let ended = again.recover();
        let same = ended
            && std::mem::discriminant(again.ending()) == std::mem::discriminant(self.ending())
            && pairs(&again.engine) == pairs(&self.engine);
        if !same {
            let how = format!("{:?}, then {:?}", self.deploy, again.deploy);
            self.breaks(Property::Recovers, how);
        }
    }

    /// From what is on disk to the end, with nothing in between.
    fn recover(&mut self) -> bool {
        self.revive();
        self.go(&mut |_| Fate::Works)
    }
}

/// Whether the deploy says so to people.
pub(super) fn told(deploy: &Deploy, words: &str) -> bool {
    deploy.notes.iter().any(|note| note.contains(words))
}

/// For how many of the members there is no way back: also while the others go back, of whom those are not to wait.
pub(super) fn committed(deploy: &Deploy) -> usize {
    let is_sure = matches!(deploy.state, State::Committed { .. }) || deploy.paused.is_some();
    if is_sure { deploy.committed() } else { 0 }
}

/// How it ended for one member.
fn of_member(ending: &Ending, at: usize) -> Ending {
    match ending {
        Ending::Paused { passed, .. } if at < *passed => Ending::Succeeded { gate: None },
        Ending::Paused { why, .. } => Ending::RolledBack { why: why.clone() },
        Ending::Succeeded { .. }
        | Ending::RolledBack { .. }
        | Ending::FailedUntouched { .. }
        | Ending::NeedsOperator { .. } => ending.clone(),
    }
}

pub(super) fn is_removing(deploy: &Deploy) -> bool {
    matches!(
        deploy.state,
        State::Committed {
            step: Tidy::RemoveOld,
            ..
        }
    )
}

/// Whether nothing but the number of starts differs.
fn is_same(one: &Container, other: &Container) -> bool {
    let is_shown = one.name == other.name && one.policy == other.policy;
    is_shown && (one.running, one.stopped) == (other.running, other.stopped) && stays(one, other)
}

/// Whether the old container has what it must not lose before the commit.
fn stays(is: &Container, was: &Container) -> bool {
    is.image == was.image
        && is.port == was.port
        && is.volumes == was.volumes
        && is.deploy == was.deploy
}

/// Where the containers are, by id.
fn pairs(engine: &Engine) -> BTreeMap<&String, (&String, bool, &String)> {
    let shown = |container| {
        let Container {
            name,
            running,
            policy,
            ..
        }: &Container = container;
        (name, *running, policy)
    };
    let all = engine.containers.iter();
    all.map(|(id, container)| (id, shown(container))).collect()
}
