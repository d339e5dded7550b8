//! What becomes of a deploy when the poller is killed, the engine is killed, the power is cut, or the disk is full: the real
//! binary on a real engine.
//!
//! Needs the feature `failpoints` and what `tests/setup/sandbox` provides. Only the sandbox's own engine is killed; with a
//! borrowed one these tests show nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod companions;
mod composed;
mod cover;
mod disk;
mod engine;
mod host;
mod images;
mod leftover;
mod orders;
mod outage;
#[expect(dead_code, reason = "the tests without an engine ask it more")]
mod poller;
mod project;
mod projects;
#[path = "../process/relay.rs"]
#[expect(dead_code, reason = "the tests of the process ask it more")]
mod relay;
#[path = "../kill_parts/remote.rs"]
#[expect(dead_code, reason = "the tests without an engine have its server hang")]
mod remote;
mod replicas;
#[path = "../engine/scene.rs"]
#[expect(dead_code, reason = "the other tests of the engine do more")]
mod scene;
#[path = "../kill_parts/seen.rs"]
mod seen;
mod side_by_side;
mod small;
mod stack;
mod stacks;
mod steps;
mod taken_back;
