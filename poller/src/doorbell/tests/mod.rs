//! Against a relay's end of a WebSocket on loopback that does whatever the story needs.

use std::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use tokio::time::timeout;
use towline_protocol::{Hello, Report, ServiceState, ToHost, ToHub};
use tungstenite::{
    Message, WebSocket, accept_hdr,
    handshake::server::{Request, Response},
};

use super::*;
use crate::{relay_client::RelayError, testing::intent};

mod refusal;
mod reports;
mod rings;
mod route;

/// The relay's end.
type Hub = WebSocket<TcpStream>;

const MOMENT: Duration = Duration::from_secs(20);

/// What the relay saw of the way in.
struct Asked {
    path: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A relay whose connections come out at the other end.
fn relay() -> (Route, Receiver<(Hub, Asked)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (give, hubs) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut asked = None;
            #[expect(
                clippy::result_large_err,
                reason = "the callback's type is the crate's"
            )]
            let look = |request: &Request, answer: Response| {
                let headers = request.headers().iter();
                asked = Some(Asked {
                    path: request.uri().to_string(),
                    headers: headers
                        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                        .collect(),
                });
                Ok(answer)
            };
            stream.set_read_timeout(Some(MOMENT)).unwrap();
            let Ok(hub) = accept_hdr(stream, look) else {
                continue;
            };
            if give.send((hub, asked.unwrap())).is_err() {
                return;
            }
        }
    });
    (direct(port), hubs)
}

fn direct(port: u16) -> Route {
    Route::direct(format!("http://127.0.0.1:{port}").parse().unwrap())
}

/// Like the real one, but in a hurry to connect again.
fn timing() -> Timing {
    Timing {
        deadlines: Deadlines {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(5),
        },
        rest: 0.001,
        ..Timing::default()
    }
}

fn start(route: Route, timing: Timing) -> Doorbell {
    let token = Secret::new("tl1.e30.hunter2");
    let bell = Doorbell::start_timed(route, token, timing).unwrap();
    bell.say(hello("7.3"), false);
    bell
}

fn hello(mark: &str) -> Hello {
    Hello {
        version: "1".to_owned(),
        marks: [("octo-org/web".parse().unwrap(), mark.parse().unwrap())].into(),
        services: Vec::new(),
    }
}

/// The next frame that the relay gets.
fn heard(hub: &mut Hub) -> ToHub {
    loop {
        if let Message::Text(text) = hub.read().unwrap() {
            return serde_json::from_str(text.as_str()).unwrap();
        }
    }
}

fn send(hub: &mut Hub, frame: &ToHost) {
    hub.send(Message::text(serde_json::to_string(frame).unwrap()))
        .unwrap();
}

fn ring(seq: u64) -> ToHost {
    let intent = Box::new(intent(7, seq));
    ToHost::Ring { intent }
}

async fn next(bell: &mut Doorbell) -> Event {
    timeout(MOMENT, bell.next()).await.expect("an event")
}

async fn connected(bell: &mut Doorbell) {
    let event = next(bell).await;
    assert!(matches!(event, Event::Connected), "{event:?}");
}

/// The numbers of the next `count` intents that are rung.
async fn rung(bell: &mut Doorbell, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let event = next(bell).await;
        let Event::Rung(intents) = event else {
            panic!("{event:?}");
        };
        seqs.extend(intents.iter().map(|intent| intent.seq));
    }
    seqs
}

async fn lost(bell: &mut Doorbell) -> Lost {
    let event = next(bell).await;
    let Event::Lost { why, .. } = event else {
        panic!("{event:?}");
    };
    why
}
