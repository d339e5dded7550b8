//! What is said on one connection: hello, rings, reports and their acknowledgements, pings.

use std::{
    collections::BTreeMap,
    io::Read,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::Instant,
};

use tokio::sync::{mpsc::UnboundedSender, oneshot};
use towline_protocol::{
    Hello, Intent, MAX_REQUEST_BODY, ToHost, ToHub,
    doorbell::{PING, PONG},
};

use super::{
    Event, Order, Timing, WAITING,
    lost::Lost,
    pulse::{Beat, Pulse},
    socket::Socket,
};
use crate::{relay_client::cut, report::Delivery, store::Spooled};

/// So many frames are read before orders and pings have their turn again.
const FRAMES: usize = 256;

/// Where orders come from.
pub(super) struct Ear {
    pub(super) orders: Receiver<Order>,
    /// Readable when there are any.
    pub(super) woken: UnixStream,
}

/// Where events go.
pub(super) struct Mouth {
    pub(super) events: UnboundedSender<Event>,
    /// How many rung intents nobody has taken yet.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Mouth {
    /// Tells an event; whoever does not listen any more ends the thread soon.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// How a connection ended.
pub(super) enum End {
    Stopped,
    Lost(Lost),
}

impl From<Lost> for End {
    fn from(why: Lost) -> Self {
        Self::Lost(why)
    }
}

/// Reports on their way.
struct Underway {
    answer: oneshot::Sender<Delivery>,
    /// Those that are not acknowledged.
    open: BTreeMap<String, Spooled>,
    taken: Vec<Spooled>,
    until: Instant,
}

impl Underway {
    /// Answers as things stand.
    fn answer(self) {
        let delivery = Delivery {
            taken: self.taken,
            unanswered: !self.open.is_empty(),
            ..Delivery::default()
        };
        // Whoever asked may have left; what was taken is sent again then, which is harmless.
        let _ = self.answer.send(delivery);
    }
}

/// One connection.
pub(super) struct Session<'a> {
    socket: Socket,
    hello: &'a mut Hello,
    ear: &'a Ear,
    mouth: &'a Mouth,
    timing: Timing,
    pulse: Pulse,
    underway: Vec<Underway>,
    /// Rings that were read and not told yet.
    rung: Vec<Intent>,
    /// Whether rings were dropped since the last hello.
    dropped: bool,
    /// Whether something odd was told.
    complained: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        socket: Socket,
        hello: &'a mut Hello,
        ear: &'a Ear,
        mouth: &'a Mouth,
        timing: Timing,
    ) -> Self {
        Self {
            socket,
            hello,
            ear,
            mouth,
            timing,
            pulse: Pulse::new(timing.rhythm, Instant::now()),
            underway: Vec::new(),
            rung: Vec::new(),
            dropped: false,
            complained: false,
        }
    }

    /// Goes on until the connection is lost or nobody wants it any more.
    pub(super) fn run(mut self) -> End {
        let end = self.go_on().err().unwrap_or(End::Stopped);
        if matches!(end, End::Stopped) {
            self.socket.leave();
        }
        self.underway.drain(..).for_each(Underway::answer);
        end
    }

    fn go_on(&mut self) -> Result<(), End> {
        self.say_hello()?;
        self.mouth.tell(Event::Connected);
        loop {
            let more = self.read()?;
            if !self.obey()? {
                return Ok(());
            }
            let mut next = match self.pulse.beat(Instant::now()) {
                Beat::Wait(until) => until,
                Beat::Silent => return Err(Lost::Silent.into()),
                Beat::Ping => {
                    self.socket.send(PING)?;
                    continue;
                }
            };
            self.answer_reports(Instant::now());
            for underway in &self.underway {
                next = next.min(underway.until);
            }
            if self.dropped && self.mouth.waiting.load(Ordering::Relaxed) == 0 {
                self.say_hello()?;
            }
            if !more {
                self.rest(next)?;
            }
        }
    }

    /// Waits until something is to be read or ordered, or `next`.
    fn rest(&mut self, next: Instant) -> Result<(), Lost> {
        let woken = &self.ear.woken;
        let rested = self.socket.wire().rest(woken, next);
        rested.map_err(|error| Lost::Broken {
            problem: error.to_string(),
        })
    }

    /// Marks always find room in a frame. So many services that they do not are told by reports alone.
    fn say_hello(&mut self) -> Result<(), Lost> {
        self.dropped = false;
        let mut text = json(&ToHub::Hello(self.hello.clone()));
        if text.len() > MAX_REQUEST_BODY {
            let services = Vec::new();
            text = json(&ToHub::Hello(Hello {
                services,
                ..self.hello.clone()
            }));
        }
        self.socket.send(&text)
    }

    /// Takes in what has come, and says whether there may be more.
    fn read(&mut self) -> Result<bool, Lost> {
        for _ in 0..FRAMES {
            let text = self.socket.read().inspect_err(|_| self.tell_rung())?;
            let Some(text) = text else {
                self.tell_rung();
                return Ok(false);
            };
            self.take(&text);
        }
        self.tell_rung();
        Ok(true)
    }

    fn take(&mut self, text: &str) {
        if text == PONG {
            return self.pulse.pong();
        }
        match serde_json::from_str(text) {
            Ok(ToHost::Ring { intent }) => self.note_ring(*intent, text.len()),
            Ok(ToHost::Ack { ids }) => self.note_ack(&ids),
            Ok(ToHost::Unknown) => {}
            Err(error) => self.complain(format!("is not understood: {}", cut(&error.to_string()))),
        }
    }

    /// What was not asked for is not worth a look, and what finds no room is asked for again.
    fn note_ring(&mut self, intent: Intent, length: usize) {
        if !self.hello.marks.contains_key(&intent.channel) {
            return;
        }
        if length > 2 * MAX_REQUEST_BODY {
            return self.complain(format!("has {length} bytes, more than any intent"));
        }
        let waiting = self.mouth.waiting.load(Ordering::Relaxed);
        if self.dropped || waiting + self.rung.len() >= WAITING {
            self.dropped = true;
        } else {
            self.rung.push(intent);
        }
    }

    fn tell_rung(&mut self) {
        if !self.rung.is_empty() {
            let rung = std::mem::take(&mut self.rung);
            self.mouth.waiting.fetch_add(rung.len(), Ordering::Relaxed);
            self.mouth.tell(Event::Rung(rung));
        }
    }

    fn complain(&mut self, what: String) {
        if !self.complained {
            self.complained = true;
            self.mouth.tell(Event::Odd(what));
        }
    }

    /// Takes the orders that have come, and says whether there will be any more.
    fn obey(&mut self) -> Result<bool, Lost> {
        let mut bytes = [0; 64];
        while matches!((&self.ear.woken).read(&mut bytes), Ok(1..)) {}
        loop {
            match self.ear.orders.try_recv() {
                Ok(Order::Hello { hello, aloud }) => {
                    *self.hello = hello;
                    if aloud {
                        self.say_hello()?;
                    }
                }
                Ok(Order::Deliver { batch, answer }) => self.report(batch, answer)?,
                // Without a name: the ack of it is nobody's.
                Ok(Order::Mention(report)) => {
                    self.socket
                        .send(&json(&ToHub::Report { id: None, report }))?;
                }
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn report(
        &mut self,
        batch: Vec<Spooled>,
        answer: oneshot::Sender<Delivery>,
    ) -> Result<(), Lost> {
        let named = |one: Spooled| (one.id.to_string(), one);
        let open: BTreeMap<_, _> = batch.into_iter().map(named).collect();
        let frames: Vec<_> = open
            .iter()
            .map(|(id, one)| {
                json(&ToHub::Report {
                    id: Some(id.clone()),
                    report: Box::new(one.report.clone()),
                })
            })
            .collect();
        if frames.iter().any(|frame| frame.len() > MAX_REQUEST_BODY) {
            undelivered(answer);
            return Ok(());
        }
        self.underway.push(Underway {
            answer,
            open,
            taken: Vec::new(),
            until: Instant::now() + self.timing.ack,
        });
        frames.iter().try_for_each(|frame| self.socket.send(frame))
    }

    fn note_ack(&mut self, ids: &[String]) {
        for underway in &mut self.underway {
            let taken = ids.iter().filter_map(|id| underway.open.remove(id));
            underway.taken.extend(taken);
        }
        self.answer_reports(Instant::now());
    }

    /// Answers whoever waits for reports that are all acknowledged, or not in time.
    fn answer_reports(&mut self, now: Instant) {
        let is_over = |one: &mut Underway| one.open.is_empty() || one.until <= now;
        let over = self.underway.extract_if(.., is_over);
        over.for_each(Underway::answer);
    }
}

/// A frame as text; every one can be written.
fn json(frame: &ToHub) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

/// Answers that nothing could be sent.
pub(super) fn undelivered(answer: oneshot::Sender<Delivery>) {
    let delivery = Delivery {
        unanswered: true,
        ..Delivery::default()
    };
    let _ = answer.send(delivery);
}
