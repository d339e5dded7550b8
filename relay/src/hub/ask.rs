//! What the Worker asks the hub: one request for each, as JSON, inside of Cloudflare only.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use towline_protocol::{Channel, Glob, Hello, HostName, IntentId, Mark, Report};
use worker::{Env, Headers, Method, Request, RequestInit, Response, Stub};

use crate::{doorbell::Caller, error::Fault, gate::Candidate, http, missed::Look};

/// The name of the Durable Object binding.
const BINDING: &str = "HUB";

/// The name of the one object.
const NAME: &str = "hub";

/// The runtime wants an absolute address and looks at none of it.
const ADDRESS: &str = "https://hub/";

/// Who opens a doorbell. The Worker writes it into a request of its own, so that no client's is passed on.
const CALLER: &str = "towline-caller";

/// A question or an order to the hub.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Number this and remember it: [`Committed`].
    Queue(Box<Candidate>),
    /// Number this unless its key is known, and give the intent: `manual::Ordered`.
    Order(Box<Candidate>),
    /// What is newer than these marks: `Polled`.
    Since(BTreeMap<Channel, Mark>),
    /// How an intent fares: `IntentStatus`, or null.
    Status(IntentId),
    /// Keep what a host reports: [`Kept`].
    Keep {
        /// The host, as its token names it.
        host: HostName,
        /// The channels that its token allows.
        channels: Vec<Glob>,
        /// What it reports.
        reports: Vec<Report>,
    },
    /// What is remembered of these hooks at GitHub: a map of `missed::Look`.
    Looks(Vec<String>),
    /// Remember this of them.
    Looked(BTreeMap<String, Look>),
    /// Compare KV with the database and forget what is old: `upkeep::Done`.
    Upkeep {
        /// After how many milliseconds intents and reports go; `None` keeps them all.
        retention_ms: Option<u64>,
    },
    /// The hosts that share a channel with these globs: `Fleet`.
    Fleet(Vec<Glob>),
    /// Register a host: how many channels it listens to now.
    Hello {
        /// The host, as its token names it.
        host: HostName,
        /// The channels that its token allows.
        channels: Vec<Glob>,
        /// What it says of itself.
        hello: Hello,
    },
}

/// What the hub has committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The intent.
    pub id: IntentId,
    /// Its number.
    pub seq: u64,
    /// Whether it was there before.
    pub duplicate: bool,
}

/// What the hub has kept of a host's reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// How many were stored or had been overtaken.
    pub accepted: u32,
    /// The intents whose reports were left out, because the token does not allow their channels.
    pub left_out: Vec<IntentId>,
}

/// Asks the hub and returns its answer's JSON.
///
/// # Errors
/// When the hub cannot be reached or says that it failed.
pub async fn ask(env: &Env, ask: &Ask) -> Result<String, Fault> {
    let json = serde_json::to_string(ask).map_err(failed)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(json.into()));
    let request = Request::new_with_init(ADDRESS, &init).map_err(failed)?;
    let asked = stub(env)?.fetch_with_request(request).await;
    let mut response = asked.map_err(failed)?;
    let bytes = response.bytes().await.map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(failed)?;
    if response.status_code() == 200 {
        Ok(text)
    } else {
        Err(Fault::Storage(text))
    }
}

/// Passes a doorbell on to the hub, which answers with the other end of the socket.
///
/// # Errors
/// When the hub cannot be reached or says that it failed.
pub async fn connect(env: &Env, caller: &Caller) -> Result<Response, Fault> {
    let json = serde_json::to_vec(caller).map_err(failed)?;
    let headers = Headers::new();
    let caller = BASE64URL_NOPAD.encode(&json);
    for (name, value) in [("upgrade", "websocket"), (CALLER, &caller)] {
        headers.set(name, value).map_err(failed)?;
    }
    let mut init = RequestInit::new();
    init.with_headers(headers);
    let request = Request::new_with_init(ADDRESS, &init).map_err(failed)?;
    let connected = stub(env)?.fetch_with_request(request).await;
    let mut response = connected.map_err(failed)?;
    if response.status_code() == 101 {
        return Ok(response);
    }
    let bytes = response.bytes().await.map_err(failed)?;
    Err(Fault::Storage(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Who opens a doorbell with this request, if it is for that.
///
/// # Errors
/// When it cannot be read.
pub fn caller(request: &Request) -> Result<Option<Caller>, Fault> {
    let Some(text) = http::header(request, CALLER) else {
        return Ok(None);
    };
    let json = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(failed)?;
    crate::json::of_bytes(&json).map(Some).map_err(failed)
}

fn stub(env: &Env) -> Result<Stub, Fault> {
    let namespace = env.durable_object(BINDING).map_err(failed)?;
    namespace.get_by_name(NAME).map_err(failed)
}

/// Reads the hub's answer.
///
/// # Errors
/// When it is not what was asked for.
pub fn answer<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::storage("hub", error)
}
