//! Plain HTTP as a browser, `curl` or GitHub would speak it: every status is an answer.

use std::time::Duration;

use anyhow::{Context, Result};
use ureq::{Agent, http::HeaderMap};

use crate::wait::until;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The error's code; empty when the body is no error.
    pub fn code(&self) -> String {
        let body = self.json().unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON; with the body.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {:?}", self.body))
    }
}

/// Headers to send.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(30)));
    config.build().into()
}

/// `GET url`.
///
/// # Errors
/// When nobody answers.
pub fn get(url: &str, headers: Headers) -> Result<Answer> {
    let mut request = agent().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request.call().with_context(|| format!("GET {url}"))?)
}

/// What the page at `url` says, once it answers 200.
///
/// # Errors
/// When it does not `within` that time.
pub fn page(url: &str, within: Duration) -> Result<String> {
    until(&format!("an answer of {url}"), within, || {
        let answer = get(url, &[]).ok().filter(|answer| answer.status == 200);
        Ok(answer.map(|answer| answer.body.trim().to_owned()))
    })
}

/// `POST url` with `body`.
///
/// # Errors
/// When nobody answers.
pub fn post(url: &str, headers: Headers, body: &[u8]) -> Result<Answer> {
    let mut request = agent().post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request.send(body).with_context(|| format!("POST {url}"))?)
}

/// `POST url` with `body` in chunks, whose length is not told beforehand.
///
/// # Errors
/// When nobody answers.
pub fn post_chunked(url: &str, headers: Headers, mut body: &[u8]) -> Result<Answer> {
    let mut request = agent().post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let sent = request.send(ureq::SendBody::from_reader(&mut body));
    answer(sent.with_context(|| format!("POST {url}"))?)
}

/// `PUT url` with `body`.
///
/// # Errors
/// When nobody answers.
pub fn put(url: &str, body: &[u8]) -> Result<Answer> {
    answer(
        agent()
            .put(url)
            .send(body)
            .with_context(|| format!("PUT {url}"))?,
    )
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.body_mut().read_to_string()?,
    })
}
