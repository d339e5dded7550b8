//! A service's hooks: how they are called, and what their ends mean.
//!
//! Nothing of them is on record. One that is under way when Towline dies is called again by the next process: `before` with the
//! next try, since nothing was touched, and `after` with the gate, of which it is the last check. A program of this host is asked
//! to end before; one in a container goes on, since an engine has no call that ends it, and may run twice at one time. Not here:
//! when they are called (`prepare`, `act`), and what follows (`machine`, `sequence`).

use std::{cell::Cell, path::PathBuf, time::Duration};

use towline_protocol::{Outcome, ServiceName, Side, report::log_tail};
use tracing::info;

use super::{
    Applied,
    said::{POSTPONED, TEMPFAIL, with_last_line, without_secrets},
    sequence::Ground,
};
use crate::{
    docker::{Docker, EngineError},
    machine::Fault,
    process::{self, Ended, GRACE, How, Launcher, Order, ProcessError},
    redact::Secrets,
    sequence::{About, known},
    settings::{Call, Hook, Service, Work},
};

/// Why a hook before is not found that a commit brings.
const NOT_YET: &str = " (it is called before the commit is checked out; put it beside the checkout, where it is there always)";
/// How many lines of one hook the host's log gets.
const LOGGED: u32 = 500;

/// The signals by which programs are asked to end: HUP, INT and TERM.
const ENDED: [i32; 3] = [1, 2, 15];

/// Which of a service's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Before,
    After,
}

impl Which {
    /// As the host's file and `TOWLINE_STEP` name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What hooks are called with.
pub(super) struct Calling<'a> {
    pub(super) engine: Option<&'a Docker>,
    pub(super) launcher: &'a Launcher,
    pub(super) service: &'a ServiceName,
    /// Who runs one on this host, where, and with which variables.
    pub(super) order: Order,
    /// The container that one is executed in; `None` when none runs.
    pub(super) container: Option<String>,
    /// What must not be told of what they say, beside the container's own secrets.
    pub(super) secrets: Secrets,
}

/// A program of this host as whoever runs Towline.
pub(super) fn plain_order(variables: Vec<(String, String)>) -> Order {
    Order {
        argv: Vec::new(),
        user: None,
        dir: PathBuf::from("/"),
        env: variables,
        timeout: Duration::ZERO,
        grace: GRACE,
        capture: false,
        stdin: None,
        dies_with_us: true,
    }
}

/// The variables of the hooks of a service that is one container.
pub(super) fn variables(
    about: About<'_>,
    which: Which,
    deploy: &str,
    from: &Side,
    to: &Side,
) -> Vec<(String, String)> {
    let sha = |side: &Side| side.sha.as_ref().map(ToString::to_string);
    let digest = |side: &Side| side.digest.as_ref().map(ToString::to_string);
    known([
        ("SERVICE", Some(about.service.to_string())),
        ("CHANNEL", about.channel.map(ToString::to_string)),
        ("INTENT", Some(about.intent.to_string())),
        ("ATTEMPT", Some(about.attempt.to_string())),
        ("DEPLOY", Some(deploy.to_owned())),
        ("STEP", Some(which.word().to_owned())),
        ("SHA", sha(to)),
        (
            "SHORT_SHA",
            to.sha.as_ref().map(|sha| sha.short().to_owned()),
        ),
        ("DIGEST", digest(to)),
        ("PREVIOUS_SHA", sha(from)),
        ("PREVIOUS_DIGEST", digest(from)),
    ])
}

/// What came of a hook, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) verdict: Verdict,
    /// The end of what it said, where it is against the deploy.
    pub(super) log: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has nothing against the deploy.
    Well,
    /// It asks for another time, for this reason, or somebody has ended it.
    PutOff(String),
    /// It is against the deploy, for this reason.
    Against(String),
    /// It has not run, for this reason.
    NotRun(String),
}

impl Verdict {
    /// Why a version that is in the gate is taken back, and whose fault that is; `None` when it has nothing against it.
    pub(super) fn failure(self) -> Option<(String, Fault)> {
        match self {
            Self::Well => None,
            Self::PutOff(why) => Some((why, Fault::Interruption)),
            Self::Against(why) => Some((why, Fault::Version)),
            Self::NotRun(why) => Some((why, Fault::Host)),
        }
    }
}

/// Why a deploy does not begin: its hook has put it off, or is against it.
pub(super) struct Stopped {
    pub(super) message: String,
    pub(super) log: String,
    /// How soon it is tried again, if it is.
    pub(super) pause: Option<Duration>,
}

