//! One git, started by `process`, and how its ending is read.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use towline_protocol::Sha;

use super::{GitError, call::Call, words};
use crate::{
    process::{self, Ended, GRACE, How, Identity, Launcher, Order},
    settings::Git,
};

/// What git is worked with.
pub struct Tools<'a> {
    /// What starts it.
    pub launcher: &'a Launcher,
    /// Is told of each git before that may begin; one that it has something against does not.
    pub begun: &'a mut dyn FnMut(&Identity) -> Result<(), String>,
    /// How long each may take.
    pub limits: Limits,
}

/// How long a git may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To look at what is here.
    pub look: Duration,
    /// To speak to a remote.
    pub network: Duration,
    /// To write files.
    pub files: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            look: minutes(2),
            network: minutes(10),
            files: minutes(10),
        }
    }
}

/// A checkout and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The checkout.
    pub git: &'a Git,
    /// Who git is run as; `None` is whoever runs Towline.
    pub user: Option<&'a str>,
}

/// A git that ended by itself.
pub(super) struct Said {
    /// Its exit status.
    pub(super) status: i32,
    /// What it printed.
    pub(super) stdout: Vec<u8>,
    /// What it said beside, the end of it.
    pub(super) stderr: String,
    what: String,
}

impl Said {
    /// What it printed, if it succeeded.
    pub(super) fn ok(self) -> Result<Vec<u8>, GitError> {
        match self.status {
            0 => Ok(self.stdout),
            _ => Err(self.failed()),
        }
    }

    /// Its failure.
    pub(super) fn failed(&self) -> GitError {
        GitError::Failed {
            what: self.what.clone(),
            said: words::words(&self.stderr),
        }
    }
}

impl Tools<'_> {
    /// Runs one git at `place`, whatever its exit status.
    pub(super) async fn call(
        &mut self,
        place: &Place<'_>,
        call: &Call<'_>,
    ) -> Result<Said, GitError> {
        let limit = call.limit.unwrap_or(self.limits.look);
        let (argv, env) = (call.argv(), call.environment());
        let ended = self.start(place, argv, env, limit).await?;
        read(place, call.what(), limit, ended)
    }

    /// Makes a folder and those above it, as the service's user.
    pub(super) async fn make_folder(
        &mut self,
        place: &Place<'_>,
        folder: &Path,
    ) -> Result<(), GitError> {
        let what = ["mkdir", "-p", "--"];
        self.do_as_user(place, &what, &[folder.to_owned()]).await
    }

    /// Removes files and folders that may be there, as the service's user: it is his files that say where they are.
    pub(super) async fn remove(
        &mut self,
        place: &Place<'_>,
        paths: &[PathBuf],
    ) -> Result<(), GitError> {
        self.do_as_user(place, &["rm", "-rf", "--"], paths).await
    }

    /// Gives something another name in the same folder, as the service's user; never one that is taken, and then it stays where
    /// it is.
    pub(super) async fn rename(
        &mut self,
        place: &Place<'_>,
        from: &Path,
        to: &Path,
    ) -> Result<(), GitError> {
        let what = ["mv", "-n", "-T", "--"];
        let way = [from.to_owned(), to.to_owned()];
        self.do_as_user(place, &what, &way).await
    }

    async fn do_as_user(
        &mut self,
        place: &Place<'_>,
        what: &[&str],
        paths: &[PathBuf],
    ) -> Result<(), GitError> {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| text(path))
            .collect::<Result<_, _>>()?;
        let words = what.iter().map(|&word| word.to_owned());
        let argv = words.chain(paths).collect();
        self.program(place, argv).await?.ok().map(drop)
    }

    /// Runs one program that is no git, as the service's user, whatever its exit status.
    pub(super) async fn program(
        &mut self,
        place: &Place<'_>,
        argv: Vec<String>,
    ) -> Result<Said, GitError> {
        let what = argv.first().cloned().unwrap_or_default();
        let limit = self.limits.look;
        let ended = self.start(place, argv, Vec::new(), limit).await?;
        read(place, what, limit, ended)
    }

    async fn start(
        &mut self,
        place: &Place<'_>,
        argv: Vec<String>,
        env: Vec<(String, String)>,
        timeout: Duration,
    ) -> Result<Ended, GitError> {
        let order = Order {
            argv,
            user: place.user.map(str::to_owned),
            dir: place.git.path.clone(),
            env,
            timeout,
            grace: GRACE,
            capture: true,
            stdin: None,
            dies_with_us: true,
        };
        process::run(self.launcher, &order, self.begun, &mut |_| {})
            .await
            .map_err(|error| match error.goes_on() {
                true => GitError::Outlived(error.to_string()),
                false => GitError::NotStarted(error.to_string()),
            })
    }

    /// What one git printed; an error when it did not succeed.
    pub(super) async fn output(
        &mut self,
        place: &Place<'_>,
        call: &Call<'_>,
    ) -> Result<Vec<u8>, GitError> {
        self.call(place, call).await?.ok()
    }

    /// Whether there is an object that git knows by `name`, such as `COMMIT:FILE`.
    pub(super) async fn has(&mut self, place: &Place<'_>, name: &str) -> Result<bool, GitError> {
        let call = Call::new(&["cat-file", "-e", name]);
        Ok(self.call(place, &call).await?.status == 0)
    }

    /// The commit that a ref or `HEAD` stands for; `None` where it stands for none.
    pub(super) async fn commit_of(
        &mut self,
        place: &Place<'_>,
        name: &str,
    ) -> Result<Option<Sha>, GitError> {
        let name = format!("{name}^{{commit}}");
        let call = Call::new(&["rev-parse", "--verify", "--quiet", &name]);
        let printed = self.call(place, &call).await?.stdout;
        Ok(String::from_utf8_lossy(&printed).trim().parse().ok())
    }

    /// Whether one git ended with 0 rather than 1; an error when it ended otherwise.
    pub(super) async fn holds(
        &mut self,
        place: &Place<'_>,
        call: &Call<'_>,
    ) -> Result<bool, GitError> {
        let said = self.call(place, call).await?;
        match said.status {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(said.failed()),
        }
    }
}

