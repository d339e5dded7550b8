//! The hub: the one Durable Object, which numbers intents and alone writes their mailboxes.
//!
//! [`store`] says what its database promises. An intent is committed together with its number, its
//! dedupe key and an alarm; the put into KV follows, and is not waited for. An await in here lets other
//! requests in, so one put per channel is in flight at a time and its value is read from SQL at the
//! moment of the put. What fails, or what an eviction cuts off, the alarm repeats: the channel's row
//! says how far KV has come, memory only paces the puts ([`crate::pace`]). An alarm that fires is gone,
//! so it is set anew before anything else, unless a look at the rows has shown that nothing is due.
//!
//! Epochs are per channel: the hub's creation time, unless KV holds a mailbox of an earlier hub that is
//! not below it. Raising the epoch of one channel then renumbers no other.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use towline_protocol::{Channel, HostName};
use worker::{
    DurableObject, Env, Request, Response, Socket, State, Storage, WebSocket,
    WebSocketIncomingMessage, console_error, durable_object, wasm_bindgen,
};

use crate::{
    error::Fault,
    kv::Mailboxes,
    mailbox::Room,
    now_ms,
    pace::{self, Pace},
    tally::{Event, Tally},
};

pub mod ask;
mod counts;
mod hosts;
mod puts;
mod queue;
mod sockets;
pub mod sql;
pub mod store;
mod upkeep;

use ask::Ask;
use store::Store;

/// The hub's class, as `wrangler.toml` names it.
#[durable_object]
pub struct Hub {
    state: State,
    env: Env,
    /// Opened on first need. A failure is not kept, so that the next request tries again.
    parts: OnceCell<Parts>,
    pace: Rc<RefCell<Pace>>,
}

/// What outlives a request: handles, and the pacing of puts.
#[derive(Clone)]
struct Parts {
    store: Store,
    storage: Rc<Storage>,
    mailboxes: Mailboxes,
    pace: Rc<RefCell<Pace>>,
    tally: Rc<RefCell<Tally>>,
}

impl DurableObject for Hub {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            parts: OnceCell::new(),
            pace: Rc::default(),
        }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let answered = match ask::caller(&request) {
            Ok(Some(caller)) => self.open(&caller),
            Ok(None) => {
                let body = request.bytes().await?;
                self.answer(&body)
                    .await
                    .and_then(|json| Response::ok(json).map_err(failed))
            }
            Err(fault) => Err(fault),
        };
        self.note(Event::Request);
        match answered {
            Ok(response) => Ok(response),
            // The asker makes it a fault of storage again.
            Err(Fault::Storage(what)) => Response::error(what, 500),
            Err(fault @ Fault::Settings(_)) => Response::error(fault.to_string(), 500),
        }
    }

    /// Repeats the puts that are due. Fails only when the next alarm could not be set: then the runtime
    /// repeats this one, and it gives up after a few times.
    async fn alarm(&self) -> worker::Result<Response> {
        let due = self.due();
        self.note(Event::Request);
        let is_due = !due.as_ref().is_ok_and(Vec::is_empty);
        let Some(again) = self.pace.borrow_mut().alarm(is_due) else {
            return Response::ok("");
        };
        // Before the work, so that neither a failure nor an eviction in its middle loses anything.
        let armed = arm(&self.state.storage(), again).await;
        if let Err(fault) = self.repeat(due).await {
            console_error!("alarm: {fault}");
        }
        armed.inspect_err(|error| console_error!("alarm: cannot be set: {error}"))?;
        Response::ok("")
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> worker::Result<()> {
        self.hear(&socket, &message);
        self.note(Event::Frame);
        Ok(())
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        _code: usize,
        _reason: String,
        _was_clean: bool,
    ) -> worker::Result<()> {
        self.left(&socket);
        Ok(())
    }

    async fn websocket_error(
        &self,
        socket: WebSocket,
        _error: worker::Error,
    ) -> worker::Result<()> {
        self.left(&socket);
        Ok(())
    }

    /// Nobody connects to the hub by TCP. Without this the handler's default would panic.
    async fn connect(&self, _socket: Socket) -> worker::Result<()> {
        Err("the hub takes no TCP connections".into())
    }
}

impl Hub {
    async fn answer(&self, body: &[u8]) -> Result<String, Fault> {
        let parts = self.parts()?;
        match crate::json::of_bytes(body).map_err(failed)? {
            Ask::Queue(candidate) => json(&self.queue(parts, *candidate).await?),
            Ask::Order(candidate) => json(&self.order(parts, *candidate).await?),
            Ask::Since(marks) => json(&parts.store.since(&marks, Room::new(marks.len()))?),
            Ask::Status(id) => {
                let heard_at = |host: &HostName| self.heard_at(host);
                json(&parts.store.status(&id, now()?, heard_at)?)
            }
            Ask::Keep {
                host,
                channels,
                reports,
            } => json(&self.keep(&host, &channels, &reports)?),
            Ask::Looks(hooks) => json(&parts.store.looks(&hooks)?),
            Ask::Looked(looks) => json(&parts.store.looked(&looks)?),
            Ask::Upkeep { retention_ms } => {
                let heard_at = |host: &HostName| self.heard_at(host);
                json(&parts.upkeep(retention_ms, heard_at).await?)
            }
            Ask::Fleet(globs) => json(&self.fleet(&globs)?),
            Ask::Hello {
                host,
                channels,
                hello,
            } => json(&self.register(&host, &channels, hello).map(drop)?),
        }
    }

    fn parts(&self) -> Result<&Parts, Fault> {
        if let Some(parts) = self.parts.get() {
            return Ok(parts);
        }
        let parts = Parts::open(&self.state, &self.env, self.pace.clone())?;
        Ok(self.parts.get_or_init(|| parts))
    }

    fn due(&self) -> Result<Vec<Channel>, Fault> {
        self.parts()?.store.due()
    }

    async fn repeat(&self, due: Result<Vec<Channel>, Fault>) -> Result<(), Fault> {
        let parts = self.parts()?;
        // At once, so that one that hangs holds up no other.
        stream::iter(due?)
            .for_each_concurrent(pace::PUTS_AT_ONCE, async |channel| {
                parts.flush(&channel).await;
            })
            .await;
        Ok(())
    }
}

impl Parts {
    fn open(state: &State, env: &Env, pace: Rc<RefCell<Pace>>) -> Result<Self, Fault> {
        let store = Store::open(Rc::new(state.storage().sql()), now_ms())?;
        // Nothing depends on the counts, so that none that another version wrote stops the hub.
        let counted = store.tally().unwrap_or_else(|fault| {
            console_error!("the day's counts begin anew: {fault}");
            None
        });
        let tally = Tally::new(counted, now()?);
        Ok(Self {
            store,
            tally: Rc::new(RefCell::new(tally)),
            storage: Rc::new(state.storage()),
            mailboxes: Mailboxes::open(env)?,
            pace,
        })
    }
}

/// Sets the alarm unless one is set: moving it would let a stream of deliveries put it off for ever.
async fn arm(storage: &Storage, after: Duration) -> worker::Result<()> {
    if storage.get_alarm().await?.is_none() {
        storage.set_alarm(after).await?;
    }
    Ok(())
}

fn now() -> Result<Timestamp, Fault> {
    let millis = i64::try_from(now_ms()).map_err(failed)?;
    Timestamp::from_millisecond(millis).map_err(failed)
}

fn json<T: Serialize>(answer: &T) -> Result<String, Fault> {
    serde_json::to_string(answer).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::storage("hub", error)
}
