//! Commands in a running container.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::{
    Docker, EngineError,
    containers::{LogTail, keep_end},
};

/// How much of the output is kept, in bytes.
const MAX_OUTPUT: usize = 16 * 1024;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The status that it ended with; `None` when it was still running at the limit, as it may be now: an engine has no
    /// call that ends it.
    pub status: Option<i64>,
    /// The end of its output and errors.
    pub output: LogTail,
}

impl Docker {
    /// Runs `command` in a container as its own user, without a shell, for at most `limit`.
    ///
    /// # Errors
    /// See [`EngineError`]: `Refused` when the container does not run, or where the engine has no such program to start;
    /// other engines tell that as the status 126 or 127.
    pub async fn exec(
        &self,
        id: &str,
        command: &[String],
        limit: Duration,
    ) -> Result<Executed, EngineError> {
        let mut output = LogTail::default();
        let mut bytes = Vec::new();
        let running = self.follow(id, command, &mut bytes, &mut output.is_cut);
        let status = timeout(limit, running).await.unwrap_or(Ok(None));
        output.text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Executed {
            status: status?,
            output,
        })
    }

    /// Runs a command to its end, and keeps the end of what it says.
    async fn follow(
        &self,
        id: &str,
        command: &[String],
        output: &mut Vec<u8>,
        is_cut: &mut bool,
    ) -> Result<Option<i64>, EngineError> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let exec = self.check(self.client.create_exec(id, options).await)?.id;
        let started = self.check(self.client.start_exec(&exec, None).await)?;
        if let StartExecResults::Attached {
            output: mut said, ..
        } = started
        {
            while let Some(chunk) = said.next().await {
                let chunk = self.check(chunk.map(LogOutput::into_bytes))?;
                *is_cut |= keep_end(output, &chunk, MAX_OUTPUT);
            }
        }
        let ended = self.check(self.client.inspect_exec(&exec).await)?;
        Ok(ended.exit_code)
    }
}
