//! The history: how the last deploys of each service ended, and what had caused them.
//!
//! Only what has ended. The newest [`HISTORY`] of each service are kept, written in the transaction that ends a deploy.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use towline_protocol::{Intent, IntentId, Report, ServiceName, Source};
use tracing::warn;

use super::{Store, StoreError, inbox, row};

const TABLE: &str = "history";

/// How many ends of each service are kept.
pub const HISTORY: u32 = 200;

/// How one deploy ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// What came of it, as this host saw it. For a rollback on purpose it is that rollback's own end: `succeeded`
    /// when the earlier version runs.
    pub report: Report,
    /// What had caused it.
    pub cause: Cause,
}

/// What had caused a deploy, in short: the intent itself is forgotten sooner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// What kind of cause.
    #[serde(default)]
    pub kind: CauseKind,
    /// The workflow run's number.
    #[serde(default)]
    pub run_number: Option<u64>,
    /// Counts the run's re-runs, from 1.
    #[serde(default)]
    pub run_attempt: Option<u64>,
    /// Who started the run, or asked for the deploy.
    #[serde(default)]
    pub by: Option<String>,
    /// The run's page.
    #[serde(default)]
    pub url: Option<String>,
    /// The branch.
    #[serde(default)]
    pub branch: Option<String>,
    /// The git tag of a push, a release or a deployment, or the tag of the image that was published.
    #[serde(default)]
    pub tag: Option<String>,
    /// The environment that GitHub was asked to deploy to.
    #[serde(default)]
    pub environment: Option<String>,
    /// The image that the intent named: its reference, or else its digest.
    #[serde(default)]
    pub image: Option<String>,
}

/// What kind of cause a deploy had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A GitHub workflow run.
    WorkflowRun,
    /// A push to GitHub.
    Push,
    /// An image that was published at GitHub's registry.
    RegistryPackage,
    /// A release.
    Release,
    /// A deployment that GitHub was asked for.
    Deployment,
    /// A job of GitHub Actions, through the relay.
    Actions,
    /// An operator, through the relay.
    Manual,
    /// `towline rollback` on this host.
    Rollback,
    /// Not known any more, or to this version.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Cause {
    /// The cause that an intent tells of.
    pub fn of(intent: &Intent) -> Self {
        let image = intent.image.as_ref();
        let named = image.and_then(|image| {
            let digest = image.digest.as_ref().map(ToString::to_string);
            image.reference.clone().or(digest)
        });
        let common = Self {
            branch: intent.revision.branch.clone(),
            tag: intent.revision.tag.as_ref().map(ToString::to_string),
            image: named,
            ..Self::default()
        };
        match &intent.source {
            Source::WorkflowRun(run) => Self {
                kind: CauseKind::WorkflowRun,
                run_number: Some(run.run_number),
                run_attempt: Some(run.run_attempt),
                by: run.actor.clone(),
                url: run.url.clone(),
                ..common
            },
            Source::Manual { by, .. } => Self {
                kind: CauseKind::Manual,
                by: Some(by.clone()),
                ..common
            },
            Source::Push(push) => Self {
                kind: CauseKind::Push,
                by: push.actor.clone(),
                url: push.url.clone(),
                ..common
            },
            Source::RegistryPackage(package) => Self {
                kind: CauseKind::RegistryPackage,
                by: package.actor.clone(),
                url: package.url.clone(),
                tag: Some(package.tag.clone()),
                ..common
            },
            Source::Release(release) => Self {
                kind: CauseKind::Release,
                by: release.actor.clone(),
                url: release.url.clone(),
                ..common
            },
            Source::Deployment(asked) => Self {
                kind: CauseKind::Deployment,
                by: asked.actor.clone(),
                url: asked.url.clone(),
                environment: Some(asked.environment.clone()),
                ..common
            },
            Source::Actions(job) => Self {
                kind: CauseKind::Actions,
                run_number: Some(job.run_number),
                run_attempt: Some(job.run_attempt),
                by: job.actor.clone(),
                ..common
            },
            Source::Unknown => common,
        }
    }
}

impl Store {
    /// The last `limit` ends of `service`, or of all services; the newest first. A damaged row is left out and told in
    /// the log: nothing is decided by the history, so that nothing may fail for it.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn history(
        &self,
        service: Option<&ServiceName>,
        limit: u32,
    ) -> Result<Vec<Past>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT service, row FROM history WHERE ?1 IS NULL OR service = ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let service = service.map(ServiceName::as_str);
        let rows = query.query_map(params![service, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.filter_map(|found| {
            let (service, sealed): (String, Vec<u8>) = match found {
                Ok(found) => found,
                Err(error) => return Some(Err(error.into())),
            };
            row::open(TABLE, &service, &sealed)
                .inspect_err(|error| warn!("left out of the history: {error}"))
                .ok()
                .map(Ok)
        })
        .collect()
    }
}

/// Adds the end that `report` tells of, if it is one; the cause is what the intent says as long as it is known.
pub(super) fn add_end(db: &Connection, report: &Report) -> Result<(), StoreError> {
    if !report.outcome.is_some_and(|outcome| outcome.is_terminal()) {
        return Ok(());
    }
    let cause = cause(db, &report.intent)?;
    // The log is the relay's: it would be most of the state, and nobody looks at it here.
    let report = Report {
        log_tail: String::new(),
        ..report.clone()
    };
    add(db, &Past { report, cause })
}

/// Adds an end, and forgets the oldest of the same service.
pub(super) fn add(db: &Connection, past: &Past) -> Result<(), StoreError> {
    let Some(service) = &past.report.service else {
        return Ok(());
    };
    let service = service.as_str();
    let sealed = row::seal(TABLE, service, past)?;
    db.prepare_cached("INSERT INTO history (service, row) VALUES (?1, ?2)")?
        .execute(params![service, sealed])?;
    db.prepare_cached(
        "DELETE FROM history WHERE service = ?1 AND id <= \
         (SELECT id FROM history WHERE service = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![service, HISTORY])?;
    Ok(())
}

fn cause(db: &Connection, id: &IntentId) -> Result<Cause, StoreError> {
    let intent = inbox::intent(db, id)?;
    Ok(intent.as_ref().map(Cause::of).unwrap_or_default())
}
