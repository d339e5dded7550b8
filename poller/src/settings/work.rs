//! What a service is: one container, or a checkout, a Compose project or commands; and which keys belong to which.
//!
//! A key that means nothing for a service of its kind is a mistake: whoever wrote it expects something of it.

use std::path::{Path, PathBuf};

use super::{
    Parts, Work, backup, command, compose, docker, git, names,
    read::{Reader, Table, Told},
};

/// What a service is, by the keys that are there, whether they are right or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One container.
    Container,
    /// A Compose project, with a checkout or without.
    Project,
    /// A checkout, commands or both: things of the host itself.
    Host,
}

impl Kind {
    /// Whether it is put at a commit, of which images know nothing.
    pub(super) fn goes_by_commit(self, table: &Table<'_, '_>) -> bool {
        self == Self::Host || (self == Self::Project && table.has("git"))
    }

    pub(super) fn of(table: &Table<'_, '_>) -> Self {
        if table.has("docker") {
            Self::Container
        } else if table.has("compose") {
            Self::Project
        } else if table.has("git") || table.has("command") {
            Self::Host
        } else {
            Self::Container
        }
    }
}

const NOTHING: &str = "say what is replaced: docker = { container = \"NAME\" }, compose = { file = \"/PATH\" }, \
    git = { path = \"/PATH\" } or command = { run = [\"PROGRAM\"] }";

/// Reads what a service is.
pub(super) fn work(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Work, Told> {
    let container = table.raw("docker");
    let container = container.map(|raw| docker::docker(table.path_of("docker"), raw, reader));
    let parts = parts(table, reader);
    let Some(container) = container else {
        let parts = parts?;
        if parts.git.is_none() && parts.compose.is_none() && parts.command.is_none() {
            return Err(table.missing(reader, "docker", NOTHING));
        }
        return Ok(Work::Parts(Box::new(parts)));
    };
    let others = [
        ("git", "a container is not made from a checkout"),
        ("compose", "it replaces its containers by itself"),
        ("command", "a container is replaced without one"),
        ("backup", "it is for `git`, `compose` and `command`"),
        ("user", "it is for `git`, `compose` and `command`"),
    ];
    let mut told = None;
    for (key, why) in others.into_iter().filter(|(key, _)| table.has(key)) {
        let message = format!("does not go with `docker`: {why}");
        told = Some(reader.tell(&table.span_of(key), table.path_of(key), message));
    }
    match told {
        Some(told) => Err(told),
        None => container,
    }
}

fn parts(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Parts, Told> {
    let has_git = table.has("git");
    let git = table.raw("git");
    let git = git.map(|raw| git::git(table.path_of("git"), raw, reader));
    let compose = table.raw("compose");
    let compose =
        compose.map(|raw| compose::compose(table.path_of("compose"), raw, has_git, reader));
    let command = table.raw("command");
    let command =
        command.map(|raw| command::command(table.path_of("command"), raw, has_git, reader));
    let backup = table.raw("backup");
    let backup = backup.map(|raw| backup::backup(table.path_of("backup"), raw, reader));
    let user = table.get(reader, "user", names::user);
    if compose.is_some() && command.is_some() {
        let message = "a service has either `compose` or `command`";
        let span = table.span_of("command");
        return Err(reader.tell(&span, table.path_of("command"), message));
    }
    let parts = Parts {
        git: git.transpose()?,
        compose: compose.transpose()?,
        command: command.transpose()?,
        backup: backup.transpose()?,
        user: user?.map(|found| found.value),
    };
    if let Some(path) = holds_checkout(&parts) {
        let message = format!(
            "{} is the checkout's own, or holds it: git keeps commits, and a restore would take the checkout from under it; \
             name the folders of data in it",
            path.display()
        );
        return Err(reader.tell(
            &table.span_of("backup"),
            table.path_of("backup.paths"),
            message,
        ));
    }
    if restores_under_a_program(&parts) {
        let message = "restore = true needs `command.stop` and `command.start`: data must not be exchanged under a program that runs";
        return Err(reader.tell(
            &table.span_of("backup"),
            table.path_of("backup.restore"),
            message,
        ));
    }
    if parts.backup.as_ref().is_some_and(|backup| backup.restore) && !parts.has_way_back() {
        let message = "there is no way back on which it would be restored: restore = true needs `command.rollback`, or `git`";
        return Err(reader.tell(
            &table.span_of("backup"),
            table.path_of("backup.restore"),
            message,
        ));
    }
    Ok(parts)
}

/// What is to be backed up and has the checkout in it, or is a part of its `.git`.
fn holds_checkout(parts: &Parts) -> Option<&Path> {
    let checkout = &parts.git.as_ref()?.path;
    let git = checkout.join(".git");
    let mut paths = parts.backup.iter().flat_map(|backup| &backup.paths);
    let path = paths.find(|path| checkout.starts_with(path) || path.starts_with(&git));
    path.map(PathBuf::as_path)
}

/// Whether going back would exchange data while nothing has stopped what uses them. A project's containers are stopped.
fn restores_under_a_program(parts: &Parts) -> bool {
    let restores = parts.backup.as_ref().is_some_and(|backup| backup.restore);
    let command = parts.command.as_ref();
    let is_stopped = command.is_some_and(|command| command.stop.is_some());
    restores && parts.compose.is_none() && !is_stopped
}

/// Refuses keys that mean nothing for a service of this kind.
pub(super) fn refuse_misplaced(kind: Kind, table: &Table<'_, '_>, reader: &mut Reader<'_>) {
    let no_image = "is for images; a checkout and a command have none";
    let one_at_a_time = "is for `docker`: take it away; Compose replaces a project's containers by itself, and what commands \
        bring in place is there once";
    let misplaced: &[_] = match kind {
        Kind::Container => &[],
        Kind::Project if table.has("git") => &[("strategy", one_at_a_time)],
        Kind::Project => &[
            ("strategy", one_at_a_time),
            (
                "user",
                "is for `git` and `command`; Compose is run by whoever runs Towline",
            ),
        ],
        Kind::Host => &[
            ("strategy", one_at_a_time),
            ("image", no_image),
            ("image_wait", no_image),
            ("stop_timeout", "is for containers; commands have `timeout`"),
        ],
    };
    for (key, message) in misplaced.iter().filter(|(key, _)| table.has(key)) {
        reader.tell(&table.span_of(key), table.path_of(key), *message);
    }
    if kind == Kind::Host && table.has("stable_for") && !table.has("health") {
        let message = "there is nothing to watch: write a health check too";
        let key = "stable_for";
        reader.tell(&table.span_of(key), table.path_of(key), message);
    }
}

/// Refuses events that have nothing to deploy for a service of this kind: a published image is no commit.
pub(super) fn refuse_events(
    kind: Kind,
    by_images: Option<bool>,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) {
    if by_images == Some(true) && kind.goes_by_commit(table) {
        let message = "a published image says no commit, which `git` and `command` go by; take \"package\" out, which `image` and \
            the `tag` of images belong to as well, and deploy by \"workflow\", \"push\", \"release\" or \"deployment\"";
        reader.tell(&table.span_of("on"), table.path_of("on"), message);
    }
    if kind == Kind::Project && table.has("image") && by_images == Some(false) {
        let message = "counts only with `on` = \"package\": Compose takes its images from its file, in which \
            ${TOWLINE_SHA} and ${TOWLINE_TAG} are the intent's";
        reader.tell(&table.span_of("image"), table.path_of("image"), message);
    }
}
