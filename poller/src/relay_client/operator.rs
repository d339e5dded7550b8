//! What an operator asks of the relay: to queue an intent, and how it fares.

use towline_protocol::{IntentId, IntentStatus, NewIntent, Queued};
use ureq::http::{Request, StatusCode, header};

use super::{RelayClient, RelayError};

/// Names a request to queue an intent, so that it may be repeated.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

impl RelayClient {
    /// `POST /v1/intents`: queues `intent`. With the same `key` it may be repeated, and is queued once.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn queue(&self, intent: &NewIntent, key: &str) -> Result<Queued, RelayError> {
        let body =
            serde_json::to_vec(intent).map_err(|error| self.not_a_relay(error.to_string()))?;
        let request = Request::post(format!("{}/v1/intents", self.origin))
            .header(header::CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, key);
        let response = self.exchange(request.body(body))?;
        // It was queued by an earlier request with this key, whose answer was lost.
        let wanted = if response.status() == StatusCode::OK {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        };
        self.read(&self.json(response, wanted)?)
    }

    /// `GET /v1/intents/{id}`: how an intent fares on each host.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn intent_status(&self, id: &IntentId) -> Result<IntentStatus, RelayError> {
        let request = Request::get(format!("{}/v1/intents/{id}", self.origin));
        let response = self.exchange(request.body(Vec::new()))?;
        self.read(&self.json(response, StatusCode::OK)?)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<T, RelayError> {
        serde_json::from_slice(body).map_err(|error| {
            self.not_a_relay(format!(
                "its JSON is not understood: {error}; is it newer than this towline?"
            ))
        })
    }
}
