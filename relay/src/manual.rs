//! `POST /v1/intents`: what somebody asks for, and what it becomes.
//!
//! Here: the request's body, its key, and whether a repeated request is the same one. Not here: who asks
//! ([`crate::api::auth`], [`crate::oidc`]), and the intent's number, which is the hub's.

use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use towline_protocol::{
    Channel, HostName, Image, Intent, NameError, Queued, Revision, ServiceName, Sha, Source,
};

use crate::{api::Answer, error::Refusal, gate::Candidate, json, settings};

/// When it is too late to apply an intent whose request does not say, in seconds.
pub const EXPIRES_IN: u32 = 3600;

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 512;

/// The longest image reference, in bytes: a name of 255, a tag of 128, and room.
pub const MAX_REFERENCE: usize = 512;

/// The most hosts that one intent may name: sixteen intents are a mailbox, and none may be large.
pub const MAX_HOSTS: usize = 64;

/// The longest `Idempotency-Key`, in bytes.
pub const MAX_KEY: usize = 255;

/// A request that was understood. Two bodies that mean the same are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The stream that the intent will belong to.
    pub channel: Channel,
    /// The one service that it is for; `None` is every service whose rule matches.
    pub service: Option<ServiceName>,
    /// The hosts that it is for, in order and once each; empty is every host.
    pub hosts: Vec<HostName>,
    /// The commit.
    pub sha: Option<Sha>,
    /// The image.
    pub image: Option<Image>,
    /// Why, for people: one line.
    pub reason: String,
    /// How many seconds after its creation it is too late.
    pub expires_in: u32,
}

/// What makes two requests of an operator the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The header `Idempotency-Key`.
    Given(String),
    /// Without the header every request is a new one.
    Random([u8; 16]),
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ordered {
    /// A new intent.
    New(Box<Intent>),
    /// The intent that the same request became earlier.
    Again(Box<Intent>),
    /// The key belongs to an intent of another request.
    Conflict,
}

