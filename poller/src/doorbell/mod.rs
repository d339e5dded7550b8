//! The doorbell: a WebSocket to the relay that is kept open, by which intents come at once and reports go.
//!
//! Here: connecting, again and again, in a thread of its own; frames; whether the other end is still there. What it
//! brings is only a hint to look sooner: whatever it does, repeats, reorders or leaves out, `mailbox` and the polls
//! see to it that no intent is lost or taken twice. Not here: what an intent does to a mark (`mailbox`), and which
//! proxy and which certificates count (`route`).
//! `wire`, `link`, `head` and `socket` are the connection from the bottom up, `session` is what is said on it, `thread`
//! connects; `pulse` and `lost` decide.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::sync::{mpsc as events, oneshot};
use towline_protocol::{Hello, Intent, Report, Secret};

use crate::{relay_client::Deadlines, report::Delivery, route::Route, store::Spooled};

mod head;
mod link;
mod lost;
mod pulse;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod thread;
mod wire;

pub use lost::Lost;
use pulse::Rhythm;

/// So many rung intents may wait for the loop. What more comes is dropped and asked for again when they are taken.
const WAITING: usize = 1024;

/// What the doorbell has to tell.
#[derive(Debug)]
pub enum Event {
    /// There is a connection, and the relay knows who is there.
    Connected,
    /// Intents that the relay says are new, in the order in which they came.
    Rung(Vec<Intent>),
    /// There is no connection: it did not come about, or it was lost.
    Lost {
        /// Why.
        why: Lost,
        /// When it is tried again.
        again_in: Duration,
    },
    /// Something came that is not understood, told once for a connection.
    Odd(String),
}

/// What the thread is told.
enum Order {
    Hello {
        hello: Hello,
        aloud: bool,
    },
    Mention(Box<Report>),
    Deliver {
        batch: Vec<Spooled>,
        answer: oneshot::Sender<Delivery>,
    },
}

/// How long things take, apart from connecting.
#[derive(Clone, Copy, Debug)]
struct Timing {
    deadlines: Deadlines,
    rhythm: Rhythm,
    /// How long the relay may take to acknowledge reports.
    ack: Duration,
    /// What every pause before connecting again is multiplied by; 1 but in tests.
    rest: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            rhythm: Rhythm {
                every: Duration::from_secs(60),
                within: Duration::from_secs(15),
            },
            ack: Duration::from_secs(30),
            rest: 1.0,
        }
    }
}

/// The way to the thread. The connection ends when this is dropped.
#[derive(Debug)]
pub struct Doorbell {
    orders: mpsc::Sender<Order>,
    /// Wakes the thread.
    waker: UnixStream,
    events: events::UnboundedReceiver<Event>,
    /// How many rung intents wait in `events`.
    waiting: Arc<AtomicUsize>,
}

impl Doorbell {
    /// Starts the thread. It connects when it has been told what to [`Doorbell::say`].
    ///
    /// # Errors
    /// When the system refuses the thread or what wakes it.
    pub fn start(route: Route, token: Secret) -> io::Result<Self> {
        Self::start_timed(route, token, Timing::default())
    }

    fn start_timed(route: Route, token: Secret, timing: Timing) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let (tell, events) = events::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let bell = thread::Bell {
            route,
            token,
            timing,
            hello: None,
            ear: session::Ear {
                orders: ordered,
                woken,
            },
            mouth: session::Mouth {
                events: tell,
                waiting: Arc::clone(&waiting),
            },
        };
        std::thread::Builder::new()
            .name("doorbell".to_owned())
            .spawn(move || bell.ring())?;
        Ok(Self {
            orders,
            waker,
            events,
            waiting,
        })
    }

    /// What to say of this host whenever there is a new connection, and with `aloud` now, if there is one.
    pub fn say(&self, hello: Hello, aloud: bool) {
        self.order(Order::Hello { hello, aloud });
    }

    /// Sends reports; answered when all are acknowledged, some are not in time, or the connection is lost.
    pub fn deliver(&self, batch: Vec<Spooled>) -> oneshot::Receiver<Delivery> {
        let (answer, receiver) = oneshot::channel();
        self.order(Order::Deliver { batch, answer });
        receiver
    }

    /// What happens next; never, when the thread has ended.
    pub async fn next(&mut self) -> Event {
        let Some(event) = self.events.recv().await else {
            return std::future::pending().await;
        };
        if let Event::Rung(intents) = &event {
            self.waiting.fetch_sub(intents.len(), Ordering::Relaxed);
        }
        event
    }

    /// Sends a report that nobody will miss, if there is a connection.
    pub fn mention(&self, report: Report) {
        self.order(Order::Mention(Box::new(report)));
    }

    fn order(&self, order: Order) {
        // The thread lives as long as this sender. A waker that is full will wake it, too.
        let _ = self.orders.send(order);
        let _ = (&self.waker).write(&[1]);
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // The orders' end must be seen before the wake.
        self.orders = mpsc::channel().0;
        let _ = (&self.waker).write(&[1]);
    }
}
