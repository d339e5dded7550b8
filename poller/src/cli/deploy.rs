//! `towline deploy`: asks the relay to queue an intent, and with `--wait` follows it.

use std::{path::Path, thread, time::Duration};

use anyhow::ensure;
use towline_protocol::{HostName, Image, NewIntent, Queued, ServiceName, Sha};

use super::{
    aim, complain,
    connection::{Connection, explained, may_pass},
    follow, say, settings_if_there, values,
};
use crate::{
    exit::Ending,
    relay_client::{RelayClient, RelayError},
};

/// How often an intent is sent when the relay does not answer.
const TRIES: u32 = 3;

/// The longest pause between two of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    /// A repository such as octo-org/web, a service of this host's file, or a channel.
    #[arg(value_name = "CHANNEL|SERVICE")]
    name: String,
    /// This service alone; what stands before it is then its channel.
    #[arg(long, value_name = "NAME")]
    service: Option<ServiceName>,
    /// The image: REPOSITORY:TAG, a digest, or both. The hosts' files say which repository it may come from.
    #[arg(long, value_name = "REF|DIGEST", value_parser = values::image)]
    image: Option<Image>,
    /// The commit, all of its hex digits: for checkouts, commands and projects, and for hosts whose file makes the image's name of it.
    #[arg(long)]
    sha: Option<Sha>,
    /// A host that it is for; without it, every one. May be repeated.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<HostName>,
    /// Why, for whoever looks at it later.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// When it is too late to begin with it, such as 90s, 30m, 24h or 7d; an hour if this is not said.
    #[arg(long, value_name = "DURATION", value_parser = values::expires_in)]
    expires_in: Option<String>,
    /// Follow it until every host has said how it ended.
    #[arg(long)]
    wait: bool,
    /// How long to follow it.
    #[arg(long, value_name = "DURATION", requires = "wait", default_value = "15m", value_parser = values::interval)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

impl Deploy {
    /// Queues the intent. Prints its id and nothing else on standard output. `config` is the host's file, if there is one.
    pub(super) fn run(self, config: &Path) -> anyhow::Result<Ending> {
        let file = || settings_if_there(config);
        let aim = aim::aim(&self.name, self.service.as_ref(), &file)?;
        ensure!(
            self.sha.is_some() || !aim.by_commit,
            "{} is a git checkout, which is put at a commit: say which one by --sha, all of its hex digits; the newest of each \
             branch is what `git ls-remote --heads origin` says in the checkout",
            self.name
        );
        let (client, token) = self.connection.open(config, false)?;
        if let Some(claims) = token.claims {
            ensure!(
                claims.allows(&aim.channel),
                "the token of {} is not for channel {}; make one with: towline token --role operator --channel '{1}'",
                claims.name,
                aim.channel
            );
        }
        let intent = NewIntent {
            channel: aim.channel,
            service: aim.service,
            hosts: self.hosts,
            sha: self.sha,
            image: self.image,
            reason: self.reason,
            expires_in: self.expires_in,
        };
        let queued = queue(&client, &intent)?;
        say(&format!("{}\n", queued.intent.id))?;
        complain(&told(&queued));
        if self.wait {
            follow::follow(&client, &queued.intent.id, self.timeout)
        } else {
            complain(&format!(
                "to see what becomes of it: towline follow {}",
                queued.intent.id
            ));
            Ok(Ending::Done)
        }
    }
}

/// Queues it once, however often it has to be sent.
fn queue(client: &RelayClient, intent: &NewIntent) -> anyhow::Result<Queued> {
    let key = key()?;
    let mut tries = 1;
    loop {
        match client.queue(intent, &key) {
            Ok(queued) => return Ok(queued),
            Err(error) => match again(&error, tries) {
                Some(pause) => {
                    complain(&format!("{}; trying again", explained(&error)));
                    thread::sleep(pause);
                    tries += 1;
                }
                None => anyhow::bail!(explained(&error)),
            },
        }
    }
}

/// How long to wait before the next try, after so many that ended with `error`; `None` gives up.
fn again(error: &RelayError, tries: u32) -> Option<Duration> {
    let pause = Duration::from_secs(1).saturating_mul(tries);
    let asked = error.retry_after().unwrap_or_default();
    (may_pass(error) && tries < TRIES && asked <= LONGEST_PAUSE).then(|| pause.max(asked))
}

/// Names this call, so that the relay knows a repeated request.
fn key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What was queued, for whom.
fn told(queued: &Queued) -> String {
    let intent = &queued.intent;
    let service = intent
        .service
        .as_ref()
        .map_or("every service that it matches".to_owned(), |service| {
            format!("service {service}")
        });
    let hosts: Vec<_> = intent.hosts.iter().map(HostName::as_str).collect();
    let hosts = match hosts[..] {
        [] => "every host".to_owned(),
        _ => hosts.join(", "),
    };
    format!(
        "queued on channel {} as number {}, for {service} on {hosts}",
        intent.channel, intent.seq
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(retry_after: Option<u64>) -> RelayError {
        RelayError::Busy {
            status: 503,
            message: "no storage".to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn what_may_pass_is_sent_three_times_with_growing_pauses() {
        let seconds = |tries| again(&busy(None), tries).map(|pause| pause.as_secs());
        assert_eq!([1, 2, 3].map(seconds), [Some(1), Some(2), None]);
        assert_eq!(again(&busy(Some(7)), 1), Some(Duration::from_secs(7)));
        assert_eq!(again(&busy(Some(3600)), 1), None, "nobody waits that long");
    }

    #[test]
    fn a_refusal_is_told_at_once_and_with_what_to_do() {
        let message = "because".to_owned();
        let refusals = [
            RelayError::Token {
                message: message.clone(),
            },
            RelayError::Forbidden {
                message: message.clone(),
            },
            RelayError::Upgrade {
                message: message.clone(),
            },
            RelayError::Refused {
                status: 404,
                message: message.clone(),
            },
            RelayError::Refused {
                status: 409,
                message,
            },
        ];
        for (error, word) in refusals
            .iter()
            .zip(["--role", "--channel", "update", "404", "409"])
        {
            assert_eq!(again(error, 1), None);
            let told = explained(error);
            assert!(told.contains("because") && told.contains(word), "{told}");
        }
    }
}
