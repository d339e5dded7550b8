//! The log: one line a step on standard error.

use std::{env, fs::File, io, os::fd::AsFd, os::unix::fs::MetadataExt};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::terminal::Terminal;

/// Sends the log to standard error, above what `terminal` shows; without the time where systemd's journal adds it.
pub fn start(terminal: Terminal) {
    let log = tracing_subscriber::fmt()
        .with_writer(Above(terminal))
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .with_target(false);
    if is_journal() {
        log.without_time().init();
    } else {
        log.init();
    }
}

/// Where the lines go.
struct Above(Terminal);

impl<'a> MakeWriter<'a> for Above {
    type Writer = &'a Terminal;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

/// Whether standard error goes to the journal (systemd.exec, `$JOURNAL_STREAM`: device and inode).
fn is_journal() -> bool {
    let Ok(file) = io::stderr().as_fd().try_clone_to_owned().map(File::from) else {
        return false;
    };
    file.metadata().is_ok_and(|found| {
        let stream = format!("{}:{}", found.dev(), found.ino());
        env::var("JOURNAL_STREAM").is_ok_and(|journal| journal == stream)
    })
}
