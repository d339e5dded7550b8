//! Towline on the host: fetches deploy intents from the relay and applies them to this host's services.
//!
//! Pure files decide (`settings`, `select`, `mailbox`, `reference`, `spec`, `plan`, `machine`, `sequence`, `redact`, `status`,
//! `history`, `hello`); one file for each outside system acts (`relay_client`, `doorbell`, `docker`, `credentials`, `health`, `store`, `control`,
//! `terminal`); `daemon` and `cli` tie them together.

pub mod apply;
mod backoff;
pub mod backup;
pub mod cli;
pub mod compose;
pub mod control;
pub mod credentials;
pub mod daemon;
pub mod docker;
pub mod doorbell;
pub mod exit;
#[cfg(feature = "failpoints")]
mod failpoint;
pub mod follow;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod git;
pub mod health;
pub mod hello;
pub mod history;
pub mod lock;
pub mod logging;
pub mod machine;
pub mod mailbox;
pub mod plan;
pub mod process;
pub mod redact;
pub mod reference;
pub mod relay_client;
pub mod report;
pub mod route;
pub mod select;
pub mod sequence;
pub mod settings;
pub mod spec;
pub mod status;
pub mod store;
pub mod terminal;
pub mod token;
pub mod uptime;
pub mod version;

#[cfg(test)]
mod testing;
