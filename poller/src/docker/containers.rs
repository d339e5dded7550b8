//! Containers: reading, making, and the small calls by which one takes another's place.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    query_parameters::{
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
        StopContainerOptionsBuilder,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use towline_protocol::MAX_LOG_TAIL;

use super::{Docker, EngineError, TIMEOUT};
use crate::spec::CreateRequest;

/// How long the engine may need to stop a container beyond the container's own grace.
const STOP_MARGIN: Duration = Duration::from_secs(60);
/// How long a container may take to stop that says nothing about it, as engines have it.
const USUAL_GRACE: Duration = Duration::from_secs(10);
/// And one that says it shall never be killed: a deploy must come to an end.
const LONG_GRACE: Duration = Duration::from_secs(600);
/// How often a removal that is under way is looked at, and how many times.
const REMOVAL: (Duration, u32) = (Duration::from_millis(200), 150);
/// How soon a refused removal is tried again, and how many times: something may still hold the file system.
const REMOVALS: (Duration, u32) = (Duration::from_millis(500), 10);
/// How soon a refused update is tried again, and how many times.
const UPDATES: (Duration, u32) = (Duration::from_millis(100), 20);
/// How many containers are inspected at once.
const INSPECTS: usize = 8;
/// How long one container of all may take: the engine waits for a broken one's lock without an end.
const INSPECT: Duration = Duration::from_secs(20);
/// How long a log may take that does not end.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// Lines of a log that are read to find its last bytes.
const LOG_LINES: &str = "200";

/// The end of a container's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The output.
    pub text: String,
    /// Whether its beginning was cut off, maybe in the middle of a line.
    pub is_cut: bool,
}

