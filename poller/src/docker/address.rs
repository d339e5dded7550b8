//! Where the engine is.

use std::fmt;

use thiserror::Error;

/// Where the engine is, without `DOCKER_HOST`.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket's path.
    Unix(String),
    /// `HOST:PORT`, in clear.
    Tcp(String),
}

/// Why `DOCKER_HOST` is not usable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("DOCKER_HOST is {text:?}: {rule}")]
pub struct AddressError {
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is valid.
    pub rule: &'static str,
}

impl Address {
    /// Reads a `DOCKER_HOST`; none and an empty one are the default socket.
    ///
    /// # Errors
    /// When it is neither `unix://PATH` nor `tcp://HOST:PORT`.
    pub fn parse(docker_host: Option<&str>) -> Result<Self, AddressError> {
        let text = docker_host.unwrap_or_default();
        let fail = |rule| {
            Err(AddressError {
                text: text.chars().take(80).collect(),
                rule,
            })
        };
        if text.is_empty() {
            return Ok(Self::Unix(DEFAULT_SOCKET.to_owned()));
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.to_owned()))
            } else {
                fail("use unix:// and an absolute path, for instance unix:///var/run/docker.sock")
            };
        }
        let host = text
            .strip_prefix("tcp://")
            .or_else(|| text.strip_prefix("http://"));
        let Some(host) = host.map(|host| host.trim_end_matches('/')) else {
            return fail("use unix://PATH or tcp://HOST:PORT");
        };
        match host.rsplit_once(':') {
            Some((name, port))
                if !name.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() =>
            {
                Ok(Self::Tcp(host.to_owned()))
            }
            _ => fail("use tcp://HOST:PORT"),
        }
    }

    /// The host's name, over TCP.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(address) => address.rsplit_once(':').map(|(host, _)| host),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_and_a_tcp_address_are_read_and_nothing_is_the_default() {
        assert_eq!(
            Address::parse(None),
            Ok(Address::Unix(DEFAULT_SOCKET.to_owned()))
        );
        assert_eq!(Address::parse(Some("")), Address::parse(None));
        assert_eq!(
            Address::parse(Some("unix:///run/d.sock")),
            Ok(Address::Unix("/run/d.sock".to_owned()))
        );
        let proxy = Address::parse(Some("tcp://socket-proxy:2375/")).unwrap();
        assert_eq!(
            (proxy.to_string().as_str(), proxy.host()),
            ("tcp://socket-proxy:2375", Some("socket-proxy"))
        );
    }

    #[test]
    fn anything_else_says_what_is_valid() {
        for bad in [
            "ssh://me@host",
            "npipe:////./pipe/x",
            "/var/run/docker.sock",
            "unix://d.sock",
            "tcp://host",
            "tcp://:1",
            "tcp://h:x",
            "tcp://h:1/v1",
        ] {
            let error = Address::parse(Some(bad)).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("use "), "{error}");
        }
    }
}
