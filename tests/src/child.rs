//! A process that is ours: its output is kept line by line, and it ends when it is dropped.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::wait::until;

/// A line of output and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it came.
    pub at: Instant,
    /// The line, without its end.
    pub text: String,
}

/// A running process. Dropping it ends it by SIGKILL.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<JoinHandle<()>>,
}

/// How long what an ended process printed may take to be read. What it has started may hold its outputs open for longer.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Process {
    /// Starts `command`, keeping both of its outputs. Its input is what the caller made it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.with_context(|| format!("starting {name}"))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            keep(child.stdout.take(), &lines),
            keep(child.stderr.take(), &lines),
        ];
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            readers: readers.into_iter().flatten().collect(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its input, once, when it was piped.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Everything that it has printed so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What it has printed so far, as one text.
    pub fn output(&self) -> String {
        self.lines()
            .into_iter()
            .map(|line| line.text + "\n")
            .collect()
    }

    /// The first line for which `wanted` says so, waited for.
    ///
    /// # Errors
    /// When it does not come `within` that time, or the process ends without it; with its output.
    pub fn line(&mut self, within: Duration, wanted: impl Fn(&str) -> bool) -> Result<Line> {
        self.line_after(0, within, wanted)
    }

    /// As [`Self::line`], beginning behind the first `seen` lines.
    ///
    /// # Errors
    /// As for [`Self::line`].
    pub fn line_after(
        &mut self,
        seen: usize,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Line> {
        let name = self.name.clone();
        let found = until(&format!("a line of {name}"), within, || {
            let found = self
                .lines()
                .into_iter()
                .skip(seen)
                .find(|line| wanted(&line.text));
            if found.is_none() && self.child.try_wait()?.is_some() {
                anyhow::bail!("{name} ended early");
            }
            Ok(found)
        });
        found.with_context(|| format!("{name} printed:\n{}", self.output()))
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// When it does not end `within` that time.
    pub fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.ended(within)
    }

    /// Sends it a signal by name.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, name: &str) -> Result<()> {
        // By kill(1): std has no signals, and the workspace forbids unsafe code.
        let pid = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
        anyhow::ensure!(
            sent.success(),
            "{} has ended already:\n{}",
            self.name,
            self.output()
        );
        Ok(())
    }

    /// Waits for its end, and for what it has printed.
    ///
    /// # Errors
    /// When it does not end `within` that time.
    pub fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = until(&what, within, || Ok(self.child.try_wait()?));
        let deadline = Instant::now() + LAST_WORDS;
        while status.is_ok()
            && Instant::now() < deadline
            && !self.readers.iter().all(JoinHandle::is_finished)
        {
            thread::sleep(Duration::from_millis(5));
        }
        status.with_context(|| self.output())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(
    output: Option<impl Read + Send + 'static>,
    lines: &Arc<Mutex<Vec<Line>>>,
) -> Option<JoinHandle<()>> {
    let output = output?;
    let lines = Arc::clone(lines);
    Some(thread::spawn(move || {
        for text in BufReader::new(output).lines().map_while(Result::ok) {
            let line = Line {
                at: Instant::now(),
                text,
            };
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    }))
}
