//! What the relay does by itself, by the triggers in `wrangler.toml`.
//!
//! A run that fails says so in the log and is not repeated: the next one finds the same work.

mod missed;

use worker::{Env, ScheduleContext, ScheduledEvent, console_error, console_log, event};

use crate::{
    error::Fault,
    hub::ask::{self, Ask},
    settings,
    upkeep::Done,
    var,
};

/// When missed deliveries are looked for, as the trigger says it.
const MISSED: &str = "*/5 * * * *";

/// When the hourly upkeep is due, as the trigger says it.
const UPKEEP: &str = "7 * * * *";

/// Answers a trigger.
#[event(scheduled)]
pub async fn scheduled(event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let cron = event.cron();
    let done = match cron.as_str() {
        MISSED => missed::look(&env).await,
        UPKEEP => upkeep(&env).await,
        _ => {
            console_error!(
                "cron {cron:?}: nothing is done at this time; use {MISSED:?} and {UPKEEP:?}"
            );
            return;
        }
    };
    if let Err(fault) = done {
        console_error!("cron {cron:?}: {fault}");
    }
}

/// Has the hub bring KV up to date and forget what is old.
async fn upkeep(env: &Env) -> Result<(), Fault> {
    let retention = settings::retention(&|name: &str| var(env, name));
    let seconds = retention.as_ref().ok().copied();
    let retention_ms = seconds.map(|seconds| u64::from(seconds).saturating_mul(1000));
    let json = ask::ask(env, &Ask::Upkeep { retention_ms }).await?;
    let done: Done = ask::answer(&json)?;
    console_log!("upkeep: {json}", json = serde_json::json!(done));
    // Only now: the mailboxes do not have to wait for the operator.
    retention.map(drop).map_err(Fault::from)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_trigger_that_is_deployed_is_known_here() {
        let deployed = include_str!("../../wrangler.toml");
        let crons = deployed
            .lines()
            .find_map(|line| line.strip_prefix("crons = "));
        let crons: Vec<String> = serde_json::from_str(crons.unwrap()).unwrap();
        assert_eq!(crons, [super::MISSED, super::UPKEEP]);
    }
}
