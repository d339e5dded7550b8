//! What is known of a service made of parts from its earlier deploys.

use towline_protocol::{Intent, ServiceName, Side, Source};

use crate::{
    compose::Placed,
    sequence::{Before, Revision},
    settings::Service,
    store::{KeptRevision, Quarantined, Running, Store, StoreError},
    version::VersionId,
};

/// What is known of the service from earlier deploys.
pub(super) struct Known {
    /// What is not to be tried.
    pub(super) quarantine: Vec<Quarantined>,
    /// What the last one that took effect has brought.
    pub(super) running: Option<Running>,
    /// What was told of that.
    pub(super) old: Revision,
    /// Whether an operator was needed since, so that nobody knows what is in place.
    pub(super) is_unsure: bool,
    /// What it can be taken back to.
    pub(super) kept: Vec<KeptRevision>,
}

impl Known {
    /// What `service` is known to be; `quarantine` is what is not to be tried.
    pub(super) fn of(
        store: &Store,
        service: &ServiceName,
        quarantine: Vec<Quarantined>,
    ) -> Result<Self, StoreError> {
        let running = store.running(service)?;
        let intent = running.as_ref().and_then(|running| running.intent.clone());
        let intent = intent.map(|intent| store.intent(&intent)).transpose()?;
        let sha = running
            .as_ref()
            .and_then(|running| running.side.sha.clone());
        // What an older version of towline has brought is told by its intent, as long as that is kept.
        let own = running
            .as_ref()
            .and_then(|running| running.revision.clone());
        let told = own.or_else(|| intent.flatten().map(|intent| revision(&intent)));
        let old = told.filter(|told| told.sha == sha).unwrap_or(Revision {
            sha,
            ..Revision::default()
        });
        Ok(Self {
            quarantine,
            running,
            old,
            is_unsure: store.is_unsure(service)?,
            kept: store.revisions(service)?,
        })
    }

    /// What the last deploy that took effect has brought.
    pub(super) fn brought(&self) -> Option<VersionId> {
        self.running.as_ref().and_then(Running::version)
    }

    /// What it has left in place of its Compose project, if it has one.
    pub(super) fn placed(&self) -> Option<&Placed> {
        self.running.as_ref()?.placed.as_ref()
    }

    /// A version that is kept: somebody may have put it in place of what was deployed.
    pub(super) fn kept_as(&self, version: &VersionId) -> Option<&KeptRevision> {
        self.kept.iter().find(|one| one.version == *version)
    }

    /// Whether the last deploy that took effect has brought `version`, as far as anybody knows.
    pub(super) fn has_brought(&self, version: &VersionId) -> bool {
        !self.is_unsure && self.brought().as_ref() == Some(version)
    }

    /// The deploy of `service` from this to `new`.
    pub(super) fn before(
        &self,
        service: &Service,
        new: Revision,
        new_version: Option<VersionId>,
    ) -> Before {
        Before {
            has_checks: !service.health.is_empty(),
            old: self.old.clone(),
            old_version: self.brought(),
            new,
            new_version,
            ..Before::default()
        }
    }

    /// The side that `before` begins from.
    pub(super) fn from(&self, before: &Before) -> Side {
        let running = self.running.as_ref();
        let running = running.filter(|running| running.version() == before.old_version);
        Side {
            sha: before.old.sha.clone(),
            digest: match (running, &before.old_version) {
                (Some(running), _) => running.side.digest.clone(),
                (None, Some(VersionId::Digest(digest))) => Some(digest.clone()),
                (None, Some(VersionId::Commit(_) | VersionId::Images(_)) | None) => None,
            },
        }
    }
}

/// What an intent tells of its version.
pub(super) fn revision(intent: &Intent) -> Revision {
    let run_number = match &intent.source {
        Source::WorkflowRun(run) => Some(run.run_number),
        Source::Actions(job) => Some(job.run_number),
        Source::Push(_)
        | Source::RegistryPackage(_)
        | Source::Release(_)
        | Source::Deployment(_)
        | Source::Manual { .. }
        | Source::Unknown => None,
    };
    Revision {
        sha: intent.revision.sha.clone(),
        branch: intent.revision.branch.clone(),
        tag: intent.revision.tag.clone(),
        run_number,
    }
}
