//! Whether a release becomes an intent.

use towline_protocol::{Channel, NameError, ReleaseSource, Revision, Source};

use super::{Candidate, Decision, Gate, Reason, SourceKind, check_action, git_tag, login, shown};
use crate::event::ReleaseEvent;

impl Gate {
    /// Decides on a `release` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn release(&self, event: &ReleaseEvent) -> Result<Decision, NameError> {
        let channel = Channel::of_repository(&event.repository.full_name)?;
        Ok(self.judge_release(event, channel).into())
    }

    /// A pre-release passes: whether one may be deployed is each host's own rule.
    fn judge_release(&self, event: &ReleaseEvent, channel: Channel) -> Result<Candidate, Reason> {
        let release = &event.release;
        self.check_source(SourceKind::Release)?;
        check_action(&event.action, SourceKind::Release)?;
        if release.draft == Some(true) {
            return Err(Reason::Draft);
        }
        self.check_repository(&channel)?;
        if !self.branches.is_empty() {
            self.check_name(&release.tag_name)?;
        }
        let tag = git_tag(&release.tag_name)?;
        let target = release.target_commitish.as_deref();
        let revision = Revision {
            sha: target.and_then(|target| target.parse().ok()),
            branch: None,
            tag: Some(tag),
        };
        let source = Source::Release(ReleaseSource {
            repository_id: event.repository.id,
            repository: event.repository.full_name.clone(),
            release_id: release.id,
            prerelease: release.prerelease == Some(true),
            actor: login(&event.sender),
            url: shown(&release.html_url),
        });
        let key = format!(
            "release:{}:{}:{}",
            event.repository.id, release.id, event.action
        );
        Ok(self.candidate(key, channel, source, revision))
    }
}
