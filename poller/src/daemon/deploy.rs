//! Applying what was chosen and taking interrupted deploys to their end. What follows from an end is `ending`'s.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use towline_protocol::{Intent, IntentId, ServiceName, Sha, Source};
use tracing::{info, warn};

use super::{
    Poller, Stop,
    ending::{of_try, since},
    pending::{Begun, mention},
};
use crate::{
    apply::{
        Applied, ApplyError, Job, Progress, apply, recover,
        sequence::{self, Host},
    },
    backup::{BackupName, Shelf},
    sequence::Sequence,
    settings::{Service, Work},
    store::{JournalEntry, Standing, StoreError},
};

/// How soon to try again when the engine cannot be reached.
pub(super) const ENGINE_RETRY: Duration = Duration::from_secs(10);

impl Poller {
    /// Applies `intent`; `standing` is how its last try stands: it waits, or it has ended and there is one more.
    pub(super) async fn deploy(
        &mut self,
        service: &Service,
        intent: &Intent,
        standing: Option<&Standing>,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let sha = intent.revision.sha.as_ref();
        self.begin(&service.name, &intent.id, sha);
        let tried = self.attempt(service, intent, standing, stop).await;
        self.over();
        tried
    }

    /// Something begins that may take its time: it is shown, and what waits to be reported is handed over.
    pub(super) fn begin(&mut self, service: &ServiceName, intent: &IntentId, sha: Option<&Sha>) {
        self.notices.begin(service, intent, sha);
        self.hand_over();
    }

    /// Nothing is under way any more; how it ended is published before.
    pub(super) fn over(&mut self) {
        self.publish();
        self.notices.end();
    }

    async fn attempt(
        &mut self,
        service: &Service,
        intent: &Intent,
        standing: Option<&Standing>,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let name = &service.name;
        let attempt = next_try(standing);
        let since = since(standing, attempt);
        if attempt > 1 && of_try(standing, attempt).is_none() {
            info!(service = %name, seq = intent.seq, intent = %intent.id, "trying it again, attempt {attempt}");
        }
        if standing.is_none() {
            let sha = intent
                .revision
                .sha
                .as_ref()
                .map_or("none", |sha| sha.short());
            info!(service = %name, seq = intent.seq, sha = %sha, intent = %intent.id, "picked up {}", cause(intent));
        }
        let job = Job {
            service,
            intent,
            attempt,
            deploy: random_deploy(),
        };
        let mut begun = Begun::of_try(name, &intent.id, attempt, standing);
        let (aside, spooled) = (&mut self.aside, self.store.last_spooled()?);
        let mut tell = |progress: Progress| {
            self.notices.tell(name, &progress);
            let told = begun.note(&progress, &self.secrets, || aside.place(spooled));
            mention(told, &self.bell, &self.relay);
        };
        let (mut stop, mut leave) = (stop.clone(), stop.clone());
        let (stop, leave) = (stop.wanted(), leave.leave());
        let store = &mut self.store;
        let applied = match &service.work {
            Work::Docker { .. } => match self.engine.get().await {
                Ok(engine) => {
                    apply(engine, &self.launcher, store, &job, stop, leave, &mut tell).await
                }
                Err(error) => Err(ApplyError::Engine(error)),
            },
            Work::Parts(parts) => match self.engine.get_if(parts.needs_engine()).await {
                Ok(engine) => {
                    let launcher = &self.launcher;
                    let host = Host { engine, launcher };
                    sequence::apply(host, store, &job, parts, stop, leave, &mut tell).await
                }
                Err(error) => Err(ApplyError::Engine(error)),
            },
        };
        self.note_begun(begun);
        match applied {
            Ok(applied) => {
                let entry = JournalEntry {
                    deploy: job.deploy,
                    service: name.clone(),
                    intent: intent.id.clone(),
                    attempt,
                    body: String::new(),
                    on_purpose: None,
                    begun: None,
                };
                self.close(&entry, Some(service), standing, since, applied)
            }
            Err(stopped @ (ApplyError::Stopped | ApplyError::Left(_))) => {
                self.note_stop(name, &stopped);
                Ok(())
            }
            Err(error) => {
                if error.has_touched_nothing() {
                    self.tell_waiting(name, intent, standing, &error.to_string());
                }
                self.note_trouble(name, error)
            }
        }
    }

