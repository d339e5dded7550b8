//! The checkout of a service: its commit fetched, and put in place and back, by `git`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use towline_protocol::{Glob, Intent, Outcome, Sha, Source};

use super::{
    Host,
    act::{Acted, Record},
    drive::Drive,
    halt::Halt,
    scratch::Scratch,
};
use crate::{
    git::{self, Entry, Fate, GitError, Limits, Look, Place, Tools, Wanted},
    sequence::{Before, Checkout, Event, Sequence},
    settings::{Events, Parts, Rule},
    version::VersionId,
};

/// How soon a remote is asked again that cannot be reached.
const AGAIN: Duration = Duration::from_secs(60);

/// A service's checkout, with what works on it.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    place: Place<'a>,
    host: Host<'a>,
}

impl<'a> Tree<'a> {
    /// The checkout of `parts`, if they have one.
    pub(super) fn of(parts: &'a Parts, host: Host<'a>) -> Option<Self> {
        let git = parts.git.as_ref()?;
        let user = parts.user.as_deref();
        let place = Place { git, user };
        Some(Self { place, host })
    }

    /// Where it is now.
    pub(super) async fn look(&self) -> Result<Look, Halt> {
        let mut begun = |_: &_| Ok(());
        Ok(git::look(&mut self.tools(&mut begun), &self.place).await?)
    }

    /// Has the commit here, if it may be deployed.
    pub(super) async fn fetch(&self, rule: &Rule, intent: &Intent, sha: &Sha) -> Result<(), Halt> {
        let branches = branches(&rule.events, intent);
        let wanted = wanted(intent, sha, &branches);
        let mut begun = |_: &_| Ok(());
        git::fetch(&mut self.tools(&mut begun), &self.place, &wanted).await?;
        Ok(())
    }

    /// What [`Self::fetch`] and [`Self::ready`] would come to.
    pub(super) async fn foresee(
        &self,
        rule: &Rule,
        intent: &Intent,
        sha: &Sha,
    ) -> Result<git::Foreseen, Halt> {
        let branches = branches(&rule.events, intent);
        let wanted = wanted(intent, sha, &branches);
        let mut begun = |_: &_| Ok(());
        Ok(git::foresee(&mut self.tools(&mut begun), &self.place, &wanted).await?)
    }

    /// Whether a commit is known to be on one of the rule's branches; an error where it is on none, or the remote does not have
    /// it. What it takes to tell is fetched into `scratch`.
    pub(super) async fn seek(
        &self,
        rule: &Rule,
        intent: &Intent,
        sha: &Sha,
        scratch: &Scratch,
    ) -> Result<bool, Halt> {
        let branches = branches(&rule.events, intent);
        let wanted = wanted(intent, sha, &branches);
        let mut begun = |_: &_| Ok(());
        let mut tools = self.tools(&mut begun);
        Ok(git::seek(&mut tools, &self.place, &wanted, scratch.path()).await?)
    }

    /// Whether nothing is in the way of the commit; where the checkout is.
    pub(super) async fn ready(&self, sha: &Sha) -> Result<Checkout, Halt> {
        let mut begun = |_: &_| Ok(());
        let look = git::ready(&mut self.tools(&mut begun), &self.place, sha).await?;
        Ok(Checkout {
            commit: look.at.commit,
            branch: look.at.branch,
        })
    }

    /// What a commit that is here has as this program.
    pub(super) async fn program(
        &self,
        sha: &Sha,
        file: &Path,
    ) -> Result<Option<git::Program>, Halt> {
        let mut begun = |_: &_| Ok(());
        Ok(git::program(&mut self.tools(&mut begun), &self.place, sha, file).await?)
    }

    /// Whether a commit that is here may bring a file.
    pub(super) async fn may_bring(&self, sha: &Sha, file: &Path) -> Result<bool, Halt> {
        let mut begun = |_: &_| Ok(());
        Ok(git::may_bring(&mut self.tools(&mut begun), &self.place, sha, file).await?)
    }

    /// Copies the files of a commit that is here to a folder beside.
    pub(super) async fn copy(&self, sha: &Sha, into: &Path) -> Result<(), Halt> {
        let mut begun = |_: &_| Ok(());
        Ok(git::export(&mut self.tools(&mut begun), &self.place, sha, into).await?)
    }

    /// What lies in the checkout and is not git's.
    pub(super) async fn others(&self) -> Result<Vec<PathBuf>, Halt> {
        let mut begun = |_: &_| Ok(());
        Ok(git::others(&mut self.tools(&mut begun), &self.place).await?)
    }

