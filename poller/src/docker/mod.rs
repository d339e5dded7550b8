//! The Docker engine: the only place that names `bollard`, and the only one that speaks to the engine's socket.
//!
//! Containers and images are read and made as raw JSON (`raw`), so that no field of a newer engine is lost in a
//! typed model; everything else goes through `bollard`. Both use the same address and the same negotiated API
//! version, the smaller of the engine's and `NEWEST`: the floor is 1.41 (20.10).
//!
//! Each call may be repeated: what is done already is no error. Not here: which call to make (`machine`, `apply`).

use std::{net::SocketAddr, time::Duration};

use bollard::{BollardRequest, ClientVersion};
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};
use thiserror::Error;

mod address;
mod containers;
mod events;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
mod images;
mod layers;
mod lost;
mod networks;
mod pull;
mod raw;
pub(crate) mod registry;
mod stopping;

pub use address::{Address, AddressError};
pub use containers::LogTail;
pub use exec::Executed;
pub use images::LocalTag;
pub use layers::Layers;
pub use pull::Patience;
pub use registry::{Cause, RegistryError, RegistryTrouble};

use crate::credentials::Keyring;
use raw::Raw;

/// How long an answer may take, except where a call says otherwise. Starting a container may pull in drivers.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The newest API version that is spoken. From 1.52 on (engine 29) a create request's `MacAddress` is passed over and has
/// to stand with the network's settings, where a configured one cannot be told from a generated one.
const NEWEST: &ClientVersion = &ClientVersion {
    major_version: 1,
    minor_version: 51,
};

/// Carries a login for a registry.
const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// How long agreeing on the API version may take: whoever connects can do it again.
const GREETING: Duration = Duration::from_secs(30);

/// A connection to the engine, with its API version agreed on.
#[derive(Clone, Debug)]
pub struct Docker {
    address: Address,
    client: bollard::Docker,
    raw: Raw,
    keyring: Keyring,
    patience: Patience,
}

/// Why a call to the engine did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// `DOCKER_HOST` is not usable.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No answer: the engine is down, out of reach, or the connection broke.
    #[error("the Docker engine at {address} does not answer: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the attempt said.
        why: String,
    },
    /// The engine knows no such container, image or network.
    #[error("{0}")]
    NotFound(String),
    /// The engine refused.
    #[error("{message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// An answer that is not what the API describes.
    #[error("the Docker engine answered something unexpected: {0}")]
    Unexpected(String),
}

impl EngineError {
    /// Whether nobody knows what came of the call, because the engine was not reached, or has come back as a version that
    /// does not take this one's calls any more. A socket proxy says so by 502 to 504. Not for calls in which an engine
    /// passes on what a registry says.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, message } => match status {
                400 => message.starts_with("client version "),
                502..=504 => true,
                _ => false,
            },
            Self::Address(_) | Self::NotFound(_) | Self::Unexpected(_) => false,
        }
    }
}

impl Docker {
    /// Connects to `docker_host` (`unix://PATH` or `tcp://HOST:PORT`), by default `/var/run/docker.sock`, and agrees
    /// on the API version.
    ///
    /// # Errors
    /// When the address is not usable or the engine does not answer.
    pub async fn connect(docker_host: Option<&str>) -> Result<Self, EngineError> {
        let address = Address::parse(docker_host)?;
        let timeout = TIMEOUT.as_secs();
        let client = match &address {
            Address::Unix(path) => bollard::Docker::connect_with_unix(path, timeout, NEWEST),
            Address::Tcp(host) => bollard::Docker::connect_with_http(host, timeout, NEWEST),
        };
        let negotiated = match client {
            Ok(client) => tokio::time::timeout(GREETING, client.negotiate_version())
                .await
                .unwrap_or(Err(bollard::errors::Error::RequestTimeoutError)),
            Err(error) => Err(error),
        };
        let client = negotiated.map_err(|error| failure(&address, error))?;
        let prefix = format!("/v{}", client.client_version());
        Ok(Self {
            raw: Raw::new(address.clone(), prefix.clone()),
            client: client.with_request_modifier(move |request| repaired(request, &prefix)),
            address,
            keyring: Keyring::empty(),
            patience: Patience::default(),
        })
    }

