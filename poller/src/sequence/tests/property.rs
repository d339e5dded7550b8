//! Whether a play has kept what is promised: at every instant, at its end, and when it is recovered once more.

use std::collections::BTreeMap;

use super::{
    super::{Action, Ending, Which, resume::RESUMES},
    model::{Host, Shown},
    play::{Stage, is_the},
};

/// What always holds for a service of parts, whatever fails or dies. `docs/architecture.md` has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// 1. An old version that a way leads back to serves again, unless the new one does or an operator is asked for; and a version
    ///    that nothing is in the way of is put in place.
    OldServes,
    /// 2. What is reported is what is there.
    Truthful,
    /// 3. `run` is not begun a second time unless it is `rerun`'s, and neither is `rollback`.
    RunsOnce,
    /// 4. A recovery comes to an end, and recovering again ends the same.
    Recovers,
    /// 5. Data are put back only if the file says so, from this deploy's backup, before the old version serves again, and
    ///    never for a version that has succeeded.
    DataKept,
    /// 6. The backup is complete before anything else is changed.
    BackedUpFirst,
    /// 7. At rest the checkout is at one commit: the new one after a success, the old one else, unless an operator is asked for.
    OneCommit,
    /// 8. A stop is followed by a start, unless an operator is asked for.
    StartedAgain,
    /// 9. While data are copied or put back, or `run` or `rollback` begins, a service that can be stopped is.
    StillMeanwhile,
    /// 10. Nothing is done beside a program that goes on, of an earlier process or because it cannot be ended.
    Alone,
}

/// The promises that a run has broken, each with how.
pub(super) type Broken = BTreeMap<Promise, String>;

impl Stage {
    /// Before an action has an effect.
    pub(super) fn check_before(&mut self, action: &Action) {
        if let Some(other) = &self.host.leftover {
            let how = format!("{action:?} beside {other:?}");
            self.breaks(Promise::Alone, how);
        }
        let is_backup =
            matches!(action, Action::BackUp { name } if !self.host.backups.contains_key(name));
        let is_restore = matches!(action, Action::Restore { .. });
        let may_not_twice = is_the(action, Which::Run) || is_the(action, Which::RollBack);
        let is_up = self.scene.stops() && self.host.served.is_some();
        let is_under_containers = is_restore && self.host.containers.iter().any(|one| one.running);
        let should_be_still = is_backup || is_restore || may_not_twice;
        // A stop that was refused is told.
        if should_be_still && (is_up || is_under_containers) && !self.hindered {
            let how = format!("the service runs at {action:?}: {:?}", self.host.served);
            self.breaks(Promise::StillMeanwhile, how);
        }
        // A known limit: what could not be recorded is done again.
        let is_again = self.served_since_restore && !self.was_full;
        if is_restore && (self.scene.backup != Some(true) || is_again) {
            let how = format!(
                "data are put back where they should stay: {:?}",
                self.deploy.state
            );
            self.breaks(Promise::DataKept, how);
        }
    }

    /// After every action.
    pub(super) fn check_instant(&mut self) {
        let (host, before) = (&self.host, &self.before);
        let is_changed = host.tree != before.tree
            || host.tags != before.tags
            || host.installed != before.installed
            || host.data.form != before.data.form;
        let name = self.deploy.before.backup.as_ref();
        if is_changed && name.is_some_and(|name| !host.backups.contains_key(name)) {
            let how = format!("changed without a backup: {host:?}");
            self.breaks(Promise::BackedUpFirst, how);
        }
        let (runs, rollbacks) = (self.runs, self.rollbacks);
        if (runs > 1 || rollbacks > 1) && !self.scene.reruns() {
            let how = format!("run {runs} times, rollback {rollbacks} times");
            self.breaks(Promise::RunsOnce, how);
        }
    }

    /// At the end.
    pub(super) fn check_rest(&mut self) {
        let ending = self.ending().clone();
        if let Ending::NeedsOperator { why } = &ending {
            self.check_need(why);
            return;
        }
        let (before, host) = (self.before.clone(), self.host.clone());
        let has_succeeded = matches!(ending, Ending::Succeeded { .. });
        let version = if has_succeeded {
            before.new
        } else {
            before.old
        };
        if self.scene.git && host.tree != Some(version) {
            let how = format!("{ending:?}, and the checkout is at {:?}", host.tree);
            self.breaks(Promise::OneCommit, how);
        }
        if self.scene.stops() && host.served.is_none() && !self.is_down_by_itself(&ending) {
            let how = format!("{ending:?}, and nothing was started");
            self.breaks(Promise::StartedAgain, how);
        }
        if !self.disturbed && self.is_fit() && !has_succeeded {
            let how = format!("nothing was in the way of the new version, and yet: {ending:?}");
            self.breaks(Promise::OldServes, how);
        }
        if has_succeeded {
            self.check_success(&host);
        } else {
            self.check_way_back(&ending, &host, &before);
        }
    }

    /// Whether the new version passes the gate.
    fn is_fit(&self) -> bool {
        self.host.fit.contains(&self.host.new)
    }

