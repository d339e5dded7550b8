//! What a client sees: 50 requests a second in an open loop.
//!
//! A request begins every 20 ms, whether or not the earlier ones have ended, each on a connection of its own. It has
//! failed when it cannot connect within 0.25 s, does not end within 0.5 s, or is not answered with 200.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use towline_tests::wait::until;

use crate::numbers::longest_gap;

const EVERY: Duration = Duration::from_millis(20);
const CONNECT: Duration = Duration::from_millis(250);
const TOTAL: Duration = Duration::from_millis(500);
/// More than a page has: who never ends has failed.
const LONGEST: usize = 64 * 1024;

/// A client that asks all the time.
pub(crate) struct Prober {
    asked: Arc<Asked>,
    asking: JoinHandle<()>,
}

/// When each request ended, and the page if it was good.
#[derive(Default)]
struct Asked {
    ended: Mutex<Vec<(Instant, Option<String>)>>,
    is_over: AtomicBool,
}

/// What came of all requests.
pub(crate) struct Seen {
    /// The longest time between two good answers that follow each other.
    pub(crate) gap: Duration,
    /// How many had no good answer.
    pub(crate) failed: u32,
}

impl Prober {
    /// Begins to ask.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let asked = Arc::new(Asked::default());
        let shared = Arc::clone(&asked);
        let asking = thread::spawn(move || ask(address, &shared));
        Self { asked, asking }
    }

    /// When the first request ended that this is true of; its page is `None` where it failed.
    pub(crate) fn wait_for(
        &self,
        within: Duration,
        wanted: impl Fn(Option<&str>) -> bool,
    ) -> Result<Instant> {
        until("an answer", within, || {
            let ended = self.asked.ended();
            let those = ended.iter().filter(|(_, page)| wanted(page.as_deref()));
            Ok(those.map(|(at, _)| *at).min())
        })
    }

    /// Asks no more, and waits for the answers that are still to come.
    pub(crate) fn stop(self) -> Seen {
        self.asked.is_over.store(true, Ordering::Relaxed);
        // A request that panicked is not among the answers.
        let _ = self.asking.join();
        let ended = self.asked.ended();
        let (good, failed): (Vec<_>, Vec<_>) = ended.iter().partition(|(_, page)| page.is_some());
        Seen {
            gap: longest_gap(good.iter().map(|(at, _)| *at).collect()),
            failed: u32::try_from(failed.len()).unwrap_or(u32::MAX),
        }
    }
}

impl Asked {
    fn ended(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Option<String>)>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask(address: SocketAddr, asked: &Arc<Asked>) {
    let mut requests = Vec::new();
    let mut next = Instant::now();
    while !asked.is_over.load(Ordering::Relaxed) {
        let asked = Arc::clone(asked);
        requests.push(thread::spawn(move || {
            let page = page(address);
            asked.ended().push((Instant::now(), page));
        }));
        // What is late is made up for.
        next += EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    for request in requests {
        let _ = request.join();
    }
}

/// The page, when it comes with status 200 in time.
fn page(address: SocketAddr) -> Option<String> {
    let deadline = Instant::now() + TOTAL;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).ok()?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: toy\r\n\r\n")
        .ok()?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left)).ok()?;
        let count = stream.read(&mut chunk).ok()?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(chunk.get(..count)?);
        if answer.len() > LONGEST {
            return None;
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    (status == "200").then(|| body.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that gives the first answer so often, and then the other one.
    fn server(first: &'static str, times: usize, then: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = if number < times { first } else { then };
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    #[test]
    fn a_page_is_good_only_with_status_200_and_its_head() {
        let said = |answer| page(server(answer, 1, ""));
        assert_eq!(said("HTTP/1.0 200 OK\r\n\r\ntoy v1\n").unwrap(), "toy v1");
        for bad in ["HTTP/1.0 500 X\r\n\r\ntoy v1\n", "HTTP/1.0 200 OK\r\n", ""] {
            assert_eq!(said(bad), None, "{bad:?}");
        }
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        assert_eq!(page(gone.unwrap()), None);
    }

    #[test]
    fn who_accepts_and_says_nothing_has_failed_after_half_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        assert_eq!(page(listener.local_addr().unwrap()), None);
        assert!(begun.elapsed() >= TOTAL);
    }

    #[test]
    fn what_failed_is_counted_and_what_came_is_found() {
        let (bad, good) = ("HTTP/1.0 503 X\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nv2");
        let prober = Prober::start(server(bad, 3, good));
        prober
            .wait_for(Duration::from_secs(20), |page| page == Some("v2"))
            .unwrap();
        let wait = prober.wait_for(Duration::from_millis(10), |page| page == Some("v3"));
        assert!(wait.is_err(), "nobody said v3");
        assert_eq!(prober.stop().failed, 3);
    }
}
