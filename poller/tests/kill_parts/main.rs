//! What becomes of a deploy of git checkouts and commands when the poller is killed or told to end, or the disk is full: the
//! real binary, the real git, real processes. No engine is there, so that these run once, whatever engines there are.
//!
//! Needs the feature `failpoints`. What has containers is killed in `kill`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod app;
mod commands;
#[path = "../kill/cover.rs"]
mod cover;
mod disk;
mod hooks;
#[path = "../kill/poller.rs"]
#[expect(dead_code, reason = "the tests with engines ask it more")]
mod poller;
#[path = "../process/relay.rs"]
#[expect(dead_code, reason = "the tests of the process ask it more")]
mod relay;
mod remote;
mod seen;
#[path = "../kill/side_by_side.rs"]
mod side_by_side;
#[path = "../kill/small.rs"]
mod small;
mod told;
mod tree;
mod trees;
