//! Submodules: what a commit records of them, fetched into the checkout's own store before any file is touched, and put there.
//!
//! Which protocols they may come by is git's own default for submodules: neither `file` nor `ext`. Not here: their files in
//! Git LFS, which git's own settings of the user rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

use towline_protocol::Sha;

use super::{
    GitError, name,
    remote::Remote,
    run::{Call, Place, Tools, text},
    words,
};

/// How deep submodules of submodules may be nested.
const DEPTH: usize = 10;

/// A submodule that a commit records.
#[derive(Debug, PartialEq, Eq)]
struct Module {
    name: String,
    path: String,
    url: String,
    commit: Sha,
}

/// A repository whose submodules are looked at: the checkout, or a submodule's own.
struct Store {
    git_dir: PathBuf,
    sha: Sha,
    url: String,
    depth: usize,
}

impl Store {
    /// A git that works on this store and needs no files.
    fn call(&self, args: &[&str]) -> Result<Call<'static>, GitError> {
        let git_dir = text(&self.git_dir)?;
        let place = [
            format!("--git-dir={git_dir}"),
            format!("--work-tree={git_dir}"),
        ];
        let args = args.iter().map(|&arg| arg.to_owned());
        Ok(Call::new(&[]).args(place).args(args))
    }

    /// What its commit records.
    async fn modules(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
    ) -> Result<Vec<Module>, GitError> {
        let blob = format!("{}:.gitmodules", self.sha);
        let call = self.call(&["cat-file", "-e", &blob])?;
        if tools.call(place, &call).await?.status != 0 {
            return Ok(Vec::new());
        }
        let call = self.call(&["config", "--blob", &blob, "-z", "--list"])?;
        let listed = tools.output(place, &call).await?;
        let mut modules = Vec::new();
        for Listed { name, path, url } in listed_modules(&listed) {
            let Some(commit) = self.recorded(tools, place, &path).await? else {
                continue;
            };
            if !name::is_submodule(&name) || url.starts_with('-') || path.starts_with('-') {
                let why = "its name, path or address is not one that git allows".to_owned();
                return Err(GitError::Submodule { name, why });
            }
            let own = format!("submodule.{name}.url");
            let own = self.setting(tools, place, &own).await?;
            let update = format!("submodule.{name}.update");
            if self.setting(tools, place, &update).await?.as_deref() == Some("none") {
                continue;
            }
            let url = own.unwrap_or_else(|| resolved(&self.url, &url));
            modules.push(Module {
                name,
                path,
                url,
                commit,
            });
        }
        Ok(modules)
    }

    /// The commit that is recorded at `path`, if it is a submodule's.
    async fn recorded(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        path: &str,
    ) -> Result<Option<Sha>, GitError> {
        let call = self.call(&[
            "ls-tree",
            "-z",
            "--full-tree",
            self.sha.as_str(),
            "--",
            path,
        ])?;
        let call = call.env("GIT_LITERAL_PATHSPECS", "1");
        let printed = tools.output(place, &call).await?;
        let printed = String::from_utf8_lossy(&printed);
        let commit = printed.strip_prefix("160000 commit ");
        let commit = commit.and_then(|rest| rest.split('\t').next());
        Ok(commit.and_then(|commit| commit.parse().ok()))
    }

    async fn setting(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        key: &str,
    ) -> Result<Option<String>, GitError> {
        let said = tools
            .call(place, &self.call(&["config", "--get", key])?)
            .await?;
        let value = String::from_utf8_lossy(&said.stdout);
        Ok((said.status == 0).then(|| value.trim_end_matches('\n').to_owned()))
    }

    async fn is_here(&self, tools: &mut Tools<'_>, place: &Place<'_>) -> Result<bool, GitError> {
        let commit = format!("{}^{{commit}}", self.sha);
        let call = self.call(&["cat-file", "-e", &commit])?;
        Ok(tools.call(place, &call).await?.status == 0)
    }
}