/// Reads the body of `POST /v1/intents`; members that are not known are passed over, null is absent.
///
/// # Errors
/// 400, naming the member that is wrong.
pub fn read(body: &[u8]) -> Result<Order, Refusal> {
    let bad = |problem: String| Refusal::BadRequest(format!("the body is wrong: {problem}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    json::check(text).map_err(|error| bad(error.to_string()))?;
    let members: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    order(members).map_err(bad)
}

fn order(mut members: Map<String, Value>) -> Result<Order, String> {
    let channel: Option<Channel> = member(&mut members, "channel")?;
    let expires_in: Option<String> = member(&mut members, "expires_in")?;
    let image: Option<Value> = member(&mut members, "image")?;
    let reason: Option<String> = member(&mut members, "reason")?;
    let hosts: Option<Vec<HostName>> = member(&mut members, "hosts")?;
    Ok(Order {
        channel: channel.ok_or("channel is missing: name the one that the services listen to")?,
        service: member(&mut members, "service")?,
        hosts: checked_hosts(hosts.unwrap_or_default())?,
        sha: member(&mut members, "sha")?,
        image: image.map(checked_image).transpose()?,
        reason: checked_reason(reason.unwrap_or_default())?,
        expires_in: expires_in
            .as_deref()
            .map_or(Ok(EXPIRES_IN), settings::duration)?,
    })
}

fn member<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, String> {
    let value = members.remove(name).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
}

fn checked_hosts(mut hosts: Vec<HostName>) -> Result<Vec<HostName>, String> {
    hosts.sort();
    hosts.dedup();
    if hosts.len() > MAX_HOSTS {
        let named = hosts.len();
        return Err(format!(
            "hosts: name at most {MAX_HOSTS}; these are {named}, and none means all"
        ));
    }
    Ok(hosts)
}

/// An image as an object, or as people write it: `ghcr.io/octo-org/web:v2@sha256:...`.
fn checked_image(image: Value) -> Result<Image, String> {
    let (reference, digest) = match image {
        Value::Object(mut parts) => (
            member::<String>(&mut parts, "reference").map_err(of_image)?,
            member::<String>(&mut parts, "digest").map_err(of_image)?,
        ),
        Value::String(text) => match text.split_once('@') {
            Some((name, digest)) => (Some(name.to_owned()), Some(digest.to_owned())),
            None => (Some(text), None),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => (None, None),
    };
    if reference.is_none() && digest.is_none() {
        return Err("image: give a reference, a digest, or both".to_owned());
    }
    let printable = |text: &String| {
        (1..=MAX_REFERENCE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if !reference.iter().all(printable) {
        let rule = "a name like ghcr.io/octo-org/web:v2";
        return Err(format!(
            "image: the reference must be {rule}, of at most {MAX_REFERENCE} bytes"
        ));
    }
    let digest = digest.map(|digest| digest.parse()).transpose();
    let digest = digest.map_err(|error: NameError| of_image(error.to_string()))?;
    Ok(Image { reference, digest })
}

fn of_image(problem: String) -> String {
    format!("image: {problem}")
}

fn checked_reason(reason: String) -> Result<String, String> {
    if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(format!("reason: one line of at most {MAX_REASON} bytes"));
    }
    Ok(reason)
}

/// Reads the header `Idempotency-Key`.
///
/// # Errors
/// 400 unless it is 1 to 255 visible ASCII characters.
pub fn idempotency_key(header: Option<&str>) -> Result<Option<&str>, Refusal> {
    let valid = |key: &str| {
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if header.is_none_or(valid) {
        return Ok(header);
    }
    let rule = format!("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters");
    Err(Refusal::BadRequest(rule))
}

/// The intent-to-be of an operator's order. The key is the operator's own: another's is another one.
pub fn by_operator(order: Order, operator: &HostName, key: &Key) -> Candidate {
    // No name holds a colon, so that no two of these are the same text.
    let dedupe_key = match key {
        Key::Given(key) => format!("manual:{operator}:{key}"),
        Key::Random(bytes) => format!("manual-once:{}", HEXLOWER.encode(bytes)),
    };
    let source = Source::Manual {
        by: operator.to_string(),
        reason: order.reason.clone(),
    };
    candidate(order, dedupe_key, source)
}

pub(crate) fn candidate(order: Order, dedupe_key: String, source: Source) -> Candidate {
    Candidate {
        dedupe_key,
        channel: order.channel,
        expires_in: Some(order.expires_in),
        source,
        revision: Revision {
            sha: order.sha,
            branch: None,
            tag: None,
        },
        image: order.image,
        service: order.service,
        hosts: order.hosts,
    }
}

/// What becomes of an order whose key was new, or belongs to `intent` already.
///
/// An intent holds all that its order said, so that nothing else is kept to compare a repetition with.
pub fn ordered(candidate: &Candidate, duplicate: bool, intent: Intent) -> Ordered {
    if !duplicate {
        Ordered::New(Box::new(intent))
    } else if is_of(&intent, candidate) {
        Ordered::Again(Box::new(intent))
    } else {
        Ordered::Conflict
    }
}

fn is_of(intent: &Intent, candidate: &Candidate) -> bool {
    let lives = intent
        .expires_at
        .map(|end| end.duration_since(intent.created_at));
    let asked = candidate
        .expires_in
        .map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
    intent.channel == candidate.channel
        && lives == asked
        && intent.source == candidate.source
        && intent.revision == candidate.revision
        && intent.image == candidate.image
        && intent.service == candidate.service
        && intent.hosts == candidate.hosts
}

/// The answer to an order: 201 for a new intent, 200 for the same one again.
///
/// # Errors
/// [`Refusal::Conflict`].
pub fn answer(
    ordered: Ordered,
    ticket: impl FnOnce(&Intent) -> Option<String>,
) -> Result<Answer, Refusal> {
    let (status, intent) = match ordered {
        Ordered::New(intent) => (201, *intent),
        Ordered::Again(intent) => (200, *intent),
        Ordered::Conflict => return Err(Refusal::Conflict),
    };
    let ticket = ticket(&intent);
    Ok(Answer::json(status, &Queued { intent, ticket }))
}

#[cfg(test)]
mod tests;
