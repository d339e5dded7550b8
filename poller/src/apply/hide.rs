//! Takes the containers' secrets out of what a call has brought to light, before it reaches the journal, the log or a
//! report.

use towline_protocol::report::log_tail;

use super::act::Acted;
use crate::{
    docker::{Docker, EngineError, LogTail},
    machine::{Action, Deploy, Event},
    redact::Secrets,
};

/// `acted` with every text of it fit to be told. The containers are asked only when there is a text.
///
/// An engine that is not there is an error: what must be hidden is not known, and the call may be made again.
pub(super) async fn hidden(
    engine: &Docker,
    deploy: &Deploy,
    action: &Action,
    mut acted: Acted,
) -> Result<Acted, EngineError> {
    let why = match &mut acted.event {
        Event::Failed { why } | Event::Spoilt { why } | Event::Gone { why } => Some(why),
        Event::Done
        | Event::Created { .. }
        | Event::Found { .. }
        | Event::Looked { .. }
        | Event::Passed { .. } => None,
    };
    let log = Some(&mut acted.log).filter(|log| !log.text.is_empty());
    if why.is_none() && log.is_none() {
        return Ok(acted);
    }
    let secrets = secrets(engine, deploy, action).await;
    if let Err(error) = &secrets
        && error.is_loss()
    {
        return Err(error.clone());
    }
    if let Some(why) = why {
        *why = match &secrets {
            Ok(secrets) => secrets.hide(why),
            Err(error) => untold(error),
        };
    }
    if let Some(log) = log {
        log.text = match &secrets {
            Ok(secrets) => shown(secrets, log),
            Err(error) => untold(error),
        };
    }
    Ok(acted)
}

/// The end of a log, cut only after nothing is left to hide: a cut may leave a part of a secret that nobody knows.
fn shown(secrets: &Secrets, log: &LogTail) -> String {
    let text = if log.is_cut {
        secrets.hide_in_tail(&log.text)
    } else {
        secrets.hide(&log.text)
    };
    log_tail(&text).to_owned()
}

fn untold(error: &EngineError) -> String {
    format!("(not told, since it is unknown what must be hidden in it: {error})")
}

/// The secrets of the old containers and of those that `action` is about.
async fn secrets(
    engine: &Docker,
    deploy: &Deploy,
    action: &Action,
) -> Result<Secrets, EngineError> {
    let about: Vec<&String> = match action {
        Action::Gate { ids, .. } | Action::Drain { ids } => ids.iter().collect(),
        Action::Look { containers } => containers.iter().map(|shown| &shown.id).collect(),
        Action::Start { id } | Action::SaveLog { id } | Action::Join { id, .. } => vec![id],
        Action::MoveTag(_)
        | Action::MoveTagBack(_)
        | Action::Create { .. }
        | Action::Find { .. }
        | Action::SetPolicy { .. }
        | Action::Stop { .. }
        | Action::Rename { .. }
        | Action::Verify { .. }
        | Action::Switch { .. }
        | Action::Remove { .. } => Vec::new(),
    };
    let olds = deploy.members.iter().map(|member| &member.old);
    let mut secrets = Secrets::default();
    for id in olds.chain(about) {
        if let Some(container) = engine.container(id).await? {
            secrets.add_environment(&container);
        }
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towline_protocol::MAX_LOG_TAIL;

    use super::*;
    use crate::{docker::fake::connected, testing::deploy};

    fn failed(why: &str) -> Acted {
        let event = Event::Failed {
            why: why.to_owned(),
        };
        let log = LogTail::default();
        Acted {
            event,
            log,
            hook: None,
        }
    }

    fn gate() -> Action {
        Action::Gate {
            ids: vec!["new".to_owned()],
            spent: std::time::Duration::ZERO,
            brief: false,
        }
    }

    fn with_variable(variable: &str) -> (u16, String) {
        let container = json!({ "Config": { "Env": [variable] } });
        (200, container.to_string())
    }

    #[tokio::test]
    async fn a_reason_loses_the_secrets_of_the_old_and_of_the_new_version() {
        let engine = connected(|line| {
            if line.contains("/containers/abc/") {
                with_variable("DB_PASSWORD=correct-horse")
            } else {
                with_variable("API_KEY=new-battery")
            }
        });
        let acted = failed("no correct-horse, no new-battery");
        let acted = hidden(&engine.await, &deploy(), &gate(), acted)
            .await
            .unwrap();
        let why = "no ***, no ***".to_owned();
        assert_eq!(acted.event, Event::Failed { why });
    }

    #[tokio::test]
    async fn what_must_be_hidden_in_it_is_unknown_so_it_is_not_told() {
        let engine = connected(|_| (403, json!({ "message": "forbidden" }).to_string())).await;
        let acted = failed("correct-horse");
        let acted = hidden(&engine, &deploy(), &gate(), acted).await.unwrap();
        let Event::Failed { why } = acted.event else {
            panic!("it is a failure still");
        };
        assert!(
            why.contains("not told") && why.contains("forbidden"),
            "{why}"
        );
        assert!(!why.contains("correct-horse"), "{why}");
    }

    #[tokio::test]
    async fn an_engine_is_not_asked_when_there_is_nothing_to_hide() {
        let engine = connected(|line| panic!("it was asked: {line}")).await;
        let (event, log) = (Event::Done, LogTail::default());
        let acted = Acted {
            event,
            log,
            hook: None,
        };
        let acted = hidden(&engine, &deploy(), &gate(), acted).await.unwrap();
        assert_eq!(acted.event, Event::Done);
    }

    #[test]
    fn a_log_is_cut_only_after_its_secrets_are_hidden() {
        let mut secrets = Secrets::default();
        let secret = "0123456789".repeat(20);
        secrets.add(&secret);
        let rest = "x".repeat(MAX_LOG_TAIL - 100);
        let whole = LogTail {
            text: format!("{secret}{rest}"),
            is_cut: false,
        };
        assert_eq!(shown(&secrets, &whole), format!("***{rest}"));
        let cut = LogTail {
            text: format!("789{rest}"),
            is_cut: true,
        };
        assert_eq!(shown(&secrets, &cut), format!("***{rest}"));
    }
}