    /// Refuses a commit that is not in the repository.
    pub(super) async fn has(&self, sha: &Sha) -> Result<(), Halt> {
        let mut begun = |_: &_| Ok(());
        if git::is_here(&mut self.tools(&mut begun), &self.place, sha).await? {
            return Ok(());
        }
        let (path, sha) = (self.place.git.path.display(), sha.short());
        let message = format!(
            "{path} does not have the commit {sha} any more: fetch it by hand, or name another version by --to"
        );
        Err(Halt::Over(Outcome::Refused, message))
    }

    /// Holds a commit that the service may go back to.
    pub(super) async fn keep(&self, with: &Drive<'_>, sha: &Sha) -> Result<(), GitError> {
        let mut begun = |_: &_| Ok(());
        let service = &with.entry.service;
        git::keep(&mut self.tools(&mut begun), &self.place, service, sha).await
    }

    /// Holds it no longer.
    pub(super) async fn forget(&self, with: &Drive<'_>, sha: &Sha) -> Result<(), GitError> {
        let mut begun = |_: &_| Ok(());
        let service = &with.entry.service;
        git::forget(&mut self.tools(&mut begun), &self.place, service, sha).await
    }

    /// Looks once more, since what came before it may have taken minutes, and puts it at `to`.
    async fn put(&self, from: &Sha, to: &Sha, record: Record<'_>) -> Acted {
        let mut tools = self.tools(record);
        let lost = match git::ready(&mut tools, &self.place, to).await {
            Ok(look) if look.at.commit == *from => look.changes,
            Ok(look) => {
                let (now, from) = (look.at.commit.short(), from.short());
                let why =
                    format!("somebody has put the checkout at {now} meanwhile; it was at {from}");
                return Event::Refused { why }.into();
            }
            Err(error) if error.goes_on() => return event(Err(error)).into(),
            Err(error) => return refused(&error).into(),
        };
        let event = match git::check_out(&mut tools, &self.place, to, Entry::First).await {
            Err(error) if error.has_touched_nothing() => return refused(&error).into(),
            done => event(done),
        };
        Acted {
            note: thrown_away(&lost),
            ..event.into()
        }
    }

    async fn put_back(
        &self,
        old: &Checkout,
        interrupted: bool,
        deploy: &str,
        record: Record<'_>,
    ) -> Acted {
        let old = git::Checkout {
            commit: old.commit.clone(),
            branch: old.branch.clone(),
        };
        let entry = if interrupted {
            Entry::AfterInterruption
        } else {
            Entry::First
        };
        let mut tools = self.tools(record);
        let aside = match git::check_out_old(&mut tools, &self.place, &old, entry, deploy).await {
            Ok(aside) => aside,
            Err(error) => return event(Err(error)).into(),
        };
        let note = (!aside.is_empty()).then(|| {
            let aside: Vec<_> = aside.iter().map(|path| path.display().to_string()).collect();
            let aside = aside.join(", ");
            format!("files that git does not track were in the way of going back, and were moved aside: {aside}")
        });
        Acted {
            note,
            ..Event::Done.into()
        }
    }

    fn tools<'t>(&self, begun: Record<'t>) -> Tools<'t>
    where
        'a: 't,
    {
        Tools {
            launcher: self.host.launcher,
            begun,
            limits: Limits::default(),
        }
    }
}

/// Puts the checkout at the commit.
pub(super) async fn put(
    with: &Drive<'_>,
    sequence: &Sequence,
    (from, to): (&Sha, &Sha),
    record: Record<'_>,
) -> Acted {
    match Tree::of(&sequence.parts, with.host) {
        Some(tree) => tree.put(from, to, record).await,
        None => no_checkout().into(),
    }
}

/// Puts the checkout back.
pub(super) async fn put_back(
    with: &Drive<'_>,
    sequence: &Sequence,
    old: &Checkout,
    interrupted: bool,
    record: Record<'_>,
) -> Acted {
    let deploy = &sequence.deploy;
    match Tree::of(&sequence.parts, with.host) {
        Some(tree) => tree.put_back(old, interrupted, deploy, record).await,
        None => no_checkout().into(),
    }
}