impl Stopped {
    /// Why a deploy does not begin after what came of `before`; `None` when it does.
    pub(super) fn by(came: Came) -> Option<Self> {
        let (message, pause) = match came.verdict {
            Verdict::Well => return None,
            Verdict::PutOff(why) => (format!("postponed by {why}"), Some(POSTPONED)),
            Verdict::Against(why) | Verdict::NotRun(why) => (format!("refused by {why}"), None),
        };
        let log = came.log;
        Some(Self {
            message,
            log,
            pause,
        })
    }

    /// What the try comes to.
    pub(super) fn outcome(&self) -> Outcome {
        match self.pause {
            Some(_) => Outcome::Waiting,
            None => Outcome::FailedUntouched,
        }
    }

    /// The end of the try.
    pub(super) fn applied(self, from: Side, to: Side) -> Applied {
        let outcome = self.outcome();
        Applied {
            pause: self.pause,
            log_tail: self.log,
            ..Applied::new(outcome, from, to, self.message)
        }
    }
}

/// Why a hook of the service cannot be run on this host, if so: nothing is run. One after that a commit may bring, and those in
/// a container, are not looked for.
pub async fn hooks_refusal(launcher: &Launcher, service: &Service) -> Option<String> {
    let hooks = &service.hooks;
    let all = [(Which::Before, &hooks.before), (Which::After, &hooks.after)];
    for (which, hook) in all {
        let Some(Call::Run(argv)) = hook.as_ref().map(|hook| &hook.call) else {
            continue;
        };
        let why = match &service.work {
            Work::Docker { .. } => {
                let mut order = plain_order(Vec::new());
                order.argv.clone_from(argv);
                refused(launcher, &order).await.map(|why| why.to_string())
            }
            Work::Parts(parts) => {
                let program = argv.first().map_or("", String::as_str);
                let is_of_checkout = parts.in_checkout(program).is_some();
                if is_of_checkout && which == Which::After {
                    continue;
                }
                let order = Ground::of(parts).order(argv.clone(), Vec::new());
                let why = refused(launcher, &order).await;
                let not_yet = if is_of_checkout { NOT_YET } else { "" };
                why.map(|why| format!("{why}{not_yet}"))
            }
        };
        if let Some(why) = why {
            return Some(format!("hooks.{}: {why}", which.word()));
        }
    }
    None
}

/// Why a program cannot be run, if so. It is not.
pub(super) async fn refused(launcher: &Launcher, order: &Order) -> Option<ProcessError> {
    let mut stopped = |_: &_| Err(String::new());
    match process::run(launcher, order, &mut stopped, &mut |_| ()).await {
        Err(ProcessError::NotBegun(_)) | Ok(_) => None,
        Err(error) => Some(error),
    }
}

/// Calls a hook, to its end.
///
/// # Errors
/// When the engine is lost: nobody knows what came of it.
pub(super) async fn call(
    with: &Calling<'_>,
    which: Which,
    hook: &Hook,
) -> Result<Came, EngineError> {
    match &hook.call {
        Call::Run(argv) => Ok(run(with, which, argv, hook.timeout).await),
        Call::Exec { argv, of } => exec(with, which, argv, of.as_deref(), hook.timeout).await,
    }
}

async fn run(with: &Calling<'_>, which: Which, argv: &[String], timeout: Duration) -> Came {
    let order = Order {
        argv: argv.to_vec(),
        timeout,
        dies_with_us: true,
        ..with.order.clone()
    };
    let lines = Cell::new(0);
    let mut line = |line: &str| log(with, which, &lines, &with.secrets.hide(line));
    match process::run(with.launcher, &order, &mut |_| Ok(()), &mut line).await {
        Ok(Ended { how, tail, .. }) => {
            let status = match how {
                How::Exited(status) => Some(i64::from(status)),
                // A service manager, say, that ends Towline and all that it has started.
                How::Signalled(signal) if ENDED.contains(&signal) => Some(i64::from(TEMPFAIL)),
                How::Signalled(_) | How::TimedOut => None,
            };
            let how = match how {
                How::Exited(status) => format!("exit status {status}"),
                How::Signalled(signal) => format!("ended by signal {signal}"),
                How::TimedOut => too_long(which, timeout) + ", and ended",
            };
            came(which, status, how, without_secrets(&tail, &with.secrets))
        }
        Err(ref error @ ProcessError::Outlived { ref tail, .. }) => {
            let tail = without_secrets(tail, &with.secrets);
            came(which, None, error.to_string(), tail)
        }
        Err(error) if !error.has_run() => Came {
            verdict: Verdict::NotRun(format!("the hook {}: {error}", which.word())),
            log: String::new(),
        },
        Err(error) => came(which, None, error.to_string(), String::new()),
    }
}

