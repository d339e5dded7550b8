//! `towline follow` and `towline deploy --wait`: asks the relay until an intent has ended everywhere, and shows it.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use towline_protocol::{IntentId, IntentStatus};

use super::{
    complain,
    connection::{Connection, explained, may_pass},
    table, values,
};
use crate::{
    exit::Ending,
    follow::{Enough, View, pause},
    relay_client::{RelayClient, RelayError},
    terminal::Lines,
};

#[derive(Debug, clap::Args)]
pub(super) struct Follow {
    /// The intent's id, as `towline deploy` and the relay print it.
    id: IntentId,
    /// How long to follow it.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = values::interval)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

impl Follow {
    /// Follows the intent to its end.
    pub(super) fn run(self, config: &Path) -> anyhow::Result<Ending> {
        let (client, _) = self.connection.open(config, true)?;
        follow(&client, &self.id, self.timeout)
    }
}

/// Follows an intent until it has ended everywhere, for at most `timeout`.
///
/// # Errors
/// When the relay refuses, or has never answered.
pub(super) fn follow(
    client: &RelayClient,
    id: &IntentId,
    timeout: Duration,
) -> anyhow::Result<Ending> {
    let begun = Instant::now();
    let mut shown = Shown::new();
    loop {
        let wanted = match client.intent_status(id) {
            Ok(status) => {
                if shown.show(&status) {
                    return shown.conclude(Enough::Over);
                }
                None
            }
            // What is in between may answer in the relay's place for a while.
            Err(error) if may_pass(&error) || matches!(error, RelayError::NotARelay { .. }) => {
                shown.trouble(&error);
                error.retry_after()
            }
            Err(error) => bail!(explained(&error)),
        };
        let followed = begun.elapsed();
        let left = timeout.saturating_sub(followed);
        if left.is_zero() {
            return shown.conclude(Enough::TimedOut(timeout));
        }
        thread::sleep(pause(followed, wanted).min(left));
    }
}

/// What was shown so far.
struct Shown {
    view: Option<View>,
    trouble: Option<String>,
    lines: Option<Lines>,
}

impl Shown {
    fn new() -> Self {
        Self {
            view: None,
            trouble: None,
            lines: Lines::on_terminal(),
        }
    }

    /// Shows how it stands now; whether that is all.
    fn show(&mut self, status: &IntentStatus) -> bool {
        if self.trouble.take().is_some() {
            self.tell("the relay answers again");
        }
        let view = View::of(status);
        match &mut self.lines {
            Some(lines) => lines.show(&view.lines(table::height())),
            None => {
                for line in view.news(self.view.as_ref()) {
                    complain(&line);
                }
            }
        }
        let is_over = view.is_over();
        self.view = Some(view);
        is_over
    }

    /// Tells a trouble that is not the last one again.
    fn trouble(&mut self, error: &RelayError) {
        let trouble = explained(error);
        if self.trouble.as_ref() != Some(&trouble) {
            self.tell(&format!("{trouble}; asking on"));
            self.trouble = Some(trouble);
        }
    }

    fn tell(&self, line: &str) {
        match &self.lines {
            // Without a terminal to print to there is nobody to tell.
            Some(lines) => drop(lines.tell(&format!("towline: {line}"))),
            None => complain(line),
        }
    }

    /// Tells how it ended.
    fn conclude(self, why: Enough) -> anyhow::Result<Ending> {
        let room = match self.lines {
            Some(_) => table::height(),
            None => usize::MAX,
        };
        drop(self.lines);
        let Some(view) = self.view else {
            let trouble = self.trouble.unwrap_or_default();
            bail!("the relay was not to be asked in all that time: {trouble}");
        };
        let conclusion = view.conclusion(why, view.fits(room));
        for line in conclusion.words {
            complain(&line);
        }
        Ok(conclusion.ending)
    }
}
