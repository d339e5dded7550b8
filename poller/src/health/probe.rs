//! Trying one check until it is good.

use std::{net::IpAddr, time::Duration};

use super::{
    Halt,
    address::own_address,
    http,
    subject::Subject,
    tcp,
    tries::{self, Budget},
};
use crate::{
    docker::{Docker, Executed, LogTail},
    redact::Secrets,
    settings::Probe,
};

/// How long one of the first tries may take: a connection may hang that was made too early.
const TRY: Duration = Duration::from_secs(5);
/// The same for a command, which goes on when it is given up in a container, and for what was good before.
const LONG_TRY: Duration = Duration::from_secs(30);
/// How much of a command's output is told, in characters.
const MAX_TOLD: usize = 200;

/// Tries until `probe` is good, or its time is over.
pub(super) async fn until(
    subject: &Subject<'_>,
    probe: &Probe,
    secrets: &Secrets,
    budget: Budget,
) -> Result<(), Halt> {
    let attempt = async |limit| attempt(subject, probe, secrets, limit).await;
    let within = budget.within.as_secs_f64();
    let end = tries::until(budget, longest(probe), attempt).await;
    end.map_err(|halt| {
        halt.told(|why| {
            let what = shown(probe);
            format!("{what} was not good within {within} s: {why}")
        })
    })
}

/// One try of something that was good before.
pub(super) async fn once(
    subject: &Subject<'_>,
    probe: &Probe,
    secrets: &Secrets,
) -> Result<(), Halt> {
    let tried = attempt(subject, probe, secrets, LONG_TRY).await;
    tried.map_err(|halt| halt.told(|why| format!("{} was good, and then not: {why}", shown(probe))))
}

fn longest(probe: &Probe) -> Duration {
    match probe {
        Probe::Http(_) | Probe::Tcp(_) => TRY,
        Probe::Exec(_) => LONG_TRY,
    }
}

/// One try, of each container where the probe asks the container itself.
async fn attempt(
    subject: &Subject<'_>,
    probe: &Probe,
    secrets: &Secrets,
    limit: Duration,
) -> Result<(), Halt> {
    match probe {
        Probe::Http(http) => {
            for own in addresses(subject, probe).await? {
                let url = own.map_or_else(|| http.url.as_str().to_owned(), |own| http.url.at(own));
                let got = http::attempt(http, url, secrets, limit).await;
                got.map_err(Halt::Failed)?;
            }
        }
        Probe::Tcp(address) => {
            for own in addresses(subject, probe).await? {
                let got = tcp::attempt(address, own, limit).await;
                got.map_err(Halt::Failed)?;
            }
        }
        Probe::Exec(command) => match subject {
            Subject::Containers { engine, members } => {
                for member in *members {
                    in_container(engine, &member.id, command, secrets, limit).await?;
                }
            }
            Subject::Host(host) => {
                let tried = host.exec(command, limit).await;
                tried.map_err(|bad| bad.halt(secrets))?;
            }
        },
    }
    Ok(())
}

async fn in_container(
    engine: &Docker,
    id: &str,
    command: &[String],
    secrets: &Secrets,
    limit: Duration,
) -> Result<(), Halt> {
    match engine.exec(id, command, limit).await {
        Ok(executed) => judged(executed, secrets, limit).map_err(Halt::Failed),
        Err(lost) if lost.is_loss() => Err(lost.into()),
        Err(refused) => Err(Halt::Failed(secrets.hide(&refused.to_string()))),
    }
}

/// The containers' own addresses, as they are now: a restart may change them. One that is not needed is `None`.
async fn addresses(subject: &Subject<'_>, probe: &Probe) -> Result<Vec<Option<IpAddr>>, Halt> {
    if !probe.needs_address() {
        return Ok(vec![None]);
    }
    let Subject::Containers { engine, members } = subject else {
        let why = "there is no container whose address could be asked".to_owned();
        return Err(Halt::Failed(why));
    };
    let mut addresses = Vec::new();
    for member in *members {
        let container = engine.container(&member.id).await?;
        let Some(own) = container.as_ref().and_then(own_address) else {
            let why = "the container has no address of its own".to_owned();
            return Err(Halt::Failed(why));
        };
        addresses.push(Some(own));
    }
    Ok(addresses)
}

