//! The log: one line a step on standard error.

use std::{env, fs::File, io, os::fd::AsFd, os::unix::fs::MetadataExt};

use tracing::level_filters::LevelFilter;

/// Sends the log to standard error; without the time where systemd's journal adds it.
pub fn start() {
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .with_target(false);
    if is_journal() {
        log.without_time().init();
    } else {
        log.init();
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
