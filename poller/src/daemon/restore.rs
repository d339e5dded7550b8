//! Restoring a backup for an operator: stop, exchange the data, start, look. The service's version stays as it is.
//!
//! All that can be refused is refused before the service is stopped. Not on record: when towline dies in the middle, the
//! data are the old or the new, whole, and the operator restores again.

use jiff::Timestamp;
use towline_protocol::ServiceName;

use super::{Declined, Poller, Stop};
use crate::{
    apply::sequence::{Ground, Host, left_running},
    backup::{self, BackupError, BackupName, Replaced, Shelf},
    health::returned_host,
    process::{self, How},
    sequence::Which,
    settings::{Parts, Service, Work},
};

/// What is to be restored, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restore {
    /// The backup; without it the newest one.
    pub backup: Option<BackupName>,
    /// Whether it is done where nothing stops the service: its data are exchanged under it then.
    pub running: bool,
}

/// What came of restoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// For people.
    pub said: String,
    /// Whether the data are restored and the service passes its checks, if it has any.
    pub is_well: bool,
}

/// A command that did not do what it should.
struct Unrun {
    why: String,
    /// Whether something of it goes on, beside which nothing may be done.
    goes_on: bool,
}

impl Poller {
    /// Puts the data of `service` back as they were at a backup.
    ///
    /// # Errors
    /// See [`Declined`]: nothing was done.
    pub async fn restore(
        &mut self,
        name: &ServiceName,
        asked: &Restore,
        stop: &Stop,
    ) -> Result<Restored, Declined> {
        let service = self.service(name)?;
        let parts = restorable_parts(&service)?;
        let paths = parts.backup.as_ref().map(|backup| backup.paths.clone());
        let paths = paths.ok_or_else(|| Declined::NoBackup(name.clone()))?;
        let stops = parts.command.as_ref().and_then(|it| it.stop.as_ref());
        if stops.is_none() && !asked.running {
            return Err(Declined::NotStopped(name.clone()));
        }
        if self.recover(stop).await?.contains(name) {
            return Err(Declined::Unfinished);
        }
        self.refuse_held_off(name)?;
        let shelf = Shelf::of(self.store.dir(), name.clone());
        let newest = || -> Result<_, Declined> {
            let newest = shelf.names()?.into_iter().next();
            newest.ok_or_else(|| Declined::NoneYet(name.clone()))
        };
        let backup = asked.backup.clone().map_or_else(newest, Ok)?;
        shelf.known(&backup)?;
        self.notices
            .step(name, &format!("reading the backup {backup}"));
        shelf.restorable(&backup, &paths).await?;
        let stopped = match self.command(&service, parts, Which::Stop).await {
            Ok(left) => left,
            Err(stop) => {
                let again = match stop.goes_on {
                    true => None,
                    false => self.command(&service, parts, Which::Start).await.err(),
                };
                let again = again.map_or_else(String::new, |start| format!("; {}", start.why));
                let why = stop.why;
                return Ok(unwell(format!("{name} was not restored: {why}{again}")));
            }
        };
        self.notices.step(name, "restoring");
        let key = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let restored = shelf.restore(&backup, &paths, &key, Replaced::Kept).await;
        let started = self.command(&service, parts, Which::Start).await;
        let is_restored = restored.is_ok();
        let mut said = about(name, &backup, restored);
        let of_start = match &started {
            Ok(left) => left.as_ref(),
            Err(unrun) => Some(&unrun.why),
        };
        for told in stopped.iter().chain(of_start) {
            said.push_str(&format!("; {told}"));
        }
        let checked = self.checked(&service, parts, &started).await;
        said.push_str(&checked.said);
        Ok(Restored {
            said,
            is_well: is_restored && started.is_ok() && checked.is_well,
        })
    }

    /// Runs the service's command, if it has it; what is to be told of what it had left running.
    async fn command(
        &self,
        service: &Service,
        parts: &Parts,
        which: Which,
    ) -> Result<Option<String>, Unrun> {
        let command = parts.command.as_ref();
        let Some(argv) = command.and_then(|command| which.of(command)).cloned() else {
            return Ok(None);
        };
        let (name, step) = (&service.name, which.word());
        self.notices.step(name, &format!("running {step}"));
        let ground = Ground::of(parts);
        let mut order = ground.order(argv, variables(name, step));
        // Not on record: a stop that went on after us would end what was started again meanwhile.
        order.dies_with_us = which == Which::Stop;
        let mut line =
            |line: &str| tracing::info!(service = %name, "{step}: {}", ground.secrets.hide(line));
        let ended = process::run(&self.launcher, &order, &mut |_| Ok(()), &mut line).await;
        let ended = ended.map_err(|error| Unrun {
            why: format!("`{step}` could not be run to its end: {error}"),
            goes_on: error.goes_on(),
        })?;
        if ended.how == How::Exited(0) {
            return Ok(left_running(which, &ended));
        }
        let how = ended.how.told("took too long and was ended");
        let tail = ground.secrets.hide_in_tail(&ended.tail);
        Err(Unrun {
            why: format!("`{step}` {how}: {}", tail.trim_end()),
            goes_on: false,
        })
    }

    /// Whether the service is well with the restored data.
    async fn checked(
        &self,
        service: &Service,
        parts: &Parts,
        started: &Result<Option<String>, Unrun>,
    ) -> Restored {
        if service.health.is_empty() || started.is_err() {
            return Restored {
                said: String::new(),
                // What was ended after the start may have been the service itself, and no check says that it was not.
                is_well: matches!(started, Ok(None) | Err(_)),
            };
        }
        self.notices.step(&service.name, "checking");
        let ground = Ground::of(parts);
        let with = Host {
            engine: None,
            launcher: &self.launcher,
        };
        let host = ground.checked(&with);
        match returned_host(&host, &service.health).await {
            Ok(()) => Restored {
                said: "; it passes its checks".to_owned(),
                is_well: true,
            },
            Err(why) => unwell(format!("; it does not pass its checks: {why}")),
        }
    }
}

fn restorable_parts(service: &Service) -> Result<&Parts, Declined> {
    let name = || service.name.clone();
    match &service.work {
        Work::Docker { .. } => Err(Declined::NoBackup(name())),
        Work::Parts(parts) if parts.backup.is_none() => Err(Declined::NoBackup(name())),
        Work::Parts(parts) if parts.compose.is_some() => Err(Declined::HeldByContainers(name())),
        Work::Parts(parts) => Ok(parts),
    }
}

fn variables(service: &ServiceName, step: &str) -> Vec<(String, String)> {
    let own = [
        ("TOWLINE_SERVICE", service.as_str()),
        ("TOWLINE_STEP", step),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into()
}

fn unwell(said: String) -> Restored {
    Restored {
        said,
        is_well: false,
    }
}

fn about(
    name: &ServiceName,
    backup: &BackupName,
    restored: Result<backup::Restored, BackupError>,
) -> String {
    let listed = |paths: &[std::path::PathBuf]| {
        let paths: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.join(", ")
    };
    match restored {
        Ok(restored) => {
            let mut said = format!(
                "{name} has its data of {backup} again: {}",
                listed(&restored.paths)
            );
            if !restored.aside.is_empty() {
                said.push_str(&format!(
                    "; what was there is at {} until you remove it",
                    listed(&restored.aside)
                ));
            }
            for note in restored.notes {
                said.push_str(&format!("; {note}"));
            }
            said
        }
        Err(error) => format!("{name} was not restored: {error}"),
    }
}
