//! What GitHub's API answers: a page of a hook's attempts, and when it wants to be left alone.
//!
//! Fields and headers are those of GitHub's REST API documentation, "Webhooks" (list deliveries,
//! redeliver a delivery), "Using pagination" and "Rate limits".

use jiff::Timestamp;
use serde::Deserialize;

use crate::gate::SourceKind;

/// The answers by which the relay refuses a delivery for good: with another attempt it would do the same.
const REFUSED: [u16; 4] = [400, 401, 413, 415];

/// How long GitHub is left alone when it limits without saying how long.
const DEFAULT_PAUSE_MS: u64 = 60_000;

/// One attempt to deliver.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: u64,
    /// What all attempts of the same delivery share.
    pub guid: String,
    /// When it was.
    pub delivered_at: Timestamp,
    /// What was answered; nothing, or 0, when nobody answered in time.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// Whether it was asked for, and is not the first one.
    #[serde(default)]
    pub redelivery: bool,
    /// The event.
    pub event: String,
    /// What happened to what the event is about; a push has none.
    #[serde(default)]
    pub action: Option<String>,
    /// The repository that it is of.
    #[serde(default)]
    pub repository_id: Option<u64>,
}

/// One page of attempts, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The attempts.
    pub deliveries: Vec<Delivery>,
    /// The cursor of the page after this one.
    pub next: Option<String>,
}

/// The headers by which GitHub tells of its limits.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// `Retry-After`, in seconds.
    pub retry_after: Option<String>,
    /// `X-RateLimit-Remaining`.
    pub remaining: Option<String>,
    /// `X-RateLimit-Reset`, in seconds since 1970.
    pub reset: Option<String>,
}

/// What an answer of the API means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was done.
    Done,
    /// Not before this time, in milliseconds since 1970.
    Later(u64),
    /// The token or the hook is wrong: somebody has to change something.
    Refused,
    /// It is not there: a hook, a cursor, or an attempt that is too old.
    Gone,
    /// GitHub has its own troubles.
    Failed,
}

impl Delivery {
    /// When it was, in milliseconds since 1970.
    pub fn at_ms(&self) -> u64 {
        u64::try_from(self.delivered_at.as_millisecond()).unwrap_or(0)
    }

    /// Among which deliveries there may be one of which hosts go by the order of arrival: then a lost one that comes
    /// late would undo what has come since. Runs of a workflow are numbered, and hosts heed that. Whether two are about
    /// the same is only known of the whole deliveries: see [`super::about()`].
    pub fn stream(&self) -> Option<String> {
        let repository = self.repository_id.unwrap_or(0);
        let is_numbered = self.event == SourceKind::WorkflowRun.name();
        (!is_numbered).then(|| format!("{} of {repository}", self.event))
    }

    /// Whether the relay took it.
    pub fn has_arrived(&self) -> bool {
        self.status_code
            .is_some_and(|code| (200..300).contains(&code))
    }

    /// Whether another attempt may end otherwise.
    pub fn is_worth_another(&self) -> bool {
        !self.status_code.is_some_and(|code| REFUSED.contains(&code))
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When the body is no list of attempts.
    pub fn read(body: &[u8], link: Option<&str>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            deliveries: crate::json::of_bytes(body)?,
            next: link.and_then(next_cursor),
        })
    }
}

/// What a status and the limits told with it mean.
pub fn meaning(status: u16, limits: &Limits, now_ms: u64) -> Meaning {
    let number = |text: &Option<String>| text.as_deref()?.trim().parse::<u64>().ok();
    let exhausted = number(&limits.remaining) == Some(0);
    match status {
        200..=299 => Meaning::Done,
        403 | 429 if number(&limits.retry_after).is_some() || exhausted || status == 429 => {
            let after = number(&limits.retry_after);
            let after = after.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1000)));
            let reset = number(&limits.reset).filter(|_| exhausted);
            let reset = reset.map(|seconds| seconds.saturating_mul(1000));
            let until = after.or(reset).unwrap_or(0);
            Meaning::Later(until.max(now_ms.saturating_add(DEFAULT_PAUSE_MS)))
        }
        // A fine-grained token that may not see a repository gets a 404, but not of an attempt alone.
        400 | 404 | 422 => Meaning::Gone,
        500..=599 => Meaning::Failed,
        _ => Meaning::Refused,
    }
}

