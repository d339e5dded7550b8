//! What always holds between services that come after one another, searched for a counterexample.

use proptest::{
    collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner,
};

use super::*;
use crate::select::{Match, matches};

const MISTAKES: [(Mutant, Property); 3] = [
    (Mutant::SkipsTheTurn, Property::Behind),
    (Mutant::CallsNobody, Property::Behind),
    (Mutant::ForgetsOutcomes, Property::InOrder),
];

impl World {
    /// A try that is begun comes after those of the services before.
    pub(super) fn check_begin(&self, service: &Service, intent: &Intent) {
        let (settings, host) = (settings(), "pi".parse().unwrap());
        for before in settings.before(service) {
            if matches(&host, before, intent) == Match::No {
                continue;
            }
            let took_it = match self.how_ended(&before.name, &intent.id) {
                Some(Outcome::Succeeded | Outcome::Unchanged) => true,
                // What was left for something newer, which is there now.
                Some(_) => {
                    let last = self.last.get(&before.name);
                    last.is_some_and(|(seq, how)| *seq > intent.seq && *how == Outcome::Succeeded)
                }
                None => false,
            };
            if !took_it {
                let (one, seq) = (&service.name, intent.seq);
                self.breaks(
                    Property::Behind,
                    format!("{one} took {seq} before {}", before.name),
                );
            }
        }
    }

    /// From now on all goes well, and an operator sees to what needs one: all that is for a service comes to an end there.
    fn come_to_rest(&mut self) {
        for _ in 0..12 {
            for service in SERVICES {
                let blocked = self.poller().store.blocked(&name(service)).unwrap();
                if blocked.is_some() {
                    self.resolve(service);
                }
            }
            self.work([How::Good; 4], true);
        }
        let (settings, host) = (settings(), "pi".parse().unwrap());
        for service in &settings.services {
            for intent in &self.relay {
                let is_for_it = matches(&host, service, intent) != Match::No;
                if is_for_it && self.how_ended(&service.name, &intent.id).is_none() {
                    let how = format!("{} waits with {} for ever", service.name, intent.seq);
                    self.breaks(Property::Behind, how);
                }
            }
        }
    }
}

fn play(turns: &[Turn], mutant: Option<Mutant>) -> Broken {
    let mut world = World::new(mutant);
    for turn in turns {
        world.take(turn);
    }
    world.come_to_rest();
    world.broken.into_inner()
}

fn a_how() -> impl Strategy<Value = How> {
    prop_oneof![
        5 => Just(How::Good),
        2 => Just(How::Bad),
        2 => Just(How::Interrupted),
        1 => Just(How::HostFails),
        1 => Just(How::NeedsOperator),
        2 => Just(How::Waits),
        1 => Just(How::PutsOff),
    ]
}

fn a_turn() -> impl Strategy<Value = Turn> {
    let service = || select(SERVICES.as_slice());
    let work = (
        [a_how(), a_how(), a_how(), a_how()],
        1usize..4,
        any::<bool>(),
    );
    prop_oneof![
        4 => select(&["main", "main", "hot", "release"][..]).prop_map(Turn::Run),
        2 => proptest::option::of(service()).prop_map(Turn::Asked),
        8 => work.prop_map(|(hows, rounds, is_late)| Turn::Work { hows, rounds, is_late }),
        1 => Just(Turn::Restart),
        1 => service().prop_map(Turn::Retry),
        2 => service().prop_map(Turn::Resolve),
        1 => service().prop_map(Turn::Back),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_nothing_is_begun_before_what_it_comes_after_and_nothing_waits_for_ever(
        turns in vec(a_turn(), 10..30),
    ) {
        prop_assert_eq!(play(&turns, None), Broken::new());
    }
}

#[test]
fn each_mistake_around_what_comes_after_what_is_noticed() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(a_turn(), 10..30);
    let a_play = |_| strategy.new_tree(&mut runner).unwrap().current();
    let plays: Vec<_> = (0..60).map(a_play).collect();
    for (mutant, property) in MISTAKES {
        let is_seen = |turns: &Vec<Turn>| play(turns, Some(mutant)).contains_key(&property);
        assert!(
            plays.iter().any(is_seen),
            "{mutant:?} breaks no {property:?}"
        );
    }
}
