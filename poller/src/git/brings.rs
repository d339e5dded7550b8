//! Which files a commit brings, and what it has as a program.

use std::path::Path;

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    keep,
    run::{Place, Tools, nul_separated, text},
};
use crate::process::LOOKED_AT;

/// The largest program whose beginning is looked at, in bytes: git hands out whole files.
const MAX_PROGRAM: usize = 1 << 20;

/// A file of a commit, as a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Whether it can be executed once it is checked out.
    pub is_executable: bool,
    /// Its first bytes, as the commit has them; none of a large one.
    pub head: Vec<u8>,
}

/// What a commit has as `file`, a path below the checkout's top; `None` of what is no file of its own, such as one behind a
/// link or in a submodule, and of a commit that is not here.
///
/// # Errors
/// When git fails.
pub async fn program(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    sha: &Sha,
    file: &Path,
) -> Result<Option<Program>, GitError> {
    if !keep::is_here(tools, place, sha).await? {
        return Ok(None);
    }
    let path = text(file)?;
    let call = Call::new(&["ls-tree", "-z", "-l", "--full-tree", sha.as_str(), "--"]);
    let call = call.args([path]).env("GIT_LITERAL_PATHSPECS", "1");
    let printed = tools.output(place, &call).await?;
    let printed = String::from_utf8_lossy(&printed);
    let words: Vec<_> = printed.split_ascii_whitespace().take(4).collect();
    let (mode, object, size) = match words[..] {
        [mode @ ("100644" | "100755"), "blob", object, size] => (mode, object, size),
        _ => return Ok(None),
    };
    let mut head = Vec::new();
    if size.parse().is_ok_and(|size: usize| size <= MAX_PROGRAM) {
        let call = Call::new(&["cat-file", "blob", object]);
        head = tools.output(place, &call).await?;
        head.truncate(LOOKED_AT);
    }
    let is_executable = mode == "100755" || !heeds_modes(tools, place).await?;
    Ok(Some(Program {
        is_executable,
        head,
    }))
}

/// Whether the checkout lies where files have modes of their own.
async fn heeds_modes(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<bool, GitError> {
    let call = Call::new(&["config", "--type=bool", "--get", "core.fileMode"]);
    let said = tools.call(place, &call).await?;
    Ok(said.stdout.trim_ascii() != b"false")
}

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
