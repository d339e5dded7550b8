//! The addresses that health checks ask, in which `{container}` may stand for the container's own.

use std::{fmt, net::IpAddr, str::FromStr};

use super::values::{cut, web_uri};

/// Stands for the address of the container that is checked.
pub const CONTAINER: &str = "{container}";

/// An `http://` or `https://` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The address as it is in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its host is the container that is checked.
    pub fn is_of_container(&self) -> bool {
        self.0.contains(CONTAINER)
    }

    /// The address when the container's own is `own`.
    pub fn at(&self, own: IpAddr) -> String {
        let host = match own {
            IpAddr::V4(own) => own.to_string(),
            IpAddr::V6(own) => format!("[{own}]"),
        };
        self.0.replacen(CONTAINER, &host, 1)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = match text.split_once("://") {
            Some((scheme, rest)) => match rest.strip_prefix(CONTAINER) {
                Some(rest) if rest.is_empty() || rest.starts_with([':', '/', '?']) => {
                    format!("{scheme}://127.0.0.1{rest}")
                }
                _ => text.to_owned(),
            },
            None => text.to_owned(),
        };
        if plain.contains(CONTAINER) {
            return Err(format!(
                "expected {CONTAINER} as the whole host, \"http://{CONTAINER}:8080/health\", found {:?}",
                cut(text)
            ));
        }
        web_uri(&plain, "http://127.0.0.1:8080/health").map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a TCP connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpAddress {
    /// `None` is the container that is checked.
    host: Option<String>,
    port: u16,
}

impl TcpAddress {
    /// Whether its host is the container that is checked.
    pub fn is_of_container(&self) -> bool {
        self.host.is_none()
    }

    /// The host, a name or an address; `None` is the container that is checked.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for TcpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected \"HOST:PORT\" such as \"127.0.0.1:5432\" or \"{CONTAINER}:5432\", found {:?}",
                cut(text)
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => Some(host.to_owned()),
            None if host == CONTAINER => None,
            None if is_name => Some(host.to_owned()),
            Some(_) | None => return Err(expected()),
        };
        Ok(Self {
            host,
            port: port.ok_or_else(expected)?,
        })
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, "{CONTAINER}:{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_stands_for_the_whole_host_of_a_url() {
        let url: HttpUrl = "http://{container}:8080/up?at={sha}".parse().unwrap();
        assert!(url.is_of_container());
        assert_eq!(
            url.at("172.17.0.2".parse().unwrap()),
            "http://172.17.0.2:8080/up?at={sha}"
        );
        assert_eq!(
            url.at("fd00::2".parse().unwrap()),
            "http://[fd00::2]:8080/up?at={sha}"
        );
        for good in [
            "http://{container}",
            "https://{container}/",
            "http://{container}?x",
        ] {
            assert!(good.parse::<HttpUrl>().unwrap().is_of_container(), "{good}");
        }
        let fixed: HttpUrl = "http://127.0.0.1/".parse().unwrap();
        assert!(!fixed.is_of_container());
    }

    #[test]
    fn a_placeholder_anywhere_else_is_refused() {
        for bad in [
            "http://{container}.example/",
            "http://web.{container}/",
            "http://127.0.0.1/{container}",
            "http://{container}/{container}",
            "{container}:8080",
            "http://{sha}/",
            "http://{container}:99999999/",
        ] {
            let told = bad.parse::<HttpUrl>().unwrap_err();
            assert!(told.starts_with("expected"), "{bad}: {told}");
        }
    }

    #[test]
    fn a_tcp_address_has_a_host_and_a_port() {
        for good in [
            "{container}:5432",
            "127.0.0.1:1",
            "db.example:65535",
            "[::1]:5432",
        ] {
            let address: TcpAddress = good.parse().unwrap();
            assert_eq!(address.to_string(), good);
            assert_eq!(address.is_of_container(), good.starts_with('{'));
        }
        for bad in [
            "",
            "5432",
            ":5432",
            "db",
            "db:",
            "db:0",
            "db:65536",
            "::1:5432",
            "[db]:1",
            "a b:1",
            "{sha}:1",
            "tcp://db:1",
        ] {
            let told = bad.parse::<TcpAddress>().unwrap_err();
            assert!(told.contains("HOST:PORT"), "{bad}: {told}");
        }
    }
}
