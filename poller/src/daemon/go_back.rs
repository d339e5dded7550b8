//! Which version a service is taken back to on purpose, and the deploy that brings it there. What follows from its end is
//! `roll_back`'s.

use towline_protocol::{IntentId, Mark, Report, Sha, Side};

use super::{Declined, Poller, Stop, deploy};
use crate::{
    apply::{
        Applied, ApplyError, Progress, WayBack, go_back, inspect_service,
        sequence::{self, Host},
    },
    plan::{NoWayBack, Observed, choose_revision, choose_version, digest_of, short_name},
    settings::{Parts, Service},
    store::{JournalEntry, OnPurpose, StoreError, Version},
    uptime::Moment,
    version::VersionId,
};

impl Poller {
    /// Takes a container back.
    pub(super) async fn container_back(
        &mut self,
        service: &Service,
        to: Option<&str>,
        stop: &Stop,
    ) -> Result<Report, Declined> {
        let name = &service.name;
        let brought = self.store.running(name)?;
        let brought = brought.and_then(|running| running.side.digest);
        let found = inspect_service(self.engine.get().await?, service).await?;
        let found = found.into_iter().map(|one| one.brought(brought.clone()));
        let found: Vec<_> = found.collect();
        let version = self.version(service, &found, to).await?;
        let digest = digest_of(&found);
        let left = digest.clone().map(VersionId::Digest);
        let (entry, sha) = self.entry(service, left, version.intent.clone())?;
        self.begin(name, &entry.intent, sha.as_ref());
        let way = WayBack {
            service,
            found: &found,
            from: Side { sha, digest },
            version: &version,
        };
        let mut leave = stop.clone();
        let mut tell = |progress: Progress| self.notices.tell(name, &progress);
        let (store, leave) = (&mut self.store, leave.leave());
        let gone_back = match self.engine.get().await {
            Ok(engine) => {
                go_back(
                    engine,
                    &self.launcher,
                    store,
                    &way,
                    entry.clone(),
                    leave,
                    &mut tell,
                )
                .await
            }
            Err(error) => Err(error.into()),
        };
        self.gone_back(&entry, gone_back)
    }

    /// Takes a service made of parts back.
    pub(super) async fn parts_back(
        &mut self,
        service: &Service,
        parts: &Parts,
        to: Option<&str>,
        stop: &Stop,
    ) -> Result<Report, Declined> {
        let name = &service.name;
        let engine = self.engine.get_if(parts.needs_engine()).await?;
        let launcher = &self.launcher;
        let host = Host { engine, launcher };
        let current = sequence::current(host, &self.store, service, parts).await?;
        let kept = self.store.revisions(name)?;
        let quarantine = self.store.quarantine(name)?;
        let to = choose_revision(&kept, current.as_ref(), &quarantine, to)?;
        let (entry, sha) = self.entry(service, current, to.intent.clone())?;
        self.begin(name, &entry.intent, sha.as_ref());
        let way = sequence::WayBack { service, parts, to };
        let mut leave = stop.clone();
        let mut tell = |progress: Progress| self.notices.tell(name, &progress);
        let (store, leave) = (&mut self.store, leave.leave());
        let gone_back = match self.engine.get_if(parts.needs_engine()).await {
            Ok(engine) => {
                let launcher = &self.launcher;
                let host = Host { engine, launcher };
                sequence::go_back(host, store, way, entry.clone(), leave, &mut tell).await
            }
            Err(error) => Err(error.into()),
        };
        self.gone_back(&entry, gone_back)
    }

    /// The deploy has come to an end, or is left for a recovery, or was not begun.
    fn gone_back(
        &mut self,
        entry: &JournalEntry,
        applied: Result<Applied, ApplyError>,
    ) -> Result<Report, Declined> {
        let ended = applied
            .map_err(Declined::from)
            .and_then(|applied| self.ended(entry, applied));
        // What waited for its image is judged anew.
        self.todo.note_news();
        self.over();
        ended
    }

    fn ended(&mut self, entry: &JournalEntry, applied: Applied) -> Result<Report, Declined> {
        let (Some(on_purpose), Some(begun)) = (&entry.on_purpose, &entry.begun) else {
            return Err(NoWayBack::NothingKept.into());
        };
        let ended = self.end_on_purpose(entry, on_purpose, begun.at, applied.clone());
        if ended.is_err() {
            self.unclosed.insert(entry.deploy.clone(), applied);
        }
        Ok(ended?)
    }

    /// The version to go back to, with its image.
    async fn version(
        &mut self,
        service: &Service,
        found: &[Observed],
        to: Option<&str>,
    ) -> Result<Version, Declined> {
        let kept = self.store.versions(&service.name)?;
        let quarantine = self.store.quarantine(&service.name)?;
        let version = choose_version(&kept, found, &quarantine, to)?;
        match self.engine.get().await?.image(&version.image_id).await? {
            Some(_) => Ok(version.clone()),
            None => Err(Declined::ImageGone(short_name(version).to_owned())),
        }
    }

    /// The journal's beginning, and the commit that is left, if that is known. The intent is the one that had brought what
    /// is left, or, if none had, the last one that ended here: a version is kept by a deploy only. `brought` is the one that
    /// had brought what is gone back to.
    fn entry(
        &self,
        service: &Service,
        left: Option<VersionId>,
        brought: Option<IntentId>,
    ) -> Result<(JournalEntry, Option<Sha>), Declined> {
        let name = &service.name;
        let running = self.store.running(name)?;
        let running = running.filter(|running| left.is_some() && running.version() == left);
        let (sha, leaves) = running
            .map(|running| (running.side.sha, running.intent))
            .unwrap_or_default();
        let last = self.store.history(Some(name), 1)?.pop();
        let last = last.map(|past| past.report.intent);
        let is_reported = leaves.is_some();
        let intent = leaves.or(last).ok_or(NoWayBack::NothingKept)?;
        let standing = self.store.standings(name)?.remove(&intent);
        let on_purpose = OnPurpose {
            channel: service.rule.channel.clone(),
            known: self.newest(service)?,
            brought,
            is_reported,
            left,
        };
        let entry = JournalEntry {
            deploy: deploy::random_deploy(),
            service: name.clone(),
            intent,
            attempt: standing.map_or(1, |standing| standing.attempt) + 1,
            body: String::new(),
            on_purpose: Some(on_purpose),
            begun: Some(Moment::now()),
        };
        Ok((entry, sha))
    }

    /// The place of the newest intent of the service's channel that this host has heard of.
    fn newest(&self, service: &Service) -> Result<Mark, StoreError> {
        let channel = &service.rule.channel;
        let mark = self.store.mark(channel)?.unwrap_or_default();
        let intents = self.store.intents(channel)?;
        let last = intents.last().map(|intent| Mark {
            epoch: intent.epoch,
            seq: intent.seq,
        });
        Ok(last.map_or(mark, |last| last.max(mark)))
    }
}