async fn exec(
    with: &Calling<'_>,
    which: Which,
    argv: &[String],
    of: Option<&str>,
    timeout: Duration,
) -> Result<Came, EngineError> {
    let (Some(engine), Some(id)) = (with.engine, &with.container) else {
        let missing = match of {
            Some(service) => format!("no container of {service} runs"),
            None => "the container does not run".to_owned(),
        };
        if which == Which::Before {
            info!(service = %with.service, "before: {missing}, so that the hook is passed over");
            return Ok(Came::WELL);
        }
        return Ok(came(which, None, missing, String::new()));
    };
    let mut secrets = with.secrets.clone();
    if let Some(shown) = engine.container(id).await? {
        secrets.add_environment(&shown);
    }
    let executed = match engine.exec(id, argv, timeout).await {
        Ok(executed) => executed,
        Err(lost) if lost.is_loss() => return Err(lost),
        Err(refused) => {
            let why = secrets.hide(&refused.to_string());
            return Ok(came(which, None, why, String::new()));
        }
    };
    let text = match executed.output.is_cut {
        true => secrets.hide_in_tail(&executed.output.text),
        false => secrets.hide(&executed.output.text),
    };
    let lines = Cell::new(0);
    for line in text.lines() {
        log(with, which, &lines, line);
    }
    let how = match executed.status {
        Some(status) => format!("exit status {status}"),
        None => too_long(which, timeout) + "; it may be running still, an engine does not end it",
    };
    Ok(came(which, executed.status, how, text))
}

impl Came {
    /// That of a hook that is not there.
    pub(super) const WELL: Self = Self {
        verdict: Verdict::Well,
        log: String::new(),
    };
}

/// What a hook's end means; `how` and `text` have no secrets any more.
fn came(which: Which, status: Option<i64>, how: String, text: String) -> Came {
    let why = || format!("the hook {}: {}", which.word(), with_last_line(how, &text));
    let verdict = match status {
        Some(0) => return Came::WELL,
        Some(status) if status == i64::from(TEMPFAIL) => Verdict::PutOff(why()),
        Some(_) | None => Verdict::Against(why()),
    };
    Came {
        verdict,
        log: log_tail(&text).to_owned(),
    }
}

fn too_long(which: Which, timeout: Duration) -> String {
    let (word, seconds) = (which.word(), timeout.as_secs());
    format!("not done after {seconds} s (hooks.{word}.timeout)")
}

fn log(with: &Calling<'_>, which: Which, lines: &Cell<u32>, line: &str) {
    lines.set(lines.get().saturating_add(1));
    let (service, word) = (with.service, which.word());
    if lines.get() <= LOGGED {
        info!(%service, "{word}: {line}");
    } else if lines.get() == LOGGED + 1 {
        info!(%service, "{word}: more is not logged");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(which: Which, status: i64) -> Came {
        let how = format!("exit status {status}");
        came(which, Some(status), how, "checked\nnot now\n".to_owned())
    }

    #[test]
    fn a_hook_that_asks_for_another_time_puts_off_and_any_other_failure_is_against_the_deploy() {
        assert_eq!(
            Stopped::by(ended(Which::Before, 0)).map(|it| it.message),
            None
        );
        let put_off = Stopped::by(ended(Which::Before, 75)).unwrap();
        assert_eq!(
            put_off.message,
            "postponed by the hook before: exit status 75: not now"
        );
        let applied = put_off.applied(Side::default(), Side::default());
        assert_eq!(
            (applied.outcome, applied.pause),
            (Outcome::Waiting, Some(POSTPONED))
        );
        let against = Stopped::by(ended(Which::Before, 1)).unwrap();
        let applied = against.applied(Side::default(), Side::default());
        assert_eq!(
            (applied.outcome, applied.pause),
            (Outcome::FailedUntouched, None)
        );
        assert_eq!(applied.log_tail, "checked\nnot now\n");
        assert_eq!(
            applied.message,
            "refused by the hook before: exit status 1: not now"
        );
    }
}
