//! The commit of an intent, fetched, and whether it may be deployed: it must be on one of the branches that the service's rule names,
//! as the remote has them now.

use towline_protocol::Glob;

use super::{
    Fetched, GitError, Wanted,
    call::Call,
    lfs,
    open::{open, usable},
    remote::{Advertised, Remote},
    run::{Place, Tools},
    submodule,
};

/// By how many commits a history that is cut off is lengthened, one after the other, until the commit is in it.
const DEEPER: [&str; 3] = ["--deepen=50", "--deepen=500", "--deepen=5000"];

/// Fetches the commit, its submodules and its files in Git LFS. Neither `HEAD` nor index nor files are touched.
///
/// # Errors
/// When the commit cannot be had, or may not be deployed; what follows is [`GitError::fate`].
pub async fn fetch(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    wanted: &Wanted<'_>,
) -> Result<Fetched, GitError> {
    let repository = open(tools, place).await?;
    usable(tools, place).await?;
    let remote = Remote::of(tools, place).await?;
    let advertised = remote.list(tools, place, wanted).await?;
    let search = Search {
        place,
        remote: &remote,
        wanted,
        shallow: repository.shallow,
    };
    let tag = search.tag(&advertised)?;
    let branch = if wanted.branches.is_empty() && tag.is_some() {
        search.tagged(tools, tag).await?;
        None
    } else {
        Some(search.branch(tools, advertised, tag).await?)
    };
    submodule::fetch(tools, place, &repository.git_dir, &remote, wanted.sha).await?;
    if lfs::is_used(tools, place, wanted.sha).await? {
        lfs::fetch(tools, place, &remote, wanted.sha).await?;
    }
    Ok(Fetched { branch })
}

/// The search for one commit at one remote.
pub(super) struct Search<'s> {
    pub(super) place: &'s Place<'s>,
    pub(super) remote: &'s Remote,
    pub(super) wanted: &'s Wanted<'s>,
    pub(super) shallow: bool,
}

