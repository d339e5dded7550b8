//! The contract between relay, poller and operators' tools, as types.
//!
//! Here: names, sizes, intents, mailboxes, reports, tokens, and the JSON they are on the wire.
//! Not here: any I/O, any clock, any randomness (callers pass them in), the relay's gate (crate
//! `towline-relay`) and the host's rules (crate `towline`).
//!
//! Readers ignore fields that they do not know, so nothing in this crate refuses unknown keys. It is part of the
//! Worker, so that nothing in it panics either.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod answer;
pub mod doorbell;
pub mod fleet;
pub mod glob;
pub mod intent;
pub mod mailbox;
pub mod manual;
pub mod mark;
pub mod name;
pub mod report;
pub mod secret;
pub mod ticket;
pub mod token;

pub use answer::{ErrorBody, Health, IntentStatus, Polled, WebhookAnswer, WebhookStatus};
pub use doorbell::{Hello, ServiceState, ToHost, ToHub};
pub use fleet::{Connection, Fleet, FleetHost, FleetService, Today};
pub use glob::Glob;
pub use intent::{
    ActionsSource, DeploymentSource, Image, Intent, PackageSource, PushSource, ReleaseSource,
    Revision, RunSource, Source,
};
pub use mailbox::{ChannelNews, MAILBOX_WINDOW, Mailbox};
pub use manual::{NewIntent, Queued};
pub use mark::{ChannelMark, Mark};
pub use name::{Channel, Digest, GitTag, HostName, IntentId, NameError, ServiceName, Sha};
pub use report::{Gate, Order, Outcome, Report, Side, StepTime};
pub use secret::Secret;
pub use ticket::{TICKET_LIFE, Ticket};
pub use token::{Claims, Revocations, Role, TokenError, TokenKey};

/// The protocol version that this crate speaks, sent as `Towline-Protocol`.
pub const PROTOCOL_VERSION: u32 = 1;

/// The header that carries [`PROTOCOL_VERSION`]; absent means 1.
pub const PROTOCOL_HEADER: &str = "Towline-Protocol";

/// The largest webhook body that the relay reads, in bytes.
pub const MAX_WEBHOOK_BODY: usize = 1024 * 1024;

/// The largest body of any other request, in bytes.
pub const MAX_REQUEST_BODY: usize = 64 * 1024;

/// The largest answer that the relay sends and a poller reads, in bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// The most channels that one `GET /v1/intents` may ask for.
pub const MAX_CHANNELS: usize = 99;

/// The most services that one host tells of.
pub const MAX_SERVICES: usize = 100;

/// The most reports that one `POST /v1/reports` may carry.
pub const MAX_REPORTS: usize = 100;

/// The largest log tail in a report, in bytes.
pub const MAX_LOG_TAIL: usize = 8 * 1024;

/// The most matched services of an acknowledgement.
pub const MAX_MATCHED: usize = 100;
