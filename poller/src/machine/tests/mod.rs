//! The machine against a model of an engine. `play` drives it, `fate` says what comes in between, `between` does it, `property` whether it
//! was right, `mutants` that a wrong machine is noticed; `stories`, `ordered` and `recovery` are examples.

use super::*;

mod between;
mod fate;
mod group;
mod journal;
mod model;
mod mutants;
mod ordered;
mod paused;
mod play;
mod properties;
mod property;
mod recovery;
mod scene;
mod stories;
