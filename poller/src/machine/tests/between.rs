//! What comes in between the steps of a play: deaths of the process, restarts of engine and machine, and humans.

use super::{
    super::{Action, Deploy},
    fate::{Deed, Fate},
    model::Container,
    play::Stage,
};

impl Stage {
    pub(super) fn die(&mut self, fate: Fate) {
        self.start_again(fate);
        self.revive();
    }

    /// Starts again what the fate says.
    pub(super) fn start_again(&mut self, fate: Fate) {
        match fate {
            Fate::Restart | Fate::Blink | Fate::BlinkAfter => self.restart(),
            Fate::Reboot => {
                self.engine.reboot();
                self.note_restart();
            }
            Fate::Works
            | Fate::Refused
            | Fate::RefusedYetDone
            | Fate::RefusedAmid
            | Fate::DiesBefore
            | Fate::DiesAfter
            | Fate::DiesAmid
            | Fate::Human(..) => {}
        }
    }

    pub(super) fn restart(&mut self) {
        self.engine.restart();
        self.note_restart();
    }

    fn note_restart(&mut self) {
        self.restarted = true;
        self.check_instant();
    }

    /// Another process goes on from what is on disk.
    pub(super) fn revive(&mut self) {
        self.away = false;
        self.lost = false;
        let Some(journal) = &self.journal else {
            self.deploy = self.fresh.clone();
            return;
        };
        let deploy = Deploy::from_journal(journal).unwrap();
        self.recorded = Some(deploy.clone());
        self.deploy = match self.mutant {
            None => deploy.resume(),
            Some(mutant) => mutant.resume(deploy),
        };
    }

    pub(super) fn meddle(&mut self, deed: Deed, at: usize) {
        (self.human, self.meddled) = (true, true);
        let member = &self.deploy.members[at % self.deploy.members.len()];
        let (old, name) = (member.old.clone(), member.name.clone());
        let port = Some(at % self.deploy.members.len());
        let is_new = |(_, container): &(&String, &Container)| {
            container.port == port && container.deploy.as_ref() == Some(&self.engine.deploy)
        };
        let new = self.engine.containers.iter().find(is_new);
        let new = new.map_or_else(String::new, |(id, _)| id.clone());
        let elsewhere = |id: &String| format!("{id}-by-hand");
        match deed {
            Deed::RemovesOld => self.remove_by_hand(old),
            Deed::RemovesNew => self.remove_by_hand(new),
            Deed::StopsOld => drop(self.engine.act(&Action::Stop { id: old })),
            Deed::StopsNew => drop(self.engine.act(&Action::Stop { id: new })),
            Deed::StartsOld => drop(self.engine.start(&old)),
            Deed::RenamesOld => drop(self.engine.act(&Action::Rename {
                to: elsewhere(&old),
                id: old,
            })),
            Deed::RenamesNew => drop(self.engine.act(&Action::Rename {
                to: elsewhere(&new),
                id: new,
            })),
            Deed::TakesName if self.engine.named(&name).is_none() => {
                let theirs = Container::of(&name, "other", "always", true);
                let id = format!("theirs{at}");
                self.strangers.insert(id.clone(), theirs.clone());
                self.engine.containers.insert(id, theirs);
            }
            Deed::TakesName => {}
        }
    }

    fn remove_by_hand(&mut self, id: String) {
        self.engine.containers.remove(&id);
        self.removed_by_human.insert(id);
    }
}
