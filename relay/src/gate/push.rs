//! Whether a push becomes an intent.

use towline_protocol::{Channel, NameError, PushSource, Revision, Source};

use super::{Candidate, Decision, Gate, Reason, SourceKind, cut, login, shown};
use crate::event::PushEvent;

impl Gate {
    /// Decides on a `push` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn push(&self, event: &PushEvent) -> Result<Decision, NameError> {
        let channel = Channel::of_repository(&event.repository.full_name)?;
        Ok(self.judge_push(event, channel).into())
    }

    fn judge_push(&self, event: &PushEvent, channel: Channel) -> Result<Candidate, Reason> {
        self.check_source(SourceKind::Push)?;
        self.check_repository(&channel)?;
        if event.deleted == Some(true) || event.after.as_str().bytes().all(|digit| digit == b'0') {
            return Err(Reason::Deleted(cut(&event.reference)));
        }
        let revision = self.pushed(event)?;
        let source = Source::Push(PushSource {
            repository_id: event.repository.id,
            repository: event.repository.full_name.clone(),
            actor: login(&event.sender),
            url: shown(&event.compare),
        });
        let key = format!("push:{}", event.body_sha256);
        Ok(self.candidate(key, channel, source, revision))
    }

    fn pushed(&self, event: &PushEvent) -> Result<Revision, Reason> {
        let reference = &event.reference;
        let name = |prefix| {
            reference
                .strip_prefix(prefix)
                .filter(|name| !name.is_empty())
        };
        if let Some(branch) = name("refs/heads/") {
            return Ok(Revision {
                sha: Some(event.after.clone()),
                branch: Some(self.check_branch(branch, &event.repository)?),
                tag: None,
            });
        }
        let tag = name("refs/tags/").ok_or_else(|| Reason::Ref(cut(reference)))?;
        Ok(Revision {
            // An annotated tag is an object of its own: `after` is that one, not the commit.
            sha: event.head_commit.as_ref().map(|commit| commit.id.clone()),
            branch: None,
            tag: Some(self.check_tag(tag)?),
        })
    }
}
