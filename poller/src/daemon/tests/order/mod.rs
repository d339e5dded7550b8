//! Searches for an order of things in which the service goes back, or a bad version is tried for ever: answers of the
//! relay that are old or have gaps, tries that end in every way, restarts, and an operator, on a real store. Or in which what is held
//! off is begun, or lost.

mod held_off;

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use towline_protocol::{IntentId, Sha};

use held_off::{Locked, Name, a_lock};

use super::*;
use crate::{
    daemon::deploy::next_try,
    select::{Admission, admission},
    testing::{Broken, Property, digest, run},
};

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    /// Somebody queues an intent for the commit of this number, whose image is pushed already or is still that of
    /// commit 0; with the number of its run, or by hand.
    Arrives {
        commit: u8,
        is_pushed: bool,
        run: Option<u64>,
    },
    /// The relay's answer is so many intents behind, and has so many of them.
    Poll {
        behind: usize,
        window: usize,
    },
    /// So many rounds of work.
    Work {
        how: How,
        rounds: usize,
    },
    Restart,
    Retry,
    Resolve,
    Lock(Name, Locked),
}

/// What comes of a try that is begun.
#[derive(Clone, Copy, Debug)]
enum How {
    /// What the version deserves: that of commit 1 is good, the others are bad.
    Deserved,
    Interrupted,
    HostFails,
    NeedsOperator,
}

/// A mistake in what is around the real functions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mutant {
    ForgetsMark,
    ForgetsSeen,
    ForgetsOutcomes,
    IgnoresQuarantine,
    TriesFailuresAgain,
    ForgetsInterruptions,
    IgnoresLocks,
    LosesWhatIsHeldOff,
}

const MISTAKES: [(Mutant, Property); 8] = [
    (Mutant::ForgetsMark, Property::InOrder),
    (Mutant::ForgetsSeen, Property::InOrder),
    (Mutant::ForgetsOutcomes, Property::InOrder),
    (Mutant::IgnoresQuarantine, Property::NoLoop),
    (Mutant::TriesFailuresAgain, Property::NoLoop),
    (Mutant::ForgetsInterruptions, Property::NoLoop),
    (Mutant::IgnoresLocks, Property::HeldOff),
    (Mutant::LosesWhatIsHeldOff, Property::HeldOff),
];

/// A host, its relay, and what was seen of them.
struct World {
    poller: Option<Poller>,
    dir: TempDir,
    mutant: Option<Mutant>,
    relay: Vec<Intent>,
    /// The image that each intent leads to.
    images: Vec<char>,
    mark: Mark,
    newest: Mark,
    /// How each try has ended.
    ended: BTreeMap<(IntentId, u32), Outcome>,
    /// The tries of each intent since an operator asked for one.
    tries: BTreeMap<IntentId, u32>,
    /// The last intent that was tried.
    tried: u64,
    /// The images that have failed, with the intent's number and commit.
    failed: BTreeMap<char, (u64, Option<Sha>)>,
    /// Who holds the service off.
    locked: BTreeSet<Name>,
    /// What has come.
    received: BTreeSet<IntentId>,
    broken: Broken,
}

pub(super) fn poller(dir: &TempDir) -> Poller {
    poller_of(dir, testing::settings(""))
}

/// One of these services, with its state in `dir`.
pub(super) fn poller_of(dir: &TempDir, settings: Settings) -> Poller {
    let store = Store::open(&dir.path().join("state")).unwrap();
    // Nobody cuts the power here.
    store.tamper("PRAGMA synchronous = OFF");
    let nowhere = format!("unix://{}", dir.path().join("no-engine.sock").display());
    let token = Secret::new("tl1.e30.AAAA");
    let name = "pi".parse().unwrap();
    Poller::new(settings, name, &token, store, Some(nowhere)).unwrap()
}

fn play(turns: &[Turn], mutant: Option<Mutant>) -> Broken {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World {
        poller: Some(poller(&dir)),
        dir,
        mutant,
        relay: Vec::new(),
        images: Vec::new(),
        mark: Mark::NONE,
        newest: Mark::NONE,
        ended: BTreeMap::new(),
        tries: BTreeMap::new(),
        tried: 0,
        failed: BTreeMap::new(),
        locked: BTreeSet::new(),
        received: BTreeSet::new(),
        broken: Broken::new(),
    };
    for turn in turns {
        world.take(turn);
        world.look();
    }
    world.finish();
    world.broken
}

impl World {
    fn poller(&mut self) -> &mut Poller {
        self.poller.as_mut().unwrap()
    }

    fn store(&mut self) -> &mut Store {
        &mut self.poller().store
    }

    fn take(&mut self, turn: &Turn) {
        match turn {
            Turn::Arrives {
                commit,
                is_pushed,
                run,
            } => self.queue(*commit, *is_pushed, *run),
            Turn::Poll { behind, window } => self.poll(*behind, *window),
            Turn::Work { how, rounds } => {
                for _ in 0..*rounds {
                    self.work(*how);
                    self.look();
                }
            }
            Turn::Restart => {
                self.poller = None;
                self.poller = Some(poller(&self.dir));
            }
            Turn::Retry => self.retry(),
            Turn::Resolve => drop(self.store().resolve(&entry().service).unwrap()),
            Turn::Lock(name, locked) => self.lock(*name, *locked),
        }
    }

