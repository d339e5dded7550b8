//! Why a checkout is not put at a commit, in words, and what follows from it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;
use towline_protocol::Sha;

/// Why git did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GitError {
    /// There is no git, or it is too old.
    #[error("{why}")]
    Unusable {
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The path of the host's file is not the top of a checkout.
    #[error("{}: {why}", path.display())]
    NoCheckout {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// The checkout is somebody else's, and git does not trust it.
    #[error(
        "{}: it belongs to {owner}, and git does not work in other people's checkouts; set user = {owner:?} at the service",
        path.display()
    )]
    Foreign {
        /// The checkout.
        path: PathBuf,
        /// Its owner, by name or number.
        owner: String,
    },
    /// The remote is a repository on this host that is somebody else's, and git does not trust it.
    #[error(
        "the remote {}: it belongs to {owner}, and git does not fetch from other people's repositories on the same host; as \
         the service's user, run: git config --global --add safe.directory {}",
        path.display(), path.display()
    )]
    ForeignRemote {
        /// The repository.
        path: PathBuf,
        /// Its owner, by name or number.
        owner: String,
    },
    /// Something of the git folder is written by a deploy, and not to be written by the service's user.
    #[error("{}: {}", path.display(), unwritable(path, what, owner, user))]
    NotWritable {
        /// The checkout.
        path: PathBuf,
        /// What cannot be written.
        what: PathBuf,
        /// Whose that is, by name or number.
        owner: String,
        /// Who git runs as.
        user: String,
    },
    /// The checkout has no such remote.
    #[error("{}: there is no remote {remote:?}; it has: {known}", path.display())]
    NoRemote {
        /// The checkout.
        path: PathBuf,
        /// The remote of the host's file.
        remote: String,
        /// Those that there are.
        known: String,
    },
    /// The file with the login is of no use here.
    #[error("{}: {why}", path.display())]
    Login {
        /// The file.
        path: PathBuf,
        /// Why; nothing of its content.
        why: String,
    },
    /// The remote did not give what it was asked for.
    #[error("{remote}: {trouble}: {said}")]
    Remote {
        /// The remote's address, without a login.
        remote: String,
        /// What kind of trouble it is.
        trouble: RemoteTrouble,
        /// What git said.
        said: String,
    },
    /// The remote has no such commit.
    #[error("{remote} has no commit {}; there {has}", sha.short())]
    NoCommit {
        /// The remote's address, without a login.
        remote: String,
        /// The commit.
        sha: Sha,
        /// What it has instead.
        has: String,
    },
    /// The remote has no branch that the service's rule names.
    #[error("{remote} has no branch {branches}")]
    NoBranch {
        /// The remote's address, without a login.
        remote: String,
        /// The rule's.
        branches: String,
    },
    /// The commit is there, and on none of the service's branches.
    #[error("commit {} is not on {branches} of {remote}", sha.short())]
    NotOnBranch {
        /// The remote's address, without a login.
        remote: String,
        /// The commit.
        sha: Sha,
        /// The rule's.
        branches: String,
    },
    /// The checkout has only a part of the history, in which the commit cannot be found.
    #[error(
        "{}: its history is cut off, and what there is does not show that commit {} is on {branches}; \
         run: git fetch --unshallow",
        path.display(), sha.short()
    )]
    Shallow {
        /// The checkout.
        path: PathBuf,
        /// The commit.
        sha: Sha,
        /// The rule's.
        branches: String,
    },
    /// The remote has no such tag.
    #[error("{remote} has no tag {tag}")]
    NoTag {
        /// The remote's address, without a login.
        remote: String,
        /// The tag.
        tag: String,
    },
    /// The tag is of another commit by now.
    #[error("tag {tag} of {remote} is {is}, not {}", sha.short())]
    TagElsewhere {
        /// The remote's address, without a login.
        remote: String,
        /// The tag.
        tag: String,
        /// What it stands for.
        is: String,
        /// The intent's commit.
        sha: Sha,
    },
    /// Somebody changed files that git tracks.
    #[error(
        "{}: tracked files were changed here: {}; commit, stash or undo that, or set discard_changes = true",
        path.display(), few(changes)
    )]
    Changed {
        /// The checkout.
        path: PathBuf,
        /// The first of them.
        changes: Vec<String>,
    },
    /// Somebody is in the middle of something.
    #[error("{}: a {what} has begun there; finish or abort it first", path.display())]
    InProgress {
        /// The checkout.
        path: PathBuf,
        /// What, in git's words.
        what: &'static str,
    },
    /// Files that git does not track are where the commit has files of its own.
    #[error(
        "{}: {} {} in the way: commit {} has {} as well, and nothing of it is kept; move {} away",
        path.display(),
        few(files),
        if files.len() == 1 { "is" } else { "are" },
        sha.short(),
        if files.len() == 1 { "it" } else { "them" },
        if files.len() == 1 { "it" } else { "them" },
    )]
    Obstructed {
        /// The checkout.
        path: PathBuf,
        /// The first of them.
        files: Vec<String>,
        /// The commit.
        sha: Sha,
    },
    /// The commit has files in Git LFS, and they cannot be had.
    #[error("commit {} has files in Git LFS, and {why}", sha.short())]
    Lfs {
        /// The commit.
        sha: Sha,
        /// What kind of trouble the server made; `None` where it was not asked, or is not at fault.
        trouble: Option<RemoteTrouble>,
        /// Why not.
        why: String,
    },
    /// A submodule cannot be had.
    #[error("submodule {name}: {why}")]
    Submodule {
        /// Its name.
        name: String,
        /// What kind of trouble its remote made; `None` where it was not asked, or is not at fault.
        trouble: Option<RemoteTrouble>,
        /// Why not.
        why: String,
    },
    /// A git ran for too long and was ended.
    #[error("git {what} did not end within {} s and was ended", limit.as_secs())]
    TimedOut {
        /// What it was to do.
        what: String,
        /// How long it had.
        limit: Duration,
    },
    /// A git was ended by somebody else.
    #[error("git {what} was ended by signal {signal}")]
    Killed {
        /// What it was to do.
        what: String,
        /// By which signal.
        signal: i32,
    },
    /// A git said that it could not.
    #[error("git {what} failed: {said}")]
    Failed {
        /// What it was to do.
        what: String,
        /// What it said.
        said: String,
    },
    /// A git said that all is well, and what is there is something else.
    #[error("{}: git says that it is at commit {}, and it is not: {found}", path.display(), wanted.short())]
    Elsewhere {
        /// The checkout.
        path: PathBuf,
        /// Where it should be.
        wanted: Sha,
        /// What is there.
        found: String,
    },
    /// No git could be started.
    #[error("git could not be started: {0}")]
    NotStarted(String),
    /// Something of a git goes on and cannot be ended.
    #[error("{0}")]
    Outlived(String),
}

