//! The machine against a model of a host. `play` drives it, `fate` says what comes in between, `property` whether it was right,
//! `mutants` that a wrong machine is noticed; `stories` are examples.

use super::*;

mod fate;
mod interrupted;
mod journal;
mod model;
mod mutants;
mod play;
mod properties;
mod property;
mod scene;
mod stories;
mod told;
mod writes;
