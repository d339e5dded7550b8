//! What goes between the server of the control socket and the loop: what the loop has published, and orders to it.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};
use towline_protocol::{IntentId, ServiceName};

use super::message::Line;
use crate::{
    backup::BackupName,
    history::Entry,
    lock::{Asked, Lock},
    status::{Status, Underway},
};

/// How many orders may wait for the loop. Less than the clients that are served, so that they never keep out who only wants to look.
pub const ORDERS: usize = 8;

/// What the loop publishes.
#[derive(Clone, Debug)]
pub struct Published {
    /// How the services stood when nothing was under way.
    pub status: Status,
    /// How the last deploys ended, the newest first.
    pub history: Arc<[Entry]>,
}

/// Where the server looks; the loop writes the other ends.
#[derive(Clone, Debug)]
pub struct Board {
    /// What the loop has published last; `None` until the first time.
    pub published: watch::Receiver<Option<Arc<Published>>>,
    /// The deploy under way.
    pub underway: watch::Receiver<Option<Underway>>,
    /// The service that an operator's order is carried out for.
    pub ordered: watch::Receiver<Option<ServiceName>>,
    /// What holds deploys off.
    pub locks: watch::Receiver<BTreeMap<ServiceName, Vec<Lock>>>,
}

/// What the loop can be ordered to do with a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An operator has seen to it.
    Resolve {
        /// The intent since which one was needed when this was asked: nobody has seen what came later.
        since: Option<IntentId>,
    },
    /// Try its newest deploy again.
    Retry,
    /// Take it back to a version that is kept.
    Rollback {
        /// The version's digest or its beginning; without it the version before the current one.
        to: Option<String>,
    },
    /// Put its data back as they were at a backup.
    Restore {
        /// The backup; without it the newest one.
        backup: Option<BackupName>,
        /// Whether nothing need stop the service for it.
        running: bool,
    },
}

/// An order on its way to the loop.
#[derive(Debug)]
pub struct Order {
    /// The service.
    pub service: ServiceName,
    /// What to do with it.
    pub errand: Errand,
    /// Takes the lines of the answer; closed when whoever asked has left. What is not sent yet is bounded by that: a
    /// client that takes no line for a while is taken for one that has left.
    pub answer: mpsc::UnboundedSender<Line>,
}

/// What is asked about a service's locks. The loop has nothing to do with it, so that it is done in the middle of a deploy too.
#[derive(Debug)]
pub struct LockOrder {
    /// The service.
    pub service: ServiceName,
    /// What is asked.
    pub asked: Asked,
    /// Takes the answer.
    pub answer: oneshot::Sender<Line>,
}