/// The kinds of trouble with a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteTrouble {
    /// Nothing answers there, or it broke off in the middle.
    Unreachable,
    /// The login is not let in, or there is none.
    Denied,
    /// The server shows another SSH key than its user knows, or nobody has made it known.
    UnknownKey,
    /// There is no such repository, or it is hidden from this login.
    NoRepository,
    /// Something else, which may pass: another git's lock, words that are not known here.
    Other,
}

impl std::fmt::Display for RemoteTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "not reachable",
            Self::Denied => {
                "access denied; set `credential_file` under git, or give the service's user a key"
            }
            Self::UnknownKey => {
                "the service's user does not know the server's SSH key; compare what `ssh-keyscan HOST` prints with what the \
                 server's owner says it is, and let that user run `git fetch` once, which asks"
            }
            Self::NoRepository => "no such repository, or hidden from this login",
            Self::Other => "fetching failed",
        })
    }
}

impl RemoteTrouble {
    fn fate(self) -> Fate {
        match self {
            Self::Unreachable | Self::Other => Fate::Waits,
            Self::Denied | Self::UnknownKey | Self::NoRepository => Fate::Failed,
        }
    }
}

/// What follows for the intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may work later by itself.
    Waits,
    /// The host's file does not allow it, or the checkout is not as the file says.
    Refused,
    /// It failed, with nothing touched if it was before the checkout.
    Failed,
}

