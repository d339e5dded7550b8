//! A program's process: started as our own binary, told to go, watched, ended, and never left behind.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as Pair, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    signal::unix::{self, SignalKind, signal},
    time::{Instant, sleep, timeout},
};

use super::{
    How, Identity, Launcher, Order, ProcessError,
    session::Session,
    wire::{self, ARGUMENT, Answer, GO, Request},
};

/// How long our own binary may take to say that it is ready: the database of users may be on the network.
const READY: Duration = Duration::from_secs(60);
/// How long others of the session may go on after the program's end: the other half of a pipe, say.
const LINGER: Duration = Duration::from_secs(1);
/// How long one that nobody waits for any more may take to tidy up, at most: a git takes its locks away. The thread stands
/// still meanwhile, and others may be waiting behind.
const FAREWELL: Duration = Duration::from_secs(2);
/// Which part of its grace it has then: little for a check, which has nothing to tidy up.
const PART: u32 = 5;
/// How often the program is looked at when the system does not tell of ends any more.
const LOOK: Duration = Duration::from_millis(200);

/// What was left of the session after the program's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nobody,
    Ended,
    Stays,
}

impl Left {
    /// Whether others than a program that has ended like this were ended after it.
    pub(super) fn were_ended(self, how: How) -> bool {
        match (self, how) {
            (Self::Nobody | Self::Stays, _) | (Self::Ended, How::TimedOut) => false,
            (Self::Ended, How::Exited(_) | How::Signalled(_)) => true,
        }
    }
}

/// The process. It is not waited for (`wait(2)`) before all is over: so nobody else can get its number.
pub(super) struct Program {
    name: String,
    child: Option<Child>,
    session: Session,
    /// How long it may take to end when this is dropped.
    farewell: Duration,
    socket: BufReader<UnixStream>,
    /// Tells that some child has ended.
    ends: unix::Signal,
}

impl Program {
    /// Starts our own binary with an empty environment.
    pub(super) fn launch(
        launcher: &Launcher,
        order: &Order,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<Self> {
        let ends = signal(SignalKind::child())?;
        let (own, other) = Pair::pair()?;
        own.set_nonblocking(true)?;
        let socket = BufReader::new(UnixStream::from_std(own)?);
        let child = Command::new(&launcher.0)
            .arg0("towline")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self {
            name: order.argv.first().cloned().unwrap_or_default(),
            child: Some(child),
            session: Session(pid),
            farewell: FAREWELL.min(order.grace / PART),
            socket,
            ends,
        })
    }

    /// The program's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Hands the order over, and waits until it only needs the word to go.
    pub(super) async fn ready(&mut self, order: &Order) -> Result<Identity, ProcessError> {
        let answer = timeout(READY, async {
            self.socket
                .write_all(&wire::line(&Request::from(order))?)
                .await?;
            self.answer().await
        });
        match answer.await {
            Ok(Ok(Some(Answer::Ready))) => {}
            Ok(Ok(Some(Answer::Refused(refusal)))) => return Err(refusal.into()),
            Ok(Ok(None) | Err(_)) => return Err(self.lost("has ended")),
            Err(_) => return Err(self.lost("was not ready within a minute")),
        }
        Identity::of(self.session.0).ok_or_else(|| self.lost("is not to be seen in /proc"))
    }

    /// Lets it go, and sees to its end.
    pub(super) async fn play(&mut self, order: &Order) -> Result<(How, Left), ProcessError> {
        let since = Instant::now();
        let limit = || order.timeout.saturating_sub(since.elapsed());
        let started = timeout(limit(), async {
            self.socket.write_all(GO.as_bytes()).await?;
            self.answer().await
        });
        match started.await {
            Ok(Ok(Some(Answer::Refused(refusal)))) => return Err(refusal.into()),
            // The socket closes when the program takes over. If our own binary was killed instead, its end tells so.
            Ok(Ok(None | Some(Answer::Ready)) | Err(_)) => {}
            Err(_) => return Ok((How::TimedOut, self.end(order.grace).await)),
        }
        match timeout(limit(), self.ended()).await {
            Ok(Ok(how)) => {
                if self.session.empties_within(LINGER).await {
                    return Ok((how, Left::Nobody));
                }
                Ok((how, self.end(order.grace).await))
            }
            Ok(Err(why)) => match self.end(order.grace).await {
                Left::Nobody | Left::Ended => {
                    let program = self.name.clone();
                    Err(ProcessError::Watch { program, why })
                }
                Left::Stays => Err(self.outlived(None, String::new())),
            },
            Err(_) => Ok((How::TimedOut, self.end(order.grace).await)),
        }
    }

    /// Ends all of its session.
    pub(super) async fn end(&self, grace: Duration) -> Left {
        match self.session.end(grace).await {
            true => Left::Ended,
            false => Left::Stays,
        }
    }

    /// What it says next; `None` when the socket closes.
    async fn answer(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        self.socket.read_line(&mut line).await?;
        if line.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Waits for its end, without taking note of it towards the system.
    async fn ended(&mut self) -> io::Result<How> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            if let Some(status) = waitid(WaitId::Pid(self.pid()?), options)? {
                return Ok(how(&status));
            }
            if self.ends.recv().await.is_none() {
                sleep(LOOK).await;
            }
        }
    }

    fn pid(&self) -> io::Result<Pid> {
        Pid::from_raw(self.session.0).ok_or_else(|| io::Error::other("it has no number"))
    }

    /// Something of it goes on, after it has ended like this.
    pub(super) fn outlived(&self, how: Option<How>, tail: String) -> ProcessError {
        ProcessError::Outlived {
            program: self.name.clone(),
            session: self.session.0,
            how,
            tail,
        }
    }

    fn lost(&self, what: &'static str) -> ProcessError {
        let program = self.name.clone();
        ProcessError::Lost { program, what }
    }
}

fn how(status: &WaitIdStatus) -> How {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => How::Exited(status),
        (None, signal) => How::Signalled(signal.unwrap_or_default()),
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Until it is waited for, its number is nobody else's.
        if self.session.lives() {
            self.session.ask_to_end();
            self.session.empties_soon(self.farewell);
        }
        self.session.signal(Signal::KILL);
        if let Ok(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = child.kill();
        if !matches!(child.try_wait(), Ok(Some(_))) {
            // The kernel may take its time, and nobody waits here. Without a thread it stays a zombie until our own end.
            let wait = move || child.wait();
            let _ = thread::Builder::new().spawn(wait);
        }
    }
}
