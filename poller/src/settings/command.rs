//! The keys of `command`: what is run to bring a version in place, to take it back, to stop and to start.

use std::{collections::BTreeMap, time::Duration};

use toml::{Spanned, de::DeValue};

use super::{
    Command, OnInterrupt, names,
    read::{Found, Reader, Table, Told, described},
    values,
};

/// How long a command may take unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What the variables begin with that Towline sets.
const OURS: &str = "TOWLINE_";

/// Reads the commands; `has_git` is whether there is a checkout, which can be taken back without a command.
pub(super) fn command(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    has_git: bool,
    reader: &mut Reader<'_>,
) -> Result<Command, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let expected = "what brings a version in place, such as [\"./update.sh\"]";
    let run = table.require(reader, "run", expected, names::argv);
    let rollback = table.get(reader, "rollback", names::argv);
    let stop = table.get(reader, "stop", names::argv);
    let start = table.get(reader, "start", names::argv);
    if let (Ok(Some(_)), Ok(None)) = (&stop, &start) {
        let expected = "what is stopped must be started again, also when going back";
        table.missing(reader, "start", expected);
    }
    let dir = table.get(reader, "dir", names::absolute);
    let timeout = table.get(reader, "timeout", values::duration);
    let env = env(&mut table, reader);
    let on_interrupt = table.get(reader, "on_interrupt", on_interrupt);
    let on_interrupt = match (&rollback, on_interrupt) {
        (Ok(rollback), Ok(found)) => {
            interruption(found, rollback.is_some(), has_git, &table, reader)
        }
        _ => Err(Told),
    };
    table.finish(reader, &[]);
    Ok(Command {
        run: run?.value,
        rollback: rollback?.map(|found| found.value),
        stop: stop?.map(|found| found.value),
        start: start?.map(|found| found.value),
        dir: dir?.map(|found| found.value),
        timeout: timeout?.map_or(TIMEOUT, |found| found.value),
        env: env?,
        on_interrupt: on_interrupt?,
    })
}

fn on_interrupt(value: &DeValue<'_>) -> Result<OnInterrupt, String> {
    match value.as_str() {
        Some("rerun") => Ok(OnInterrupt::Rerun),
        Some("rollback") => Ok(OnInterrupt::Rollback),
        Some("ask") => Ok(OnInterrupt::Ask),
        _ => Err(format!(
            "expected \"rerun\", \"rollback\" or \"ask\", found {}",
            described(value)
        )),
    }
}

/// What follows an interruption, which cannot be a way back that is not there.
fn interruption(
    found: Option<Found<OnInterrupt>>,
    has_rollback: bool,
    has_git: bool,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<OnInterrupt, Told> {
    let Some(found) = found else {
        return Ok(if has_rollback {
            OnInterrupt::Rollback
        } else {
            OnInterrupt::Ask
        });
    };
    if found.value == OnInterrupt::Rollback && !has_rollback && !has_git {
        let message = "there is no way back: it needs a `rollback` command, or `git`";
        return Err(reader.tell(&found.span, table.path_of("on_interrupt"), message));
    }
    Ok(found.value)
}

/// The variables, each mistake at its own line.
fn env(
    table: &mut Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<String, String>, Told> {
    let Some(raw) = table.raw("env") else {
        return Ok(BTreeMap::new());
    };
    let env = Table::at(table.path_of("env"), raw, reader)?;
    let mut variables = BTreeMap::new();
    let mut told = None;
    for (name, span, value) in env.entries() {
        match variable(name, value.get_ref()) {
            Ok(text) => {
                variables.insert(name.to_owned(), text);
            }
            Err(message) => told = Some(reader.tell(&span, env.path_of(name), message)),
        }
    }
    told.map_or(Ok(variables), Err)
}

/// The value of a variable. It may be a secret, and is not told.
fn variable(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    if !names::is_variable(name) {
        return Err("expected the name of a variable, [A-Za-z_][A-Za-z0-9_]*".to_owned());
    }
    if name.starts_with(OURS) {
        return Err(format!("variables {OURS}* are set by Towline itself"));
    }
    match value.as_str() {
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        Some(_) => Err("expected text without a NUL byte".to_owned()),
        None => Err(format!(
            "expected text in quotes, found a value of type {}",
            value.type_str()
        )),
    }
}
