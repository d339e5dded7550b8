//! Which files a commit brings.

use std::path::Path;

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    keep,
    run::{Place, Tools, nul_separated, text},
};

/// Whether a commit may bring `file`, a path below the checkout's top. What is behind a link or in a submodule is
/// not looked for: it may be there.
///
/// # Errors
/// When git fails.
pub async fn may_bring(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
    file: &Path,
) -> Result<bool, GitError> {
    // Of a commit that is not here nothing is known.
    if !keep::is_here(tools, place, sha).await? {
        return Ok(true);
    }
    // The folders above as well: each may be a link or a submodule.
    let mut paths: Vec<String> = file.ancestors().map(text).collect::<Result<_, _>>()?;
    paths.retain(|path| !path.is_empty());
    let call = Call::new(&["ls-tree", "-z", "-t", "--full-tree", sha.as_str(), "--"]);
    let call = call.args(paths.clone()).env("GIT_LITERAL_PATHSPECS", "1");
    let printed = tools.output(place, &call).await?;
    let is_of_it = |entry: &Path| {
        let entry = entry.to_string_lossy();
        let (mode, path) = entry.split_once('\t').unwrap_or_default();
        !mode.starts_with("040000 ") && paths.iter().any(|it| it == path)
    };
    Ok(nul_separated(&printed).any(|entry| is_of_it(&entry)))
}
