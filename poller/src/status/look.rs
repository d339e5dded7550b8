//! Looking at what the services are made of now: the engine's containers and the checkouts, within a bounded time.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Builder;
use towline_protocol::Digest;

use super::{CheckoutStatus, Missing, Observed, ProjectContainer, checkout, project, replicas};
use crate::{
    apply::{InspectError, find},
    compose::Placed,
    docker::{Docker, EngineError},
    plan::{self, beside, unlike},
    process::Launcher,
    settings::{Choice, Parts},
};

/// How long the engine may take for all containers together.
const LIMIT: Duration = Duration::from_secs(5);

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// One container.
    Container {
        /// By what it is known.
        choice: Choice,
        /// The digest that the last deploy has brought.
        brought: Option<Digest>,
    },
    /// What a service is made of, and what of its project the last deploy that took effect has left in place, if that is known.
    Parts(Box<Parts>, Option<Placed>),
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Why the engine could not be asked; `None` also when nothing that was sought needs one.
    pub engine: Option<String>,
    /// Of each service, in the order of what was sought.
    pub services: Vec<Shown>,
}

/// What was seen of a service; what could not be looked at, or what it does not have, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Of its container, of several together.
    pub observed: Option<Observed>,
    /// Of each container where there are several.
    pub replicas: Vec<Observed>,
    /// Of the containers of its project.
    pub containers: Option<Vec<ProjectContainer>>,
    /// What of its project there is too little of.
    pub missing: Vec<Missing>,
    /// Of its checkout.
    pub checkout: Option<CheckoutStatus>,
}

impl Sought {
    /// Whether it has containers.
    pub fn needs_engine(&self) -> bool {
        match self {
            Self::Container { .. } => true,
            Self::Parts(parts, _) => parts.needs_engine(),
        }
    }
}

/// Looks at these. `docker_host` is the variable `DOCKER_HOST`; no engine is asked where none is needed.
///
/// Uses a connection and a thread of its own, so that it gets its answer while a deploy is under way.
pub async fn look(docker_host: Option<&str>, sought: &[Sought]) -> Seen {
    look_for(docker_host, sought, |_| true).await
}

/// As [`look`], at what has containers alone: no git is run for anything else.
pub async fn look_at_containers(docker_host: Option<&str>, sought: &[Sought]) -> Seen {
    look_for(docker_host, sought, Sought::needs_engine).await
}

async fn look_for(
    docker_host: Option<&str>,
    sought: &[Sought],
    is_meant: fn(&Sought) -> bool,
) -> Seen {
    let (docker_host, all) = (docker_host.map(str::to_owned), sought.to_vec());
    let looking = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let looking = look_within(LIMIT, docker_host.as_deref(), &all, is_meant);
        Ok(runtime.block_on(looking))
    });
    let looked = looking.await.unwrap_or_else(|error| Err(error.into()));
    looked.unwrap_or_else(|error: std::io::Error| Seen {
        engine: Some(format!("it was not looked: {error}")),
        services: vec![Shown::default(); sought.len()],
    })
}

async fn look_within(
    limit: Duration,
    docker_host: Option<&str>,
    sought: &[Sought],
    is_meant: fn(&Sought) -> bool,
) -> Seen {
    let (engine, checkouts) = tokio::join!(
        at_engine(limit, docker_host, sought),
        checkouts(sought, is_meant)
    );
    let (engine, mut services) = match engine {
        Ok(services) => (None, services),
        Err(trouble) => (Some(trouble), vec![Shown::default(); sought.len()]),
    };
    for (shown, checkout) in services.iter_mut().zip(checkouts) {
        shown.checkout = checkout;
    }
    Seen { engine, services }
}

async fn checkouts(
    sought: &[Sought],
    is_meant: fn(&Sought) -> bool,
) -> Vec<Option<CheckoutStatus>> {
    let launcher = Launcher::own();
    let each = sought.iter().map(async |one| match one {
        Sought::Container { .. } => None,
        Sought::Parts(..) if !is_meant(one) => None,
        Sought::Parts(parts, _) => checkout::look_at(parts, &launcher).await,
    });
    futures_util::future::join_all(each).await
}

