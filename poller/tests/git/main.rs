//! Checkouts on this host, by the real git, from real repositories behind a local HTTP server.
//!
//! Git LFS is tried where `git-lfs` is: `tests/setup` unpacks it for the sandbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod back;
mod fetch;
mod large;
mod login;
mod refusals;
mod scene;
mod trees;
