//! What a service is made of that is not one container: a git checkout, a Compose project, a command, and what is backed
//! up before. Here: the types, as they are journalled with a deploy. Not here: how they are read (`git`, `compose`, `command`
//! and `backup` beside), and what is done with them (the top modules of these names, and `sequence`).

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The parts of a service; at least one of `git`, `compose` and `command` is there, and never both of the last two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The checkout that is put at the intent's commit.
    pub git: Option<Git>,
    /// The Compose project that is brought up.
    pub compose: Option<Compose>,
    /// The commands that are run.
    pub command: Option<Command>,
    /// What is backed up before anything is changed.
    pub backup: Option<Backup>,
    /// Who runs git and the commands; `None` is who runs Towline.
    pub user: Option<String>,
}

/// A git checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Its work tree, absolute.
    pub path: PathBuf,
    /// The remote that commits come from.
    pub remote: String,
    /// The file with a login for the remote, absolute.
    pub credential_file: Option<PathBuf>,
    /// Whether changes of tracked files, made on this host, are thrown away.
    pub discard_changes: bool,
}

/// A Compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compose {
    /// Its file: absolute, or beginning at the checkout.
    pub file: PathBuf,
    /// The project's name; `None` is what Compose makes of the file.
    pub project: Option<String>,
    /// The services that are brought up; empty is all of the active profiles.
    pub services: Vec<String>,
    /// The profiles that are active.
    pub profiles: Vec<String>,
    /// The file of values for the project's variables: absolute, or beginning at the checkout.
    pub env_file: Option<PathBuf>,
}

/// Commands, each a program and its arguments, which no shell reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What brings a version in place.
    pub run: Vec<String>,
    /// What takes it back.
    pub rollback: Option<Vec<String>>,
    /// What stops the service before anything is changed.
    pub stop: Option<Vec<String>>,
    /// What starts it again.
    pub start: Option<Vec<String>>,
    /// Where they run, absolute; `None` is the checkout, and `/` without one.
    pub dir: Option<PathBuf>,
    /// How long each of them may take.
    pub timeout: Duration,
    /// What they have in their environment beside what they are given.
    pub env: BTreeMap<String, String>,
    /// What follows when Towline died while `run` or `rollback` ran.
    pub on_interrupt: OnInterrupt,
}

/// What follows when Towline died while a command ran, so that nobody knows how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterrupt {
    /// The command is run again.
    Rerun,
    /// Everything is taken back.
    Rollback,
    /// An operator is needed.
    Ask,
}

/// What is backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Files and folders, absolute, none inside another.
    pub paths: Vec<PathBuf>,
    /// How many backups are kept, at least 1.
    pub keep: u32,
    /// Whether going back restores it.
    pub restore: bool,
}

impl Parts {
    /// What kind of thing it is, in one word: the last of what is brought in place.
    pub fn kind(&self) -> &'static str {
        match (&self.compose, &self.command) {
            (Some(_), _) => "compose",
            (None, Some(_)) => "command",
            (None, None) => "git",
        }
    }

    /// Whether the version before can be had again when the new one is in place: what `run` has done is taken back by
    /// `rollback` alone, or lies in a checkout or images that are changed back.
    pub fn has_way_back(&self) -> bool {
        let command = self.command.as_ref();
        let has_rollback = command.is_some_and(|command| command.rollback.is_some());
        has_rollback || self.git.is_some() || self.compose.is_some()
    }

    /// Whether the service needs an engine.
    pub fn needs_engine(&self) -> bool {
        self.compose.is_some()
    }

    /// Where its commands run.
    pub fn dir(&self) -> PathBuf {
        let own = self
            .command
            .as_ref()
            .and_then(|command| command.dir.clone());
        let checkout = || self.git.as_ref().map(|git| git.path.clone());
        own.or_else(checkout).unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Where in the checkout `program` lies, if its path leads into it: a commit may bring it then.
    pub fn in_checkout(&self, program: &str) -> Option<PathBuf> {
        let git = self.git.as_ref().filter(|_| program.contains('/'))?;
        let path = lexical(&self.dir().join(program));
        path.strip_prefix(&git.path).ok().map(Path::to_owned)
    }

    /// The Compose file, absolute.
    pub fn compose_file(&self) -> Option<PathBuf> {
        let compose = self.compose.as_ref()?;
        Some(match &self.git {
            Some(git) => git.path.join(&compose.file),
            None => compose.file.clone(),
        })
    }
}

/// A path without `.` and `..`, by its words alone.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other @ (Component::Prefix(_) | Component::RootDir | Component::Normal(_)) => {
                plain.push(other);
            }
        }
    }
    plain
}
