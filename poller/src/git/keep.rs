//! Commits that a service may go back to, held by refs of ours so that git's garbage collection leaves them.

use towline_protocol::{ServiceName, Sha};

use super::{
    GitError,
    call::Call,
    run::{Place, Tools},
};

fn below(service: &ServiceName) -> String {
    format!("refs/towline/{service}/")
}

/// Holds a commit that is here.
///
/// # Errors
/// When git fails.
pub async fn keep(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    service: &ServiceName,
    sha: &Sha,
) -> Result<(), GitError> {
    let name = format!("{}{sha}", below(service));
    let call = Call::new(&["update-ref", &name, sha.as_str()]);
    tools.output(place, &call).await.map(drop)
}

/// Holds a commit no longer; one that was not held is none the worse.
///
/// # Errors
/// When git fails.
pub async fn forget(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    service: &ServiceName,
    sha: &Sha,
) -> Result<(), GitError> {
    let name = format!("{}{sha}", below(service));
    let call = Call::new(&["update-ref", "-d", &name]);
    tools.output(place, &call).await.map(drop)
}

/// Whether a commit is in this repository. Not asked by `cat-file`, by which git fetches what a partial clone lacks.
///
/// # Errors
/// When git fails.
pub async fn is_here(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
) -> Result<bool, GitError> {
    let call = Call::new(&["rev-list", "--max-count=1", "--missing=allow-any"]);
    let said = tools.call(place, &call.args([sha.to_string()])).await?;
    Ok(said.status == 0 && String::from_utf8_lossy(&said.stdout).trim() == sha.as_str())
}

/// The commits that are held.
///
/// # Errors
/// When git fails.
pub async fn kept(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    service: &ServiceName,
) -> Result<Vec<Sha>, GitError> {
    let below = below(service);
    let call = Call::new(&["for-each-ref", "--format=%(refname)", &below]);
    let printed = tools.output(place, &call).await?;
    let printed = String::from_utf8_lossy(&printed);
    let shas = printed
        .lines()
        .filter_map(|name| name.strip_prefix(&below)?.parse().ok());
    Ok(shas.collect())
}
