//! Holding deploys of a service off for who asks for that, and letting go.
//!
//! Beside the loop, so that a lock is taken and answered for at once, in the middle of a deploy too: what is under way goes on,
//! and nothing else is begun from the answer on. The loop asks the store, each time before it begins something. What a
//! crash has interrupted is taken to its end all the same. Not here: what a lock is (`lock`).

use std::{collections::BTreeMap, convert::Infallible, time::Duration, time::Instant};

use tokio::sync::{mpsc, watch};
use towline_protocol::ServiceName;
use tracing::{info, warn};

use super::{Declined, Poller};
use crate::{
    control::{
        board::{LockOrder, ORDERS},
        message::{Code, Line},
    },
    lock::{self, Asked, Lock, MOST},
    settings::Settings,
    store::{Locks, StoreError},
    uptime::Moment,
};

/// The shortest time after which ends are looked for again, should the disk not let them be seen.
const LOOK: Duration = Duration::from_secs(1);

/// How long nothing is looked for where nothing holds off.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// What holds deploys off, by service.
type All = BTreeMap<ServiceName, Vec<Lock>>;

/// Does what is asked about the locks of `service`; what is to be said about it. A service that the host's file does not name can
/// only be let go.
///
/// # Errors
/// [`Declined::Unknown`], [`Declined::TooManyLocks`] and [`Declined::Store`]: nothing has changed.
pub fn change_locks(
    locks: &mut Locks,
    settings: &Settings,
    service: &ServiceName,
    asked: &Asked,
    now: &Moment,
) -> Result<String, Declined> {
    let there = locks.of(service, now)?;
    let is_known = settings.services.iter().any(|one| one.name == *service);
    let (mine, others): (Vec<_>, Vec<_>) = match asked {
        Asked::Hold { name, .. } | Asked::Release { name: Some(name) } => {
            there.into_iter().partition(|lock| lock.name == *name)
        }
        Asked::Release { name: None } => (there, Vec::new()),
    };
    match asked {
        Asked::Hold { .. } if !is_known => Err(Declined::unknown(service, settings)),
        Asked::Release { .. } if !is_known && mine.is_empty() && others.is_empty() => {
            Err(Declined::unknown(service, settings))
        }
        Asked::Hold { .. } if others.len() >= MOST => Err(Declined::TooManyLocks {
            service: service.clone(),
        }),
        Asked::Hold {
            name,
            length,
            reason,
        } => {
            let lock = Lock {
                name: name.clone(),
                reason: reason.clone(),
                since: now.clone(),
                length: *length,
            };
            locks.put(service, &lock, now)?;
            Ok(format!("{service} is held off {}", lock.told(now)))
        }
        Asked::Release { name } => {
            locks.remove(service, mine.iter().map(|lock| &lock.name))?;
            let still = lock::told(&others, now);
            let still = still.map_or(String::new(), |still| format!("; it is still {still}"));
            let by = name.as_ref();
            let by = by.map_or(String::new(), |name| format!(" by {name}"));
            let how = match mine.is_empty() {
                true => "was not",
                false => "is no longer",
            };
            Ok(format!("{service} {how} held off{by}{still}"))
        }
    }
}

/// Whoever does what is asked about locks, and looks when they are over.
#[derive(Debug)]
pub(super) struct LockKeeper {
    settings: Settings,
    locks: Locks,
    asked: mpsc::Receiver<LockOrder>,
    shown: watch::Sender<All>,
    /// Hears of each service whose locks have changed.
    news: mpsc::UnboundedSender<ServiceName>,
}

/// What the loop hears of the keeper; without one nothing ever comes.
#[derive(Debug, Default)]
pub(super) struct LockNews(Option<mpsc::UnboundedReceiver<ServiceName>>);

impl LockNews {
    /// The next service whose locks have changed.
    pub(super) async fn next(&mut self) -> ServiceName {
        if let Some(news) = &mut self.0
            && let Some(service) = news.recv().await
        {
            return service;
        }
        std::future::pending().await
    }
}

