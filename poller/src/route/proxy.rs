//! The proxy between this host and the relay, by the variables that other programs heed too. Pure.
//!
//! What curl and Go agree on: `HTTPS_PROXY`, else `ALL_PROXY`, also in small letters; `NO_PROXY` lists hosts, and a host
//! stands for those below it too.

use std::{ffi::OsString, fmt};

use http::Uri;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use towline_protocol::Secret;

use crate::settings::RelayUrl;

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy that connects further by CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or address, an IPv6 one in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password, if it wants any.
    pub login: Option<(Secret, Secret)>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// A variable names something that cannot be a proxy. Its value is not told: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "${variable} is not a proxy's address: expected http://[USER:PASSWORD@]HOST[:PORT], {found}"
)]
pub struct BadProxy {
    variable: &'static str,
    found: &'static str,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// The proxy before the relay at `url`, if there is one.
///
/// # Errors
/// When the variable that counts has no proxy's address.
pub(super) fn before(
    url: &RelayUrl,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, BadProxy> {
    let set = |name: &&'static str| {
        let value = variable(name)?;
        (!value.is_empty()).then_some((*name, value))
    };
    let Some((name, value)) = PROXIES.iter().find_map(set) else {
        return Ok(None);
    };
    let exceptions = EXCEPTIONS.iter().find_map(set);
    let exceptions = exceptions.map(|(_, list)| list.to_string_lossy().into_owned());
    if url.is_loopback() || exceptions.is_some_and(|list| is_excepted(url, &list)) {
        return Ok(None);
    }
    let value = value.to_str().ok_or("found something that is no text");
    let proxy = value.and_then(parse).map_err(|found| BadProxy {
        variable: name,
        found,
    });
    proxy.map(Some)
}

/// Whether `list`, separated by commas or spaces, has the host of `url`, one above it, or `*`.
fn is_excepted(url: &RelayUrl, list: &str) -> bool {
    let host = url.host().to_ascii_lowercase();
    let port = url.port();
    let mut entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let (name, at) = match entry.rsplit_once(':') {
            Some((name, at)) if !name.ends_with(':') && at.parse::<u16>().is_ok() => {
                (name, at.parse().ok())
            }
            _ => (entry.as_str(), None),
        };
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.strip_prefix('.').unwrap_or(name);
        let bare = host.trim_matches(['[', ']']);
        let is_below = || {
            bare.strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        let is_it = name.is_empty() || bare == name.trim_matches(['[', ']']) || is_below();
        is_it && at.is_none_or(|at: u16| at == port)
    })
}

fn parse(text: &str) -> Result<Proxy, &'static str> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err("found another kind of proxy, which towline does not speak to"),
    };
    let rest = rest.split('/').next().unwrap_or_default();
    let (login, authority) = match rest.rsplit_once('@') {
        Some((login, authority)) => (Some(login), authority),
        None => (None, rest),
    };
    let none = "found none";
    let uri: Uri = format!("http://{authority}/").parse().map_err(|_| none)?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(none)?;
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let has_port = authority.len() > host.len();
    if has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("found one with a port that is none");
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|text| Secret::new(&*text))
            .map_err(|_| "found one with a login that is no text")
    };
    let login = login.map(|login| {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Ok::<_, &str>((decoded(user)?, decoded(password)?))
    });
    Ok(Proxy {
        scheme,
        host: host.to_owned(),
        port: uri.port_u16().unwrap_or(default),
        login: login.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(url: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, BadProxy> {
        before(&url.parse().unwrap(), |name| {
            let value = variables.iter().find(|(one, _)| *one == name);
            value.map(|(_, value)| OsString::from(value))
        })
    }

    fn shown(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        through(url, variables)
            .unwrap()
            .map(|proxy| proxy.to_string())
    }

    const RELAY: &str = "https://towline.octo-org.example";

    #[test]
    fn the_proxy_for_https_comes_before_the_one_for_everything_and_an_empty_one_is_none() {
        let (one, all) = (("HTTPS_PROXY", "http://one:3128"), ("all_proxy", "all:1"));
        assert_eq!(shown(RELAY, &[]), None);
        assert_eq!(shown(RELAY, &[all, one]).unwrap(), "http://one:3128");
        assert_eq!(shown(RELAY, &[all]).unwrap(), "http://all:1");
        let empty = ("HTTPS_PROXY", "");
        assert_eq!(shown(RELAY, &[all, empty]).unwrap(), "http://all:1");
        assert_eq!(shown(RELAY, &[("HTTP_PROXY", "http://one")]), None);
    }

    #[test]
    fn what_is_left_out_of_an_address_has_its_usual_value() {
        for (text, wanted) in [
            ("proxy", "http://proxy:80"),
            ("HTTP://proxy/", "http://proxy:80"),
            ("https://proxy", "https://proxy:443"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("octocat:hunter2@proxy:8080", "http://proxy:8080"),
        ] {
            let found = shown(RELAY, &[("https_proxy", text)]);
            assert_eq!(found.as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let text = "http://octo%40cat:hunter%3a2@proxy";
        let proxy = through(RELAY, &[("HTTPS_PROXY", text)]).unwrap().unwrap();
        let (user, password) = proxy.login.clone().unwrap();
        assert_eq!(user.expose_str(), Some("octo@cat"));
        assert_eq!(password.expose_str(), Some("hunter:2"));
        let shown = format!("{proxy} {proxy:?}");
        assert!(
            !shown.contains("hunter") && !shown.contains("cat"),
            "{shown}"
        );
    }

    #[test]
    fn a_relay_on_this_machine_is_never_asked_through_a_proxy() {
        for url in [
            "http://127.0.0.1:8787",
            "https://localhost:1",
            "http://[::1]:1",
        ] {
            assert_eq!(shown(url, &[("ALL_PROXY", "http://proxy")]), None, "{url}");
        }
    }

    #[test]
    fn exceptions_are_hosts_and_what_is_below_them() {
        let proxied = |list: &str| {
            let variables = [("HTTPS_PROXY", "http://proxy"), ("no_proxy", list)];
            shown(RELAY, &variables).is_some()
        };
        for list in [
            "towline.octo-org.example",
            "a.example, Octo-Org.Example",
            ".octo-org.example",
            "*.example",
            "*",
            "octo-org.example:443",
        ] {
            assert!(!proxied(list), "{list}");
        }
        for list in [
            "",
            "org.example",
            "towline",
            "octo-org.example:8443",
            "x.towline.octo-org.example",
        ] {
            assert!(proxied(list), "{list}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_by_its_variable_and_never_repeated() {
        for text in [
            "http://",
            "socks5://hunter2@proxy",
            "http://pro xy",
            "http://hunter2:@:80",
            "http://proxy:99999",
            "http://proxy:0",
            "http://%ff@proxy",
        ] {
            let error = through(RELAY, &[("ALL_PROXY", text)])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("$ALL_PROXY is not"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
