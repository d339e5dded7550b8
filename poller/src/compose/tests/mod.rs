//! What is decided without Compose or an engine.

pub(super) mod containers;
mod images;
mod lost;
mod project;
mod resolved;