    fn queue(&mut self, commit: u8, is_pushed: bool, of_run: Option<u64>) {
        let mut intent = manual(self.relay.len() as u64 + 1);
        if let Some(number) = of_run {
            intent.source = Source::WorkflowRun(run(number, 1));
        }
        intent.revision.sha = Some(commit.to_string().repeat(40).parse().unwrap());
        self.images.push(match is_pushed {
            true => char::from(b'0' + commit),
            false => '0',
        });
        self.relay.push(intent);
    }

    fn poll(&mut self, behind: usize, window: usize) {
        let head = self.relay.len().saturating_sub(behind);
        let shown = self.relay[head.saturating_sub(window)..head].to_vec();
        if shown.is_empty() {
            return;
        }
        self.poller().take_in(answer(7, &shown), false).unwrap();
        if self.mutant == Some(Mutant::ForgetsMark) {
            let (channel, seq) = (shown[0].channel.clone(), head as u64);
            let mark = Mark { epoch: 7, seq };
            self.store()
                .receive(&channel, mark, &[], |_| unreachable!())
                .unwrap();
        }
    }

    /// One round of work, in which a try that is begun ends like this.
    fn work(&mut self, how: How) {
        match self.mutant {
            Some(Mutant::ForgetsSeen) => self.store().tamper("DELETE FROM seen"),
            Some(Mutant::ForgetsOutcomes) => self.store().tamper("DELETE FROM standing"),
            _ => {}
        }
        if self.mutant == Some(Mutant::IgnoresLocks) {
            self.store().tamper("DELETE FROM lock");
        }
        let service = self.poller().settings.services[0].clone();
        let judged = self.poller().judge(&service).unwrap();
        if self.mutant == Some(Mutant::LosesWhatIsHeldOff) && !self.locked.is_empty() {
            self.store().tamper("DELETE FROM intent");
        }
        let Some((intent, standing)) = judged else {
            return;
        };
        self.look();
        if !self.locked.is_empty() {
            let how = format!("{} is tried, held off by {:?}", intent.seq, self.locked);
            self.breaks(Property::HeldOff, how);
        }
        let attempt = next_try(standing.as_ref());
        self.check_begin(&intent, attempt);
        let image = self.images[intent.seq as usize - 1];
        let is_asked = standing.as_ref().is_some_and(|standing| standing.asked);
        let quarantine = self.store().quarantine(&service.name).unwrap();
        let is_free = is_asked || self.mutant == Some(Mutant::IgnoresQuarantine);
        let quarantine = if is_free { Vec::new() } else { quarantine };
        let mut ended = match admission(&quarantine, &intent, &digest(image).into()) {
            Admission::Free => self.attempt(&intent, image, is_asked, how),
            Admission::Later(_) => Applied {
                after_wait: Outcome::Quarantined,
                ..applied(Outcome::Waiting)
            },
            Admission::Never(_) => applied(Outcome::Quarantined),
        };
        ended.to.digest = Some(digest(image));
        ended.version = Some(digest(image).into());
        ended.to.sha = intent.revision.sha.clone();
        let entry = JournalEntry {
            intent: intent.id.clone(),
            attempt,
            ..entry()
        };
        let mut standing = standing;
        if let (Some(Mutant::ForgetsInterruptions), Some(standing)) = (self.mutant, &mut standing) {
            standing.interruptions = 0;
        }
        let now = Timestamp::now();
        let poller = self.poller();
        poller
            .end(&entry, Some(&service), standing.as_ref(), now, ended)
            .unwrap();
    }

    /// A try that is begun must not be of what is over, or of what is older than what was tried before.
    fn check_begin(&mut self, intent: &Intent, attempt: u32) {
        if let Some(outcome) = self.ended.get(&(intent.id.clone(), attempt)) {
            let how = format!("try {attempt} of {} has ended: {outcome:?}", intent.seq);
            self.breaks(Property::InOrder, how);
        }
        let mut of_it = self.ended.iter().filter(|((id, _), _)| *id == intent.id);
        let is_passed = of_it
            .next_back()
            .is_some_and(|(_, outcome)| matches!(outcome, Outcome::Superseded | Outcome::Stale));
        if is_passed || intent.seq < self.tried {
            let how = format!("{} is tried after {}", intent.seq, self.tried);
            self.breaks(Property::InOrder, how);
        }
        self.tried = self.tried.max(intent.seq);
    }