async fn at_engine(
    limit: Duration,
    docker_host: Option<&str>,
    sought: &[Sought],
) -> Result<Vec<Shown>, String> {
    if !sought.iter().any(Sought::needs_engine) {
        return Ok(vec![Shown::default(); sought.len()]);
    }
    let looking = async {
        let engine = Docker::connect(docker_host).await?;
        let mut all = Vec::new();
        for one in sought {
            all.push(shown(&engine, one).await?);
        }
        Ok::<_, EngineError>(all)
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(seen) => seen.map_err(|error| error.to_string()),
        Err(_) => Err(silent(limit)),
    }
}

async fn shown(engine: &Docker, sought: &Sought) -> Result<Shown, EngineError> {
    Ok(match sought {
        Sought::Container { choice, brought } => {
            let mut all = look_at(engine, choice, brought.as_ref()).await?;
            match all.len() {
                1 => Shown {
                    observed: all.pop(),
                    ..Shown::default()
                },
                _ => Shown {
                    observed: Some(replicas::together(&all)),
                    replicas: all,
                    ..Shown::default()
                },
            }
        }
        Sought::Parts(parts, placed) => project::look_at(engine, parts, placed.as_ref()).await?,
    })
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

/// What is seen of each container of this choice, at least one thing.
async fn look_at(
    engine: &Docker,
    choice: &Choice,
    brought: Option<&Digest>,
) -> Result<Vec<Observed>, EngineError> {
    let containers = match find(engine, choice).await {
        Ok(containers) => containers,
        Err(InspectError::Engine(error)) => return Err(error),
        Err(InspectError::Refused(_)) => return Ok(vec![nothing("absent")]),
    };
    let mut found = Vec::new();
    for container in containers {
        let image = container.get("Image").and_then(Value::as_str);
        let image = match image {
            Some(id) => engine.image(id).await?,
            None => None,
        };
        found.push(plan::Observed {
            container,
            image,
            all: Vec::new(),
            with: Vec::new(),
            brought: brought.cloned(),
        });
    }
    let are_unlike = match choice {
        Choice::Name(_) => false,
        Choice::Label(label) => unlike(label, &found).is_some(),
    };
    if are_unlike {
        return Ok(vec![nothing("ambiguous")]);
    }
    let each = found
        .into_iter()
        .map(|one| observed(one.container, one.image, one.brought));
    Ok(each.collect())
}

/// Of a container that is not there, or is not to be told from others.
pub(super) fn nothing(state: &str) -> Observed {
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
pub(super) fn observed(
    container: Value,
    image: Option<Value>,
    brought: Option<Digest>,
) -> Observed {
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
        with: Vec::new(),
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

    async fn seen(state: Value) -> Vec<Observed> {
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
        let seen = look(Some(&address), &[named("web"), named("gone")]).await;
        assert_eq!(seen.engine, None);
        let observed = seen.services.into_iter().map(|shown| shown.observed);
        observed.collect::<Option<_>>().unwrap()
    }

    fn named(name: &str) -> Sought {
        Sought::Container {
            choice: Choice::Name(name.to_owned()),
            brought: Some(digest('b')),
        }
    }

    #[tokio::test]
    async fn state_health_reference_and_digest_are_the_engines_words_and_an_absent_one_is_told() {
        let state = json!({ "Status": "running", "StartedAt": "2026-11-20T15:00:00.5Z", "ExitCode": 0, "Health": { "Status": "healthy" } });
        let all = seen(state).await;
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
        let web = seen(state).await.remove(0);
        assert_eq!(
            (web.exit_code, web.health, web.started_at),
            (Some(137), None, None)
        );
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told() {
        let seen = look(Some("unix:///nowhere/docker.sock"), &[named("web")]).await;
        assert_eq!(seen.services, [Shown::default()]);
        let error = seen.engine.unwrap();
        assert!(error.contains("does not answer"), "{error}");
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", silent.local_addr().unwrap());
        let limit = Duration::from_millis(50);
        let seen = look_within(limit, Some(&address), &[named("web")], |_| true).await;
        let error = seen.engine.unwrap();
        assert!(error.contains("has not answered within 50ms"), "{error}");
    }
}
