//! What the kernel says of a process; see proc(5).

use std::fs;

use anyhow::{Context, Result};

/// A tick of `/proc/PID/stat`: the kernel shows 100 of them a second on every architecture.
const TICK_MS: f64 = 10.0;

/// User and system time so far of a process and all its threads, in milliseconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_ms(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat says {stat:?}"))?;
    Ok(f64::from(ticks) * TICK_MS)
}

/// `utime` and `stime`, the fields 14 and 15. The name before them may hold blanks and brackets.
fn ticks(stat: &str) -> Option<u32> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The processes named `name` that descend from `pid`.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn descendants(pid: u32, name: &str) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        for child in children.split_whitespace() {
            let child: u32 = child.parse()?;
            if fs::read_to_string(format!("/proc/{child}/comm"))?.trim() == name {
                found.push(child);
            }
            found.extend(descendants(child, name)?);
        }
    }
    Ok(found)
}

/// A memory figure of `/proc/PID/status`, for instance `VmRSS`, in MiB.
///
/// # Errors
/// When there is no such process or figure.
pub fn memory_mib(pid: u32, key: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = kib(&status, key).with_context(|| format!("/proc/{pid}/status has no {key}"))?;
    Ok(f64::from(kib) / 1024.0)
}

fn kib(status: &str, key: &str) -> Option<u32> {
    let mut lines = status.lines();
    let (_, value) =
        lines.find_map(|line| line.split_once(':').filter(|(name, _)| *name == key))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) 9 b) S 1 7 7 0 -1 4194560 100 0 0 0 120 34 5 6 20 0 8 0 1000";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_memory_figure_is_found_by_its_whole_name() {
        let status = "VmHWM:\t    9216 kB\nVmRSS:\t    8192 kB\n";
        assert_eq!(kib(status, "VmRSS"), Some(8192));
        assert_eq!(kib(status, "Vm"), None);
    }

    #[test]
    fn a_process_knows_its_children() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let is_known = || {
            let found = descendants(std::process::id(), "sleep");
            found.is_ok_and(|found| found.contains(&child.id()))
        };
        // The kernel may pass a child over while another test's child comes or goes (proc(5), "children").
        let known = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            is_known()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(known);
    }
}