    /// What somebody asked to stop is for the next process.
    fn note_stop(&mut self, service: &ServiceName, stopped: &ApplyError) {
        self.notices.warn(service, &stopped.to_string());
        self.failed |= matches!(stopped, ApplyError::Left(_));
    }

    /// Keeps an intent that could not be applied for later.
    fn note_trouble(&mut self, service: &ServiceName, error: ApplyError) -> Result<(), StoreError> {
        if let ApplyError::Store(error) = error {
            return Err(error);
        }
        let why = format!("{error}; trying again in {} s", ENGINE_RETRY.as_secs());
        self.notices.warn(service, &why);
        self.failed = true;
        self.engine.forget();
        self.todo.again(service, Instant::now() + ENGINE_RETRY);
        Ok(())
    }

    /// Takes deploys that a crash, an engine or a disk has interrupted to their end.
    ///
    /// Returns the services of those that are not: one that the engine fails keeps none of the others waiting. When the
    /// engine cannot be reached, those that need it are not tried any more, and none when `stop` is wanted.
    pub(super) async fn recover(
        &mut self,
        stop: &Stop,
    ) -> Result<BTreeSet<ServiceName>, StoreError> {
        let mut left = BTreeSet::new();
        let (mut goes_on, mut is_lost) = (true, false);
        let open = self.store.open_journals()?;
        self.unclosed
            .retain(|deploy, _| open.iter().any(|entry| entry.deploy == *deploy));
        for entry in open {
            let needs_engine = needs_engine(&entry);
            if !goes_on || (is_lost && needs_engine) {
                left.insert(entry.service);
                continue;
            }
            info!(service = %entry.service, deploy = %entry.deploy, "taking an interrupted deploy to its end");
            self.begin(&entry.service, &entry.intent, None);
            let recovered = self.recover_one(&entry, stop).await;
            self.over();
            if !recovered? {
                left.insert(entry.service);
                goes_on = !stop.is_wanted();
                is_lost |= needs_engine && !self.reaches_engine().await;
            }
        }
        Ok(left)
    }

    /// Whether one of the deploys to the services `left`, which could not be taken to their ends, needs an engine that
    /// cannot be reached.
    pub(super) async fn lacks_engine(
        &mut self,
        left: &BTreeSet<ServiceName>,
    ) -> Result<bool, StoreError> {
        let open = self.store.open_journals()?;
        let mut open = open.iter().filter(|entry| left.contains(&entry.service));
        Ok(open.any(needs_engine) && !self.reaches_engine().await)
    }

    /// Whether the engine answers now.
    pub(super) async fn reaches_engine(&mut self) -> bool {
        self.engine.get().await.is_ok()
    }

    /// Takes one to its end, unless the engine cannot be reached.
    async fn recover_one(&mut self, entry: &JournalEntry, stop: &Stop) -> Result<bool, StoreError> {
        let mut leave = stop.clone();
        let mut services = self.settings.services.iter();
        let service = services
            .find(|service| service.name == entry.service)
            .cloned();
        let mut begun = Begun::of_recovery(entry);
        let (aside, spooled) = (&mut self.aside, self.store.last_spooled()?);
        let mut tell = |progress: Progress| {
            self.notices.tell(&entry.service, &progress);
            let told = begun.note(&progress, &self.secrets, || aside.place(spooled));
            let told = told.filter(|_| entry.on_purpose.is_none());
            mention(told, &self.bell, &self.relay);
        };
        let recovered = match self.unclosed.get(&entry.deploy) {
            Some(ended) => Ok(ended.clone()),
            None => {
                let (store, left, leave) = (&mut self.store, &mut self.left, leave.leave());
                let service = service.as_ref();
                match self.engine.get_if(needs_engine(entry)).await {
                    Ok(Some(engine)) if !Sequence::is_in(&entry.body) => {
                        let service = service.filter(|service| !is_of_parts(service));
                        recover(
                            engine,
                            &self.launcher,
                            store,
                            entry,
                            service,
                            leave,
                            &mut tell,
                        )
                        .await
                    }
                    Ok(engine) => {
                        let launcher = &self.launcher;
                        let host = Host { engine, launcher };
                        let service = service.filter(|service| is_of_parts(service));
                        sequence::recover(host, store, left, entry, service, leave, &mut tell).await
                    }
                    Err(error) => Err(ApplyError::Engine(error)),
                }
            }
        };
        match recovered {
            Ok(applied) => {
                let standing = self.store.standings(&entry.service)?.remove(&entry.intent);
                let begun = entry.begun.as_ref().map(|begun| begun.at);
                let since = of_try(standing.as_ref(), entry.attempt)
                    .map(|standing| standing.since)
                    .or(begun);
                let since = since.unwrap_or_else(Timestamp::now);
                self.close(entry, service.as_ref(), standing.as_ref(), since, applied)?;
                Ok(true)
            }
            Err(stopped @ ApplyError::Left(_)) => {
                self.note_stop(&entry.service, &stopped);
                Ok(false)
            }
            Err(ApplyError::Store(error)) => Err(error),
            Err(error) => {
                self.tell_interrupted(entry, &error.to_string());
                self.note_trouble(&entry.service, error)?;
                Ok(false)
            }
        }
    }

