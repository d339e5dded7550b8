//! The command line: what may be asked, and handing it on. Exit statuses are `exit`'s.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{
    Parser, Subcommand,
    builder::{PathBufValueParser, TypedValueParser},
};
use towline_protocol::{Channel, GitTag, Glob, HostName, Role, ServiceName, Sha};

use crate::{
    backup::BackupName,
    daemon::{Poller, Restore, Stop},
    exit::Ending,
    logging,
    process::step,
    settings::{Mistake, Settings},
    store::Store,
    terminal::Terminal,
    token::{self, HostToken},
};

mod accepts;
mod aim;
mod ask;
mod backups;
mod check;
mod connection;
mod deploy;
mod follow;
mod known;
mod logins;
mod mint;
mod order;
mod plan;
mod table;
mod values;

/// Deploys what your CI has just built to this host, which needs no open port for it.
#[derive(Debug, Parser)]
#[command(name = "towline", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Arguments {
    /// The host's file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/towline/towline.toml"
    )]
    config: PathBuf,
    /// Where the poller keeps its state.
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "/var/lib/towline",
        value_parser = PathBufValueParser::new().try_map(values::folder)
    )]
    state_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 nothing to do, or all deploys succeeded; 1 could not do its work (configuration, relay, engine), \
or an image is still waited for; 2 wrong usage; 3 a deploy ended otherwise; 4 an operator is needed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch intents, apply them, report, and keep doing so.
    ///
    /// SIGTERM or SIGINT ends it at the next safe point: a deploy under way is finished first, but a new version that is
    /// being watched is left to the next run.
    Run {
        /// How often to ask the relay while the doorbell is not connected, give or take a tenth. Beside it, every 30 minutes
        /// is enough.
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::interval)]
        interval: Duration,
    },
    /// Fetch intents once, apply them, report, and exit.
    Once,
    /// Check the host's file, the token and what the services are made of, and say what each would accept and do.
    Check {
        /// Show instead what an intent for this commit, all of its hex digits, would do to each service, step by step.
        ///
        /// Nothing is done or fetched, no health check is tried. Remotes and registries are asked what they have.
        #[arg(long, value_name = "SHA")]
        plan: Option<Sha>,
        /// This service alone.
        #[arg(long, value_name = "NAME", requires = "plan")]
        service: Option<ServiceName>,
        /// The branch that the commit is taken to be of, unless it is the first one of the service's rule.
        #[arg(long, requires = "plan")]
        branch: Option<String>,
        /// The git tag that the commit is taken to have.
        #[arg(long, requires = "plan")]
        tag: Option<GitTag>,
        /// The number that the workflow's run is taken to have; for an image whose tag has `{run_number}`.
        #[arg(long, value_name = "NUMBER", requires = "plan", value_parser = clap::value_parser!(u64).range(1..))]
        run_number: Option<u64>,
    },
    /// Make a token and print it.
    ///
    /// The relay's TOKEN_KEY is taken from the environment or from --key-file, never from the command line.
    Token {
        /// What it is for: `host` fetches and reports, `operator` queues intents and looks at the fleet.
        #[arg(long, value_parser = values::role)]
        role: Role,
        /// The name of the host or operator.
        #[arg(long)]
        name: HostName,
        /// A channel that it may touch, such as 'octo-org/web'; `*` matches anything. May be repeated.
        #[arg(long = "channel", value_name = "GLOB", required = true, value_parser = values::channel_glob)]
        channels: Vec<Glob>,
        /// Counts the tokens of this name, so that older ones can be revoked by `name<GEN`.
        #[arg(long = "gen", value_name = "GEN", default_value_t = 1, value_parser = values::generation)]
        generation: u32,
        /// A file that holds TOKEN_KEY; without it the variable TOKEN_KEY does.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Ask the relay for a deploy, with an operator's token, from any machine.
    ///
    /// The hosts' files decide what comes of it: which service, and whether that image. Prints the intent's id. With
    /// --wait it follows each host that was seen on the channel in the last 7 days, ends when all have said how it
    /// ended, and exits with 0 when all went well.
    Deploy(Box<deploy::Deploy>),
    /// Follow an intent until every host has said how it ended, as `deploy --wait` does.
    ///
    /// A ticket, which the relay gives to a job of GitHub Actions, will do as the token.
    Follow(Box<follow::Follow>),
    /// Try a service's newest deploy again that failed, also a version that is in quarantine.
    ///
    /// A towline run of this state directory does it, when the deploy under way, if any, has ended; without one it is
    /// done here, reported and exited as by `once`.
    Retry {
        /// The service.
        service: ServiceName,
    },
    /// Say what each service runs, since when, and what is pending and why.
    ///
    /// Asks the towline run of this state directory and the engine; without one it reads the state itself.
    Status {
        /// This service alone.
        service: Option<ServiceName>,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Say how the last deploys ended, the newest first.
    History {
        /// This service alone.
        service: Option<ServiceName>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = values::limit)]
        limit: u32,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// List the backups that were made before deploys, the newest first.
    ///
    /// Reads their files alone: also while towline run works, and without the host's file.
    Backups {
        /// This service alone.
        service: Option<ServiceName>,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a service back to a version that is kept, with what is on this host: a container's settings and image, a
    /// checkout's commit, a Compose project's images; commands are run once more, with the earlier commit.
    ///
    /// Needs neither the relay nor a git remote, and a registry only for an image that was removed here by hand. It goes as in a deploy: when the earlier version does not pass its checks,
    /// the current one comes back. The service then stays there until a newer intent comes; those
    /// known by now are not applied any more. A towline run of this state directory does it, when the deploy under
    /// way, if any, has ended; without one it is done here.
    Rollback {
        /// The service.
        service: ServiceName,
        /// The version's digest or commit, or the beginning of one; by default the version before the current one.
        #[arg(long, value_name = "VERSION", value_parser = values::version)]
        to: Option<String>,
    },
    /// Put a service's data back as they were at a backup.
    ///
    /// Stops the service by `command.stop` and starts it by `command.start`, where it has these, and looks whether it
    /// passes its checks then. The data that were there are kept beside as PATH.before-restore-TIME, and named. Its
    /// version stays as it is. A towline run of this state directory does it, when the deploy under way, if any, has ended;
    /// without one it is done here.
    Restore {
        /// The service.
        service: ServiceName,
        /// The backup's name, as towline backups lists it; by default the newest one.
        backup: Option<BackupName>,
        /// Exchange the data although nothing stops the service, which has no `command.stop`. Stop it yourself before.
        #[arg(long)]
        running: bool,
    },
    /// Let a service be deployed again after an operator was needed and has seen to it.
    ///
    /// A towline run of this state directory is told; it takes note when the deploy under way, if any, has ended.
    /// Containers that the failed deploy has left are named, and stay.
    Resolve {
        /// The service.
        service: ServiceName,
    },
}

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