impl LockKeeper {
    /// Works for as long as it is let.
    pub(super) async fn keep(mut self) -> Infallible {
        loop {
            self.look();
            let pause = self.pause();
            tokio::select! {
                Some(order) = self.asked.recv() => self.obey(order),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn obey(&mut self, order: LockOrder) {
        let LockOrder {
            service,
            asked,
            answer,
        } = order;
        let done = change_locks(
            &mut self.locks,
            &self.settings,
            &service,
            &asked,
            &Moment::now(),
        );
        let line = match done {
            Ok(said) => {
                info!(%service, "{said}");
                Line::Done(said)
            }
            Err(Declined::Store(error)) => {
                warn!(%service, "its locks stay as they are: {error}");
                Line::refused(Code::Failed, error.to_string())
            }
            Err(declined) => Line::refused(Code::Declined, declined.to_string()),
        };
        // Whoever asks how things stand right after the answer is told so.
        self.look();
        // Who has left is not told; the log has it.
        let _ = answer.send(line);
    }

    /// Sees what holds deploys off now, and lets the loop know what has changed.
    fn look(&mut self) {
        let now = Moment::now();
        let all = match self.locks.all(&now) {
            Ok(all) => all,
            Err(error) => {
                warn!("what holds deploys off cannot be read: {error}");
                return;
            }
        };
        let before = self.shown.send_replace(all.clone());
        self.clear(&before, &all, &now);
        let services = before.keys().chain(all.keys());
        let changed = services.filter(|service| before.get(*service) != all.get(*service));
        for service in changed {
            // Without the loop nothing is begun anyway.
            let _ = self.news.send(service.clone());
        }
    }

    /// Removes what is over of what was shown `before`, and says so of those who hold nothing off anew among `all`.
    fn clear(&mut self, before: &All, all: &All, now: &Moment) {
        let mut is_any = false;
        for (service, lock) in each(before).filter(|(_, lock)| !lock.is_on(now)) {
            is_any = true;
            if !each(all).any(|(one, new)| one == service && new.name == lock.name) {
                info!(%service, "the time is over for which {} has held it off", lock.name);
            }
        }
        if is_any && let Err(error) = self.locks.sweep(now) {
            warn!("locks that are over are not removed: {error}");
        }
    }

    /// How long until the next lock is over.
    fn pause(&self) -> Duration {
        let (now, shown) = (Moment::now(), self.shown.borrow());
        let left = shown.values().flatten().map(|lock| lock.left(&now));
        left.min().unwrap_or(IDLE).max(LOOK)
    }
}

fn each(all: &All) -> impl Iterator<Item = (&ServiceName, &Lock)> {
    all.iter()
        .flat_map(|(service, locks)| locks.iter().map(move |lock| (service, lock)))
}

impl Poller {
    /// The keeper of this poller's locks, who works when he is let ([`LockKeeper::keep`]), and where he is asked.
    pub(super) fn keep_locks(&mut self) -> (LockKeeper, mpsc::Sender<LockOrder>) {
        let (ask, asked) = mpsc::channel(ORDERS);
        let (news, heard) = mpsc::unbounded_channel();
        self.lock_news = LockNews(Some(heard));
        let mut keeper = LockKeeper {
            settings: self.settings.clone(),
            locks: self.store.locks(),
            asked,
            shown: self.notices.locks(),
            news,
        };
        keeper.look();
        (keeper, ask)
    }

    /// The locks of `service` have changed: it has its turn, if nobody holds it off any more.
    pub(super) fn note_lock(&mut self, service: &ServiceName) -> Result<(), StoreError> {
        if self.held_off(service)?.is_none() {
            self.todo.again(service, Instant::now());
        }
        Ok(())
    }

    /// Who holds `service` off now, for people, and for how long; `None` when nobody does.
    pub(super) fn held_off(
        &self,
        service: &ServiceName,
    ) -> Result<Option<(String, Duration)>, StoreError> {
        let now = Moment::now();
        let locks = self.store.locks().of(service, &now)?;
        Ok(lock::told(&locks, &now).zip(lock::left(&locks, &now)))
    }

    /// Declines what an operator asks for while `service` is held off.
    pub(super) fn refuse_held_off(&self, service: &ServiceName) -> Result<(), Declined> {
        let now = Moment::now();
        let locks = self.store.locks().of(service, &now)?;
        match lock::told(&locks, &now) {
            None => Ok(()),
            Some(why) => Err(Declined::HeldOff {
                service: service.clone(),
                why,
                release: lock::release(service, &locks),
            }),
        }
    }
}
