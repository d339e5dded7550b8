//! A client that asks a server without a pause, each time by a new connection, while something is done to it.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What it was answered: a body, or why there was none.
pub type Answered = Result<String, String>;

/// A client that asks all the time, until it is ended.
pub struct Prober {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<(u64, BTreeSet<Answered>)>,
}

impl Prober {
    /// Begins to ask what listens at this port of this machine.
    pub fn of(port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let asking = thread::spawn(move || {
            let (mut count, mut answers) = (0, BTreeSet::new());
            while count == 0 || !over.load(Ordering::Relaxed) {
                answers.insert(asked(port));
                count += 1;
            }
            (count, answers)
        });
        Self { is_over, asking }
    }

    /// Ends it: how often it has asked, and all the answers that there were; one at least.
    pub fn end(self) -> (u64, BTreeSet<Answered>) {
        self.is_over.store(true, Ordering::Relaxed);
        let broken = |_| (0, BTreeSet::from([Err("the client broke down".to_owned())]));
        self.asking.join().unwrap_or_else(broken)
    }
}

/// What a server at this port answers to one request; an error when it refuses, hangs, breaks off or answers anything but 200.
///
/// # Errors
/// What became of the request instead.
pub fn asked(port: u16) -> Answered {
    let whole = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = whole().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    match head.starts_with("HTTP/1.1 200 ") {
        true => Ok(body.trim().to_owned()),
        false => Err(head.to_owned()),
    }
}