impl Docker {
    /// `GET /containers/{id}/json`, by name or id; `None` when there is none.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn container(&self, id: &str) -> Result<Option<Value>, EngineError> {
        found(
            self.raw
                .get(&format!("/containers/{id}/json"), TIMEOUT)
                .await,
        )
    }

    /// The container of exactly this name; `None` when there is none. The engine itself also takes the name for the
    /// beginning of an id, which would be a stranger's.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn named(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let container = self.container(name).await?;
        let is_called = |shown: &Value| {
            let shown = shown.get("Name").and_then(Value::as_str);
            shown.and_then(|shown| shown.strip_prefix('/')) == Some(name)
        };
        Ok(container.filter(is_called))
    }

    /// `GET /containers/json`, stopped ones included.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn list(&self) -> Result<Value, EngineError> {
        self.raw.get("/containers/json?all=1", TIMEOUT).await
    }

    /// Every container as [`Self::container`] shows it, without those that vanish meanwhile. One that the engine does
    /// not show, or not soon, has what the list tells of it: id, name, labels, whether it runs, and its network mode.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn containers(&self) -> Result<Vec<Value>, EngineError> {
        self.containers_where(|_| true).await
    }

    /// The same of those for which `is_wanted` says so of what the list tells (`Id`, `Names`, `Labels` and so on).
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn containers_where(
        &self,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, EngineError> {
        let list = self.list().await?;
        let listed = list.as_array().into_iter().flatten();
        let listed = listed.filter(|listed| is_wanted(listed));
        let inspects = listed.map(|listed| self.shown_or(listed));
        let all: Vec<Option<Value>> = futures_util::stream::iter(inspects)
            .buffered(INSPECTS)
            .try_collect()
            .await?;
        Ok(all.into_iter().flatten().collect())
    }

    async fn shown_or(&self, listed: &Value) -> Result<Option<Value>, EngineError> {
        let Some(id) = listed.get("Id").and_then(Value::as_str) else {
            return Ok(None);
        };
        let why = match timeout(INSPECT, self.container(id)).await {
            Ok(Ok(shown)) => return Ok(shown),
            Ok(Err(lost @ EngineError::Unreachable { .. })) => return Err(lost),
            Ok(Err(refused)) => refused.to_string(),
            Err(_) => format!("no answer within {} s", INSPECT.as_secs()),
        };
        let shown = as_listed(listed);
        let name = shown.get("Name").and_then(Value::as_str).unwrap_or(id);
        tracing::warn!("the container {name} cannot be inspected: {why}");
        Ok(Some(shown))
    }

    /// Creates a container, connects it to its further networks, and takes it off one that it is not to be on. Returns
    /// its id.
    ///
    /// # Errors
    /// See [`EngineError`]. The container may exist nevertheless, when a network refused it.
    pub async fn create(&self, name: &str, request: &CreateRequest) -> Result<String, EngineError> {
        let answer = self
            .raw
            .post(
                &format!("/containers/create?name={name}"),
                &request.body,
                TIMEOUT,
            )
            .await?;
        let id = answer.get("Id").and_then(Value::as_str);
        let id = id.ok_or_else(|| {
            EngineError::Unexpected("a created container without an id".to_owned())
        })?;
        for further in &request.connect {
            let body = json!({ "Container": id, "EndpointConfig": further.endpoint });
            let path = format!("/networks/{}/connect", further.network);
            self.raw.post(&path, &body, TIMEOUT).await?;
        }
        if let Some(network) = &request.disconnect {
            let path = format!("/networks/{network}/disconnect");
            let body = json!({ "Container": id });
            self.raw.post(&path, &body, TIMEOUT).await?;
        }
        Ok(id.to_owned())
    }

    /// Starts a container, unless it runs.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        self.check(self.client.start_container(id, None).await)
    }

    /// Stops a container, unless it is stopped. It has `grace` before it is killed, in whole seconds, of which one that
    /// has begun counts; by default its own limit, and ten minutes if its own is never (`--stop-timeout -1`).
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<(), EngineError> {
        let own = match grace {
            Some(_) => None,
            None => self.container(id).await?.as_ref().and_then(own_grace),
        };
        let explicit = grace.or((own == Some(Grace::Endless)).then_some(LONG_GRACE));
        let options = explicit.map(|grace| {
            let begun = u64::from(grace.subsec_nanos() > 0);
            let seconds = i32::try_from(grace.as_secs().saturating_add(begun)).unwrap_or(i32::MAX);
            StopContainerOptionsBuilder::default().t(seconds).build()
        });
        let grace = match (explicit, own) {
            (Some(grace), _) | (None, Some(Grace::Limited(grace))) => grace,
            (None, Some(Grace::Endless) | None) => USUAL_GRACE,
        };
        let client = self
            .client
            .clone()
            .with_timeout(grace.saturating_add(STOP_MARGIN));
        self.check(client.stop_container(id, options).await)
    }

    /// Renames a container, unless it has that name.
    ///
    /// # Errors
    /// See [`EngineError`]: `Refused` with 409 when another has the name.
    pub async fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        match self.check(self.client.rename_container(id, options).await) {
            Err(refused @ EngineError::Refused { .. }) => {
                let container = self.container(id).await?;
                let has = container
                    .as_ref()
                    .and_then(|shown| shown.get("Name")?.as_str());
                if has.is_some_and(|has| has.trim_start_matches('/') == name) {
                    Ok(())
                } else {
                    Err(refused)
                }
            }
            other => other,
        }
    }

    /// Sets a container's restart policy, unless it has that one: a socket proxy may refuse every update.
    ///
    /// An engine also refuses this, for a moment, of a container that ends right then: one that crashes again and
    /// again would never get its fix.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn set_policy(&self, id: &str, policy: &Value) -> Result<(), EngineError> {
        let body = json!({ "RestartPolicy": policy });
        let path = format!("/containers/{id}/update");
        let mut tries = UPDATES.1;
        loop {
            match self.raw.post(&path, &body, TIMEOUT).await {
                Err(EngineError::Refused { status: 500, .. }) if tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(UPDATES.0).await;
                }
                Err(refused @ EngineError::Refused { .. }) => {
                    let container = self.container(id).await?;
                    let has = container
                        .as_ref()
                        .and_then(|shown| shown.pointer("/HostConfig/RestartPolicy"));
                    return if has == Some(policy) {
                        Ok(())
                    } else {
                        Err(refused)
                    };
                }
                other => return other.map(drop),
            }
        }
    }

    /// Removes a stopped container, never its volumes, and waits until it is gone.
    ///
    /// # Errors
    /// See [`EngineError`]: `NotFound` when it was gone before.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let mut tries = REMOVALS.1;
        loop {
            let options = RemoveContainerOptionsBuilder::default()
                .v(false)
                .force(false)
                .build();
            match self.check(self.client.remove_container(id, Some(options)).await) {
                Err(EngineError::Refused {
                    status: 409,
                    message,
                }) if message.contains("already in progress") => {
                    return self.wait_until_gone(id).await;
                }
                Err(EngineError::Refused { status: 500, .. }) if tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(REMOVALS.0).await;
                }
                other => return other,
            }
        }
    }

    async fn wait_until_gone(&self, id: &str) -> Result<(), EngineError> {
        for _ in 0..REMOVAL.1 {
            if self.container(id).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(REMOVAL.0).await;
        }
        Err(EngineError::Refused {
            status: 409,
            message: format!("the removal of {id} does not end"),
        })
    }

    /// The end of a container's output, at most four times [`MAX_LOG_TAIL`] bytes: secrets are hidden before the last
    /// cut.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn log_tail(&self, id: &str) -> Result<LogTail, EngineError> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(LOG_LINES)
            .build();
        let mut stream = std::pin::pin!(self.client.logs(id, Some(options)));
        let mut log = Vec::new();
        let mut is_cut = false;
        let reading = async {
            while let Some(chunk) = stream.next().await {
                let chunk = self.check(chunk.map(LogOutput::into_bytes))?;
                is_cut |= keep_end(&mut log, &chunk, 4 * MAX_LOG_TAIL);
            }
            Ok::<_, EngineError>(())
        };
        if let Ok(read) = timeout(LOG_LIMIT, reading).await {
            read?;
        }
        let text = String::from_utf8_lossy(&log).into_owned();
        Ok(LogTail { text, is_cut })
    }
}

