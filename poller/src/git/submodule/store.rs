//! A repository whose submodules are looked at, by its own folder: it needs no files.

use std::path::{Path, PathBuf};

use towline_protocol::Sha;

use super::{
    super::{
        GitError,
        call::Call,
        name,
        run::{Place, Tools, text},
    },
    listed::{Listed, listed_modules, resolved},
};

/// A submodule that a commit records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) url: String,
    pub(super) commit: Sha,
}

/// A repository whose submodules are looked at: the checkout, or a submodule's own.
pub(super) struct Store {
    pub(super) git_dir: PathBuf,
    pub(super) sha: Sha,
    /// Where it comes from.
    pub(super) url: String,
    /// How deep it is nested.
    pub(super) depth: usize,
}

impl Store {
    /// The checkout's own, at a commit.
    pub(super) fn top(git_dir: &Path, sha: &Sha, url: &str) -> Self {
        Self {
            git_dir: git_dir.to_owned(),
            sha: sha.clone(),
            url: url.to_owned(),
            depth: 0,
        }
    }

    /// That of one of its submodules.
    pub(super) fn of(&self, module: Module) -> Self {
        Self {
            git_dir: self.git_dir.join("modules").join(module.name),
            sha: module.commit,
            url: module.url,
            depth: self.depth + 1,
        }
    }

    /// A git that works on this store and needs no files.
    pub(super) fn call(&self, args: &[&str]) -> Result<Call<'static>, GitError> {
        let git_dir = text(&self.git_dir)?;
        let place = [
            format!("--git-dir={git_dir}"),
            format!("--work-tree={git_dir}"),
        ];
        let args = args.iter().map(|&arg| arg.to_owned());
        Ok(Call::new(&[]).args(place).args(args))
    }

    /// What its commit records.
    pub(super) async fn modules(
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
                return Err(GitError::Submodule {
                    name,
                    trouble: None,
                    why,
                });
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

    /// Whether it has its commit.
    pub(super) async fn is_here(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
    ) -> Result<bool, GitError> {
        let commit = format!("{}^{{commit}}", self.sha);
        let call = self.call(&["cat-file", "-e", &commit])?;
        Ok(tools.call(place, &call).await?.status == 0)
    }
}
