//! What is decided without Compose or an engine.

mod containers;
mod images;
mod lost;
mod project;
mod resolved;