/// Adds `chunk` and keeps the last `max` bytes; whether something was cut off.
pub(super) fn keep_end(log: &mut Vec<u8>, chunk: &[u8], max: usize) -> bool {
    log.extend_from_slice(chunk);
    let excess = log.len().saturating_sub(max);
    log.drain(..excess);
    excess > 0
}

/// What the list tells of a container, at the places where its inspection would have it.
fn as_listed(listed: &Value) -> Value {
    let state = listed.get("State").and_then(Value::as_str);
    json!({
        "Id": listed.get("Id"),
        // A link's name has a slash more.
        "Name": listed.get("Names").and_then(Value::as_array).into_iter().flatten()
            .filter_map(Value::as_str).find(|name| name.matches('/').count() == 1),
        "State": { "Status": state, "Running": matches!(state, Some("running" | "paused" | "restarting")) },
        "Config": { "Labels": listed.get("Labels") },
        "HostConfig": listed.get("HostConfig"),
    })
}

/// How long a container may take to stop, by its own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    Limited(Duration),
    Endless,
}

/// How long the engine waits for the end of a container, as it shows it, before it kills it.
pub(super) fn grace(shown: &Value) -> Duration {
    match own_grace(shown) {
        Some(Grace::Limited(grace)) => grace,
        Some(Grace::Endless) => LONG_GRACE,
        None => USUAL_GRACE,
    }
}

fn own_grace(container: &Value) -> Option<Grace> {
    let seconds = container.pointer("/Config/StopTimeout")?.as_i64()?;
    Some(u64::try_from(seconds).map_or(Grace::Endless, |seconds| {
        Grace::Limited(Duration::from_secs(seconds))
    }))
}

/// "There is none" as a value.
pub(super) fn found(result: Result<Value, EngineError>) -> Result<Option<Value>, EngineError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}
