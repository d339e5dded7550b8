//! Drives the machine against the model as `apply` drives it: commit, for a command commit its process, act, event; after a
//! crash on from what is in the journal (`writes`). What comes in between is said by the fates; whether it was right, by
//! `property`.

use super::{
    super::{Action, Ending, Event, Sequence, Which},
    fate::{Fate, Moment},
    model::{Host, failed},
    mutants::Mutant,
    property::{Broken, Promise},
    scene::Scene,
};

/// How many steps, writes and actions, a play has at least.
pub(super) const STEPS: usize = 20;
/// Within how many steps a deploy ends when nothing comes in between any more.
const ENDS_WITHIN: usize = 120;

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
    let mut host = scene.host();
    for number in 0.. {
        let mut stage = Stage::new(scene, host, number, mutant);
        stage.play(fates);
        played.steps += stage.steps;
        played.broken = std::mem::take(&mut stage.broken);
        if played.steps >= STEPS || !played.broken.is_empty() {
            break;
        }
        host = stage.into_host();
    }
    played
}

/// One deploy in which nothing may be broken.
pub(super) fn perform(scene: &Scene, mut fates: impl FnMut(Moment<'_>) -> Fate) -> Stage {
    let mut stage = Stage::new(scene, scene.host(), 0, None);
    stage.play(&mut fates);
    assert!(stage.broken.is_empty(), "{:#?}", stage.broken);
    stage
}

/// One deploy, what is around it, and what was seen of it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) before: Host,
    pub(super) deploy: Sequence,
    pub(super) fresh: Sequence,
    /// What is on disk, which is made text when it is read again; `None` before the first commit.
    pub(super) journal: Option<Sequence>,
    /// What this process has recorded.
    pub(super) recorded: Option<Sequence>,
    /// Whether this process has given up recording.
    pub(super) lost: bool,
    /// Whether this process has not heard of the engine since its restart.
    pub(super) away: bool,
    /// What was done, in order, as far as it was begun.
    pub(super) done: Vec<Action>,
    /// How often commands went that may not go twice.
    pub(super) runs: u32,
    pub(super) rollbacks: u32,
    /// How often the old version was started since the data were put back.
    pub(super) served_since_restore: bool,
    /// Whether something was refused.
    pub(super) hindered: bool,
    /// Whether the disk was full while it was at work.
    pub(super) was_full: bool,
    /// Whether anything came in between.
    pub(super) disturbed: bool,
    /// Whether the process died while a command was under way that may not go twice.
    pub(super) died_in_command: bool,
    pub(super) scene: Scene,
    pub(super) mutant: Option<Mutant>,
    steps: usize,
    /// Steps since something came in between.
    calm: usize,
    pub(super) pids: i32,
    pub(super) broken: Broken,
}

impl Stage {
    pub(super) fn new(
        scene: &Scene,
        mut host: Host,
        number: usize,
        mutant: Option<Mutant>,
    ) -> Self {
        host.stops = 0;
        host.starts = 0;
        host.restores = 0;
        let deploy = scene.deploy(&mut host, number);
        Self {
            before: host.clone(),
            host,
            fresh: deploy.clone(),
            deploy,
            journal: None,
            recorded: None,
            lost: false,
            away: false,
            done: Vec::new(),
            runs: 0,
            rollbacks: 0,
            served_since_restore: false,
            hindered: false,
            was_full: false,
            disturbed: scene.deadly,
            died_in_command: false,
            scene: scene.clone(),
            mutant,
            steps: 0,
            calm: 0,
            pids: 100,
            broken: Broken::new(),
        }
    }

    /// The host for the next deploy. What was left to people is as it was at the beginning.
    fn into_host(self) -> Host {
        let is_down = self.host.has_start && self.host.served.is_none();
        let is_left = is_down || !self.deploy.notes.is_empty();
        if is_left || matches!(self.ending(), Ending::NeedsOperator { .. }) {
            return self.scene.host();
        }
        self.host
    }

    pub(super) fn ending(&self) -> &Ending {
        self.deploy.ending().unwrap()
    }

