//! `towline retry`, `rollback`, `restore` and `resolve`: ordered by the control socket when `towline run` has the state directory,
//! else done here, with the state locked.

use towline_protocol::ServiceName;

use super::{Arguments, ask, docker_host, on_one_thread, say, settings, within};
use crate::{
    control::message::{Ask, Ended, Line},
    daemon::{self, Restore, Stop},
    exit::Ending,
};

/// Tries the newest deploy of `service` again.
pub(super) fn retry(arguments: &Arguments, service: &ServiceName) -> anyhow::Result<Ending> {
    within::refuse_order("retry")?;
    let request = Ask::Retry {
        service: service.clone(),
    };
    if let Some(ending) = ordered(arguments, &request)? {
        return Ok(ending);
    }
    ask::be_there(&arguments.state_dir)?;
    let parts = arguments.parts().map_err(ask::locked)?;
    on_one_thread(async {
        let stop = Stop::on_signals()?;
        let mut poller = parts.poller()?;
        poller.retry(service, &stop).await?;
        say_line(&poller.said())?;
        Ok(poller.finish().await)
    })
}

/// Takes `service` back to the version whose digest begins with `to`, or to the one before the current one.
pub(super) fn roll_back(
    arguments: &Arguments,
    service: &ServiceName,
    to: Option<&str>,
) -> anyhow::Result<Ending> {
    within::refuse_order("rollback")?;
    let request = Ask::Rollback {
        service: service.clone(),
        to: to.map(str::to_owned),
    };
    if let Some(ending) = ordered(arguments, &request)? {
        return Ok(ending);
    }
    ask::be_there(&arguments.state_dir)?;
    let parts = arguments.parts().map_err(ask::locked)?;
    on_one_thread(async {
        let stop = Stop::on_signals()?;
        let mut poller = parts.poller()?;
        let report = poller.roll_back(service, to, &stop).await?;
        say_line(&poller.said())?;
        poller.report_soon().await;
        Ok(Ending::Applied {
            outcomes: report.outcome.into_iter().collect(),
            failed: false,
        })
    })
}

/// Puts the data of `service` back as they were at a backup.
pub(super) fn restore(
    arguments: &Arguments,
    service: &ServiceName,
    asked: &Restore,
) -> anyhow::Result<Ending> {
    within::refuse_order("restore")?;
    let request = Ask::Restore {
        service: service.clone(),
        backup: asked.backup.clone(),
        running: asked.running,
    };
    if let Some(ending) = ordered(arguments, &request)? {
        return Ok(ending);
    }
    ask::be_there(&arguments.state_dir)?;
    let parts = arguments.parts().map_err(ask::locked)?;
    on_one_thread(async {
        let stop = Stop::on_signals()?;
        let restored = parts.poller()?.restore(service, asked, &stop).await?;
        say_line(&restored.said)?;
        Ok(match restored.is_well {
            true => Ending::Done,
            false => Ending::Failed,
        })
    })
}

/// Lets `service` be deployed again.
pub(super) fn resolve(arguments: &Arguments, service: &ServiceName) -> anyhow::Result<Ending> {
    within::refuse_order("resolve")?;
    let request = Ask::Resolve {
        service: service.clone(),
    };
    let said = match ask::ask(&arguments.state_dir, &request)? {
        Some(Line::Done(said)) => said,
        Some(other) => return Err(ask::unexpected(&other)),
        None => {
            let mut store = ask::open(&arguments.state_dir)?;
            let settings = settings(&arguments.config)?;
            on_one_thread(async {
                let engine = docker_host();
                Ok(daemon::resolve(&mut store, &settings, service, engine.as_deref()).await?)
            })?
        }
    };
    say_line(&said)?;
    Ok(Ending::Done)
}

/// How it ended that the poller of the state directory was asked for; `None` when nobody serves it.
fn ordered(arguments: &Arguments, request: &Ask) -> anyhow::Result<Option<Ending>> {
    match ask::ask(&arguments.state_dir, request)? {
        Some(Line::Ended(Ended {
            said,
            outcomes,
            failed,
        })) => {
            say_line(&said)?;
            Ok(Some(Ending::Applied { outcomes, failed }))
        }
        Some(other) => Err(ask::unexpected(&other)),
        None => Ok(None),
    }
}

/// Prints what was said, unless that is nothing.
fn say_line(text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    say(&format!("{text}\n"))
}
