//! Signals as a program expects them at its beginning: none ignored, none blocked.
//!
//! What is ignored or blocked stays so in the next program, and whoever started towline may have done either (`nohup`, `&` of a
//! script); Rust itself ignores SIGPIPE, of which `yes | head` would complain.

use std::{fs, io};

use nix::sys::signal::{SigSet, Signal};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// Has the next program that this process becomes hear every signal. What has a handler, which this process keeps until then, goes
/// back to the default; only what is ignored gets one, so that TERM ends this process as before.
///
/// # Errors
/// When the system does not let us. SIGILL, SIGFPE and SIGSEGV stay as they are.
pub(super) fn default_signals() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    for number in ignored(&fs::read_to_string("/proc/self/status")?) {
        // Handlers for faults of the program itself are refused.
        let _ = signal(SignalKind::from_raw(number));
    }
    Ok(())
}

/// The numbers of the signals that are ignored, of what `/proc/PID/status` says (proc(5)). SIGPIPE always is: some systems that
/// only look like Linux do not say.
fn ignored(status: &str) -> Vec<i32> {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let is_set = |number: i32| mask.unwrap_or_default() >> (number - 1) & 1 == 1;
    let is_ignored = |number: &i32| *number == Signal::SIGPIPE as i32 || is_set(*number);
    (1..=64).filter(is_ignored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_the_lowest_bit_and_sigpipe_is_ignored_by_ourselves() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert_eq!(ignored(&status("0000000000001003")), [1, 2, 13]);
        assert_eq!(ignored(&status("8000000000000000")), [13, 64]);
        assert_eq!(ignored(&status("0000000000000000")), [13]);
        assert_eq!(ignored(""), [13], "it does not say");
    }
}
