//! What the loop lets others know of itself while it works: by the log and by the control socket.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use towline_protocol::{IntentId, ServiceName, Sha};
use tracing::info;

use crate::{
    control::server::{Board, Published},
    status::{PollerStatus, RelayStatus, Underway},
};

/// Everything that others may know.
#[derive(Debug)]
pub(super) struct Notices {
    since: Timestamp,
    answered_at: Option<Timestamp>,
    trouble: Option<String>,
    published: watch::Sender<Option<Arc<Published>>>,
    underway: watch::Sender<Option<Underway>>,
}

impl Notices {
    /// Nothing is known yet; the process runs since `since`.
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            answered_at: None,
            trouble: None,
            published: watch::Sender::new(None),
            underway: watch::Sender::new(None),
        }
    }

    /// Where the server of the control socket looks.
    pub(super) fn board(&self) -> Board {
        Board {
            published: self.published.subscribe(),
            underway: self.underway.subscribe(),
        }
    }

    /// Whether anybody can look.
    pub(super) fn are_read(&self) -> bool {
        self.published.receiver_count() > 0
    }

    /// Publishes how things stand, with what only this process knows.
    pub(super) fn publish(&self, mut published: Published) {
        let status = &mut published.status;
        status.poller = Some(PollerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since,
        });
        status.relay = RelayStatus {
            answered_at: self.answered_at,
            trouble: self.trouble.clone(),
            url: std::mem::take(&mut status.relay.url),
        };
        self.published.send_replace(Some(Arc::new(published)));
    }

    /// What was published last.
    pub(super) fn published(&self) -> Option<Arc<Published>> {
        self.published.borrow().clone()
    }

    /// The relay has answered a poll, or why it has not.
    pub(super) fn note_relay(&mut self, trouble: Option<String>) {
        if trouble.is_none() {
            self.answered_at = Some(Timestamp::now());
        }
        self.trouble = trouble;
    }

    /// A deploy of `intent` to `service` begins.
    pub(super) fn begin(&self, service: &ServiceName, intent: &IntentId, sha: Option<&Sha>) {
        self.underway.send_replace(Some(Underway {
            service: service.clone(),
            intent: intent.clone(),
            sha: sha.cloned(),
            step: "begun".to_owned(),
            since: Timestamp::now(),
        }));
    }

    /// A step of the deploy under way is done.
    pub(super) fn tell(&self, service: &ServiceName, step: &str) {
        info!(service = %service, "{step}");
        self.underway.send_modify(|underway| {
            if let Some(underway) = underway {
                step.clone_into(&mut underway.step);
            }
        });
    }

    /// Nothing is under way any more.
    pub(super) fn end(&self) {
        self.underway.send_replace(None);
    }
}