/// Whether a command in a container has said that all is well.
fn judged(executed: Executed, secrets: &Secrets, limit: Duration) -> Result<(), String> {
    let how = match executed.status {
        Some(0) => return Ok(()),
        Some(status) => format!("it ended with status {status}"),
        None => unended(limit),
    };
    let bad = Bad {
        how,
        output: executed.output,
        goes_on: None,
    };
    Err(bad.told(secrets))
}

/// How a command is that was given up.
pub(super) fn unended(limit: Duration) -> String {
    // What is left of a check's time is hardly ever a round number.
    let seconds = (limit.as_secs_f64() * 10.0).round() / 10.0;
    format!("it had not ended after {seconds} s")
}

/// A command that has not said that all is well.
pub(super) struct Bad {
    /// How it ended, if it did.
    pub(super) how: String,
    /// What it said.
    pub(super) output: LogTail,
    /// What of it goes on and cannot be ended, in words.
    pub(super) goes_on: Option<String>,
}

impl Bad {
    /// Why the check has failed, and whether for good.
    fn halt(self, secrets: &Secrets) -> Halt {
        match &self.goes_on {
            None => Halt::Failed(self.told(secrets)),
            Some(goes_on) => {
                let goes_on = secrets.hide(goes_on);
                Halt::GoesOn(format!("{}; {goes_on}", self.told(secrets)))
            }
        }
    }

    /// How it ended, with the end of its output.
    fn told(&self, secrets: &Secrets) -> String {
        // Hidden before the cut, which may leave a part of a secret that nobody knows.
        let output = &self.output;
        let text = if output.is_cut {
            secrets.hide_in_tail(&output.text)
        } else {
            secrets.hide(&output.text)
        };
        let text = text.trim();
        let skipped = text.chars().count().saturating_sub(MAX_TOLD);
        let end: String = text.chars().skip(skipped).collect();
        let how = secrets.hide(&self.how);
        match (end.as_str(), skipped) {
            ("", _) => format!("{how} and said nothing"),
            (all, 0) => format!("{how} and said {all:?}"),
            (end, _) => format!("{how}, and what it said ends with {end:?}"),
        }
    }
}

/// What is tried, for logs and reports: a query and arguments may hold secrets.
pub(super) fn shown(probe: &Probe) -> String {
    match probe {
        Probe::Http(http) => http::shown(http.url.as_str()),
        Probe::Tcp(address) => format!("tcp {address}"),
        Probe::Exec(command) => {
            let program = command.first().map_or("", String::as_str);
            let more = if command.len() > 1 { " ..." } else { "" };
            format!("exec {program}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: Option<i64>, text: &str, is_cut: bool) -> Result<(), String> {
        let text = text.to_owned();
        let output = LogTail { text, is_cut };
        let mut secrets = Secrets::default();
        secrets.add("correct-horse-battery");
        judged(Executed { status, output }, &secrets, LONG_TRY)
    }

    #[test]
    fn a_command_that_ends_with_0_is_good_whatever_it_says() {
        assert_eq!(said(Some(0), "ERROR", false), Ok(()));
    }

    #[test]
    fn a_command_that_fails_says_how_and_its_last_words_without_secrets() {
        let why = |status, text, is_cut| said(status, text, is_cut).unwrap_err();
        assert_eq!(
            why(Some(2), "", false),
            "it ended with status 2 and said nothing"
        );
        let text = "no correct-horse-battery\n";
        assert_eq!(
            why(Some(1), text, false),
            "it ended with status 1 and said \"no ***\""
        );
        let text = "horse-battery was wrong";
        assert_eq!(
            why(None, text, true),
            "it had not ended after 30 s and said \"*** was wrong\""
        );
        let long = format!("correct-horse-battery{}", "x".repeat(MAX_TOLD - 2));
        let told = why(Some(1), &long, false);
        assert!(told.contains("ends with \"**xxx"), "{told}");
    }

    #[test]
    fn arguments_and_queries_are_not_told() {
        let exec = Probe::Exec(vec!["psql".to_owned(), "-phunter2".to_owned()]);
        assert_eq!(shown(&exec), "exec psql ...");
        let tcp = Probe::Tcp("{container}:5432".parse().unwrap());
        assert_eq!(shown(&tcp), "tcp {container}:5432");
    }
}
