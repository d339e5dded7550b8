//! Submodules: what a commit records of them, fetched into the checkout's own store before any file is touched, and put there.
//!
//! Which protocols they may come by is git's own default for submodules: neither `file` nor `ext`. Not here: their files in
//! Git LFS, which git's own settings of the user rule.

use std::path::{Path, PathBuf};

use towline_protocol::Sha;

use super::{
    GitError,
    call::Call,
    remote::Remote,
    run::{Place, Tools, text},
    words,
};

mod listed;
mod store;

use store::Store;

/// How deep submodules of submodules may be nested.
const DEPTH: usize = 10;

/// Fetches what the commit records, and what that records. Touches no file of the checkout.
pub(super) async fn fetch(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
    remote: &Remote,
    sha: &Sha,
) -> Result<(), GitError> {
    let mut stores = vec![Store::top(git_dir, sha, &remote.url)];
    while let Some(store) = stores.pop() {
        for module in store.modules(tools, place).await? {
            let name = module.name.clone();
            let its = store.of(module);
            if its.depth > DEPTH {
                let (trouble, why) = (None, format!("it is nested more than {DEPTH} deep"));
                return Err(GitError::Submodule { name, trouble, why });
            }
            fill(tools, place, remote, &its, git_dir, &name).await?;
            stores.push(its);
        }
    }
    Ok(())
}

/// Fetches one submodule's commit into its store, which is made where there is none.
async fn fill(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    remote: &Remote,
    store: &Store,
    git_dir: &Path,
    name: &str,
) -> Result<(), GitError> {
    if !store.git_dir.is_dir() {
        let beside = git_dir.join("towline-clone");
        let work_tree = text(&beside)?;
        if let Some(folder) = store.git_dir.parent() {
            tools.make_folder(place, folder).await?;
        }
        let beside = [beside];
        // What an earlier one has left.
        tools.remove(place, &beside).await?;
        let call = Call::new(&["clone", "--quiet", "--no-checkout"])
            .args([format!("--separate-git-dir={}", text(&store.git_dir)?)])
            .args(["--".to_owned(), store.url.clone(), work_tree]);
        ask(tools, place, remote, call, name).await?;
        tools.remove(place, &beside).await?;
    }
    if store.is_here(tools, place).await? {
        return Ok(());
    }
    let branches = "+refs/heads/*:refs/remotes/origin/*";
    let fetch = [
        "fetch",
        "--quiet",
        "--no-recurse-submodules",
        "--no-auto-gc",
        "--",
        "origin",
    ];
    let call = store.call(&fetch)?.args([branches.to_owned()]);
    ask(tools, place, remote, call, name).await?;
    if store.is_here(tools, place).await? {
        return Ok(());
    }
    let call = store.call(&fetch)?.args([store.sha.to_string()]);
    ask(tools, place, remote, call, name).await?;
    match store.is_here(tools, place).await? {
        true => Ok(()),
        false => Err(GitError::Submodule {
            name: name.to_owned(),
            trouble: None,
            why: format!("its remote has no commit {}", store.sha.short()),
        }),
    }
}

async fn ask(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    remote: &Remote,
    call: Call<'_>,
    name: &str,
) -> Result<(), GitError> {
    let call = call
        .network(&remote.network)
        .limit(tools.limits.network)
        // Its address comes with a commit, not from the user.
        .env("GIT_PROTOCOL_FROM_USER", "0");
    let said = tools.call(place, &call).await?;
    if said.status == 0 {
        return Ok(());
    }
    let trouble = words::trouble(&said.stderr);
    Err(GitError::Submodule {
        name: name.to_owned(),
        trouble: Some(trouble),
        why: format!("{trouble}: {}", words::words(&said.stderr)),
    })
}

/// Puts the submodules of the commit that is checked out at what it records. Asks no remote.
pub(super) async fn put(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    forced: bool,
    lfs: bool,
) -> Result<(), GitError> {
    let call = Call::new(&[
        "submodule",
        "--quiet",
        "update",
        "--init",
        "--recursive",
        "--no-fetch",
    ])
    .args(forced.then(|| "--force".to_owned()))
    .lfs(lfs)
    .limit(tools.limits.files);
    tools.output(place, &call).await.map(drop)
}

/// Takes away the files of submodules that only the commit `from` has, before it is left. One in which there is something of
/// somebody's stays.
pub(super) async fn leave(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
    from: &Sha,
    to: &Sha,
) -> Result<(), GitError> {
    let store = |sha: &Sha| Store::top(git_dir, sha, "");
    let kept = store(to).modules(tools, place).await?;
    for module in store(from).modules(tools, place).await? {
        if !kept.iter().any(|kept| kept.path == module.path) {
            let call = Call::new(&["submodule", "--quiet", "deinit", "--", &module.path]);
            tools.call(place, &call).await?;
        }
    }
    Ok(())
}

/// The submodules of a commit that is here, with the folders of their own stores: path in the tree, store, commit.
pub(super) async fn stores(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
    sha: &Sha,
) -> Result<Vec<(PathBuf, PathBuf, Sha)>, GitError> {
    let mut open = vec![(PathBuf::new(), Store::top(git_dir, sha, ""))];
    let mut found = Vec::new();
    while let Some((below, store)) = open.pop() {
        for module in store.modules(tools, place).await? {
            let path = below.join(&module.path);
            let its = store.of(module);
            if its.depth > DEPTH {
                continue;
            }
            found.push((path.clone(), its.git_dir.clone(), its.sha.clone()));
            open.push((path, its));
        }
    }
    Ok(found)
}
