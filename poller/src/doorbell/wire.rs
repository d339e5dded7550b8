//! The TCP connection under the doorbell: never blocks where it is read, unless there is a deadline to block until.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the other end may take to take what is sent.
const SENDING: Duration = Duration::from_secs(10);

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    /// Until when reading waits; without it, it does not.
    patience: Option<Instant>,
}

impl Wire {
    /// Connects to the first address of `host` that answers; reading then waits until `deadline`. To resolve the name
    /// takes as long as the system lets it (`resolv.conf`), whatever the deadline; it is looked at after that.
    pub(super) fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<Self> {
        let host = host.trim_matches(['[', ']']);
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        let mut left = addresses.len();
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let share = time_left(deadline)? / u32::try_from(left).unwrap_or(u32::MAX).max(1);
            left -= 1;
            match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
                Ok(socket) => {
                    socket.set_nonblocking(true)?;
                    // A ping or a report is one small packet that nothing follows.
                    socket.set_nodelay(true)?;
                    let patience = Some(deadline);
                    return Ok(Self { socket, patience });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// From now on reading waits until `patience`, or not at all.
    pub(super) fn wait_until(&mut self, patience: Option<Instant>) {
        self.patience = patience;
    }

    /// Waits until there is something to read, here or on `other`, or until `deadline`.
    pub(super) fn rest(&self, other: impl AsFd, deadline: Instant) -> io::Result<()> {
        let mut both = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&other, PollFlags::IN),
        ];
        wait(&mut both, deadline).map(drop)
    }

    fn ready(&self, what: PollFlags, deadline: Instant) -> io::Result<()> {
        if wait(&mut [PollFd::new(&self.socket, what)], deadline)? {
            return Ok(());
        }
        Err(late())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (self.socket.read(buffer), self.patience) {
                (Err(error), Some(deadline)) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready(PollFlags::IN, deadline)?;
                }
                (read, _) => return read,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let deadline = self.patience.unwrap_or_else(|| Instant::now() + SENDING);
        loop {
            match self.socket.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready(PollFlags::OUT, deadline)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no answer in time")
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(late())
    } else {
        Ok(left)
    }
}

/// Whether something came before `deadline`.
fn wait(what: &mut [PollFd<'_>], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(what, Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
