//! Whole-system tests: the relay in workerd, the real binary, a real engine, a real registry, real git and Compose.
//!
//! `make test` runs them inside of the sandbox, which has the engine and the registry ready.

mod access;
mod actions;
mod api;
mod checkout;
mod command;
mod deploy;
mod doorbell;
mod followed;
mod held_off;
mod killed;
mod manual;
mod missed;
mod project;
mod redeploy;
mod rung;
mod settings;
mod sources;
mod start_first;
mod storage;
mod systemd;
mod webhook;
mod whole_way;

use anyhow::{Result, anyhow};
use towline_tests::{
    http::Answer,
    relay::{Relay, SHARED},
};

/// The relay that tests share which neither count nor break anything.
fn relay() -> Result<&'static Relay> {
    SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// The relay said no, with this status and code.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let got = (answer.status, answer.code());
    assert_eq!(got, (status, code.to_owned()), "{}", answer.body);
}
