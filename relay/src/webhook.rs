//! A delivery from headers and bytes to a decision: the order of checks, without any I/O.
//!
//! The shell calls [`check_head`], reads the body up to its cap, then calls [`check_signature`],
//! [`read`] and [`decide`]. Only the body is signed: nothing here trusts the event header or the GUID
//! further than the body bears out. The signature follows GitHub's "Validating webhook deliveries".

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use towline_protocol::{MAX_WEBHOOK_BODY, Secret, WebhookAnswer, WebhookStatus};

use crate::{
    error::Refusal,
    event::{self, Event},
    gate::{Candidate, Decision, Gate},
    settings::WebhookSecrets,
};

/// The headers that a delivery is judged by.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<String>,
    /// `X-Hub-Signature-256`.
    pub signature: Option<String>,
    /// `X-GitHub-Event`.
    pub event: Option<String>,
    /// `X-GitHub-Delivery`, the GUID.
    pub delivery: Option<String>,
}

/// What the signature header holds: an HMAC-SHA256 that somebody claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// What the shell does about a delivery that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Have the hub number it.
    Queue(Box<Candidate>),
    /// Answer 200 with this.
    Answer(WebhookAnswer),
}

/// The checks that need no body: 415, 413 by `Content-Length`, 401 without a signature.
///
/// # Errors
/// The first of these that applies.
pub fn check_head(head: &Head) -> Result<Signature, Refusal> {
    if !is_json(head.content_type.as_deref()) {
        return Err(Refusal::HookContentType);
    }
    check_length(head.content_length.as_deref(), MAX_WEBHOOK_BODY)?;
    let signature = head.signature.as_deref().and_then(Signature::parse);
    signature.ok_or(Refusal::BadSignature)
}

/// Whether the body was signed with one of the secrets, in constant time.
///
/// # Errors
/// [`Refusal::BadSignature`] when with neither.
pub fn check_signature(
    signature: &Signature,
    secrets: &WebhookSecrets,
    body: &[u8],
) -> Result<(), Refusal> {
    let previous = secrets.previous.iter();
    let mut secrets = std::iter::once(&secrets.current).chain(previous);
    if secrets.any(|secret| signature.is_of(secret, body)) {
        Ok(())
    } else {
        Err(Refusal::BadSignature)
    }
}

/// Reads a body whose signature is right.
///
/// # Errors
/// 400 when the event or GUID header is missing, or the body is not that event.
pub fn read(head: &Head, body: &[u8]) -> Result<Event, Refusal> {
    let missing = |header| Refusal::BadDelivery(format!("the header {header} is missing"));
    let present = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let name = present(&head.event).ok_or_else(|| missing("X-GitHub-Event"))?;
    present(&head.delivery).ok_or_else(|| missing("X-GitHub-Delivery"))?;
    event::read(&name, body).map_err(|error| Refusal::BadDelivery(error.to_string()))
}

/// What becomes of an event.
///
/// # Errors
/// 400 when the repository's name is none that GitHub gives.
pub fn decide(event: &Event, gate: &Gate) -> Result<Verdict, Refusal> {
    let decision = match event {
        Event::Ping(ping) => {
            let warning = ping.warning().map(str::to_owned);
            return Ok(answer(WebhookStatus::Pong, warning));
        }
        Event::Other(name) => Ok(Decision::Ignore(gate.ignore(name))),
        Event::WorkflowRun(run) => gate.run(run),
        Event::Push(push) => gate.push(push),
        Event::RegistryPackage(package) => gate.package(package),
        Event::Release(release) => gate.release(release),
        Event::Deployment(deployment) => gate.deployment(deployment),
    };
    match decision {
        Ok(Decision::Queue(candidate)) => Ok(Verdict::Queue(candidate)),
        Ok(Decision::Ignore(reason)) => {
            Ok(answer(WebhookStatus::Ignored, Some(reason.to_string())))
        }
        Err(error) => Err(Refusal::BadDelivery(error.to_string())),
    }
}

/// Whether a content type is JSON, whatever its parameters.
pub fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Refuses a body that says of itself that it is over `limit` bytes.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn check_length(content_length: Option<&str>, limit: usize) -> Result<(), Refusal> {
    let length = content_length.map(|text| text.trim().parse::<usize>());
    match length {
        Some(Ok(length)) if length <= limit => Ok(()),
        None => Ok(()),
        // What is not a number, or not one of this machine's, is not known to be small enough.
        Some(_) => Err(Refusal::TooLarge { limit }),
    }
}

fn answer(status: WebhookStatus, reason: Option<String>) -> Verdict {
    Verdict::Answer(WebhookAnswer {
        status,
        reason,
        intent: None,
        seq: None,
    })
}

impl Signature {
    /// `sha256=` and 64 hex digits.
    fn parse(header: &str) -> Option<Self> {
        let hex = header.strip_prefix("sha256=")?;
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn is_of(&self, secret: &Secret, body: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else {
            return false;
        };
        mac.update(body);
        mac.verify_slice(&self.0).is_ok()
    }
}

#[cfg(test)]
mod tests;