    /// Keeps how a try ended, now or, when the disk refuses that, with the next recovery: what was done is not done again.
    fn close(
        &mut self,
        entry: &JournalEntry,
        service: Option<&Service>,
        standing: Option<&Standing>,
        since: Timestamp,
        applied: Applied,
    ) -> Result<(), StoreError> {
        let closed = self.end(entry, service, standing, since, applied.clone());
        match closed {
            Ok(()) => {
                self.give_up(&entry.service, applied.spent.as_ref());
                self.unclosed.remove(&entry.deploy)
            }
            Err(_) => self.unclosed.insert(entry.deploy.clone(), applied),
        };
        closed
    }
}

impl Poller {
    /// Removes a backup that nobody needs any more. One that stays is only kept longer.
    fn give_up(&self, service: &ServiceName, spent: Option<&BackupName>) {
        let Some(name) = spent else { return };
        let shelf = Shelf::of(self.store.dir(), service.clone());
        if let Err(error) = shelf.remove(name) {
            warn!(%service, "backup: {error}");
        }
    }
}

/// Whether the deploy needs an engine to be taken to its end.
fn needs_engine(entry: &JournalEntry) -> bool {
    let sequence = Sequence::is_in(&entry.body).then(|| Sequence::from_journal(&entry.body));
    match sequence {
        Some(Ok(sequence)) => sequence.parts.needs_engine(),
        // It cannot be gone on with, which needs nothing.
        Some(Err(_)) => false,
        None => true,
    }
}

fn is_of_parts(service: &Service) -> bool {
    matches!(service.work, Work::Parts(_))
}

/// Which try comes next; `standing` is how the last one stands: one that waits goes on.
pub(super) fn next_try(standing: Option<&Standing>) -> u32 {
    standing.map_or(1, |standing| {
        standing.attempt + u32::from(standing.outcome.is_terminal())
    })
}

fn cause(intent: &Intent) -> String {
    match &intent.source {
        Source::WorkflowRun(run) => format!("run {} of {}", run.run_number, run.repository),
        Source::Push(push) => match (&intent.revision.tag, &intent.revision.branch) {
            (Some(tag), _) => format!("tag {tag} of {}", push.repository),
            (None, Some(branch)) => format!("a push to {branch:?} of {}", push.repository),
            (None, None) => format!("a push to {}", push.repository),
        },
        Source::RegistryPackage(package) => {
            format!("the image {:?} with tag {:?}", package.package, package.tag)
        }
        Source::Release(release) => match &intent.revision.tag {
            Some(tag) => format!("release {tag} of {}", release.repository),
            None => format!("a release of {}", release.repository),
        },
        Source::Deployment(asked) => format!("a deployment to {:?}", asked.environment),
        Source::Actions(job) => format!("run {} of {}", job.run_number, job.workflow),
        Source::Manual { by, .. } => format!("what {by} asked for"),
        Source::Unknown => "an intent".to_owned(),
    }
}

/// A deploy's own name: 8 random hex digits.
pub(super) fn random_deploy() -> String {
    format!("{:08x}", super::random())
}
