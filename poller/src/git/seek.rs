//! Whether a remote has a commit, and on one of the branches, found out without fetching it into the checkout: what git gets is
//! written into a folder aside, and no ref is.

use std::path::Path;

use towline_protocol::Sha;

use super::{
    GitError, Wanted,
    call::Call,
    fetch::Search,
    open::open,
    remote::Remote,
    run::{Place, Tools, text},
};

/// Looks for a commit at the remote. Returns whether it is known to be on one of the branches; with a checkout whose history
/// is cut off it is not. `into` is an empty folder that the service's user can write to.
///
/// # Errors
/// What a deploy would have against it, in the same words.
pub async fn seek(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    wanted: &Wanted<'_>,
    into: &Path,
) -> Result<bool, GitError> {
    let repository = open(tools, place).await?;
    if repository.shallow {
        return Ok(false);
    }
    let remote = Remote::of(tools, place).await?;
    let heads = remote.list(tools, place, wanted).await?.heads;
    let search = Search {
        place,
        remote: &remote,
        wanted,
        shallow: false,
    };
    let objects = Call::new(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "objects",
    ]);
    let objects = tools.output(place, &objects).await?;
    let aside = Aside {
        place,
        into: text(into)?,
        objects: String::from_utf8_lossy(&objects).trim_end().to_owned(),
    };
    let tips = heads.iter().map(|(_, tip)| tip.clone()).collect();
    aside.fetch(tools, &remote, tips).await?;
    for (_, tip) in &heads {
        if aside.leads_to(tools, tip, wanted.sha).await? {
            return Ok(true);
        }
    }
    let by_itself = aside.fetch(tools, &remote, vec![wanted.sha.to_string()]);
    remote.given(by_itself.await)?;
    match aside.has(tools, wanted.sha).await? {
        true => Err(search.not_on_branch()),
        false => Err(search.nowhere(&heads)),
    }
}

/// Where objects are written to and, beside that, read from.
struct Aside<'a> {
    place: &'a Place<'a>,
    into: String,
    objects: String,
}

impl Aside<'_> {
    fn there<'c>(&self, call: Call<'c>) -> Call<'c> {
        call.env("GIT_OBJECT_DIRECTORY", &*self.into)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &*self.objects)
    }

    /// Fetches commits by their names, and moves no ref.
    async fn fetch(
        &self,
        tools: &mut Tools<'_>,
        remote: &Remote,
        commits: Vec<String>,
    ) -> Result<(), GitError> {
        let call = remote.fetching(&["--refmap="], commits);
        let fetched = remote.ask(tools, self.place, self.there(call)).await;
        fetched.map(drop)
    }

    async fn has(&self, tools: &mut Tools<'_>, sha: &Sha) -> Result<bool, GitError> {
        let commit = format!("{sha}^{{commit}}");
        let call = self.there(Call::new(&["cat-file", "-e", &commit]));
        Ok(tools.call(self.place, &call).await?.status == 0)
    }

    /// Whether `sha` is in the history of `tip`.
    async fn leads_to(
        &self,
        tools: &mut Tools<'_>,
        tip: &str,
        sha: &Sha,
    ) -> Result<bool, GitError> {
        if !self.has(tools, sha).await? {
            return Ok(false);
        }
        let call = Call::new(&["merge-base", "--is-ancestor", sha.as_str(), tip]);
        tools.holds(self.place, &self.there(call)).await
    }
}