/// What is asked of the remote for an intent.
fn wanted<'w>(intent: &'w Intent, sha: &'w Sha, branches: &'w [Glob]) -> Wanted<'w> {
    Wanted {
        sha,
        branch: intent.revision.branch.as_deref(),
        tag: intent.revision.tag.as_ref(),
        branches,
    }
}

/// The branches on which the commit of an intent must be; none are any, or its tag alone.
fn branches(events: &Events, intent: &Intent) -> Vec<Glob> {
    let runs = events.runs.iter().flat_map(|rule| &rule.branches);
    let pushes = events.pushes.iter().flat_map(|rule| &rule.branches);
    let deployments = events.deployments.iter().flat_map(|rule| &rule.branches);
    match &intent.source {
        Source::WorkflowRun(_) => runs.cloned().collect(),
        Source::Push(_) if intent.revision.tag.is_some() => Vec::new(),
        Source::Push(_) => pushes.cloned().collect(),
        Source::Deployment(_) => deployments.cloned().collect(),
        Source::Release(_) => Vec::new(),
        Source::RegistryPackage(_)
        | Source::Actions(_)
        | Source::Manual { .. }
        | Source::Unknown => runs.chain(pushes).chain(deployments).cloned().collect(),
    }
}

/// What is to be told of files with changes that are gone. There may be thousands.
fn thrown_away(lost: &[String]) -> Option<String> {
    let files = git::few(lost);
    (!lost.is_empty())
        .then(|| format!("discard_changes has thrown away what was changed here: {files}"))
}

/// What git did, as the machine takes it.
fn event(done: Result<(), GitError>) -> Event {
    let Err(error) = done else { return Event::Done };
    let why = error.to_string();
    match error.goes_on() {
        true => Event::Outlived { why },
        false => Event::Failed { why },
    }
}

fn refused(error: &GitError) -> Event {
    Event::Refused {
        why: error.to_string(),
    }
}

fn no_checkout() -> Event {
    Event::Failed {
        why: "the journal names no checkout".to_owned(),
    }
}

impl From<GitError> for Halt {
    fn from(error: GitError) -> Self {
        let message = error.to_string();
        match error.fate() {
            Fate::Waits if error.may_never_pass() => Self::NoCommit(message),
            Fate::Waits => Self::Wait {
                pause: AGAIN,
                message,
            },
            Fate::Refused => Self::Over(Outcome::Refused, message),
            Fate::Failed => Self::Over(Outcome::FailedUntouched, message),
        }
    }
}

/// What is to be said if the checkout, where there is one, is not where the new version has it.
pub(super) async fn is_elsewhere(with: &Drive<'_>, sequence: &Sequence) -> Option<Event> {
    let tree = Tree::of(&sequence.parts, with.host)?;
    let mut begun = |_: &_| Ok(());
    match git::look(&mut tree.tools(&mut begun), &tree.place).await {
        Ok(look) if Some(&look.at.commit) == sequence.before.new.sha.as_ref() => None,
        Ok(look) => Some(Event::Failed {
            why: format!("the checkout is at {}", look.at.commit.short()),
        }),
        Err(error) => Some(event(Err(error))),
    }
}

/// Whether the checkout is at the commit with nothing changed; if not, where it will go from is looked at.
pub(super) fn is_at(look: &Look, sha: &Sha) -> bool {
    look.at.commit == *sha && look.changes.is_empty() && look.in_progress.is_none()
}

/// Takes down where the checkout of `parts` was.
pub(super) fn note(before: &mut Before, parts: &Parts, at: Checkout) {
    if parts.compose.is_none() {
        before.old_version = Some(VersionId::Commit(at.commit.clone()));
    }
    if before.old.sha.as_ref() != Some(&at.commit) {
        before.old = crate::sequence::Revision {
            sha: Some(at.commit.clone()),
            ..crate::sequence::Revision::default()
        };
    }
    before.checkout = Some(at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_files_whose_changes_are_gone_a_few_are_told() {
        let lost: Vec<_> = (0..5000).map(|n| format!("{n}.txt")).collect();
        let told = thrown_away(&lost).unwrap();
        assert!(
            told.ends_with("changed here: 0.txt, 1.txt, 2.txt and 4997 more"),
            "{told}"
        );
        assert_eq!(thrown_away(&[]), None);
    }

    #[test]
    fn a_git_that_goes_on_is_no_failure_to_go_back_from() {
        let why = "git goes on".to_owned();
        let outlived = event(Err(GitError::Outlived(why.clone())));
        assert_eq!(outlived, Event::Outlived { why });
    }
}
