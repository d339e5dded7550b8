//! The pipes that a program writes to.

use std::{
    io::{self, PipeReader},
    os::fd::OwnedFd,
    process::Stdio,
};

use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, time::Instant};

use super::{MAX_STDOUT, output::Output};

/// Bytes that are read at once.
const PIECE: usize = 32 << 10;
/// Bytes that are still read after the end, in case that somebody who left the session writes on and on.
const REST: usize = 1 << 20;

/// Our ends, and what came by them.
pub(super) struct Streams {
    /// Standard error, and standard output with it unless that is captured: in one pipe, which keeps the order.
    said: Pipe,
    /// Standard output where it is captured.
    data: Option<Pipe>,
    pub(super) stdout: Vec<u8>,
    pub(super) output: Output,
    begun: Instant,
}

/// More was written to standard output than is taken in.
#[derive(Debug)]
pub(super) struct Overflow;

impl Streams {
    /// The pipes, and the program's ends of them: standard output and standard error.
    pub(super) fn new(capture: bool) -> io::Result<(Self, Stdio, Stdio)> {
        let (said, stderr) = io::pipe()?;
        let (data, stdout) = match capture {
            true => {
                let (data, stdout) = io::pipe()?;
                (Some(Pipe::new(data)?), stdout)
            }
            false => (None, stderr.try_clone()?),
        };
        let streams = Self {
            said: Pipe::new(said)?,
            data,
            stdout: Vec::new(),
            output: Output::new(),
            begun: Instant::now(),
        };
        Ok((streams, stdout.into(), stderr.into()))
    }

    /// Reads on and on, so that the program never waits for us; ends only by an overflow.
    pub(super) async fn pump(&mut self, tell: &mut dyn FnMut(&str)) -> Overflow {
        loop {
            let data = async {
                match &mut self.data {
                    Some(data) => data.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                said = self.said.next() => self.output.take(said, self.begun.elapsed(), tell),
                data = data => if let Err(overflow) = keep(&mut self.stdout, data) {
                    return overflow;
                },
            }
        }
    }

    /// Takes in what is in the pipes, without waiting for more.
    pub(super) fn drain(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Overflow> {
        for _ in 0..REST / PIECE {
            match self.said.rest() {
                Some(said) => self.output.take(said, self.begun.elapsed(), tell),
                None => break,
            }
        }
        while let Some(data) = self.data.as_mut().and_then(Pipe::rest) {
            keep(&mut self.stdout, data)?;
        }
        self.output.flush(self.begun.elapsed(), tell);
        Ok(())
    }
}

fn keep(stdout: &mut Vec<u8>, data: &[u8]) -> Result<(), Overflow> {
    stdout.extend_from_slice(data);
    if stdout.len() > MAX_STDOUT {
        return Err(Overflow);
    }
    Ok(())
}

struct Pipe {
    end: Receiver,
    piece: Vec<u8>,
    is_closed: bool,
}

impl Pipe {
    fn new(end: PipeReader) -> io::Result<Self> {
        Ok(Self {
            end: Receiver::from_owned_fd(OwnedFd::from(end))?,
            piece: vec![0; PIECE],
            is_closed: false,
        })
    }

    /// What comes next; waits for ever when it is closed.
    async fn next(&mut self) -> &[u8] {
        while !self.is_closed {
            match self.end.read(&mut self.piece).await {
                Ok(count) if count > 0 => return self.piece.get(..count).unwrap_or_default(),
                Ok(_) | Err(_) => self.is_closed = true,
            }
        }
        std::future::pending().await
    }

    /// What is there; `None` when nothing is. The system is asked itself: the runtime may not have heard of it yet.
    fn rest(&mut self) -> Option<&[u8]> {
        match rustix::io::read(&self.end, &mut self.piece) {
            Ok(count) if count > 0 => self.piece.get(..count),
            Ok(_) | Err(_) => None,
        }
    }
}
