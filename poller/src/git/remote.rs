//! The remote of a checkout: its address, how it is spoken to, what it has, and what is fetched from it.

use towline_protocol::{Glob, Sha};

use super::{
    GitError, Wanted,
    call::{Call, Network},
    error::RemoteTrouble,
    login::Login,
    name,
    run::{Place, Said, Tools},
    words,
    writable::writable,
};

/// What SSH is called as where the user's own settings do not say: nobody is there to answer it.
const SSH: &str = "ssh -o BatchMode=yes -o ConnectTimeout=30";

/// The address of the checkout's remote, without a login. The remote itself is asked whether it answers only where it is a
/// folder of this host.
///
/// # Errors
/// When the checkout has no such remote, its login cannot be used, or a remote of this host cannot be read.
pub async fn remote(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<String, GitError> {
    let remote = Remote::of(tools, place).await?;
    if is_local(&remote.url) {
        let call = Call::new(&["ls-remote", "--heads", "--", &remote.name]);
        remote.ask(tools, place, call).await?;
    }
    Ok(remote.shown)
}

/// Whether git takes an address for a path of this host (git-fetch(1), "GIT URLS").
fn is_local(url: &str) -> bool {
    let before_slash = url.split('/').next().unwrap_or_default();
    url.starts_with("file://") || !before_slash.contains(':')
}

/// A remote of a checkout.
pub(super) struct Remote {
    /// Its name here.
    pub(super) name: String,
    /// Its address, as git takes it; may hold a login.
    pub(super) url: String,
    /// Its address to show.
    pub(super) shown: String,
    /// How it is spoken to.
    pub(super) network: Network,
}

/// What a remote has of what a deploy asks for.
pub(super) struct Advertised {
    /// Its branches and their tips, of those of the rule.
    pub(super) heads: Vec<(String, String)>,
    /// The commit that the intent's tag stands for.
    pub(super) tag: Option<String>,
}

impl Remote {
    /// The remote that the host's file names.
    pub(super) async fn of(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<Self, GitError> {
        let name = place.git.remote.clone();
        let call = Call::new(&["remote", "get-url", "--", &name]);
        let url = match name::is_remote(&name) {
            true => tools.call(place, &call).await?,
            false => return Err(missing(tools, place).await?),
        };
        if url.status != 0 {
            return Err(missing(tools, place).await?);
        }
        let url = String::from_utf8_lossy(&url.stdout).trim_end().to_owned();
        let login = match &place.git.credential_file {
            Some(path) => Some(Login::read(path, &url)?),
            None => None,
        };
        let call = Call::new(&["config", "--get", "core.sshCommand"]);
        let own_ssh = tools.call(place, &call).await?.status == 0;
        Ok(Self {
            name,
            shown: words::without_logins(&url),
            url,
            network: Network {
                login,
                ssh: (!own_ssh).then_some(SSH),
            },
        })
    }

    /// Asks what it has of the branches and the tag that are wanted.
    pub(super) async fn list(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Advertised, GitError> {
        let tag = wanted.tag.map(|tag| format!("refs/tags/{tag}"));
        let peeled = tag.as_ref().map(|tag| format!("{tag}^{{}}"));
        let any = wanted.branches.is_empty() && tag.is_none();
        let heads = wanted.branches.iter().map(Glob::as_str);
        let heads = heads.chain(any.then_some("*"));
        let heads = heads.map(|glob| format!("refs/heads/{glob}"));
        let patterns: Vec<String> = heads.chain(tag.clone()).chain(peeled.clone()).collect();
        let call = Call::new(&["ls-remote", "--", &self.name]).args(patterns);
        let printed = self.ask(tools, place, call).await?;
        let printed = String::from_utf8_lossy(&printed);
        let refs: Vec<(&str, &str)> = printed
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .collect();
        let its = |wanted: &Option<String>| {
            let wanted = wanted.as_deref();
            refs.iter()
                .find(|(_, name)| Some(*name) == wanted)
                .map(|(sha, _)| (*sha).to_owned())
        };
        let matching = |(sha, name): &(&str, &str)| {
            let branch = name.strip_prefix("refs/heads/")?;
            let counts = any || wanted.branches.iter().any(|glob| glob.matches(branch));
            (counts && name::is_branch(branch)).then(|| (branch.to_owned(), (*sha).to_owned()))
        };
        Ok(Advertised {
            tag: its(&peeled).or_else(|| its(&tag)),
            heads: refs.iter().filter_map(matching).collect(),
        })
    }

    /// Fetches refs, as they are at the remote: one that was forced is followed. Writes no `FETCH_HEAD`.
    pub(super) async fn fetch(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        options: &[&str],
        specs: Vec<String>,
    ) -> Result<(), GitError> {
        let call = self.fetching(options, specs);
        self.ask(tools, place, call).await.map(drop)
    }

    /// The git that fetches refs, or commits by their names.
    pub(super) fn fetching(&self, options: &[&str], specs: Vec<String>) -> Call<'static> {
        let call = Call::new(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-recurse-submodules",
            "--no-auto-gc",
            "--no-write-fetch-head",
        ]);
        let options = options.iter().map(|&option| option.to_owned());
        call.args(options)
            .args(["--".to_owned(), self.name.clone()])
            .args(specs)
    }

    /// The refspec of a branch.
    pub(super) fn spec(&self, branch: &str) -> String {
        format!("+refs/heads/{branch}:refs/remotes/{}/{branch}", self.name)
    }

    /// Fetches a commit by itself. Whether the remote gave it is seen by looking for it.
    pub(super) async fn fetch_commit(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        sha: &Sha,
        shallow: bool,
    ) -> Result<(), GitError> {
        let options: &[&str] = if shallow { &["--depth=1"] } else { &[] };
        let specs = vec![sha.to_string()];
        self.given(self.fetch(tools, place, options, specs).await)
    }

    /// What it means for a commit that is fetched by its name: a remote that does not have it says the same as one that does not
    /// give what no ref points at.
    pub(super) fn given(&self, fetched: Result<(), GitError>) -> Result<(), GitError> {
        match fetched {
            Err(GitError::Remote {
                trouble: RemoteTrouble::Other,
                ..
            })
            | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs a git that speaks to it.
    pub(super) async fn ask(
        &self,
        tools: &mut Tools<'_>,
        place: &Place<'_>,
        call: Call<'_>,
    ) -> Result<Vec<u8>, GitError> {
        let call = call.network(&self.network).limit(tools.limits.network);
        let said = tools.call(place, &call).await?;
        if said.status == 0 {
            return Ok(said.stdout);
        }
        if words::is_unwritten(&said.stderr)
            && let Err(found @ GitError::NotWritable { .. }) = writable(tools, place).await
        {
            return Err(found);
        }
        // A search that itself has failed says less than what git said.
        Err(self.trouble(&said))
    }

    /// What a failed git said of it.
    pub(super) fn trouble(&self, said: &Said) -> GitError {
        GitError::Remote {
            remote: self.shown.clone(),
            trouble: words::trouble(&said.stderr),
            said: words::words(&said.stderr),
        }
    }
}

async fn missing(tools: &mut Tools<'_>, place: &Place<'_>) -> Result<GitError, GitError> {
    let printed = tools.output(place, &Call::new(&["remote"])).await?;
    let known: Vec<String> = String::from_utf8_lossy(&printed)
        .lines()
        .map(str::to_owned)
        .collect();
    Ok(GitError::NoRemote {
        path: place.git.path.clone(),
        remote: place.git.remote.clone(),
        known: if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_of_this_host_is_told_from_one_elsewhere() {
        for url in ["/srv/web.git", "file:///srv/web.git", "../web.git", "./a:b"] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "https://github.com/octo-org/web.git",
            "git@github.com:octo-org/web.git",
            "ssh://git@github.com/octo-org/web",
            "host:web.git",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
