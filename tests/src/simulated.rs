//! A host that is only its words: what a poller would tell the relay, without anything behind it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use towline_protocol::Role;

use crate::{
    relay::{Relay, token},
    wait::until,
};

/// A host by its name.
pub struct Simulated<'a> {
    relay: &'a Relay,
    name: String,
    token: String,
}

impl<'a> Simulated<'a> {
    /// A host that may see every channel.
    ///
    /// # Errors
    /// When the name is not valid.
    pub fn new(relay: &'a Relay, name: &str) -> Result<Self> {
        Ok(Self {
            relay,
            name: name.to_owned(),
            token: token(Role::Host, name, &["*"])?,
        })
    }

    /// Says that it is there and runs `web`, of that channel.
    ///
    /// # Errors
    /// When the relay does not take it.
    pub fn greets(&self, channel: &str) -> Result<()> {
        let web = json!({ "name": "web", "channel": channel, "kind": "docker" });
        let mark = json!({ channel: "0.0" });
        self.tell(
            "/v1/hello",
            &json!({ "version": "9.9.9", "marks": mark, "services": [web] }),
        )
    }

    /// The newest intent of a channel that names this host.
    ///
    /// # Errors
    /// When none comes within half a minute.
    pub fn finds(&self, channel: &str) -> Result<Value> {
        let path = format!("/v1/intents?channel={channel}@0.0&fresh=1");
        let what = format!("an intent for {}", self.name);
        until(&what, Duration::from_secs(30), || {
            let answer = self.relay.get(&path, &self.token)?.json()?;
            let intents = answer["channels"][channel]["intents"].as_array().cloned();
            let name = json!(self.name);
            let is_named = |intent: &Value| {
                let hosts = intent["hosts"].as_array();
                hosts.is_some_and(|hosts| hosts.contains(&name))
            };
            Ok(intents.into_iter().flatten().rfind(is_named))
        })
    }

    /// Acknowledges an intent with the services that it is for.
    ///
    /// # Errors
    /// When the relay does not take it.
    pub fn acknowledges(&self, intent: &str, matched: &[&str]) -> Result<()> {
        self.reports(json!({ "intent": intent, "matched": matched }))
    }

    /// Says how the intent stands with `web`.
    ///
    /// # Errors
    /// When the relay does not take it.
    pub fn says(&self, intent: &str, outcome: &str, message: &str, log: &str) -> Result<()> {
        self.reports(json!({
            "intent": intent, "service": "web", "outcome": outcome, "message": message, "log_tail": log,
        }))
    }

    fn reports(&self, mut report: Value) -> Result<()> {
        report["attempt"] = json!(1);
        report["started_at"] = json!("2026-11-20T15:00:00Z");
        self.tell("/v1/reports", &json!([report]))
    }

    fn tell(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.relay.post(path, &self.token, body)?;
        ensure!(answer.status == 202, "{} at {path}: {answer:?}", self.name);
        Ok(())
    }
}
