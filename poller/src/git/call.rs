//! What one git is told: its settings always, its arguments, and what it may see.

use std::time::Duration;

use super::login::Login;

/// What every git is told. Hooks would be run in the middle of a deploy, and by whoever may write to the remote where they lie in the tree;
/// a file system monitor is a program of the checkout's; garbage is collected when somebody works there.
const SETTINGS: [&str; 11] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
    "color.ui=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

/// What makes git work with Git LFS, also where nobody has run `git lfs install`.
const LFS_SETTINGS: [&str; 5] = [
    "lfs.fetchrecentalways=false",
    "filter.lfs.process=git-lfs filter-process",
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.required=true",
];

/// One git to run.
#[derive(Default)]
pub(super) struct Call<'c> {
    args: Vec<String>,
    env: Vec<(String, String)>,
    network: Option<&'c Network>,
    lfs: bool,
    pub(super) limit: Option<Duration>,
}

/// What a git that speaks to a remote is given.
pub(super) struct Network {
    /// The login for the remote's host.
    pub(super) login: Option<Login>,
    /// What it speaks SSH by, where the user has not said.
    pub(super) ssh: Option<&'static str>,
}

impl<'c> Call<'c> {
    /// `git` with `args`.
    pub(super) fn new(args: &[&str]) -> Self {
        Self {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// More arguments.
    pub(super) fn args(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.args.extend(more);
        self
    }

    /// One more variable.
    pub(super) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// May speak to remotes.
    pub(super) fn network(mut self, network: &'c Network) -> Self {
        self.network = Some(network);
        self
    }

    /// With files of Git LFS.
    pub(super) fn lfs(mut self, lfs: bool) -> Self {
        self.lfs = lfs;
        self
    }

    /// Ended when it takes longer.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What it does, in a word or two.
    pub(super) fn what(&self) -> String {
        let words = self.args.iter().filter(|arg| !arg.starts_with('-'));
        match words.clone().next().map(String::as_str) {
            Some(first @ ("submodule" | "lfs")) => {
                let second = words.clone().nth(1).map_or("", String::as_str);
                format!("{first} {second}")
            }
            Some(first) => first.to_owned(),
            None => String::new(),
        }
    }

    /// The program and its arguments.
    pub(super) fn argv(&self) -> Vec<String> {
        let mut settings: Vec<String> = SETTINGS.iter().map(|&s| s.to_owned()).collect();
        if self.lfs {
            settings.extend(LFS_SETTINGS.iter().map(|&s| s.to_owned()));
        }
        if let Some(login) = self.network.and_then(|network| network.login.as_ref()) {
            settings.extend(login.settings());
        }
        let settings = settings
            .into_iter()
            .flat_map(|setting| ["-c".to_owned(), setting]);
        std::iter::once("git".to_owned())
            .chain(settings)
            .chain(self.args.iter().cloned())
            .collect()
    }

    /// Its variables, beside those that every program has.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", ""),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("LC_ALL", "C"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(network) = self.network {
            let ssh = network
                .ssh
                .map(|ssh| ("GIT_SSH_COMMAND".to_owned(), ssh.to_owned()));
            env.extend(ssh);
            env.extend(network.login.iter().flat_map(Login::env));
        }
        env.extend(self.env.iter().cloned());
        env
    }
}