/// The cursor in the link that is called `next` (RFC 8288).
fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|one| one.contains("rel=\"next\""))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "cursor")
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(retry_after: &str, remaining: &str, reset: &str) -> Limits {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Limits {
            retry_after: some(retry_after),
            remaining: some(remaining),
            reset: some(reset),
        }
    }

    #[test]
    fn a_page_is_read_with_the_cursor_of_the_next_one() {
        let body =
            br#"[{"id": 17684309024123456, "guid": "a", "delivered_at": "2026-11-20T15:00:00Z",
            "redelivery": false, "duration": 10.1, "status": "timed out", "status_code": 0,
            "event": "workflow_run", "action": "completed", "throttled_at": null}]"#;
        let link = "<https://api.github.com/repositories/1/hooks/2/deliveries?per_page=100&cursor=v1_1%2B7>; \
                    rel=\"next\", <https://api.github.com/x?cursor=other>; rel=\"prev\"";
        let page = Page::read(body, Some(link)).unwrap();
        assert_eq!(page.next.as_deref(), Some("v1_1+7"));
        let delivery = &page.deliveries[0];
        assert_eq!(delivery.id, 17_684_309_024_123_456);
        assert!(!delivery.has_arrived() && delivery.is_worth_another());
        for last in [
            None,
            Some(""),
            Some("<x>; rel=\"prev\""),
            Some("rel=\"next\""),
        ] {
            assert_eq!(Page::read(b"[]", last).unwrap().next, None);
        }
        assert!(Page::read(b"{\"message\": \"Not Found\"}", None).is_err());
    }

    #[test]
    fn only_what_the_relay_refused_on_purpose_is_not_worth_another_attempt() {
        let delivery = |status_code| Delivery {
            id: 1,
            guid: "a".to_owned(),
            delivered_at: Timestamp::UNIX_EPOCH,
            status_code,
            redelivery: false,
            event: "push".to_owned(),
            action: None,
            repository_id: None,
        };
        for refused in [400, 401, 413, 415] {
            assert!(!delivery(Some(refused)).is_worth_another(), "{refused}");
        }
        for worth in [0, 301, 403, 404, 429, 500, 502, 503, 530] {
            let delivery = delivery(Some(worth));
            assert!(
                delivery.is_worth_another() && !delivery.has_arrived(),
                "{worth}"
            );
        }
        assert!(delivery(None).is_worth_another());
        assert!(delivery(Some(202)).has_arrived() && delivery(Some(200)).has_arrived());
    }

    #[test]
    fn limits_are_heeded_as_github_tells_them() {
        let now = 1_000_000;
        let of = |status, limits: Limits| meaning(status, &limits, now);
        assert_eq!(of(202, limits("", "0", "2000")), Meaning::Done);
        assert_eq!(of(403, limits("120", "", "")), Meaning::Later(1_120_000));
        assert_eq!(of(429, limits("", "0", "2000")), Meaning::Later(2_000_000));
        assert_eq!(of(403, limits("", "0", "")), Meaning::Later(1_060_000));
        assert_eq!(of(429, limits("", "", "")), Meaning::Later(1_060_000));
        assert_eq!(of(403, limits("", "12", "2000")), Meaning::Refused);
    }

    #[test]
    fn a_wrong_token_a_lost_hook_and_githubs_own_troubles_are_told_apart() {
        let of = |status| meaning(status, &Limits::default(), 0);
        assert_eq!([of(401), of(301)], [Meaning::Refused; 2]);
        assert_eq!([of(400), of(404), of(422)], [Meaning::Gone; 3]);
        assert_eq!([of(500), of(503)], [Meaning::Failed; 2]);
    }
}
