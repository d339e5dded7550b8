//! The service's own commands: how they are called, and what their ends mean.

use std::cell::Cell;

use towline_protocol::report::log_tail;
use tracing::info;

use super::{
    super::{
        hooks,
        said::{TEMPFAIL, with_last_line, without_secrets},
    },
    act::{Acted, Record},
    drive::Drive,
    ground::Ground,
};
use crate::{
    process::{self, Ended, How, Order, ProcessError, Refusal},
    redact::Secrets,
    sequence::{Event, Sequence, Version, Which},
    settings::Parts,
};

/// How many lines of one command the host's log gets; the report gets the last ones.
const LOGGED: u32 = 500;

/// Runs a command of the service, which `record` puts on record before it may go.
pub(super) async fn run(
    with: &Drive<'_>,
    sequence: &Sequence,
    which: Which,
    version: Version,
    record: Record<'_>,
) -> Acted {
    let variables = sequence.variables(with.about(), which.word(), version);
    let Some(argv) = sequence.argv(which).cloned() else {
        let why = "the journal has no such command".to_owned();
        return Event::Failed { why }.into();
    };
    let order = with.ground.order(argv, variables);
    let service = &with.entry.service;
    let lines = Cell::new(0);
    let mut log = |line: &str| {
        lines.set(lines.get() + 1);
        if lines.get() <= LOGGED {
            info!(%service, "{}: {}", which.word(), with.ground.secrets.hide(line));
        } else if lines.get() == LOGGED + 1 {
            info!(%service, "{}: more is not logged", which.word());
        }
    };
    match process::run(with.host.launcher, &order, record, &mut log).await {
        Ok(ended) => said(which, &order, &ended, &with.ground.secrets),
        Err(error) => unended(&order, &error, &with.ground.secrets),
    }
}

/// Why the program of a command, or of a check, cannot be run, if so. It is not.
pub async fn refusal(with: super::Host<'_>, parts: &Parts, argv: &[String]) -> Option<String> {
    let why = refused(with, parts, argv).await?;
    Some(why.to_string())
}

/// The same, not yet in words. An interpreter in the checkout may still come with a commit, or be made by `run`.
pub(super) async fn refused(
    with: super::Host<'_>,
    parts: &Parts,
    argv: &[String],
) -> Option<ProcessError> {
    let order = Ground::of(parts).order(argv.to_vec(), Vec::new());
    let why = hooks::refused(with.launcher, &order).await?;
    let may_come = matches!(
        &why,
        ProcessError::Refused(Refusal::NoInterpreter { interpreter, .. })
            if parts.in_checkout(interpreter).is_some()
    );
    (!may_come).then_some(why)
}

/// The same of the interpreter of a script that a commit brings, maybe with the folder that it runs in.
pub(super) async fn no_interpreter(
    with: super::Host<'_>,
    parts: &Parts,
    interpreter: String,
) -> Option<String> {
    let mut order = Ground::of(parts).order(vec![interpreter], Vec::new());
    order.dir = "/".into();
    let why = hooks::refused(with.launcher, &order).await?;
    Some(why.to_string())
}

/// What the end of a command means, and the end of what it said where it failed. What `run` said counts also when it is
/// well: where the version fails later, these are its last words.
fn said(which: Which, order: &Order, ended: &Ended, secrets: &Secrets) -> Acted {
    let text = without_secrets(&ended.tail, secrets);
    let why = with_last_line(words(ended.how, order), &text);
    let event = match (which, ended.how) {
        (_, How::Exited(0)) => Event::Done,
        (Which::Run, How::Exited(TEMPFAIL)) => Event::Postponed { why },
        (_, How::Exited(_) | How::Signalled(_)) => Event::Failed { why },
        (_, How::TimedOut) => Event::Failed {
            why: with_last_line(words(ended.how, order) + ", and ended", &text),
        },
    };
    let is_told = event != Event::Done || which == Which::Run;
    let log = if is_told { log_tail(&text) } else { "" };
    let note = left_running(which, ended);
    Acted {
        log: log.to_owned(),
        note,
        ..Acted::from(event)
    }
}

/// What is to be told of what a command had left running, if it had.
pub(crate) fn left_running(which: Which, ended: &Ended) -> Option<String> {
    ended.others_ended.then(|| {
        format!(
            "what {} had left running was ended after it: what shall stay belongs to a supervisor",
            which.word()
        )
    })
}

/// What it means that a command has no end: it has not begun, or something of it goes on.
fn unended(order: &Order, error: &ProcessError, secrets: &Secrets) -> Acted {
    let why = error.to_string();
    let has_not_run = !error.has_run();
    let ProcessError::Outlived { how, tail, .. } = error else {
        return Acted {
            has_not_run,
            ..Acted::from(Event::Failed { why })
        };
    };
    let how = how.map_or(String::new(), |how| words(how, order) + ", and ");
    Acted {
        log: log_tail(&without_secrets(tail, secrets)).to_owned(),
        ..Acted::from(Event::Outlived {
            why: format!("{how}{why}"),
        })
    }
}

fn words(how: How, order: &Order) -> String {
    match how {
        How::Exited(status) => format!("exit status {status}"),
        How::Signalled(signal) => format!("ended by signal {signal}"),
        How::TimedOut => format!(
            "not done after {} s (command.timeout)",
            order.timeout.as_secs()
        ),
    }
}
