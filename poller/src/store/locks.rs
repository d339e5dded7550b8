//! What holds deploys of services off: written and read also while the rest of the store is busy with a deploy.
//!
//! Guarantees as the store's: what was written when a method returns survives a power cut. What is over is not told, and goes
//! when something else is written. What a lock means is `lock`'s and the loop's.

use std::collections::BTreeMap;

use rusqlite::Connection;
use towline_protocol::ServiceName;

use super::{Store, StoreError, db::Db, row};
use crate::{
    lock::{Lock, LockName},
    uptime::Moment,
};

const LOCK: &str = "lock";

/// The locks of a store that is open. They are good for as long as that one is.
#[derive(Debug)]
pub struct Locks {
    db: Db,
}

impl Store {
    /// The locks of this store.
    pub fn locks(&self) -> Locks {
        Locks {
            db: self.db.clone(),
        }
    }
}

impl Locks {
    /// What holds deploys of `service` off at `now`, in the order of the names.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn of(&self, service: &ServiceName, now: &Moment) -> Result<Vec<Lock>, StoreError> {
        let rows = row::all::<Lock>(&self.db, LOCK, &format!("{service}/"))?;
        let locks = rows.into_iter().map(|(_, lock)| lock);
        Ok(locks.filter(|lock| lock.is_on(now)).collect())
    }

    /// What holds deploys off at `now`, of all services that something does it for.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged.
    pub fn all(&self, now: &Moment) -> Result<BTreeMap<ServiceName, Vec<Lock>>, StoreError> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for (key, lock) in row::all::<Lock>(&self.db, LOCK, "")? {
            let service = key.split_once('/').map(|(service, _)| service.parse());
            let Some(Ok(service)) = service else {
                return Err(StoreError::Corrupt {
                    what: format!("state.db: {LOCK} {key}"),
                    problem: "no key of a lock".to_owned(),
                });
            };
            if lock.is_on(now) {
                all.entry(service).or_default().push(lock);
            }
        }
        Ok(all)
    }

    /// Holds deploys of `service` off, instead of what has done so by the same name. All that is over by `now` goes. One
    /// transaction.
    ///
    /// # Errors
    /// When the database refuses; nothing has changed then.
    pub fn put(
        &mut self,
        service: &ServiceName,
        lock: &Lock,
        now: &Moment,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        sweep(&tx, now)?;
        row::put(&tx, LOCK, &key(service, &lock.name), lock)?;
        Ok(tx.commit()?)
    }

    /// Removes all that is over by `now`, as it is stored: what was taken again by the same name stays. One transaction.
    ///
    /// # Errors
    /// When the database refuses or a row is damaged; nothing has changed then.
    pub fn sweep(&mut self, now: &Moment) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        sweep(&tx, now)?;
        Ok(tx.commit()?)
    }

    /// Ends what holds deploys of `service` off by one of `names`. One transaction.
    ///
    /// # Errors
    /// When the database refuses; nothing has changed then.
    pub fn remove<'a>(
        &mut self,
        service: &ServiceName,
        names: impl Iterator<Item = &'a LockName>,
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction()?;
        for name in names {
            row::delete(&tx, LOCK, &key(service, name))?;
        }
        Ok(tx.commit()?)
    }
}

fn sweep(tx: &Connection, now: &Moment) -> Result<(), StoreError> {
    for (key, lock) in row::all::<Lock>(tx, LOCK, "")? {
        if !lock.is_on(now) {
            row::delete(tx, LOCK, &key)?;
        }
    }
    Ok(())
}

fn key(service: &ServiceName, name: &LockName) -> String {
    format!("{service}/{name}")
}
