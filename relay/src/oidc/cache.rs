//! When the issuer's keys are fetched: seldom, and never because a stranger wants it.
//!
//! In memory, for each isolate its own. An unknown key fetches them anew at most once a minute, so that a
//! new key is found soon and a token with an invented one costs the issuer next to nothing.

use super::keys::{KeySet, RsaKey};

/// For how long keys are taken without a look at the issuer, in milliseconds.
pub const FRESH_MS: u64 = 10 * 60 * 1000;

/// For how long they are taken when the issuer does not answer, in milliseconds.
pub const STALE_MS: u64 = 60 * 60 * 1000;

/// The shortest time between two fetches, in milliseconds.
pub const PAUSE_MS: u64 = 60 * 1000;

/// The same after a failure while no keys are there, in milliseconds.
pub const RETRY_MS: u64 = 5 * 1000;

/// After how long a fetch has failed, in milliseconds.
pub const TIMEOUT_MS: u64 = 5 * 1000;

/// The keys that are there, and what was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    keys: Option<(KeySet, u64)>,
    tried_ms: Option<u64>,
    fetching_since_ms: Option<u64>,
}

/// What to do for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Check its signature with this key.
    Use(RsaKey),
    /// Fetch the keys and ask again.
    Fetch,
    /// Somebody is fetching them: ask again in a moment.
    Wait,
    /// The issuer has no such key.
    Unknown,
    /// There are no keys, and they were asked for a moment ago.
    Unavailable,
}

impl Cache {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            keys: None,
            tried_ms: None,
            fetching_since_ms: None,
        }
    }

    /// What to do for a token that names the key `kid`.
    pub fn next(&self, kid: &str, now_ms: u64) -> Next {
        let since = |then: u64| now_ms.saturating_sub(then);
        let keys = self.keys.as_ref();
        let keys = keys.filter(|(_, fetched)| since(*fetched) < STALE_MS);
        let found = keys.and_then(|(keys, _)| keys.find(kid));
        let fresh = keys.is_some_and(|(_, fetched)| since(*fetched) < FRESH_MS);
        // Whoever was fetching may have been ended by the platform, and then never says so: that was no try.
        let fetching = self
            .fetching_since_ms
            .is_some_and(|then| since(then) <= TIMEOUT_MS);
        let lost = self.fetching_since_ms.is_some() && !fetching;
        let pause = if keys.is_some() { PAUSE_MS } else { RETRY_MS };
        let rested = lost || self.tried_ms.is_none_or(|then| since(then) >= pause);
        match found {
            Some(key) if fresh || fetching || !rested => Next::Use(key.clone()),
            None if fetching => Next::Wait,
            Some(_) | None if rested => Next::Fetch,
            Some(_) | None if keys.is_some() => Next::Unknown,
            Some(_) | None => Next::Unavailable,
        }
    }

    /// Notes that the keys are being fetched.
    pub fn begin(&mut self, now_ms: u64) {
        self.tried_ms = Some(now_ms);
        self.fetching_since_ms = Some(now_ms);
    }

    /// Notes how that ended; what was there before is kept when it failed. The pause begins now, so that those who
    /// waited for a fetch that took long do not fetch one after the other.
    pub fn end(&mut self, fetched: Option<KeySet>, now_ms: u64) {
        self.tried_ms = Some(now_ms);
        self.fetching_since_ms = None;
        if let Some(keys) = fetched {
            self.keys = Some((keys, now_ms));
        }
    }
}
