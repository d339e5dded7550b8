//! The terminal behind standard error: one line that is written over while something goes on, below the lines that stay; or
//! several, which stay in the end.
//!
//! The only file that names `indicatif`, whose business the width, the rate and terminals that cannot do it are. Where
//! standard error is no terminal nothing is shown, and lines are written as they are.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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
    styled(ProgressBar::with_draw_target(None, target))
}

fn styled(bar: ProgressBar) -> ProgressBar {
    // As wide as the terminal: what does not fit is cut, since a line that wraps cannot be written over.
    match ProgressStyle::with_template("{wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Lines that are written over as a whole.
#[derive(Debug)]
pub struct Lines {
    all: MultiProgress,
    shown: Vec<ProgressBar>,
}

impl Lines {
    /// Nothing yet; `None` where standard error is no terminal.
    pub fn on_terminal() -> Option<Self> {
        let target = ProgressDrawTarget::stderr_with_hz(RATE);
        (!target.is_hidden()).then(|| Self {
            all: MultiProgress::with_draw_target(target),
            shown: Vec::new(),
        })
    }

    /// Shows these lines in place of those before.
    pub fn show(&mut self, lines: &[String]) {
        for gone in self.shown.drain(lines.len().min(self.shown.len())..) {
            self.all.remove(&gone);
        }
        for line in lines.iter().skip(self.shown.len()) {
            let bar = ProgressBar::new_spinner().with_message(line.clone());
            self.shown.push(styled(self.all.add(bar)));
        }
        for (bar, line) in self.shown.iter().zip(lines) {
            bar.set_message(line.clone());
        }
    }

    /// Writes a line above them, which stays.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn tell(&self, line: &str) -> io::Result<()> {
        self.all.println(line)
    }
}

impl Drop for Lines {
    /// What was shown last stays.
    fn drop(&mut self) {
        for bar in &self.shown {
            bar.abandon();
        }
    }
}

/// Without anything that a terminal might obey: much of what is shown comes from the network.
pub fn printable(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.collect()
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
