//! What is shipped: the Worker's wasm and the `towline` binary.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use towline_tests::place;

use crate::Row;

pub(crate) fn measure() -> Result<Vec<Row>> {
    // The deployed one comes last and stays.
    let (plain, plain_gzip) = wasm("off")?;
    let (raw, gzip) = wasm("on")?;
    let binary = fs::metadata(place::towline()?)?.len();
    Ok(vec![
        Row::new(
            "relay, wasm as deployed, gzip",
            format!("**{}**", kb(gzip)),
            "≤ 350 KB",
        ),
        Row::new("relay, wasm as deployed, raw", kb(raw), ""),
        Row::new(
            "relay, wasm without wasm-opt, gzip / raw",
            format!("{} / {}", kb(plain_gzip), kb(plain)),
            "",
        ),
        Row::new(
            "`towline`, release binary",
            format!("**{:.2} MB**", megabytes(binary)),
            "≤ 6 MB",
        ),
    ])
}

/// Builds the relay, and returns how many bytes its wasm has, raw and by gzip's usual level, which wrangler tells too.
fn wasm(optimised: &str) -> Result<(u64, u64)> {
    let mut build = Command::new(place::root().join("relay/build.sh"));
    let built = build.env("TOWLINE_WASM_OPT", optimised).status()?;
    ensure!(built.success(), "relay/build.sh failed");
    let wasm = place::root().join("build/index_bg.wasm");
    let zipped = Command::new("gzip").arg("--stdout").arg(&wasm).output();
    let zipped = zipped.context("starting gzip")?;
    ensure!(zipped.status.success(), "gzip failed");
    Ok((fs::metadata(wasm)?.len(), zipped.stdout.len() as u64))
}

fn kb(bytes: u64) -> String {
    format!("{:.1} KB", megabytes(bytes) * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "no file here has 2^53 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
