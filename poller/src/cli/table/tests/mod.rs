//! What the tables say.

mod history;
mod status;