impl Search<'_> {
    /// The refspec of the intent's tag, which must stand for the commit.
    pub(super) fn tag(&self, advertised: &Advertised) -> Result<Option<String>, GitError> {
        let Some(tag) = self.wanted.tag else {
            return Ok(None);
        };
        let remote = self.remote.shown.clone();
        match &advertised.tag {
            None => Err(GitError::NoTag {
                remote,
                tag: tag.to_string(),
            }),
            Some(is) if is != self.wanted.sha.as_str() => Err(GitError::TagElsewhere {
                remote,
                tag: tag.to_string(),
                is: is.chars().take(7).collect(),
                sha: self.wanted.sha.clone(),
            }),
            Some(_) => Ok(Some(format!("+refs/tags/{tag}:refs/tags/{tag}"))),
        }
    }

    /// Fetches a tag of the commit, which needs no branch.
    async fn tagged(&self, tools: &mut Tools<'_>, tag: Option<String>) -> Result<(), GitError> {
        let specs = tag.into_iter().collect();
        self.remote.fetch(tools, self.place, &[], specs).await?;
        match self.is_here(tools).await? {
            true => Ok(()),
            false => Err(self.no_commit("its tag is of another")),
        }
    }

    /// Fetches until the commit is on one of the branches, and says on which.
    async fn branch(
        &self,
        tools: &mut Tools<'_>,
        advertised: Advertised,
        tag: Option<String>,
    ) -> Result<String, GitError> {
        let heads = advertised.heads;
        let likely = heads.iter().position(|(name, tip)| {
            self.wanted
                .branch
                .map_or(tip == self.wanted.sha.as_str(), |branch| name == branch)
        });
        let spec = |(name, _): &(String, String)| self.remote.spec(name);
        if heads.is_empty() {
            return Err(self.no_branch());
        }
        let first = match likely.and_then(|at| heads.get(at)) {
            Some(head) => std::slice::from_ref(head),
            None => heads.as_slice(),
        };
        let specs = first.iter().map(spec).chain(tag).collect();
        self.remote.fetch(tools, self.place, &[], specs).await?;
        // The others are here as they were some time ago: a commit may have been forced off them since.
        if let Some(branch) = self.on(tools, first).await? {
            return Ok(branch);
        }
        let all: Vec<String> = heads.iter().map(spec).collect();
        if first.len() < all.len() {
            self.remote
                .fetch(tools, self.place, &[], all.clone())
                .await?;
            if let Some(branch) = self.on(tools, &heads).await? {
                return Ok(branch);
            }
        }
        self.elsewhere(tools, &heads, all).await
    }

    /// The commit is not in what was fetched of the branches: further back in a history that is cut off, on another
    /// branch, or nowhere.
    async fn elsewhere(
        &self,
        tools: &mut Tools<'_>,
        heads: &[(String, String)],
        specs: Vec<String>,
    ) -> Result<String, GitError> {
        let (place, sha) = (self.place, self.wanted.sha);
        if !self.is_here(tools).await? {
            self.remote
                .fetch_commit(tools, place, sha, self.shallow)
                .await?;
        }
        if !self.is_here(tools).await? {
            return Err(self.nowhere(heads));
        }
        if !self.shallow {
            return Err(self.not_on_branch());
        }
        for deeper in DEEPER {
            self.remote
                .fetch(tools, place, &[deeper], specs.clone())
                .await?;
            if let Some(branch) = self.on(tools, heads).await? {
                return Ok(branch);
            }
        }
        Err(self.lost(tools).await?)
    }

    /// On none of the branches as far as can be seen.
    async fn lost(&self, tools: &mut Tools<'_>) -> Result<GitError, GitError> {
        let sha = self.wanted.sha.clone();
        let branches = self.branches();
        Ok(if open(tools, self.place).await?.shallow {
            GitError::Shallow {
                path: self.place.git.path.clone(),
                sha,
                branches,
            }
        } else {
            self.not_on_branch()
        })
    }

    pub(super) fn no_branch(&self) -> GitError {
        GitError::NoBranch {
            remote: self.remote.shown.clone(),
            branches: self.branches(),
        }
    }

    pub(super) fn not_on_branch(&self) -> GitError {
        GitError::NotOnBranch {
            remote: self.remote.shown.clone(),
            sha: self.wanted.sha.clone(),
            branches: self.branches(),
        }
    }

    /// Which of the branches, which were just fetched, the commit is on; the intent's own first.
    async fn on(
        &self,
        tools: &mut Tools<'_>,
        heads: &[(String, String)],
    ) -> Result<Option<String>, GitError> {
        if !self.is_here(tools).await? {
            return Ok(None);
        }
        let below = format!("refs/remotes/{}/", self.remote.name);
        let contains = format!("--contains={}", self.wanted.sha);
        let call = Call::new(&["for-each-ref", "--format=%(refname)", &contains, &below]);
        let printed = tools.output(self.place, &call).await?;
        let printed = String::from_utf8_lossy(&printed);
        let on: Vec<&str> = printed
            .lines()
            .filter_map(|name| name.strip_prefix(&below))
            .collect();
        let is_on = |name: &str| on.contains(&name);
        let own = self
            .wanted
            .branch
            .filter(|own| heads.iter().any(|(name, _)| name == own));
        let own = own.filter(|own| is_on(own)).map(str::to_owned);
        let any = || {
            heads
                .iter()
                .map(|(name, _)| name)
                .find(|name| is_on(name))
                .cloned()
        };
        Ok(own.or_else(any))
    }

    async fn is_here(&self, tools: &mut Tools<'_>) -> Result<bool, GitError> {
        let commit = format!("{}^{{commit}}", self.wanted.sha);
        tools.has(self.place, &commit).await
    }

    /// The remote does not have it; where its branches are instead.
    pub(super) fn nowhere(&self, heads: &[(String, String)]) -> GitError {
        let tips = heads.iter().map(|(name, tip)| {
            let short: String = tip.chars().take(7).collect();
            format!("{name} is {short}")
        });
        let tips: Vec<String> = tips.take(3).collect();
        self.no_commit(&tips.join(", "))
    }

    fn no_commit(&self, has: &str) -> GitError {
        GitError::NoCommit {
            remote: self.remote.shown.clone(),
            sha: self.wanted.sha.clone(),
            has: has.to_owned(),
        }
    }

    /// The rule's branches in words.
    fn branches(&self) -> String {
        match self.wanted.branches {
            [] => "any branch".to_owned(),
            globs => globs
                .iter()
                .map(Glob::as_str)
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}
