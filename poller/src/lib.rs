//! Towline on the host: fetches deploy intents from the relay and applies them to this host's services.
//!
//! Pure files decide (`settings`, `select`, `mailbox`, `reference`, `spec`, `plan`, `machine`); one file for each
//! outside system acts (`relay_client`, `docker`, `health`, `store`); `daemon` and `cli` tie them together.

pub mod reference;
pub mod select;
pub mod settings;
pub mod store;
