//! The pages of the documentation, done as they are written: what they tell a user to type is typed, in their order.
//!
//! Each page runs as root in a world of its own (`world`), with the real parts of the sandbox. What a page cannot do there
//! it says itself, see `towline_tests::guide`.

mod pages;
mod settings;
mod world;
