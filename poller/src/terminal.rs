//! The terminal behind standard error: one line that is written over while something goes on, below the lines that stay.
//!
//! The only file that names `indicatif`, whose business the width, the rate and terminals that cannot do it are. Where
//! standard error is no terminal nothing is shown, and lines are written as they are.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a second the line may change.
const RATE: u8 = 10;

/// The line that goes on; its copies are the same one.
#[derive(Clone, Debug, Default)]
pub struct Terminal(Arc<Mutex<Option<ProgressBar>>>);

impl Terminal {
    /// Shows what goes on, over what was shown before.
    pub fn show(&self, text: &str) {
        let mut line = self.line();
        line.get_or_insert_with(bar).set_message(text.to_owned());
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = self.line().take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar() -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(RATE);
    let bar = ProgressBar::with_draw_target(None, target);
    // As wide as the terminal: what does not fit is cut, since a line that wraps cannot be written over.
    match ProgressStyle::with_template("{wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Writes to standard error, above the line.
impl Write for &Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write(bytes);
        match &*self.line() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
