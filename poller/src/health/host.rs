//! A checkout or a command, checked on this host: there is no container to look at, and no engine to ask.

use std::{fmt, path::Path, time::Duration};

use towline_protocol::Gate;

use super::{
    RETURNED, Verdict,
    halt::judgement,
    passes,
    probe::{Bad, unended},
    soon_all,
    subject::Subject,
    trials::Trials,
};
use crate::{
    docker::LogTail,
    process::{self, How, Launcher, MAX_TAIL, Order, ProcessError},
    redact::Secrets,
    settings::HealthCheck,
};

/// How long the program of a check that is given up has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(1);

/// Where the programs of `exec` checks run, and as whom.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// What starts them.
    pub launcher: &'a Launcher,
    /// Who runs them; `None` is who runs Towline.
    pub user: Option<&'a str>,
    /// Where; absolute.
    pub dir: &'a Path,
    /// Their variables beside those that everybody has.
    pub env: &'a [(String, String)],
    /// What must not be told of what they say.
    pub secrets: &'a Secrets,
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variables may be secret.
        f.debug_struct("Host")
            .field("user", &self.user)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Waits until the new version passes `checks`, or fails them. Without checks there is nothing to wait for, and nothing but
/// the commands' exit statuses is known: [`Gate::Weak`] at once. Otherwise as [`super::gate`].
pub async fn gate_host(
    host: &Host<'_>,
    checks: &[HealthCheck],
    stable_for: Option<Duration>,
    spent: Duration,
    tell: &dyn Fn(String),
) -> Verdict {
    if checks.is_empty() {
        return Ok(Gate::Weak);
    }
    judgement(passes(Subject::Host(host), checks, stable_for, spent, tell).await)
}

/// Whether `checks` are passed now, each within its own limit but soon: how well the old version was. Without checks there is
/// nothing against it.
pub async fn is_well_host(host: &Host<'_>, checks: &[HealthCheck]) -> bool {
    let soon = soon_all(checks);
    let trials = Trials::new(Subject::Host(host), &soon, Vec::new(), Duration::ZERO);
    trials.pass(&|_| ()).await.is_ok()
}

/// Waits until the old version, brought back, passes `checks`, or fails them.
///
/// # Errors
/// Why it is not as well as it was.
pub async fn returned_host(host: &Host<'_>, checks: &[HealthCheck]) -> Result<(), String> {
    let verdict = gate_host(host, checks, Some(RETURNED), Duration::ZERO, &|_| ()).await;
    verdict.map(drop)
}

impl Host<'_> {
    /// Runs a check's program to its end, for at most `limit`, after which all of it is ended.
    pub(super) async fn exec(&self, command: &[String], limit: Duration) -> Result<(), Bad> {
        let order = Order {
            argv: command.to_vec(),
            user: self.user.map(str::to_owned),
            dir: self.dir.to_owned(),
            env: self.env.to_vec(),
            timeout: limit,
            grace: GRACE,
            capture: false,
            stdin: None,
            dies_with_us: true,
        };
        match process::run(self.launcher, &order, &mut |_| Ok(()), &mut |_| ()).await {
            Ok(ended) if ended.how == How::Exited(0) => Ok(()),
            Ok(ended) => Err(bad(words(ended.how, limit), ended.tail, None)),
            Err(ref error @ ProcessError::Outlived { how, ref tail, .. }) => {
                let how = how.map_or_else(|| unended(limit), |how| words(how, limit));
                Err(bad(how, tail.clone(), Some(error.to_string())))
            }
            Err(error) => Err(bad(error.to_string(), String::new(), None)),
        }
    }
}

fn words(how: How, limit: Duration) -> String {
    match how {
        How::Exited(status) => format!("it ended with status {status}"),
        How::Signalled(signal) => format!("it was ended by signal {signal}"),
        How::TimedOut => unended(limit),
    }
}

fn bad(how: String, text: String, goes_on: Option<String>) -> Bad {
    // Where it was cut, it begins with a line, which may have taken up to a quarter of it away.
    let is_cut = text.len() >= MAX_TAIL / 2;
    Bad {
        how,
        output: LogTail { text, is_cut },
        goes_on,
    }
}
