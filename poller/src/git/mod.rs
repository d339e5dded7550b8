//! A checkout on this host, by the user's own git: fetched into, looked at, put at a commit, and put back.
//!
//! Every git is started by `process`, as the service's user, with arguments that no shell reads. What is changed is this and
//! nothing else: the remote's tracking branches, the intent's tag, objects, refs below `refs/towline/`, `HEAD`, the index and
//! the tracked files; and files in the way where `discard_changes` is set. Files that git ignores are never overwritten: on a way
//! back, what git does not track is moved aside where the commit has a file. What git says of its own success is not believed:
//! each checkout is looked at.
//!
//! Not here: when what is done (`apply`), and which intents may (`select`).

use serde::{Deserialize, Serialize};
use towline_protocol::{GitTag, Glob, Sha};

pub use brings::{Program, may_bring, program};
pub use check_out::{check_out, check_out_old};
pub use error::{Fate, GitError, RemoteTrouble, few};
pub use export::{export, others};
pub use fetch::fetch;
pub use foresee::{Foreseen, foresee};
pub use keep::{forget, is_here, keep, kept};
pub use look::look;
pub use ready::ready;
pub use remote::remote;
pub use run::{Limits, Place, Tools};
pub use seek::seek;
pub use writable::writable;

mod aside;
mod brings;
mod call;
mod check_out;
mod error;
mod export;
mod fetch;
mod foresee;
mod keep;
mod lfs;
mod login;
mod look;
mod name;
mod open;
mod ready;
mod remote;
mod run;
mod seek;
mod submodule;
mod way;
mod words;
mod writable;

/// What a deploy asks the remote for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The commit.
    pub sha: &'a Sha,
    /// The branch that the intent names, if any. It counts only where it is one of `branches`.
    pub branch: Option<&'a str>,
    /// The tag that the intent names, if any: it must stand for the commit.
    pub tag: Option<&'a GitTag>,
    /// The branches of the service's rule, on one of which the commit must be. None are any branch, or the tag alone.
    pub branches: &'a [Glob],
}

/// A commit that is here now, and may be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The branch of the remote that it is on; `None` where its tag was enough.
    pub branch: Option<String>,
}

/// Where a checkout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The commit.
    pub commit: Sha,
    /// The local branch, by its short name; `None` when `HEAD` is detached.
    pub branch: Option<String>,
}

/// A checkout as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where it is.
    pub at: Checkout,
    /// Tracked files that were changed, those of submodules included, by their paths. There may be thousands.
    pub changes: Vec<String>,
    /// What somebody is in the middle of.
    pub in_progress: Option<&'static str>,
    /// Whether the commit has submodules.
    pub submodules: bool,
    /// Whether the commit has files in Git LFS.
    pub lfs: bool,
}

/// Whether an earlier checkout may have been broken off in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing was begun.
    First,
    /// It was begun by a process that is gone: what that has left in the way is cleared away.
    AfterInterruption,
}
