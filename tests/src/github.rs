//! GitHub's side: signed deliveries, as its webhooks documentation describes them.

use anyhow::Result;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    http::{Answer, post},
    place::fixture,
};

/// A delivery for `octo-org/web`, to be changed at will.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The body.
    pub body: Value,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-GitHub-Delivery`.
    pub guid: String,
}

impl Delivery {
    /// A run of `main` at `sha`, numbered `number`.
    ///
    /// # Errors
    /// When the fixture is missing.
    pub fn run(number: u64, sha: &str) -> Result<Self> {
        let mut body: Value =
            serde_json::from_str(&fixture("github/workflow_run.completed.json")?)?;
        body["workflow_run"]["id"] = json!(30_433_642 + number);
        body["workflow_run"]["run_number"] = json!(number);
        body["workflow_run"]["head_sha"] = json!(sha);
        let guid = format!("72d3162e-cc78-11e3-81ab-{number:012}");
        Ok(Self {
            body,
            event: "workflow_run".into(),
            guid,
        })
    }

    /// A run of the size that GitHub's deliveries have when a pull request or two are named in them: 22 KB.
    ///
    /// # Errors
    /// When the fixture is missing.
    pub fn large_run(number: u64) -> Result<Self> {
        let mut delivery = Self::run(number, "3484a3fb816e0859fd6e1cea078d76385ff50625")?;
        let filling = delivery.body["sender"].clone();
        delivery.body["workflow_run"]["pull_requests"] = json!([filling, filling, filling]);
        Ok(delivery)
    }

    /// The same event, of another repository.
    pub fn of(mut self, repository: &str, id: u64) -> Self {
        self.body["repository"]["full_name"] = json!(repository);
        self.body["repository"]["id"] = json!(id);
        if !self.body["workflow_run"].is_object() {
            return self;
        }
        for place in ["repository", "head_repository"] {
            self.body["workflow_run"][place]["full_name"] = json!(repository);
            self.body["workflow_run"][place]["id"] = json!(id);
        }
        self
    }

    /// What a fixture below `tests/fixtures/github` holds, as the event that its name begins with.
    ///
    /// # Errors
    /// When there is no such fixture.
    pub fn fixture(name: &str) -> Result<Self> {
        let body = serde_json::from_str(&fixture(&format!("github/{name}.json"))?)?;
        let event = name.split('.').next().unwrap_or(name).to_owned();
        let guid = format!("{name}-72d3162e-cc78-11e3-81ab-4c9367dc0958");
        Ok(Self { body, event, guid })
    }

    /// Sends it to a relay, signed with `secret`.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn send(&self, relay: &str, secret: &str) -> Result<Answer> {
        let body = serde_json::to_vec(&self.body)?;
        let signature = signature(secret, &body);
        let headers = [
            ("Content-Type", "application/json"),
            ("User-Agent", "GitHub-Hookshot/044aadd"),
            ("X-GitHub-Event", &self.event),
            ("X-GitHub-Delivery", &self.guid),
            ("X-Hub-Signature-256", &signature),
        ];
        post(&format!("{relay}/webhook/github"), &headers, &body)
    }
}

/// The value of `X-Hub-Signature-256` for a body.
#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length (RFC 2104, section 2)"
)]
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(body);
    format!("sha256={}", HEXLOWER.encode(&mac.finalize().into_bytes()))
}
