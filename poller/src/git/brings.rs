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

/// How a file begins that Git LFS keeps elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// A file of a commit, as a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Whether it can be executed once it is checked out.
    pub is_executable: bool,
    /// Its first bytes, as the commit has them; none of a large one, or of one that a filter of git's may make something else of.
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
        if may_be_filtered(tools, place, &head).await? {
            head.clear();
        }
    }
    let is_executable = mode == "100755" || !heeds_modes(tools, place).await?;
    Ok(Some(Program {
        is_executable,
        head,
    }))
}

/// Whether a filter may make something else of what begins like this once it is checked out. Which files a commit gives to
/// which filter is told by a new git alone; so any one that is set up counts, and of Git LFS what it leaves in commits.
async fn may_be_filtered(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    head: &[u8],
) -> Result<bool, GitError> {
    if head.starts_with(LFS_POINTER) {
        return Ok(true);
    }
    let call = Call::new(&["config", "-z", "--name-only", "--get-regexp", r"^filter\."]);
    let said = tools.call(place, &call).await?;
    let is_other = |name: &Path| !name.to_string_lossy().starts_with("filter.lfs.");
    Ok(nul_separated(&said.stdout).any(|name| is_other(&name)))
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
