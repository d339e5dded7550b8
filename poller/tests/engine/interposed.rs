//! The engine behind a socket of ours, which knows each call before the engine does: a test can do something right before
//! a call, or leave the poller alone at it for ever, as a power cut would.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::oneshot,
};
use towline::docker::{Address, Docker};

use crate::scene::required;

/// A method, and how the path goes on.
type Call = (&'static str, &'static str);

const DISARM: Call = ("POST", "/update");
const RENAME: Call = ("POST", "/rename");
const START: Call = ("POST", "/start");
const LOOK: Call = ("GET", "/json");

/// A place in a deploy of one container: the calls that lead there, of which the last one has not been made.
pub(crate) type Place = &'static [Call];

pub(crate) const CREATE: Place = &[("POST", "/containers/create")];
pub(crate) const TO_DISARM: Place = &[DISARM];
pub(crate) const STOP: Place = &[("POST", "/stop")];
pub(crate) const PARK: Place = &[RENAME];
pub(crate) const PROMOTE: Place = &[RENAME, RENAME];
pub(crate) const TO_START: Place = &[START];
/// The new container was started; its first look is still to come.
pub(crate) const STARTED: Place = &[START, LOOK];
/// In the gate.
pub(crate) const GATE: Place = &[START, LOOK, LOOK, LOOK];
/// The new version was committed.
pub(crate) const ARM: Place = &[DISARM, DISARM];
pub(crate) const REMOVE: Place = &[("DELETE", "/containers/")];

type Then = Box<dyn FnOnce() -> Goes + Send>;

/// Whether the call is passed on.
enum Goes {
    On,
    Nowhere,
}

/// What is still to be seen until the place is reached, and what is done there.
struct Watch {
    ahead: std::slice::Iter<'static, Call>,
    next: Option<Call>,
    then: Option<Then>,
}

/// The engine, with this done at `place`, once, before the call is passed on.
pub(crate) async fn before(place: Place, then: impl FnOnce() + Send + 'static) -> Docker {
    let then = || {
        then();
        Goes::On
    };
    interposed(place, Box::new(then)).await
}

/// The engine, which cannot be heard any more from `place` on; the receiver is told.
pub(crate) async fn cut(place: Place) -> (Docker, oneshot::Receiver<()>) {
    let (reached, cut) = oneshot::channel();
    let then = || {
        reached.send(()).ok();
        Goes::Nowhere
    };
    (interposed(place, Box::new(then)).await, cut)
}

/// What serves it ends with the test.
async fn interposed(place: Place, then: Then) -> Docker {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let mut ahead = place.iter();
    let next = ahead.next().copied();
    let then = Some(then);
    let watch = Arc::new(Mutex::new(Watch { ahead, next, then }));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let watch = Arc::clone(&watch);
            // Either side may break off.
            tokio::spawn(async move { pass(client, &watch).await.ok() });
        }
    });
    Docker::connect(Some(&address)).await.unwrap()
}

impl Watch {
    /// Takes note of what a client sends; returns what is to be done first, where that is the place.
    fn note(&mut self, sent: &[u8]) -> Option<Then> {
        let line = sent.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let (method, path) = self.next?;
        if !line.starts_with(method) || !line.contains(path) {
            return None;
        }
        self.next = self.ahead.next().copied();
        if self.next.is_none() {
            self.then.take()
        } else {
            None
        }
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn engine() -> std::io::Result<Box<dyn Wire>> {
    Ok(
        match Address::parse(Some(&required("DOCKER_HOST"))).unwrap() {
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Address::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        },
    )
}

/// A client writes the head of a request at once and waits for the answer, so that each request begins a piece.
async fn pass(client: TcpStream, watch: &Mutex<Watch>) -> std::io::Result<()> {
    let (mut from_engine, mut to_engine) = split(engine().await?);
    let (mut from_client, mut to_client) = split(client);
    let back = tokio::spawn(async move { copy(&mut from_engine, &mut to_client).await });
    let mut piece = vec![0; 65536];
    loop {
        let length = from_client.read(&mut piece).await?;
        if length == 0 {
            back.abort();
            return Ok(());
        }
        let then = watch.lock().unwrap().note(&piece[..length]);
        if let Some(Goes::Nowhere) = then.map(|then| then()) {
            std::future::pending::<()>().await;
        }
        to_engine.write_all(&piece[..length]).await?;
    }
}