/// Fetches what the commit records, and what that records. Touches no file of the checkout.
pub(super) async fn fetch(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    git_dir: &Path,
    remote: &Remote,
    sha: &Sha,
) -> Result<(), GitError> {
    let mut stores = vec![Store {
        git_dir: git_dir.to_owned(),
        sha: sha.clone(),
        url: remote.url.clone(),
        depth: 0,
    }];
    while let Some(store) = stores.pop() {
        for module in store.modules(tools, place).await? {
            let its = Store {
                git_dir: store.git_dir.join("modules").join(&module.name),
                sha: module.commit,
                url: module.url,
                depth: store.depth + 1,
            };
            let trouble = |why: String| GitError::Submodule {
                name: module.name.clone(),
                why,
            };
            if its.depth > DEPTH {
                return Err(trouble(format!("it is nested more than {DEPTH} deep")));
            }
            fill(tools, place, remote, &its, git_dir, &trouble).await?;
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
    trouble: &impl Fn(String) -> GitError,
) -> Result<(), GitError> {
    if !store.git_dir.is_dir() {
        let beside = git_dir.join("towline-clone");
        if let Some(folder) = store.git_dir.parent() {
            tools.make_folder(place, folder).await?;
        }
        // What an earlier one has left.
        let _ = fs::remove_dir_all(&beside);
        let call = Call::new(&["clone", "--quiet", "--no-checkout"])
            .args([format!("--separate-git-dir={}", text(&store.git_dir)?)])
            .args(["--".to_owned(), store.url.clone(), text(&beside)?]);
        ask(tools, place, remote, call, trouble).await?;
        let _ = fs::remove_dir_all(&beside);
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
    ask(tools, place, remote, call, trouble).await?;
    if store.is_here(tools, place).await? {
        return Ok(());
    }
    let call = store.call(&fetch)?.args([store.sha.to_string()]);
    ask(tools, place, remote, call, trouble).await?;
    match store.is_here(tools, place).await? {
        true => Ok(()),
        false => Err(trouble(format!(
            "its remote has no commit {}",
            store.sha.short()
        ))),
    }
}

async fn ask(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    remote: &Remote,
    call: Call<'_>,
    trouble: &impl Fn(String) -> GitError,
) -> Result<(), GitError> {
    let call = call
        .network(&remote.network)
        .limit(tools.limits.network)
        // Its address comes with a commit, not from the user.
        .env("GIT_PROTOCOL_FROM_USER", "0");
    let said = tools.call(place, &call).await?;
    match said.status {
        0 => Ok(()),
        _ if words::trouble(&said.stderr).may_pass() => Err(remote.trouble(&said)),
        _ => Err(trouble(words::words(&said.stderr))),
    }
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
    let store = |sha: &Sha| Store {
        git_dir: git_dir.to_owned(),
        sha: sha.clone(),
        url: String::new(),
        depth: 0,
    };
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
    let first = Store {
        git_dir: git_dir.to_owned(),
        sha: sha.clone(),
        url: String::new(),
        depth: 0,
    };
    let mut open = vec![(PathBuf::new(), first)];
    let mut found = Vec::new();
    while let Some((below, store)) = open.pop() {
        for module in store.modules(tools, place).await? {
            let path = below.join(&module.path);
            let its = Store {
                git_dir: store.git_dir.join("modules").join(&module.name),
                sha: module.commit,
                url: module.url,
                depth: store.depth + 1,
            };
            if its.depth > DEPTH {
                continue;
            }
            found.push((path.clone(), its.git_dir.clone(), its.sha.clone()));
            open.push((path, its));
        }
    }
    Ok(found)
}

/// What `.gitmodules` says of one submodule.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    path: String,
    url: String,
}

/// Reads what `git config -z --list` printed of a `.gitmodules`; those without path or address are none.
fn listed_modules(printed: &[u8]) -> Vec<Listed> {
    let text = String::from_utf8_lossy(printed);
    let settings: Vec<(&str, &str)> = text
        .split('\0')
        .filter_map(|setting| setting.strip_prefix("submodule.")?.split_once('\n'))
        .collect();
    let named = |key: &str| {
        let named = move |(name, value): &(&str, &str)| {
            let name = name.strip_suffix(key)?;
            Some((name.to_owned(), (*value).to_owned()))
        };
        settings.iter().filter_map(named).collect::<Vec<_>>()
    };
    let (urls, updates) = (named(".url"), named(".update"));
    let of = |list: &[(String, String)], name: &str| {
        let found = list.iter().find(|(its, _)| its == name);
        found.map(|(_, value)| value.clone())
    };
    let listed = named(".path").into_iter().filter_map(|(name, path)| {
        let url = of(&urls, &name)?;
        let is_left = of(&updates, &name).as_deref() == Some("none");
        (!is_left).then_some(Listed { name, path, url })
    });
    listed.collect()
}

/// An address that begins with `./` or `../` begins at that of the repository that records it, as git has it.
fn resolved(base: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let (mut base, mut rest) = (base.trim_end_matches('/').to_owned(), url);
    let mut separator = '/';
    loop {
        if let Some(shorter) = rest.strip_prefix("./") {
            rest = shorter;
        } else if let Some(shorter) = rest.strip_prefix("../") {
            rest = shorter;
            let cut = base.rfind(['/', ':']).unwrap_or(0);
            separator = if base.get(cut..).is_some_and(|tail| tail.starts_with(':')) {
                ':'
            } else {
                '/'
            };
            base.truncate(cut);
        } else {
            return format!("{base}{separator}{}", rest.trim_end_matches('/'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_addresses_begin_at_the_one_that_records_them() {
        for (base, url, expected) in [
            (
                "https://github.com/octo-org/web.git",
                "../lib.git",
                "https://github.com/octo-org/lib.git",
            ),
            (
                "https://github.com/octo-org/web/",
                "../../octocat/lib",
                "https://github.com/octocat/lib",
            ),
            (
                "git@github.com:octo-org/web.git",
                "../lib.git",
                "git@github.com:octo-org/lib.git",
            ),
            (
                "git@github.com:web.git",
                "../lib.git",
                "git@github.com:lib.git",
            ),
            (
                "https://github.com/octo-org/web",
                "./lib/",
                "https://github.com/octo-org/web/lib",
            ),
            (
                "https://github.com/octo-org/web",
                "https://x.example/lib",
                "https://x.example/lib",
            ),
        ] {
            assert_eq!(resolved(base, url), expected);
        }
    }

    #[test]
    fn submodules_are_listed_with_path_and_address() {
        let printed = b"submodule.lib.path\nvendor/lib\0submodule.lib.url\n../lib\0\
            submodule.a.b.path\nx\0submodule.a.b.url\nhttps://x\0submodule.half.path\ny\0\
            submodule.off.path\nz\0submodule.off.url\nhttps://z\0submodule.off.update\nnone\0core.x\ny\0";
        let listed = listed_modules(printed);
        let names: Vec<&str> = listed.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["lib", "a.b"]);
        assert_eq!(
            (listed[0].path.as_str(), listed[0].url.as_str()),
            ("vendor/lib", "../lib")
        );
    }
}
