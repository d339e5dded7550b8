//! The command line: handing on what is asked (`arguments`). Exit statuses are `exit`'s.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use towline_protocol::Channel;

use crate::{
    daemon::{Poller, Restore, Stop},
    exit::Ending,
    lock::Asked,
    logging,
    process::step,
    settings::{Mistake, Settings},
    store::Store,
    terminal::Terminal,
    token::{self, HostToken},
};

mod accepts;
mod aim;
mod arguments;
mod ask;
mod backups;
mod check;
mod connection;
mod deploy;
mod follow;
mod known;
mod locks;
mod logins;
mod mint;
mod order;
mod plan;
mod table;
mod values;
mod within;

use arguments::{Arguments, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    if let Some(ended) = step::main() {
        return ended;
    }
    let ending = match Arguments::try_parse() {
        Ok(arguments) => arguments.run().unwrap_or_else(|error| {
            complain(&format!("{error:#}"));
            Ending::Failed
        }),
        Err(error) => {
            // Without a terminal to print to there is nobody to tell.
            let _ = error.print();
            if error.use_stderr() {
                Ending::Usage
            } else {
                Ending::Done
            }
        }
    };
    ExitCode::from(ending.status())
}

/// Tells the operator what went wrong.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "towline: {message}");
}

/// Prints what was asked for.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Arguments {
    fn run(self) -> anyhow::Result<Ending> {
        match self.command {
            Command::Token {
                role,
                name,
                channels,
                generation,
                key_file,
            } => {
                let key = token::key(key_file.as_deref(), |name| std::env::var_os(name))?;
                say(&mint::token(
                    &key,
                    role,
                    name,
                    channels,
                    generation,
                    jiff::Timestamp::now(),
                )?)?;
                Ok(Ending::Done)
            }
            Command::Check {
                plan: Some(sha),
                service,
                branch,
                tag,
                run_number,
            } => {
                let asked = plan::Asked {
                    sha,
                    branch,
                    tag,
                    run_number,
                };
                plan::plan(&self.config, &self.state_dir, &asked, service.as_ref())
            }
            Command::Check { .. } => check::check(&self.config, &self.state_dir),
            Command::Once => {
                let parts = self.parts()?;
                on_one_thread(async move {
                    let stop = Stop::on_signals()?;
                    Ok(parts.poller()?.once(&stop).await)
                })
            }
            Command::Run { interval } => {
                let parts = self.parts()?;
                on_one_thread(async move {
                    let stop = Stop::on_signals()?.leaving_gates();
                    parts.poller()?.run(interval, stop, &self.state_dir).await
                })
            }
            Command::Backups { service, json } => {
                backups::backups(&self.state_dir, &self.config, service.as_ref(), json)
            }
            Command::Deploy(deploy) => deploy.run(&self.config),
            Command::Follow(follow) => follow.run(&self.config),
            Command::Retry { ref service } => order::retry(&self, service),
            Command::Rollback {
                ref service,
                ref to,
            } => order::roll_back(&self, service, to.as_deref()),
            Command::Restore {
                ref service,
                ref backup,
                running,
            } => {
                let backup = backup.clone();
                order::restore(&self, service, &Restore { backup, running })
            }
            Command::Hold {
                ref service,
                length,
                ref reason,
                ref name,
                wait,
            } => {
                let asked = Asked::Hold {
                    name: name.clone(),
                    length,
                    reason: reason.clone(),
                };
                locks::change(&self, service, asked, wait)
            }
            Command::Release {
                ref service,
                ref name,
                all,
            } => {
                let name = (!all).then(|| name.clone());
                locks::change(&self, service, Asked::Release { name }, false)
            }
            Command::Resolve { ref service } => order::resolve(&self, service),
            Command::Status { service, json } => {
                ask::status(&self.state_dir, &self.config, service.as_ref(), json)
            }
            Command::History {
                service,
                limit,
                json,
            } => ask::history(&self.state_dir, &self.config, service, limit, json),
        }
    }

    /// Reads everything that `once` and `run` need before they begin.
    fn parts(&self) -> anyhow::Result<Parts> {
        let terminal = Terminal::default();
        logging::start(terminal.clone());
        let settings = settings(&self.config)?;
        let token = token::read(settings.relay.token_file.as_deref(), |name| {
            std::env::var_os(name)
        })?;
        if let Some(warning) = &token.warning {
            tracing::warn!("{warning}");
        }
        let mut left_out = settings.channels();
        left_out.retain(|channel| !token.claims.allows(channel));
        for channel in &left_out {
            tracing::warn!(%channel, "this host's token is not for this channel, so that nothing comes for it; make one with --channel '{channel}' too");
        }
        let store = Store::open(&self.state_dir)?;
        Ok(Parts {
            settings,
            token,
            left_out,
            store,
            terminal,
        })
    }
}

struct Parts {
    settings: Settings,
    token: HostToken,
    left_out: Vec<Channel>,
    store: Store,
    terminal: Terminal,
}

impl Parts {
    fn poller(self) -> anyhow::Result<Poller> {
        let host = self.token.claims.name;
        let docker_host = docker_host();
        Ok(Poller::new(
            self.settings,
            host,
            &self.token.secret,
            self.store,
            docker_host,
        )?
        .without(self.left_out)
        .showing_at(self.terminal))
    }
}

/// Reads the host's file; all its mistakes are one error.
fn settings(path: &std::path::Path) -> anyhow::Result<Settings> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the host's file {file} (see --config; docs/examples/towline.toml is one to begin with)")
    })?;
    Settings::parse(&text, &file).map_err(|mistakes| {
        let count = mistakes.len();
        let lines: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
        let word = if count == 1 { "mistake" } else { "mistakes" };
        anyhow::anyhow!("{count} {word} in {file}:\n{}", lines.join("\n"))
    })
}

/// Reads the host's file; `None` where there is none, as on an operator's own machine.
fn settings_if_there(path: &std::path::Path) -> anyhow::Result<Option<Settings>> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        // Reading says why not.
        Ok(true) | Err(_) => settings(path).map(Some),
    }
}

/// Where the engine is, by the variable that Docker's own tools read.
fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST")
        .ok()
        .filter(|address| !address.is_empty())
}

fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(work);
    // Not waited for: a health check or a helper that hangs would keep the process from its end.
    runtime.shutdown_background();
    done
}
