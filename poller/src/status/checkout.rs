//! How the checkout of a service is, by the user's own git.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towline_protocol::Sha;

use crate::{
    git::{self, Limits, Place, Tools},
    process::Launcher,
    settings::{Git, Parts},
};

/// How long git may take to look.
const LIMIT: Duration = Duration::from_secs(5);

/// How many changed files are named.
const NAMED: usize = 20;

/// How a checkout is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutStatus {
    /// Where it is.
    pub path: String,
    /// The commit that is checked out; `None` when it could not be looked at.
    pub commit: Option<Sha>,
    /// The branch that it is on; `None` when it is on none.
    pub branch: Option<String>,
    /// Tracked files that were changed on this host, the first few.
    pub changes: Vec<String>,
    /// Why it could not be looked at, or what somebody is in the middle of.
    pub trouble: Option<String>,
}

/// Looks at the checkout of a service made of these parts; `None` when it has none.
pub(super) async fn look_at(parts: &Parts, launcher: &Launcher) -> Option<CheckoutStatus> {
    let git = parts.git.as_ref()?;
    let looking = look_with(git, parts.user.as_deref(), launcher);
    let looked = tokio::time::timeout(LIMIT, looking).await;
    let looked = looked.unwrap_or_else(|_| Err(format!("git has not answered within {LIMIT:?}")));
    let path = git.path.display().to_string();
    Some(match looked {
        Ok(status) => CheckoutStatus { path, ..status },
        Err(trouble) => CheckoutStatus {
            path,
            trouble: Some(trouble),
            ..CheckoutStatus::default()
        },
    })
}

async fn look_with(
    git: &Git,
    user: Option<&str>,
    launcher: &Launcher,
) -> Result<CheckoutStatus, String> {
    let mut tools = Tools {
        launcher,
        begun: &mut |_| Ok(()),
        limits: Limits::default(),
    };
    let look = git::look(&mut tools, &Place { git, user }).await;
    let look = look.map_err(|error| error.to_string())?;
    let mut changes = look.changes;
    changes.truncate(NAMED);
    let begun = |what| format!("a {what} is under way in it");
    Ok(CheckoutStatus {
        path: String::new(),
        commit: Some(look.at.commit),
        branch: look.at.branch,
        changes,
        trouble: look.in_progress.map(begun),
    })
}
