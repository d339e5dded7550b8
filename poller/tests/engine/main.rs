//! The poller's Docker half on a real engine: each test makes containers and images of its own and lets a deploy run.
//!
//! Needs what `tests/setup/sandbox` provides: `DOCKER_HOST`, `TOWLINE_TEST_REGISTRY` and the `docker` command.
//! `TOWLINE_TEST_ENGINE=20.10` chooses the oldest engine that is supported.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and JSON has many kinds of values"
)]

mod again;
mod choose;
mod compose;
mod faults;
mod faulty;
mod fidelity;
mod gate;
mod group;
mod health;
mod hooks;
mod humans;
mod interposed;
mod keep;
mod meanwhile;
mod ordered;
mod planned;
mod private;
mod progress;
mod pulls;
mod recovery;
mod refusals;
mod replicas;
mod roll_back;
mod scene;
mod set;
mod stack;
mod start_first;
mod stranger;
