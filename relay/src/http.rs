//! The edge to HTTP: requests into the pure half's types, answers out of them.
//!
//! No decision is made here but how much of a body is read.

use futures_util::StreamExt;
use worker::{Request, Response};

use crate::{
    api::Answer,
    error::{Fault, Refusal},
    webhook::Head,
};

/// The headers that a delivery is judged by.
pub fn delivery_head(request: &Request) -> Head {
    Head {
        content_type: header(request, "content-type"),
        content_length: header(request, "content-length"),
        signature: header(request, "x-hub-signature-256"),
        event: header(request, "x-github-event"),
        delivery: header(request, "x-github-delivery"),
    }
}

/// A header's value; several of one name are joined with commas.
pub fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// The query, without its question mark and as it was sent.
pub fn query(request: &Request) -> String {
    let url = request.inner().url();
    let query = url.split_once('?').map(|(_, query)| query);
    query.unwrap_or_default().to_owned()
}

/// Reads the body as raw bytes and stops as soon as it is over `limit`.
///
/// # Errors
/// 413 over the limit, 503 when the runtime fails.
pub async fn read_body(request: &mut Request, limit: usize) -> Result<Vec<u8>, Refusal> {
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    let fault = |error: worker::Error| Refusal::from(Fault::storage("body", error));
    let mut stream = request.stream().map_err(fault)?;
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(fault)?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Refusal::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sends an answer; none may be stored on the way.
///
/// # Errors
/// When the runtime refuses a header.
pub fn send(answer: Answer) -> worker::Result<Response> {
    let mut builder = Response::builder()
        .with_status(answer.status)
        .with_header("cache-control", "no-store")?;
    for (name, value) in &answer.headers {
        builder = builder.with_header(name, value)?;
    }
    if answer.status == 304 {
        return Ok(builder.empty());
    }
    let builder = builder.with_header("content-type", "application/json")?;
    Ok(builder.fixed(answer.body.into_bytes()))
}
