//! Drives the machine against the model as `apply` drives it against Docker: commit, call, event; after a crash on from
//! what is in the journal. What comes in between is said by the fates; whether it was right, by `property`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{Action, Deploy, Ending, Event, Expected},
    fate::{Fate, Moment},
    model::{Container, Engine, failed},
    mutants::Mutant,
    property::{committed, is_removing},
    scene::Scene,
};
use crate::testing::{Broken, Property};

/// How many steps, commits and calls, a play has at least.
pub(super) const STEPS: usize = 20;
/// Within how many steps a deploy ends when nothing comes in between any more: three containers, forth, through the
/// gate again and again, and back, take 110.
const ENDS_WITHIN: usize = 150;

/// What came of a play.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) broken: Broken,
    pub(super) steps: usize,
}

/// Deploys one version after another, until there were enough steps.
pub(super) fn play(
    scene: &Scene,
    fates: &mut dyn FnMut(Moment<'_>) -> Fate,
    mutant: Option<Mutant>,
) -> Played {
    let mut played = Played::default();
    let mut engine = scene.engine();
    for number in 0.. {
        let mut stage = Stage::new(scene, engine, number, mutant);
        stage.play(fates);
        played.steps += stage.steps;
        played.broken = std::mem::take(&mut stage.broken);
        if played.steps >= STEPS || !played.broken.is_empty() {
            break;
        }
        engine = stage.into_engine();
    }
    played
}

/// The calls of a deploy in which everything works.
pub(super) fn calls(scene: &Scene) -> usize {
    let mut calls = 0;
    perform(scene, |moment| {
        calls += usize::from(matches!(moment, Moment::Call(_)));
        Fate::Works
    });
    calls
}

/// One deploy in which nothing may be broken.
pub(super) fn perform(scene: &Scene, mut fates: impl FnMut(Moment<'_>) -> Fate) -> Stage {
    let mut stage = Stage::new(scene, scene.engine(), 0, None);
    stage.play(&mut fates);
    assert!(stage.broken.is_empty(), "{:#?}", stage.broken);
    stage
}

/// One deploy, what is around it, and what was seen of it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) before: Engine,
    pub(super) deploy: Deploy,
    pub(super) fresh: Deploy,
    /// What is on disk; `None` before the first commit.
    pub(super) journal: Option<String>,
    /// For how many of the members the commit is on disk.
    pub(super) committed: usize,
    /// What this process has recorded.
    pub(super) recorded: Option<Deploy>,
    /// Whether this process has given up recording.
    pub(super) lost: bool,
    /// Whether one has: after a crash besides, a recovery goes a way back once more from its beginning.
    pub(super) was_lost: bool,
    /// Whether this process has not heard of the engine since its restart.
    pub(super) away: bool,
    /// The containers that are nobody's of ours, as they should be.
    pub(super) strangers: BTreeMap<String, Container>,
    pub(super) removed_by_human: BTreeSet<String>,
    /// The containers that the machine has done something with.
    pub(super) touched: BTreeSet<String>,
    /// Whether a human has done something.
    pub(super) human: bool,
    /// Whether a human has done something that nobody has looked at since.
    pub(super) meddled: bool,
    /// Whether something was refused, or a human did something.
    pub(super) hindered: bool,
    /// Whether anything came in between.
    pub(super) disturbed: bool,
    /// Whether the engine was started again.
    pub(super) restarted: bool,
    /// Whether that was when there was nothing more to do.
    pub(super) restarted_at_last: bool,
    /// Whether old containers were to be removed already.
    pub(super) removing: bool,
    pub(super) scene: Scene,
    pub(super) mutant: Option<Mutant>,
    pub(super) steps: usize,
    /// Steps since something came in between.
    calm: usize,
    pub(super) broken: Broken,
}

impl Stage {
    fn new(scene: &Scene, mut engine: Engine, number: usize, mutant: Option<Mutant>) -> Self {
        let deploy = scene.deploy(&mut engine, number);
        let deploy = deploy.unwrap_or_else(|| {
            // What is missing was left to an operator, who has put everything as it was.
            engine = scene.engine();
            scene.deploy(&mut engine, number).unwrap()
        });
        let strangers = engine.containers.iter();
        let strangers = strangers.filter(|(_, container)| container.port.is_none());
        Self {
            strangers: strangers
                .map(|(id, container)| (id.clone(), container.clone()))
                .collect(),
            before: engine.clone(),
            engine,
            fresh: deploy.clone(),
            deploy,
            journal: None,
            committed: 0,
            recorded: None,
            lost: false,
            was_lost: false,
            away: false,
            removed_by_human: BTreeSet::new(),
            touched: BTreeSet::new(),
            human: false,
            meddled: false,
            hindered: false,
            disturbed: scene.deadly,
            restarted: false,
            restarted_at_last: false,
            removing: false,
            scene: scene.clone(),
            mutant,
            steps: 0,
            calm: 0,
            broken: Broken::new(),
        }
    }

    /// The engine for the next deploy. After an end that is for an operator it is as it was at the beginning.
    fn into_engine(self) -> Engine {
        if self.meddled || matches!(self.ending(), Ending::NeedsOperator { .. }) {
            return self.scene.engine();
        }
        self.engine
    }

    pub(super) fn ending(&self) -> &Ending {
        self.deploy.ending().unwrap()
    }

    fn play(&mut self, fates: &mut dyn FnMut(Moment<'_>) -> Fate) {
        if self.go(fates) {
            self.engine.settle();
            self.check_rest();
            self.check_again();
        }
    }

    /// To the end; `false` if there is none.
    pub(super) fn go(&mut self, fates: &mut dyn FnMut(Moment<'_>) -> Fate) -> bool {
        loop {
            if self.calm > ENDS_WITHIN {
                let how = format!("no end in sight: {:?}", self.deploy.state);
                self.breaks(Property::Recovers, how);
                return false;
            }
            let Some(action) = self.deploy.next() else {
                self.deploy = self.deploy.clone().or_stuck();
                let fate = self.step(fates, Moment::Commit);
                if self.close(fate) {
                    self.deploy = self.said(self.deploy.clone());
                    return true;
                }
                continue;
            };
            let fate = self.step(fates, Moment::Commit);
            if self.commit(fate) && self.deploy.next().as_ref() == Some(&action) {
                let fate = self.step(fates, Moment::Call(&action));
                self.call(&action, fate);
            }
        }
    }

    fn step(&mut self, fates: &mut dyn FnMut(Moment<'_>) -> Fate, moment: Moment<'_>) -> Fate {
        let fate = fates(moment);
        self.steps += 1;
        self.calm += 1;
        if fate != Fate::Works {
            self.calm = 0;
            self.disturbed = true;
        }
        let is_of_disk = matches!(moment, Moment::Commit) && !matches!(fate, Fate::Human(..));
        self.hindered |= fate.hinders() && !is_of_disk;
        fate
    }

    /// Writes the journal; whether the process lives.
    fn commit(&mut self, fate: Fate) -> bool {
        let lives = match fate {
            Fate::Works | Fate::Blink | Fate::BlinkAfter => {
                self.record();
                true
            }
            Fate::Human(deed, at) => {
                self.meddle(deed, at);
                self.record();
                true
            }
            Fate::Refused | Fate::RefusedYetDone | Fate::RefusedAmid => self.lose_journal(),
            Fate::DiesBefore | Fate::DiesAmid => {
                self.revive();
                false
            }
            Fate::DiesAfter | Fate::Restart | Fate::Reboot => {
                self.record();
                self.die(fate);
                false
            }
        };
        self.check_instant();
        lives
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
            (self.lost, self.was_lost) = (true, true);
        }
        true
    }

    /// Closes the journal; whether that is the end.
    fn close(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Works | Fate::DiesAfter | Fate::RefusedYetDone => true,
            Fate::Human(deed, at) => {
                self.meddle(deed, at);
                true
            }
            Fate::Blink | Fate::BlinkAfter | Fate::Restart | Fate::Reboot => {
                self.start_again(fate);
                self.restarted_at_last = true;
                true
            }
            // How it ended is kept until it can be written.
            Fate::Refused | Fate::RefusedAmid => false,
            Fate::DiesBefore | Fate::DiesAmid => {
                self.revive();
                false
            }
        }
    }

    fn call(&mut self, action: &Action, fate: Fate) {
        self.removing |= is_removing(&self.deploy);
        if self.scene.deadly && matches!(action, Action::Gate { .. }) {
            self.revive();
            return;
        }
        match fate {
            Fate::Works => {
                let event = self.act(action);
                self.hear(action, event);
            }
            Fate::Human(deed, at) => {
                self.meddle(deed, at);
                let event = self.act(action);
                self.hear(action, event);
            }
            Fate::Blink | Fate::BlinkAfter => {
                if fate == Fate::BlinkAfter {
                    self.act(action);
                }
                self.blink(action);
            }
            Fate::Refused => self.hear(action, refused()),
            Fate::RefusedYetDone => {
                self.act(action);
                self.hear(action, refused());
            }
            Fate::RefusedAmid => {
                self.engine.act_unheard(action);
                self.hear(action, refused());
            }
            Fate::DiesBefore => self.revive(),
            Fate::DiesAmid => {
                self.engine.act_unheard(action);
                self.revive();
            }
            Fate::DiesAfter | Fate::Restart | Fate::Reboot => {
                self.act(action);
                self.die(fate);
            }
        }
        self.check_instant();
    }

    /// The engine is started again in the middle of the call. Who was not answered does not create another one.
    fn blink(&mut self, action: &Action) {
        self.restart();
        self.away = true;
        if matches!(action, Action::Create { .. }) {
            self.hear(action, refused());
        } else {
            self.deploy = self.deploy.clone().found_again();
        }
    }

    fn act(&mut self, action: &Action) -> Event {
        if let Some(mutant) = self.mutant {
            mutant.meddle(&self.deploy, action, &mut self.engine);
            if let Some(event) = mutant.skip(&self.deploy, action, &self.engine) {
                return event;
            }
        }
        self.touched
            .extend(touches(action).into_iter().flatten().cloned());
        let event = self.engine.act(action);
        self.check_instant();
        event
    }

    fn hear(&mut self, action: &Action, event: Event) {
        let members = &self.deploy.members;
        let is_whole = |names: &[Expected]| {
            let mut names = names.iter().map(|one| &one.name);
            members
                .iter()
                .all(|member| names.next() == Some(&member.name))
        };
        let looked = match (action, &event) {
            (Action::Look { containers }, Event::Looked { .. }) => is_whole(containers),
            (Action::Verify { members: seen }, Event::Done) => seen.len() == members.len(),
            _ => false,
        };
        // Those that do not run are not looked at.
        if looked && members.iter().all(|member| member.runs) {
            self.meddled = false;
        }
        let deploy = std::mem::replace(&mut self.deploy, self.fresh.clone());
        let was_away = std::mem::take(&mut self.away);
        self.deploy = match self.mutant {
            Some(mutant) => mutant.on(deploy, event),
            None if was_away => deploy.after_a_loss(event),
            None => deploy.on(event),
        };
    }

    fn record(&mut self) {
        if self.lost {
            return;
        }
        self.recorded = Some(self.deploy.clone());
        let forgets = self.mutant == Some(Mutant::ForgetsToRecord) && self.journal.is_some();
        if !forgets {
            self.journal = Some(self.deploy.to_journal().unwrap());
            self.committed = committed(&self.deploy);
        }
    }

    fn said(&self, deploy: Deploy) -> Deploy {
        match self.mutant {
            Some(mutant) => mutant.say(deploy),
            None => deploy,
        }
    }

    pub(super) fn breaks(&mut self, property: Property, how: String) {
        self.broken.entry(property).or_insert(how);
    }
}

/// The containers that a call changes.
fn touches(action: &Action) -> [Option<&String>; 2] {
    match action {
        Action::SetPolicy { id, .. }
        | Action::Stop { id }
        | Action::Rename { id, .. }
        | Action::Start { id }
        | Action::Join { id, .. }
        | Action::Remove { id } => [Some(id), None],
        Action::Switch { old, new, .. } => [Some(old), Some(new)],
        Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::Create { .. }
        | Action::Find { .. }
        | Action::Look { .. }
        | Action::Gate { .. }
        | Action::Drain { .. }
        | Action::Verify { .. }
        | Action::SaveLog { .. } => [None, None],
    }
}

fn refused() -> Event {
    failed("refused")
}
