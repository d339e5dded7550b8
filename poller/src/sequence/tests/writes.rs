//! What a play writes into its journal, and what the next process makes of it: a disk that is full, a process that dies before or
//! after a write.

use super::{
    super::{Sequence, State, Step, Undo},
    fate::Fate,
    model::failed,
    mutants::Mutant,
    play::Stage,
};
use crate::process::Identity;

impl Stage {
    /// Writes the journal; whether the process lives and goes on.
    pub(super) fn commit(&mut self, fate: Fate) -> bool {
        let must = !self.deploy.may_go_unrecorded();
        if self.lost && must && fate.is_refusal() {
            self.hear(failed("the journal cannot be written"));
            return false;
        }
        // It is tried again only where it must be.
        self.lost &= !must;
        match fate {
            Fate::Works | Fate::Postponed | Fate::Blink | Fate::Outlives => {
                self.record();
                true
            }
            Fate::Refused | Fate::RefusedAmid | Fate::RefusedYetDone => self.lose_journal(),
            Fate::DiesBefore | Fate::DiesAmid => {
                self.revive();
                false
            }
            Fate::DiesAfter | Fate::Reboot => {
                self.record();
                self.die(fate);
                false
            }
        }
    }

    /// The disk is full. Without any record the deploy is not begun.
    fn lose_journal(&mut self) -> bool {
        let Some(recorded) = &self.recorded else {
            self.revive();
            return false;
        };
        if !self.lost {
            let deploy = self.deploy.clone();
            self.deploy = deploy.unrecorded(recorded, "disk full".to_owned());
            self.lost = true;
        }
        // What must be on record is tried once more, on the same full disk.
        let must = self.deploy.next().is_some() && !self.deploy.may_go_unrecorded();
        if must {
            self.hear(failed("the journal cannot be written"));
        }
        !must
    }

    /// Writes the process of a command that is about to go; whether it goes.
    pub(super) fn begin(&mut self, fate: Fate) -> bool {
        self.pids += 1;
        let deploy = self.deploy.clone().begun(Identity {
            pid: self.pids,
            started: 1,
            boot: self.host.boot.to_string(),
        });
        let is_full = self.lost || fate.is_refusal();
        if is_full && !self.deploy.may_go_unrecorded() {
            self.hear(failed("the journal cannot be written"));
            return false;
        }
        if matches!(fate, Fate::DiesBefore | Fate::DiesAmid) {
            self.revive();
            return false;
        }
        self.deploy = deploy;
        if !is_full && self.mutant != Some(Mutant::GoesWithoutRecord) {
            self.record();
        }
        if matches!(fate, Fate::DiesAfter | Fate::Reboot) {
            self.die(fate);
            return false;
        }
        true
    }

    /// Closes the journal; whether that is the end.
    pub(super) fn close(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Works
            | Fate::DiesAfter
            | Fate::Reboot
            | Fate::RefusedYetDone
            | Fate::Postponed
            | Fate::Blink
            | Fate::Outlives => true,
            // How it ended is kept until it can be written.
            Fate::Refused | Fate::RefusedAmid => false,
            Fate::DiesBefore | Fate::DiesAmid => {
                self.revive();
                false
            }
        }
    }

    pub(super) fn die(&mut self, fate: Fate) {
        if fate == Fate::Reboot {
            self.host.reboot();
        }
        self.revive();
    }

    /// Another process goes on from what is on disk, once it has ended what the last one has left.
    pub(super) fn revive(&mut self) {
        self.lost = false;
        self.away = false;
        self.recorded = None;
        let Some(written) = &self.journal else {
            self.deploy = self.fresh.clone();
            self.host.settle();
            return;
        };
        let text = written.to_journal().unwrap();
        let read = Sequence::from_journal(&text).unwrap();
        if read.process.is_some() && self.mutant != Some(Mutant::ForgetsLeftovers) {
            self.host.leftover = None;
        }
        // A command that goes unrecorded comes to its end by itself.
        if read.process.is_none() {
            self.host.settle();
        }
        self.died_in_command |= is_in_command(&read);
        self.recorded = Some(read.clone());
        self.deploy = match self.mutant {
            Some(mutant) => mutant.resume(read),
            None => read.resume(),
        };
    }

    fn record(&mut self) {
        if self.lost {
            return;
        }
        self.recorded = Some(self.deploy.clone());
        self.journal = Some(self.deploy.clone());
    }
}

/// Whether a command may be half done that must not be done twice.
fn is_in_command(deploy: &Sequence) -> bool {
    match &deploy.state {
        State::Replacing { step, .. } => matches!(step, Step::Run | Step::StopAgain) && deploy.ran,
        State::RollingBack { step, .. } => *step == Undo::RollBack && deploy.process.is_some(),
        State::Ended { .. } => false,
    }
}