impl GitError {
    /// Whether a checkout that ended so has changed nothing: git looks first whether its index is free and no file of
    /// somebody's is in the way.
    pub fn has_touched_nothing(&self) -> bool {
        let Self::Failed { what, said } = self else {
            return false;
        };
        let is_first = said.contains("would be overwritten by checkout")
            || (said.contains("index.lock")
                && (said.contains("File exists") || said.contains("Permission denied")));
        what == "checkout" && is_first
    }

    /// Whether something of a git goes on, beside which nothing may be done.
    pub fn goes_on(&self) -> bool {
        matches!(self, Self::Outlived(_))
    }

    /// Whether it is waited for only as long as for a version that is still to come, since it may never pass.
    pub fn may_never_pass(&self) -> bool {
        matches!(
            self,
            Self::NoCommit { .. }
                | Self::NoTag { .. }
                | Self::Remote {
                    trouble: RemoteTrouble::Other,
                    ..
                }
                | Self::Lfs {
                    trouble: Some(RemoteTrouble::Other),
                    ..
                }
                | Self::Submodule {
                    trouble: Some(RemoteTrouble::Other),
                    ..
                }
        )
    }

    /// What follows for the intent.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Remote { trouble, .. }
            | Self::Lfs {
                trouble: Some(trouble),
                ..
            }
            | Self::Submodule {
                trouble: Some(trouble),
                ..
            } => trouble.fate(),
            Self::NoCommit { .. } | Self::NoTag { .. } | Self::TimedOut { .. } => Fate::Waits,
            Self::NoCheckout { .. }
            | Self::Foreign { .. }
            | Self::ForeignRemote { .. }
            | Self::NotWritable { .. }
            | Self::NoRemote { .. }
            | Self::Login { .. }
            | Self::NoBranch { .. }
            | Self::NotOnBranch { .. }
            | Self::TagElsewhere { .. }
            | Self::Changed { .. }
            | Self::InProgress { .. }
            | Self::Obstructed { .. } => Fate::Refused,
            Self::Unusable { .. }
            | Self::Shallow { .. }
            | Self::Lfs { trouble: None, .. }
            | Self::Submodule { trouble: None, .. }
            | Self::Killed { .. }
            | Self::Failed { .. }
            | Self::Elsewhere { .. }
            | Self::NotStarted(_)
            | Self::Outlived(_) => Fate::Failed,
        }
    }
}

/// What is to be done about `what`, which git cannot write.
fn unwritable(path: &Path, what: &Path, owner: &str, user: &str) -> String {
    let top = shared(path, what).display();
    let what = what.display();
    if owner == user {
        return format!(
            "git cannot write {what}, although it is {user}'s own; is it read-only? For files that are: chmod -R u+w {what}"
        );
    }
    format!(
        "git runs as {user} and cannot write {what}, which belongs to {owner}; give all of it to one user: chown -R {user}: \
         {top}, or set user = {owner:?} at the service"
    )
}

/// What is to be one user's: the checkout, or the git folder that it shares where that lies elsewhere, as for a linked work tree.
fn shared<'p>(path: &'p Path, what: &'p Path) -> &'p Path {
    if what.starts_with(path) {
        return path;
    }
    let mut above = what.ancestors().skip(1);
    let folder = above.find(|folder| folder.ends_with(".git"));
    folder.or_else(|| what.parent()).unwrap_or(path)
}

/// The first few, and how many there are.
pub fn few(list: &[String]) -> String {
    let shown: Vec<&str> = list.iter().take(3).map(String::as_str).collect();
    match list.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_up_to_three() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        assert_eq!(few(&names(2)), "0, 1");
        assert_eq!(few(&names(5)), "0, 1, 2 and 2 more");
    }

    #[test]
    fn what_cannot_be_written_is_mended_where_it_lies() {
        let advice = |what: &str| unwritable(Path::new("/srv/web"), Path::new(what), "root", "web");
        for (what, top) in [
            ("/srv/web/.git/objects/ab", "/srv/web"),
            ("/srv/main/.git/refs/tags", "/srv/main/.git"),
            ("/srv/bare/objects", "/srv/bare"),
        ] {
            let told = advice(what);
            assert!(told.contains(&format!("chown -R web: {top}, or")), "{told}");
        }
    }
}