    fn check_success(&mut self, host: &Host) {
        if !self.is_fit() || !host.is_well() || !host.runs_images_of(host.new) {
            let how = format!("a version has succeeded that does not serve: {host:?}");
            self.breaks(Promise::Truthful, how);
        }
        if host.restores > 0 {
            let how = "data were put back under a version that has succeeded".to_owned();
            self.breaks(Promise::DataKept, how);
        }
        if self.scene.containers == 0 && host.serves() != Some(self.shown(host.new)) {
            let how = format!("succeeded, and what serves is {:?}", host.serves());
            self.breaks(Promise::Truthful, how);
        }
    }

    /// Whether a restart of the system has ended what was not touched and does not start by itself.
    fn is_down_by_itself(&self, ending: &Ending) -> bool {
        let is_untouched = matches!(ending, Ending::FailedUntouched { .. });
        let comes_up = self.scene.enabled && !self.scene.fragile;
        is_untouched && self.host.boot != self.before.boot && !comes_up
    }

    /// What a service shows that is of this version.
    fn shown(&self, version: u32) -> Shown {
        let is_installed = self.scene.command.is_some() && !self.host.installs_in_tree;
        Shown {
            tree: Some(if self.scene.git { version } else { 0 }),
            installed: Some(if is_installed { version } else { 0 }),
        }
    }

    fn check_way_back(&mut self, ending: &Ending, host: &Host, before: &Host) {
        let is_old = if self.scene.containers > 0 {
            host.runs_images_of(before.old)
                && host.containers.iter().all(|one| one.tree == before.tree)
        } else {
            host.serves() == Some(self.shown(before.old))
        };
        if !is_old && !self.is_down_by_itself(ending) {
            let how = format!("{ending:?}, and what serves is {host:?}");
            self.breaks(Promise::OldServes, how);
        }
        let is_told = !self.deploy.notes.is_empty();
        let is_as_before =
            host.installed == before.installed && (host.tags == before.tags || is_told);
        if !is_as_before {
            let how = format!("{ending:?}, and there is {host:?}");
            self.breaks(Promise::Truthful, how);
        }
        if self.scene.backup == Some(true) && host.data.form != before.data.form {
            let how = format!("{ending:?}, and the data are {:?}", host.data);
            self.breaks(Promise::DataKept, how);
        }
        if self.scene.backup != Some(true) && host.restores > 0 {
            let how = "data were put back that should stay".to_owned();
            self.breaks(Promise::DataKept, how);
        }
        let is_untouched = matches!(ending, Ending::FailedUntouched { .. });
        let shows = host.stops > 0 || self.done.iter().any(shows);
        if is_untouched && shows {
            let how = format!("untouched after {:?}", self.done);
            self.breaks(Promise::Truthful, how);
        }
        let is_postponed = matches!(ending, Ending::Postponed { .. });
        if is_postponed && self.runs == 0 {
            self.breaks(
                Promise::Truthful,
                "nothing has asked for another time".to_owned(),
            );
        }
    }

    /// An operator is asked for only where something was refused, a version does not come up any more, nothing leads back, or
    /// a command was interrupted that must not be done twice.
    fn check_need(&mut self, why: &str) {
        let may_not_twice = self.runs > 0 || self.scene.backup == Some(true);
        let is_unrecorded = self.was_full && may_not_twice;
        let is_lost =
            !self.scene.leads_back() && self.runs > 0 && (self.disturbed || !self.is_fit());
        let may_need =
            self.hindered || self.scene.fragile || self.died_in_command || is_unrecorded || is_lost;
        if !may_need {
            let how = format!("without need for an operator: {why}");
            self.breaks(Promise::Truthful, how);
        }
        let archive = self.deploy.before.backup.as_ref();
        let archive = archive.filter(|name| self.host.backups.contains_key(*name));
        let may_have_changed = self.host.data.form != self.before.data.form;
        if may_have_changed && archive.is_some_and(|name| !why.contains(name)) {
            let how = format!("where the data from before are is not told: {why}");
            self.breaks(Promise::Truthful, how);
        }
    }

    /// Had the last commit not worked, the recovery would end the same.
    pub(super) fn check_again(&mut self) {
        // A success that is not on record counts as one more interruption.
        let is_last = self.deploy.resumed >= RESUMES;
        let is_over = self.hindered || self.was_full || is_last || !self.broken.is_empty();
        if is_over || self.journal.is_none() {
            return;
        }
        let mut again = self.clone();
        let ended = again.recover();
        let same = ended
            && std::mem::discriminant(again.ending()) == std::mem::discriminant(self.ending())
            && at_rest(&again.host) == at_rest(&self.host);
        if !same {
            let how = format!(
                "{:?}, then {:?}: {:?}",
                self.deploy.state, again.deploy.state, again.host
            );
            self.breaks(Promise::Recovers, how);
        }
    }
}

/// Whether anybody can see that it was done.
fn shows(action: &Action) -> bool {
    match action {
        Action::CheckOut { .. } | Action::Up | Action::UpOld | Action::Restore { .. } => true,
        Action::Command { .. }
        | Action::BackUp { .. }
        | Action::CheckOutOld { .. }
        | Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::SaveLog
        | Action::StopContainers
        | Action::Look
        | Action::Gate { .. }
        | Action::Verify => false,
    }
}

/// What there is at the end, whenever it came there.
fn at_rest(host: &Host) -> impl PartialEq + use<> {
    let images: Vec<String> = host
        .containers
        .iter()
        .map(|one| one.image.clone())
        .collect();
    (
        host.tree,
        host.tags.clone(),
        host.installed,
        host.data.form,
        host.serves(),
        images,
    )
}
