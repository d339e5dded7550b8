//! Hub, mailboxes and marks against a world that does its worst: a search for counterexamples.
//!
//! Real are the hub's statements on SQLite ([`towline_relay::hub::store`]), its pacing
//! ([`towline_relay::pace`]) and how a poller reads answers ([`towline::mailbox`]). Played are time, KV with its
//! caches in three places, the alarm, sockets, and whoever runs these parts: `hub` and `host` do what the relay's
//! `hub` and the poller's `daemon` do, in their order. `world` has the clock and what goes wrong, `step` what can,
//! `property` what must hold nevertheless, `mutant` shows that each property is looked at.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and a mutant is about one event of many"
)]

mod delivery;
mod doorbell;
mod host;
mod hub;
mod kv;
mod mutant;
mod property;
mod puts;
mod sql;
mod step;
mod upkeep;
mod world;

use std::thread;

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, RngSeed, TestError, TestRunner},
};

use world::play;

/// How many plays are searched, of at least [`step::LEAST`] steps each.
const PLAYS: u32 = 10_000;

/// Every core takes its part, from a seed of its own: the same plays on each machine with as many cores, and others only
/// where `PROPTEST_RNG_SEED` asks for them.
#[test]
fn whatever_the_world_does_every_accepted_intent_reaches_every_host_once_and_in_time() {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    thread::scope(|scope| {
        for part in 0..cores {
            let seed = first_seed()
                .wrapping_mul(u64::from(cores))
                .wrapping_add(u64::from(part));
            scope.spawn(move || search(seed, PLAYS.div_ceil(cores)));
        }
    });
}

fn first_seed() -> u64 {
    match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => 0,
    }
}

fn search(seed: u64, plays: u32) {
    let config = Config {
        cases: plays,
        // The usual one takes a fifth of the time in a debug build.
        rng_algorithm: RngAlgorithm::XorShift,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..Config::default()
    };
    let found = TestRunner::new(config).run(&step::steps(), |steps| {
        let broken = play(&steps, None);
        prop_assert!(broken.is_empty(), "{broken:#?}");
        Ok(())
    });
    match found {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("seed {seed}: {why}\nby {steps:#?}"),
        Err(TestError::Abort(why)) => panic!("seed {seed}: {why}"),
    }
}