    /// How the try ends that is let through.
    fn attempt(&mut self, intent: &Intent, image: char, is_asked: bool, how: How) -> Applied {
        let tries = self.tries.entry(intent.id.clone()).or_default();
        *tries += 1;
        if *tries > 3 {
            let how = format!("try {tries} of {} by itself", intent.seq);
            self.breaks(Property::NoLoop, how);
        }
        if let Some((seq, sha)) = self.failed.get(&image)
            && !is_asked
            && (intent.seq <= *seq || intent.revision.sha != *sha)
        {
            let how = format!(
                "image {image}, which failed with {seq}, is tried with {}",
                intent.seq
            );
            self.breaks(Property::NoLoop, how);
        }
        let fault = |fault, outcome| Applied {
            fault,
            ..applied(outcome)
        };
        match how {
            How::Deserved if image == '1' => Applied {
                gate: Some(towline_protocol::Gate::Healthy),
                ..applied(Outcome::Succeeded)
            },
            How::Deserved => {
                let sha = intent.revision.sha.clone();
                self.failed.insert(image, (intent.seq, sha));
                let is_mistaken = self.mutant == Some(Mutant::TriesFailuresAgain);
                let of = if is_mistaken {
                    Fault::Interruption
                } else {
                    Fault::Version
                };
                fault(of, Outcome::RolledBack)
            }
            How::Interrupted => fault(Fault::Interruption, Outcome::RolledBack),
            How::HostFails => applied(Outcome::FailedUntouched),
            How::NeedsOperator => applied(Outcome::NeedsOperator),
        }
    }

    /// As `towline retry` does with what has failed.
    fn retry(&mut self) {
        let service = self.poller().settings.services[0].clone();
        let known = self.store().known(&service).unwrap();
        let newest = known
            .seen
            .as_ref()
            .and_then(|seen| seen.newest_of(&known.intents));
        let has_failed = |intent: &&Intent| {
            let standing = known.standings.get(&intent.id);
            let outcome = standing.map(|standing| standing.outcome);
            matches!(
                outcome,
                Some(Outcome::RolledBack | Outcome::FailedUntouched | Outcome::Quarantined)
            )
        };
        if let Some(intent) = newest.filter(has_failed) {
            self.store().try_again(&service.name, &intent.id).unwrap();
            self.tries.remove(&intent.id);
        }
    }

    /// What was seen never goes back, and what has ended has ended.
    fn look(&mut self) {
        let channel = "octo-org/web".parse().unwrap();
        let service = entry().service;
        let mark = self.store().mark(&channel).unwrap().unwrap_or_default();
        let seen = self.store().seen(&service).unwrap().unwrap_or_default();
        if mark < self.mark || seen.newest < self.newest {
            let how = format!("mark {mark} after {}, newest {}", self.mark, seen.newest);
            self.breaks(Property::InOrder, how);
        }
        (self.mark, self.newest) = (mark, seen.newest);
        let intents = self.store().intents(&channel).unwrap();
        self.received
            .extend(intents.into_iter().map(|intent| intent.id));
        for (id, standing) in self.store().standings(&service).unwrap() {
            let (outcome, attempt) = (standing.outcome, standing.attempt);
            if outcome.is_terminal() {
                let before = self.ended.insert((id.clone(), attempt), outcome);
                if before.is_some_and(|before| before != outcome) {
                    let how = format!("try {attempt} of {id} ended as {before:?} and {outcome:?}");
                    self.breaks(Property::InOrder, how);
                }
            }
        }
    }

    fn breaks(&mut self, property: Property, how: String) {
        self.broken.entry(property).or_insert(how);
    }
}

fn a_turn() -> impl Strategy<Value = Turn> {
    let arrives = (0u8..3, any::<bool>(), proptest::option::of(1u64..20));
    let how = prop_oneof![
        4 => Just(How::Deserved),
        3 => Just(How::Interrupted),
        1 => Just(How::HostFails),
        1 => Just(How::NeedsOperator),
    ];
    prop_oneof![
        4 => arrives.prop_map(|(commit, is_pushed, run)| Turn::Arrives { commit, is_pushed, run }),
        5 => (0usize..3, 1usize..6).prop_map(|(behind, window)| Turn::Poll { behind, window }),
        8 => (how, 1usize..5).prop_map(|(how, rounds)| Turn::Work { how, rounds }),
        1 => Just(Turn::Restart),
        1 => Just(Turn::Retry),
        2 => Just(Turn::Resolve),
        3 => a_lock().prop_map(|(name, locked)| Turn::Lock(name, locked)),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order_nothing_goes_back_and_no_bad_version_is_tried_for_ever(
        turns in vec(a_turn(), 20..40),
    ) {
        prop_assert_eq!(play(&turns, None), Broken::new());
    }
}

#[test]
fn each_mistake_around_the_order_of_things_is_noticed() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(a_turn(), 20..40);
    let a_play = |_| strategy.new_tree(&mut runner).unwrap().current();
    let plays: Vec<_> = (0..100).map(a_play).collect();
    for (mutant, property) in MISTAKES {
        let is_seen = |turns: &Vec<Turn>| play(turns, Some(mutant)).contains_key(&property);
        assert!(
            plays.iter().any(is_seen),
            "{mutant:?} breaks no {property:?}"
        );
    }
    for turns in &plays {
        assert_eq!(play(turns, None), Broken::new(), "{turns:?}");
    }
}