    /// A new connection to the same engine, which agrees on the API version anew: it may have been updated.
    ///
    /// # Errors
    /// See [`Self::connect`].
    pub async fn again(&self) -> Result<Self, EngineError> {
        let engine = Self::connect(Some(&self.address.to_string())).await?;
        Ok(Self {
            keyring: self.keyring.clone(),
            patience: self.patience,
            ..engine
        })
    }

    /// The same connection, with logins for registries. Without any, images are pulled as anybody could.
    pub fn with_keyring(self, keyring: Keyring) -> Self {
        Self { keyring, ..self }
    }

    /// The same connection, with other limits for registries.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The engine's address, as `DOCKER_HOST` would have it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The host name under which the engine is spoken to over TCP, which may be a socket proxy's.
    pub fn host(&self) -> Option<&str> {
        self.address.host()
    }

    /// The engine's address over TCP, when this machine itself has it: then a container may have published it.
    pub async fn here(&self) -> Option<SocketAddr> {
        self.raw.here().await
    }

    /// The API version agreed on, for instance `1.45`.
    pub fn api_version(&self) -> String {
        self.client.client_version().to_string()
    }

    fn check<T>(&self, result: Result<T, bollard::errors::Error>) -> Result<T, EngineError> {
        result.map_err(|error| failure(&self.address, error))
    }
}

/// What `bollard` 0.21 gets wrong. It loses the version's prefix when it joins its paths, and an engine then takes its
/// own newest. It writes logins in the usual base64, where engines read the alphabet for URLs and take what they cannot
/// read for no login at all.
fn repaired(mut request: BollardRequest, prefix: &str) -> BollardRequest {
    let login = request.headers().get(REGISTRY_AUTH);
    let login = login.and_then(|login| login.to_str().ok());
    let for_urls = login.map(|login| login.replace('+', "-").replace('/', "_"));
    if let Some(Ok(mut login)) = for_urls.map(HeaderValue::try_from) {
        login.set_sensitive(true);
        request.headers_mut().insert(REGISTRY_AUTH, login);
    }
    let mut parts = request.uri().clone().into_parts();
    let path = parts
        .path_and_query
        .as_ref()
        .map_or("/", PathAndQuery::as_str);
    if !path.starts_with(&format!("{prefix}/")) {
        parts.path_and_query = format!("{prefix}{path}").parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// An error of `bollard` in our terms.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of bollard's many errors only these mean that the engine is not there"
)]
fn failure(address: &Address, error: bollard::errors::Error) -> EngineError {
    use bollard::errors::Error as Bollard;
    match error {
        Bollard::DockerResponseServerError {
            status_code,
            message,
        } => refusal(status_code, message),
        Bollard::DockerStreamError { error } => EngineError::Refused {
            status: 200,
            message: error,
        },
        Bollard::SocketNotFoundError(_) => EngineError::Unreachable {
            address: address.to_string(),
            why: lost::no_socket(),
        },
        error @ (Bollard::RequestTimeoutError
        | Bollard::IOError { .. }
        | Bollard::HyperResponseError { .. }
        | Bollard::HyperLegacyError { .. }) => EngineError::Unreachable {
            address: address.to_string(),
            why: lost::why(&error),
        },
        other => EngineError::Unexpected(chain(&other)),
    }
}

fn refusal(status: u16, message: String) -> EngineError {
    let message = message.trim().to_owned();
    if status == 404 {
        EngineError::NotFound(message)
    } else {
        EngineError::Refused { status, message }
    }
}

/// An error with what caused it, which hyper keeps out of its own words.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
