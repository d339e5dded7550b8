//! The poller's Docker half on a real engine: each test makes containers and images of its own and lets a deploy run.
//!
//! Needs what `tests/setup/sandbox` provides: `DOCKER_HOST`, `TOWLINE_TEST_REGISTRY` and the `docker` command.
//! `TOWLINE_TEST_ENGINE=20.10` chooses the oldest engine that is supported.

mod compose;
mod fidelity;
mod gate;
mod recovery;
mod refusals;
mod scene;
