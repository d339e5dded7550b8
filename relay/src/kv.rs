//! Workers KV: one key per channel, its mailbox.
//!
//! What KV promises: a value that was put arrives everywhere, usually within a minute, and until then
//! a reader may see the older one, or none, for as long as its own cache says. What it does not: two
//! writers of a key are not ordered, and a key takes one write a second. Therefore the hub is the only
//! writer, a poller ignores what is older than its mark, and nothing is listed or deleted.

use std::collections::BTreeMap;

use towline_protocol::{Channel, Mailbox};
use worker::{Env, KvStore};

use crate::error::Fault;

/// The name of the KV binding.
const BINDING: &str = "MAILBOXES";

/// How long a location may answer from its cache, in seconds: the least that KV allows
/// (Cloudflare, "Workers KV limits"). It holds for a missing key too.
const CACHE_TTL: u64 = 30;

/// The mailboxes of all channels.
#[derive(Clone, Debug)]
pub struct Mailboxes(KvStore);

impl Mailboxes {
    /// Finds the namespace.
    ///
    /// # Errors
    /// When the Worker has no such binding.
    pub fn open(env: &Env) -> Result<Self, Fault> {
        env.kv(BINDING).map(Self).map_err(failed)
    }

    /// The mailbox of one channel as it is stored, maybe a stale one: one read.
    ///
    /// # Errors
    /// When KV fails or the day's reads are used up.
    pub async fn get(&self, channel: &Channel) -> Result<Option<String>, Fault> {
        let value = self.0.get(&key(channel)).cache_ttl(CACHE_TTL).text().await;
        value.map_err(failed)
    }

    /// The mailboxes of several channels; a missing one is left out. One call, billed per key.
    ///
    /// # Errors
    /// As for [`Self::get`], and for more than 100 channels.
    pub async fn get_all(
        &self,
        channels: impl Iterator<Item = &Channel>,
    ) -> Result<BTreeMap<Channel, String>, Fault> {
        let channels: Vec<_> = channels.cloned().collect();
        if let [channel] = channels.as_slice() {
            let value = self.get(channel).await?;
            return Ok(value
                .map(|value| (channel.clone(), value))
                .into_iter()
                .collect());
        }
        let keys: Vec<_> = channels.iter().map(key).collect();
        // Not `text_with_metadata`: it fails as soon as one key is missing.
        let found = self.0.get_bulk(&keys).cache_ttl(CACHE_TTL).text().await;
        let mut found = found.map_err(failed)?;
        let present = channels.into_iter().zip(keys);
        Ok(present
            .filter_map(|(channel, key)| Some((channel, found.remove(&key)??)))
            .collect())
    }

    /// Writes a mailbox. Only the hub calls this, once a second per channel at most.
    ///
    /// # Errors
    /// When KV fails, the day's writes are used up, or the last write was less than a second ago.
    pub async fn put(&self, channel: &Channel, mailbox: &Mailbox) -> Result<(), Fault> {
        let json = serde_json::to_string(mailbox).map_err(failed)?;
        let put = self.0.put(&key(channel), json).map_err(failed)?;
        put.execute().await.map_err(failed)
    }
}

/// The key of a channel's mailbox.
pub fn key(channel: &Channel) -> String {
    format!("c/{channel}")
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::storage("KV", error)
}
