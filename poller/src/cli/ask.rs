//! `towline status` and `history`: by the control socket when `towline run` has the state directory, else with the state
//! locked here.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use towline_protocol::ServiceName;

use super::{docker_host, known, on_one_thread, say, settings, table};
use crate::{
    control::{
        client::{self, ControlError, Told},
        message::{Ask, Line},
    },
    daemon::AFTER_A_CHANGE,
    exit::Ending,
    history::{Entry, FORMAT, History},
    status::{Status, look},
    store::{Store, StoreError},
    terminal::Terminal,
    token,
};

/// Prints how `service`, or each one, stands. `config` is the host's file, which is read only when nobody serves.
pub(super) fn status(
    state: &Path,
    config: &Path,
    service: Option<&ServiceName>,
    json: bool,
) -> anyhow::Result<Ending> {
    let status = match ask(state, &Ask::Status)? {
        Some(Line::Status(status)) => *status,
        Some(other) => return Err(unexpected(&other)),
        None => recorded(state, config)?,
    };
    let names = known::listed(status.services.iter().map(|one| &one.name));
    let Some(status) = status.of(service) else {
        return Err(unknown(state, service, &names)?);
    };
    if json {
        print_json(&status)?;
    } else {
        say(&table::status(&status, table::width()))?;
    }
    Ok(Ending::Done)
}

/// Why nothing can be said of how `service` stands; the host's file has `names`.
fn unknown(
    state: &Path,
    service: Option<&ServiceName>,
    names: &str,
) -> anyhow::Result<anyhow::Error> {
    let name = service.map_or("", |name| name.as_str());
    Ok(match past(state, service.cloned(), 1)?.is_empty() {
        true => anyhow::anyhow!(
            "no service {name} is known; the host's file names {names} ({AFTER_A_CHANGE})"
        ),
        false => anyhow::anyhow!(
            "the host's file does not name {name} any more, only {names}; how its deploys ended: towline history {name}"
        ),
    })
}

/// Prints how the last deploys of `service`, or of each one, ended. `config` is the host's file, which is read only for a service
/// that nothing is known of.
pub(super) fn history(
    state: &Path,
    config: &Path,
    service: Option<ServiceName>,
    limit: u32,
    json: bool,
) -> anyhow::Result<Ending> {
    let deploys = past(state, service.clone(), limit)?;
    if let Some(service) = service.filter(|_| deploys.is_empty()) {
        let all = past(state, None, u32::MAX)?.into_iter();
        let all = all.map(|entry| entry.service).collect();
        known::known(&service, config, &all)?;
    }
    if json {
        print_json(&History {
            format: FORMAT,
            deploys: &deploys,
        })?;
    } else {
        say(&table::history(&deploys, table::width()))?;
    }
    Ok(Ending::Done)
}

/// The last `limit` ends of `service`, or of all, the newest first.
fn past(state: &Path, service: Option<ServiceName>, limit: u32) -> anyhow::Result<Vec<Entry>> {
    let request = Ask::History {
        service: service.clone(),
        limit,
    };
    match ask(state, &request)? {
        Some(Line::History(deploys)) => Ok(deploys),
        Some(other) => Err(unexpected(&other)),
        None => {
            let past = open(state)?.history(service.as_ref(), limit)?;
            Ok(past.into_iter().filter_map(Entry::of).collect())
        }
    }
}

/// The answer of the poller that has the state directory; `None` when nobody serves it.
pub(super) fn ask(state: &Path, request: &Ask) -> anyhow::Result<Option<Line>> {
    let terminal = Terminal::default();
    let mut tell = |told: Told<'_>| match told {
        Told::Now(what) => terminal.show(what),
        Told::Step(what) => {
            terminal.clear();
            super::complain(what);
        }
    };
    let answer = client::ask(state, request, &mut tell);
    terminal.clear();
    match answer {
        Ok(line) => Ok(Some(line)),
        Err(ControlError::Nobody { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The answer to another question.
pub(super) fn unexpected(line: &Line) -> anyhow::Error {
    anyhow::anyhow!(
        "the running towline answered another question ({line:?}); restart the service after an update"
    )
}

/// Opens a state that is there: looking at one makes none.
pub(super) fn open(state: &Path) -> anyhow::Result<Store> {
    be_there(state)?;
    Store::open(state).map_err(|error| locked(error.into()))
}

/// Refuses a state directory in which towline has not run yet: it is probably the wrong one.
pub(super) fn be_there(state: &Path) -> anyhow::Result<()> {
    let file = state.join("state.db");
    let exists = |file: &Path| {
        file.try_exists().with_context(|| {
            format!(
                "cannot look at {}; run this as root (sudo towline ...)",
                file.display()
            )
        })
    };
    // A log without its database is damage, which the store tells.
    let is_there = exists(&file)? || exists(&state.join("state.db-wal"))?;
    if !is_there {
        bail!(
            "{} is not there: towline has not run with this state directory yet (see --state-dir)",
            file.display()
        );
    }
    Ok(())
}

/// What to do when nobody serves and the state is in use all the same.
pub(super) fn locked(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StoreError::Locked { dir }) => anyhow::anyhow!(
            "{} is in use by a towline process that serves no control socket: a towline once, or a towline run that \
             starts or ends just now or says in its log why it has none; try again later",
            dir.display()
        ),
        Some(
            StoreError::Io { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Sql(_),
        )
        | None => error,
    }
}

/// What the state and the engine say, when nobody serves.
fn recorded(state: &Path, config: &Path) -> anyhow::Result<Status> {
    let settings = settings(config)?;
    let token = token::read(settings.relay.token_file.as_deref(), |name| {
        std::env::var_os(name)
    })?;
    let store = open(state)?;
    let now = Timestamp::now();
    let status = Status::recorded(&store, &settings, &token.claims.name, now)?;
    // Whoever wants to deploy need not wait for the engine's answer.
    drop(store);
    on_one_thread(async {
        let seen = look(docker_host().as_deref(), &status.sought()).await;
        Ok(status.with_seen(seen, Timestamp::now()))
    })
}

pub(super) fn print_json(shown: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(shown)?;
    Ok(say(&format!("{text}\n"))?)
}
