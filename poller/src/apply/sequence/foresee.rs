//! What a deploy of a service made of parts would do, found out without doing any of it: no record, no fetch, no check of its
//! health. What would be refused is refused in the same words.

use jiff::Timestamp;
use towline_protocol::{Outcome, Sha, Side};

use super::{
    super::{Foreseen, Job},
    Host, archive,
    checkout::{self, Tree},
    prepare::{Halt, Known, admit, revision, unchanged},
    programs,
};
use crate::{
    backup::Shelf,
    git,
    sequence::{Before, Checkout, Sequence},
    settings::Parts,
    store::{Store, StoreError},
    version::VersionId,
};

/// What is known of a deploy that would begin.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The deploy at its beginning. Its old version is taken to pass its checks.
    pub sequence: Sequence,
    /// What is known of the commit and the checkout, of a service that has one.
    pub fetch: Option<git::Foreseen>,
    /// How many bytes the backup would take at most; `None` without one.
    pub backup: Option<u64>,
}

/// Finds out what applying `job` would do. `store` is only read; `shelf` is where its backups would be.
///
/// # Errors
/// When the state cannot be read.
pub async fn foresee(
    host: Host<'_>,
    store: &Store,
    shelf: &Shelf,
    job: &Job<'_>,
    parts: &Parts,
) -> Result<Foreseen<Ahead>, StoreError> {
    let (name, intent) = (&job.service.name, &job.intent.id);
    let known = Known::of(store, name, store.barred(name, intent)?)?;
    let look = Look {
        host,
        shelf,
        job,
        parts,
        known: &known,
    };
    Ok(match look.through().await {
        Ok(ahead) => Foreseen::Begins(Box::new(ahead)),
        Err(Halt::Over(outcome, message)) => Foreseen::Ends(outcome, message),
        Err(Halt::Unfit(message)) => Foreseen::Ends(Outcome::FailedUntouched, message),
        Err(Halt::Later(error)) => Foreseen::Ends(Outcome::Waiting, error.to_string()),
        Err(Halt::NoImage(trouble, message)) if !trouble.may_pass() => {
            Foreseen::Ends(Outcome::FailedUntouched, message)
        }
        Err(
            Halt::Held(message)
            | Halt::NoCommit(message)
            | Halt::Wait { message, .. }
            | Halt::NoImage(_, message),
        ) => Foreseen::Ends(Outcome::Waiting, message),
    })
}

/// What is looked through: as by `prepare`, in the same order.
struct Look<'a> {
    host: Host<'a>,
    shelf: &'a Shelf,
    job: &'a Job<'a>,
    parts: &'a Parts,
    known: &'a Known,
}

impl Look<'_> {
    async fn through(&self) -> Result<Ahead, Halt> {
        let (parts, job) = (self.parts, self.job);
        let new = revision(job.intent);
        let version = new.sha.clone().map(VersionId::Commit);
        let mut before = Before {
            old: self.known.old.clone(),
            new_version: version.clone(),
            new,
            was_healthy: true,
            ..Before::default()
        };
        if let Some(version) = &version {
            admit(job, &self.known.quarantine, version)?;
        }
        let fetch = match Tree::of(parts, self.host) {
            Some(tree) => self.fetch(tree, &mut before).await?,
            None => None,
        };
        if let Some(version) = version.filter(|_| fetch.is_none())
            && self.known.has_brought(&version)
        {
            return Err(unchanged(&version));
        }
        programs::can_run(self.host, parts, &before).await?;
        let backup = self.backup(&mut before).await?;
        let side = |sha: &Option<Sha>| Side {
            sha: sha.clone(),
            digest: None,
        };
        let (from, to) = (side(&before.old.sha), side(&before.new.sha));
        let mut sequence = Sequence::new(job.deploy.clone(), parts.clone(), before, from, to);
        programs::fit_way_back(self.host, &mut sequence).await;
        Ok(Ahead {
            sequence,
            fetch,
            backup,
        })
    }

    async fn fetch(
        &self,
        tree: Tree<'_>,
        before: &mut Before,
    ) -> Result<Option<git::Foreseen>, Halt> {
        let Some(sha) = before.new.sha.clone() else {
            return Ok(None);
        };
        let version = VersionId::Commit(sha.clone());
        let look = tree.look().await?;
        if checkout::is_at(&look, &sha) && self.known.has_brought(&version) {
            return Err(unchanged(&version));
        }
        let rule = &self.job.service.rule;
        let foreseen = tree.foresee(rule, self.job.intent, &sha).await?;
        let at = Checkout {
            commit: foreseen.at.commit.clone(),
            branch: foreseen.at.branch.clone(),
        };
        checkout::note(before, self.parts, at);
        Ok(Some(foreseen))
    }

    /// The name and size of the backup.
    async fn backup(&self, before: &mut Before) -> Result<Option<u64>, Halt> {
        let Some(backup) = &self.parts.backup else {
            return Ok(None);
        };
        archive::plan(self.shelf, self.parts, before, Timestamp::now()).await?;
        let bytes = self.shelf.measured(&backup.paths).await;
        let failed = |error| Halt::Over(Outcome::FailedUntouched, format!("backup: {error}"));
        bytes.map(Some).map_err(failed)
    }
}
