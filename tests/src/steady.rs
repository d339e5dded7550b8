//! Clients that ask at a steady rate, in an open loop, while something is done to what they ask.
//!
//! A request begins with each tick, whether or not the earlier ones have ended, on a connection of its own. It has failed when it
//! cannot connect in time, does not end in time, or is not answered with 200.

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

use crate::wait::until;

/// More than a page has: who never ends has failed.
const LONGEST: usize = 64 * 1024;

/// How often is asked, and how long an answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one request to the next.
    pub every: Duration,
    /// To connect.
    pub connect: Duration,
    /// To the end of the answer.
    pub total: Duration,
}

impl Pace {
    /// 200 requests a second, each with the patience of a person.
    pub const BUSY: Self = Self {
        every: Duration::from_millis(5),
        connect: Duration::from_secs(5),
        total: Duration::from_secs(10),
    };
    /// 50 requests a second, each with that of a program.
    pub const HASTY: Self = Self {
        every: Duration::from_millis(20),
        connect: Duration::from_millis(250),
        total: Duration::from_millis(500),
    };
}

/// Clients that ask all the time.
pub struct Clients {
    asked: Arc<Asked>,
    asking: JoinHandle<()>,
}

/// One request that has ended.
struct Ended {
    at: Instant,
    took: Duration,
    page: Result<String, String>,
}

#[derive(Default)]
struct Asked {
    ended: Mutex<Vec<Ended>>,
    is_over: AtomicBool,
}

/// What came of all requests.
pub struct Seen {
    /// When each good answer had come.
    pub good: Vec<Instant>,
    /// What became of each other request instead.
    pub failed: Vec<String>,
    /// How long the slowest took, good or not.
    pub slowest: Duration,
}

impl Clients {
    /// Begins to ask at this pace.
    pub fn start(address: SocketAddr, pace: Pace) -> Self {
        let asked = Arc::new(Asked::default());
        let shared = Arc::clone(&asked);
        let asking = thread::spawn(move || ask(address, pace, &shared));
        Self { asked, asking }
    }

    /// When the first request ended that this is true of; its page is `None` where it failed.
    ///
    /// # Errors
    /// When there is none `within` that time.
    pub fn wait_for(
        &self,
        within: Duration,
        wanted: impl Fn(Option<&str>) -> bool,
    ) -> Result<Instant> {
        until("an answer", within, || {
            let ended = self.asked.ended();
            let those = ended.iter().filter(|one| wanted(one.page.as_deref().ok()));
            Ok(those.map(|one| one.at).min())
        })
    }

    /// Asks no more, and waits for the answers that are still to come.
    pub fn stop(self) -> Seen {
        self.asked.is_over.store(true, Ordering::Relaxed);
        // A request that panicked is not among the answers.
        let _ = self.asking.join();
        let mut seen = Seen {
            good: Vec::new(),
            failed: Vec::new(),
            slowest: Duration::ZERO,
        };
        for one in self.asked.ended().iter() {
            seen.slowest = seen.slowest.max(one.took);
            match &one.page {
                Ok(_) => seen.good.push(one.at),
                Err(why) => seen.failed.push(why.clone()),
            }
        }
        seen
    }
}

impl Asked {
    fn ended(&self) -> std::sync::MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask(address: SocketAddr, pace: Pace, asked: &Arc<Asked>) {
    let mut requests = Vec::new();
    let mut next = Instant::now();
    while !asked.is_over.load(Ordering::Relaxed) {
        let asked = Arc::clone(asked);
        requests.push(thread::spawn(move || {
            let begun = Instant::now();
            let page = page(address, pace);
            let took = begun.elapsed();
            let at = Instant::now();
            asked.ended().push(Ended { at, took, page });
        }));
        // What is late is made up for.
        next += pace.every;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    for request in requests {
        let _ = request.join();
    }
}

/// The page, when it comes with status 200 in time; else why not.
fn page(address: SocketAddr, pace: Pace) -> Result<String, String> {
    let told = |error: std::io::Error| error.to_string();
    let deadline = Instant::now() + pace.total;
    let mut stream = TcpStream::connect_timeout(&address, pace.connect).map_err(told)?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: toy\r\n\r\n")
        .map_err(told)?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left)).map_err(told)?;
        let count = stream.read(&mut chunk).map_err(told)?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if answer.len() > LONGEST {
            return Err("it never ends".to_owned());
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.trim().to_owned()),
        _ => Err(head.lines().next().unwrap_or_default().to_owned()),
    }
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
        let said = |answer| page(server(answer, 1, ""), Pace::HASTY);
        assert_eq!(said("HTTP/1.0 200 OK\r\n\r\ntoy v1\n").unwrap(), "toy v1");
        for bad in ["HTTP/1.0 500 X\r\n\r\ntoy v1\n", "HTTP/1.0 200 OK\r\n", ""] {
            assert!(said(bad).is_err(), "{bad:?}");
        }
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        assert!(page(gone.unwrap(), Pace::HASTY).is_err());
    }

    #[test]
    fn who_accepts_and_says_nothing_has_failed_after_half_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let begun = Instant::now();
        assert!(page(listener.local_addr().unwrap(), Pace::HASTY).is_err());
        assert!(begun.elapsed() >= Pace::HASTY.total);
    }

    #[test]
    fn what_failed_is_counted_and_what_came_is_found() {
        let (bad, good) = ("HTTP/1.0 503 X\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nv2");
        let clients = Clients::start(server(bad, 3, good), Pace::HASTY);
        clients
            .wait_for(Duration::from_secs(20), |page| page == Some("v2"))
            .unwrap();
        let wait = clients.wait_for(Duration::from_millis(10), |page| page == Some("v3"));
        assert!(wait.is_err(), "nobody said v3");
        assert_eq!(clients.stop().failed, ["HTTP/1.0 503 X"; 3]);
    }
}