    fn play(&mut self, fates: &mut dyn FnMut(Moment<'_>) -> Fate) {
        if self.go(fates) {
            self.host.settle();
            self.check_rest();
            self.check_again();
        }
    }

    /// To the end; `false` if there is none.
    fn go(&mut self, fates: &mut dyn FnMut(Moment<'_>) -> Fate) -> bool {
        loop {
            if self.calm > ENDS_WITHIN {
                let how = format!("no end in sight: {:?}", self.deploy.state);
                self.breaks(Promise::Recovers, how);
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
            if !self.commit(fate) || self.deploy.next().as_ref() != Some(&action) {
                continue;
            }
            if matches!(action, Action::Command { .. }) {
                let fate = self.step(fates, Moment::Begun);
                if !self.begin(fate) {
                    continue;
                }
            }
            let fate = self.step(fates, Moment::Act(&action));
            self.act(&action, fate);
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
        match moment {
            Moment::Act(_) => self.hindered |= fate.is_refusal(),
            Moment::Commit | Moment::Begun => self.was_full |= fate.is_refusal(),
        }
        fate
    }

    fn act(&mut self, action: &Action, fate: Fate) {
        let is_command = matches!(action, Action::Command { .. });
        let is_run = is_the(action, Which::Run);
        if self.scene.deadly && matches!(action, Action::Gate { .. }) {
            self.revive();
            return;
        }
        match fate {
            Fate::Postponed if is_run => {
                self.runs += 1;
                let why = "not now".to_owned();
                self.hear(Event::Postponed { why });
            }
            Fate::Blink if !is_command && self.scene.containers > 0 => self.blink(),
            Fate::Works | Fate::Postponed | Fate::Blink => {
                let event = self.perform(action);
                self.hear(event);
            }
            Fate::Refused => {
                self.count(action);
                self.hear(refused());
            }
            Fate::RefusedAmid => {
                self.perform_in_part(action);
                // Who sees a git end in the middle removes its lock.
                self.host.locked = false;
                self.hear(refused());
            }
            Fate::RefusedYetDone => {
                self.perform(action);
                self.hear(refused());
            }
            Fate::Outlives => {
                self.perform_in_part(action);
                self.host.leftover = Some(action.clone());
                self.hindered = true;
                let why = "it goes on".to_owned();
                self.hear(Event::Outlived { why });
            }
            Fate::DiesBefore => self.revive(),
            Fate::DiesAmid => {
                self.perform_in_part(action);
                self.host.leftover = is_command.then(|| action.clone());
                self.revive();
            }
            Fate::DiesAfter | Fate::Reboot => {
                if fate == Fate::Reboot {
                    self.perform_in_part(action);
                } else {
                    self.perform(action);
                }
                self.die(fate);
            }
        }
        self.check_instant();
    }

    fn perform(&mut self, action: &Action) -> Event {
        self.check_before(action);
        self.count(action);
        if let Some(mutant) = self.mutant {
            mutant.meddle(&self.deploy, action, &mut self.host);
            if let Some(event) = mutant.skip(&self.deploy, action) {
                return event;
            }
        }
        let event = self.host.act(action);
        self.served_since_restore |= starts_old(action);
        self.done.push(action.clone());
        event
    }

    fn perform_in_part(&mut self, action: &Action) {
        self.check_before(action);
        self.count(action);
        self.host.act_in_part(action);
        self.done.push(action.clone());
    }

    fn count(&mut self, action: &Action) {
        self.runs += u32::from(is_the(action, Which::Run));
        self.rollbacks += u32::from(is_the(action, Which::RollBack));
    }

    /// The engine is started again in the middle.
    fn blink(&mut self) {
        for container in &mut self.host.containers {
            container.starts += u32::from(container.running);
        }
        self.away = true;
        self.deploy = self.deploy.clone().found_again();
    }

    pub(super) fn hear(&mut self, event: Event) {
        let deploy = std::mem::replace(&mut self.deploy, self.fresh.clone());
        let was_away = std::mem::take(&mut self.away);
        self.deploy = match self.mutant {
            Some(mutant) => mutant.on(deploy, event),
            None if was_away => deploy.after_a_loss(event),
            None => deploy.on(event),
        };
    }

    fn said(&self, deploy: Sequence) -> Sequence {
        match self.mutant {
            Some(mutant) => mutant.say(deploy),
            None => deploy,
        }
    }

    /// From what is on disk to the end, with nothing in between.
    pub(super) fn recover(&mut self) -> bool {
        self.revive();
        self.go(&mut |_| Fate::Works)
    }

    pub(super) fn breaks(&mut self, promise: Promise, how: String) {
        self.broken.entry(promise).or_insert(how);
    }
}

pub(super) fn is_the(action: &Action, it: Which) -> bool {
    matches!(action, Action::Command { which, .. } if *which == it)
}

/// Whether the old version may serve after it.
fn starts_old(action: &Action) -> bool {
    matches!(action, Action::UpOld)
        || matches!(
            action,
            Action::Command {
                which: Which::Start,
                version: super::super::Version::Old
            }
        )
}

fn refused() -> Event {
    failed("refused")
}
