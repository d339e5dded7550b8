//! What may be asked for on the command line, and the words of `--help`. What comes of it is in the modules beside.

use std::{path::PathBuf, time::Duration};

use clap::{
    Parser, Subcommand,
    builder::{PathBufValueParser, TypedValueParser},
};
use towline_protocol::{GitTag, Glob, HostName, Role, ServiceName, Sha};

use super::{deploy, follow, values};
use crate::{
    backup::BackupName,
    lock::{Length, LockName, Reason},
};

/// Deploys what your CI has just built to this host, which needs no open port for it.
#[derive(Debug, Parser)]
#[command(name = "towline", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The host's file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/towline/towline.toml"
    )]
    pub(super) config: PathBuf,
    /// Where the poller keeps its state.
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "/var/lib/towline",
        value_parser = PathBufValueParser::new().try_map(values::folder)
    )]
    pub(super) state_dir: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 nothing to do, or all deploys succeeded; 1 could not do its work (configuration, relay, engine), \
or an image is still waited for, or a service held off; 2 wrong usage; 3 a deploy ended otherwise; 4 an operator is needed.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
        /// Nothing is done or pulled, no checkout is fetched into, no health check is tried. Remotes and registries are asked what they have.
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
    /// Needs neither the relay nor a git remote, and a registry only for an image that was removed here by hand. It goes
    /// as in a deploy: when the earlier version does not pass its checks, the current one comes back. The service then
    /// stays there until a newer intent comes; those known by now are not applied any more. A towline run of this state
    /// directory does it, when the deploy under way, if any, has ended; without one it is done here.
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
    /// Hold deploys of a service off for a time: for a backup, a migration by hand, or as long as somebody looks at it.
    ///
    /// Intents wait meanwhile; the newest is applied as soon as nobody holds the service off any more. It always ends: by
    /// `towline release`, or when its time is over, also while towline does not run. What is under way goes on, which is
    /// said. A towline run of this state directory takes note at once, in the middle of a deploy too.
    Hold {
        /// The service.
        service: ServiceName,
        /// For how long from now, at most 24h. Holding it off again by the same name counts anew.
        #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = values::length)]
        length: Length,
        /// What for, for whoever asks for the status.
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
        /// Who does it. Programs that may do so at one time each need a name of their own.
        #[arg(long = "as", value_name = "NAME", default_value_t)]
        name: LockName,
        /// Return only when a deploy that is under way has ended.
        #[arg(long)]
        wait: bool,
    },
    /// Do not hold deploys of a service off any more, so that what has waited is applied.
    Release {
        /// The service.
        service: ServiceName,
        /// Who has held it off.
        #[arg(
            long = "as",
            value_name = "NAME",
            default_value_t,
            conflicts_with = "all"
        )]
        name: LockName,
        /// Whoever has held it off.
        #[arg(long)]
        all: bool,
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
