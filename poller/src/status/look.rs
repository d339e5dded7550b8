//! Asking the engine what it shows of the services' containers now, within a bounded time.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use towline_protocol::Digest;

use super::Observed;
use crate::{
    apply::{InspectError, find},
    docker::{Docker, EngineError},
    plan::{self, Refusal, beside},
    settings::Choice,
};

/// How long the engine may take for all containers together.
const LIMIT: Duration = Duration::from_secs(5);

/// A container to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// By what it is known.
    pub choice: Choice,
    /// The digest that the last deploy has brought.
    pub brought: Option<Digest>,
}

/// What was seen of each container, or why nothing was.
pub type Seen = Result<Vec<Observed>, String>;

/// Looks at these containers. `docker_host` is the variable `DOCKER_HOST`.
///
/// Uses a connection of its own, so that it gets its answer while a deploy is under way.
pub async fn look(docker_host: Option<&str>, containers: &[Sought]) -> Seen {
    look_within(LIMIT, docker_host, containers).await
}

async fn look_within(limit: Duration, docker_host: Option<&str>, containers: &[Sought]) -> Seen {
    let looking = async {
        let engine = Docker::connect(docker_host).await?;
        let mut all = Vec::new();
        for sought in containers {
            all.push(look_at(&engine, sought).await?);
        }
        Ok::<_, EngineError>(all)
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(seen) => seen.map_err(|error| error.to_string()),
        Err(_) => Err(silent(limit)),
    }
}

/// The containers beside the one of this choice that a deploy has left: parked old ones and new ones, with their states.
///
/// # Errors
/// Why the engine could not be asked.
pub async fn leftovers(docker_host: Option<&str>, choice: &Choice) -> Result<Vec<String>, String> {
    let looking = async { Docker::connect(docker_host).await?.list().await };
    match tokio::time::timeout(LIMIT, looking).await {
        Ok(Ok(list)) => Ok(beside(&list, choice)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(silent(LIMIT)),
    }
}

fn silent(limit: Duration) -> String {
    format!("the Docker engine has not answered within {limit:?}")
}

async fn look_at(engine: &Docker, sought: &Sought) -> Result<Observed, EngineError> {
    let container = match find(engine, &sought.choice).await {
        Ok(container) => container,
        Err(InspectError::Engine(error)) => return Err(error),
        Err(InspectError::Refused(Refusal::Ambiguous { .. })) => return Ok(nothing("ambiguous")),
        Err(InspectError::Refused(_)) => return Ok(nothing("absent")),
    };
    let image = container.get("Image").and_then(Value::as_str);
    let image = match image {
        Some(id) => engine.image(id).await?,
        None => None,
    };
    Ok(observed(container, image, sought.brought.clone()))
}

/// Of a container that is not there, or is not to be told from others.
fn nothing(state: &str) -> Observed {
    Observed {
        state: state.to_owned(),
        name: None,
        health: None,
        exit_code: None,
        started_at: None,
        restarts: 0,
        reference: None,
        digest: None,
    }
}

/// What the engine's JSON of a container and its image says; `brought` counts when the image has several digests.
fn observed(container: Value, image: Option<Value>, brought: Option<Digest>) -> Observed {
    let text = |path: &str| container.pointer(path).and_then(Value::as_str);
    let state = text("/State/Status").unwrap_or("unknown").to_owned();
    let runs = matches!(state.as_str(), "running" | "paused");
    let started_at: Option<Timestamp> = text("/State/StartedAt")
        .and_then(|at| at.parse().ok())
        // The engine writes the year 1 for "never".
        .filter(|at| *at > Timestamp::UNIX_EPOCH);
    let health = text("/State/Health/Status")
        .filter(|_| runs)
        .filter(|health| *health != "none")
        .map(str::to_owned);
    let exit_code = container
        .pointer("/State/ExitCode")
        .and_then(Value::as_i64)
        .filter(|_| !runs && state != "created");
    let restarts = container.get("RestartCount").and_then(Value::as_u64);
    let restarts = restarts.unwrap_or_default();
    let shown = plan::Observed {
        container,
        image,
        all: Vec::new(),
        brought,
    };
    Observed {
        state,
        name: Some(shown.name().to_owned()),
        health,
        exit_code,
        started_at,
        restarts,
        reference: Some(shown.reference().to_owned()).filter(|text| !text.is_empty()),
        digest: shown.digest(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::docker::fake;

    fn container(state: Value) -> String {
        json!({
            "Name": "/web", "Image": "sha256:1", "Config": { "Image": "registry.example/web:live" }, "State": state
        })
        .to_string()
    }

    fn digest(hex: char) -> Digest {
        let hex = hex.to_string().repeat(64);
        format!("sha256:{hex}").parse().unwrap()
    }

    async fn seen(state: Value) -> Seen {
        let container = container(state);
        let (address, _) = fake::engine(move |line| {
            if line.contains("/containers/web/json") {
                (200, container.clone())
            } else if line.contains("/images/") {
                let digests = ['a', 'b'].map(|hex| format!("registry.example/web@{}", digest(hex)));
                (
                    200,
                    json!({ "Id": "sha256:1", "RepoDigests": digests }).to_string(),
                )
            } else {
                (404, json!({ "message": "No such container" }).to_string())
            }
        });
        let named = |name: &str| Sought {
            choice: Choice::Name(name.to_owned()),
            brought: Some(digest('b')),
        };
        look(Some(&address), &[named("web"), named("gone")]).await
    }

    #[tokio::test]
    async fn state_health_reference_and_digest_are_the_engines_words_and_an_absent_one_is_told() {
        let state = json!({ "Status": "running", "StartedAt": "2026-11-20T15:00:00.5Z", "ExitCode": 0, "Health": { "Status": "healthy" } });
        let all = seen(state).await.unwrap();
        let web = &all[0];
        assert_eq!(
            (web.state.as_str(), web.health.as_deref(), web.exit_code),
            ("running", Some("healthy"), None)
        );
        assert_eq!(web.reference.as_deref(), Some("registry.example/web:live"));
        assert_eq!(
            web.digest,
            Some(digest('b')),
            "of several, the one that was brought"
        );
        assert!(web.started_at.is_some());
        assert_eq!(all[1], nothing("absent"));
    }

    #[tokio::test]
    async fn a_container_that_ended_says_how_and_its_old_health_does_not_count() {
        let state = json!({ "Status": "exited", "StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 137, "Health": { "Status": "unhealthy" } });
        let web = seen(state).await.unwrap().remove(0);
        assert_eq!(
            (web.exit_code, web.health, web.started_at),
            (Some(137), None, None)
        );
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told() {
        let error = look(Some("unix:///nowhere/docker.sock"), &[])
            .await
            .unwrap_err();
        assert!(error.contains("does not answer"), "{error}");
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", silent.local_addr().unwrap());
        let limit = Duration::from_millis(50);
        let error = look_within(limit, Some(&address), &[]).await.unwrap_err();
        assert!(error.contains("has not answered within 50ms"), "{error}");
    }
}