fn read(place: &Place<'_>, what: String, limit: Duration, ended: Ended) -> Result<Said, GitError> {
    let status = match ended.how {
        How::Exited(status) => status,
        How::TimedOut => return Err(GitError::TimedOut { what, limit }),
        How::Signalled(signal) => return Err(GitError::Killed { what, signal }),
    };
    if let Some(repository) = words::not_ours(&ended.tail).filter(|_| status != 0) {
        return Err(foreign(&place.git.path, repository));
    }
    Ok(Said {
        status,
        stdout: ended.stdout,
        stderr: ended.tail,
        what,
    })
}

/// A repository that git does not trust: the checkout, or one of this host that it fetches from.
fn foreign(checkout: &Path, repository: &Path) -> GitError {
    let owner = owner(repository);
    let real = std::fs::canonicalize(checkout).unwrap_or_else(|_| checkout.to_owned());
    if repository.starts_with(&real) || repository.starts_with(checkout) {
        let path = checkout.to_owned();
        return GitError::Foreign { path, owner };
    }
    let path = repository.to_owned();
    GitError::ForeignRemote { path, owner }
}

/// Whose `path` is, by name or number.
pub(super) fn owner(path: &Path) -> String {
    let uid = std::fs::metadata(path).map(|metadata| metadata.uid());
    let name = |uid: u32| {
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        user.map_or_else(|| uid.to_string(), |user| user.name)
    };
    uid.map_or_else(|_| "another user".to_owned(), name)
}

/// `path` as an argument.
pub(super) fn text(path: &Path) -> Result<String, GitError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| GitError::NoCheckout {
        path: path.to_owned(),
        why: "its path is not UTF-8".to_owned(),
    })
}

/// What git printed with a NUL behind each, as text to show and as paths are.
pub(super) fn nul_separated(printed: &[u8]) -> impl Iterator<Item = PathBuf> + '_ {
    use std::os::unix::ffi::OsStrExt;
    let parts = printed
        .split(|&byte| byte == 0)
        .filter(|part| !part.is_empty());
    parts.map(|part| PathBuf::from(std::ffi::OsStr::from_bytes(part)))
}
