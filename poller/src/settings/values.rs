//! What single values of the host's file must look like.
//!
//! Each function takes a TOML value and returns the valid one, or what was expected and found.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use http::{Uri, uri::Scheme};
use jiff::SignedDuration;
use serde_json::{Number, Value};
use toml::de::{DeInteger, DeValue};
use towline_protocol::Glob;

use super::{HttpUrl, Label, TcpAddress, events::On, read::described};

/// The longest duration that the file may ask for.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// The most versions of a service that the file may have kept.
const MAX_KEEP: u32 = 100;

/// The relay's origin, `https://HOST[:PORT]` without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUrl(String);

impl RelayUrl {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the relay is on this very machine.
    pub fn is_loopback(&self) -> bool {
        self.uri().is_some_and(|uri| is_loopback(&uri))
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.uri()
            .is_some_and(|uri| uri.scheme() == Some(&Scheme::HTTPS))
    }

    /// Its name or address, an IPv6 one in brackets.
    pub fn host(&self) -> String {
        let uri = self.uri();
        let host = uri.as_ref().and_then(Uri::host);
        host.unwrap_or_default().to_owned()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let port = self.uri().and_then(|uri| uri.port_u16());
        port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    fn uri(&self) -> Option<Uri> {
        self.0.parse().ok()
    }
}

impl FromStr for RelayUrl {
    type Err = String;

    /// Tells what was expected and found.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = format!("found {:?}", cut(text));
        if text.to_ascii_uppercase().contains("YOUR-ACCOUNT") {
            return Err(format!(
                "expected your relay's address, which `wrangler deploy` prints, found the placeholder {:?}",
                cut(text)
            ));
        }
        let uri = web_uri(text, "https://towline.example.workers.dev")?;
        if uri.scheme() == Some(&Scheme::HTTP) && !is_loopback(&uri) {
            return Err(format!(
                "expected https://, {found}: the token would cross the network in the clear"
            ));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(format!(
                "expected only the origin such as \"https://towline.example.workers.dev\", {found}"
            ));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 80 characters, enough to recognise a value in a message.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

pub(super) fn string<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("expected text in quotes, found {}", described(value)))
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("expected true or false, found {}", described(value)))
}

pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    match string(value)? {
        "" => Err("expected a path, found nothing".to_owned()),
        text => Ok(PathBuf::from(text)),
    }
}

/// Text of at least one character.
pub(super) fn some_text(value: &DeValue<'_>) -> Result<String, String> {
    match string(value)? {
        "" => Err("expected some text, found nothing".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// One of something, or a list of them that is not empty.
pub(super) fn one_or_many<T>(
    value: &DeValue<'_>,
    expected: &str,
    read: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    match value.as_array() {
        None => Ok(vec![read(value)?]),
        Some(list) if list.is_empty() => Err(format!("{expected}, found an empty list")),
        Some(list) => list.iter().map(|item| read(item.get_ref())).collect(),
    }
}

/// What deploys a service; an empty list is nothing of its repository.
pub(super) fn on(value: &DeValue<'_>) -> Result<Vec<On>, String> {
    let expected = format!("expected {}, or a list of these", On::all());
    let word = |value: &DeValue<'_>| {
        let word = value.as_str().and_then(On::named);
        word.ok_or_else(|| format!("{expected}, found {}", described(value)))
    };
    match value.as_array() {
        Some(list) if list.is_empty() => Ok(Vec::new()),
        _ => one_or_many(value, &expected, word),
    }
}

/// One branch, or a list of them; `*` matches anything.
pub(super) fn branches(value: &DeValue<'_>) -> Result<Vec<Glob>, String> {
    let expected = "expected a branch or a list of branches";
    one_or_many(value, expected, |value| {
        let text = value.as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| format!("{expected}, found {}", described(value)))?;
        let found = described(value);
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return Err(format!(
                "expected the branch's name alone, {name:?}, found {found}"
            ));
        }
        if text.starts_with("refs/") || !may_be_branch(text) {
            return Err(format!(
                "{expected} such as \"main\" or \"release/*\", in which only * is special; no branch is called {found}"
            ));
        }
        Ok(Glob::new(text))
    })
}

/// Whether git allows a branch of this name (`git check-ref-format`), `*` apart.
fn may_be_branch(text: &str) -> bool {
    let no_char = |c: char| c.is_control() || " ~^:?[\\".contains(c);
    let no_part = ["..", "@{", "//"];
    !(text.contains(no_char)
        || no_part.iter().any(|part| text.contains(part))
        || text.starts_with(['/', '-', '.'])
        || text.ends_with(['/', '.'])
        || text.ends_with(".lock"))
}

/// One tag, or a list of them; `*` matches anything.
pub(super) fn tags(value: &DeValue<'_>) -> Result<Vec<Glob>, String> {
    let expected = "expected a tag or a list of tags";
    one_or_many(value, expected, |value| {
        let text = value.as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| format!("{expected}, found {}", described(value)))?;
        let found = described(value);
        if let Some(name) = text.strip_prefix("refs/tags/") {
            return Err(format!(
                "expected the tag's name alone, {name:?}, found {found}"
            ));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*".contains(&b);
        if text.starts_with(['.', '-']) || text.len() > 128 || !text.bytes().all(allowed) {
            return Err(format!(
                "{expected} such as \"v*\", of letters, digits, `.`, `_`, `-` and * for anything; \
                 the relay leaves other tags alone, found {found}"
            ));
        }
        Ok(Glob::new(text))
    })
}

/// One environment, or a list of them; `*` matches anything.
pub(super) fn environments(value: &DeValue<'_>) -> Result<Vec<Glob>, String> {
    let expected = "expected an environment such as \"production\", or a list of environments";
    one_or_many(value, expected, |value| {
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| format!("{expected}, found {}", described(value)))?;
        Ok(Glob::new(text))
    })
}

/// A duration such as `30s` or `5m`, more than nothing and at most a day.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let expected =
        r#"expected a duration in quotes such as "30s" or "5m", more than nothing and at most 24h"#;
    value
        .as_str()
        .and_then(|text| text.parse::<SignedDuration>().ok())
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|duration| !duration.is_zero() && *duration <= MAX_DURATION)
        .ok_or_else(|| format!("{expected}, found {}", described(value)))
}

/// A whole number, if it is one.
pub(super) fn number(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

/// How many versions of a service are kept, the current one included.
pub(super) fn keep(value: &DeValue<'_>) -> Result<u32, String> {
    number(value)
        .filter(|keep| (1..=MAX_KEEP).contains(keep))
        .ok_or_else(|| {
            format!(
                "expected how many versions are kept, the current one included, from 1 to {MAX_KEEP}, found {}",
                described(value)
            )
        })
}

/// An HTTP status.
pub(super) fn status(value: &DeValue<'_>) -> Result<u16, String> {
    value
        .as_integer()
        .and_then(|number| u16::from_str_radix(number.as_str(), number.radix()).ok())
        .filter(|status| (100..=599).contains(status))
        .ok_or_else(|| {
            format!(
                "expected an HTTP status from 100 to 599, found {}",
                described(value)
            )
        })
}

/// A container's name, by the engine's own rule (moby, `daemon/names`: `RestrictedNameChars`).
pub(super) fn container(value: &DeValue<'_>) -> Result<String, String> {
    let text = string(value)?;
    let text = text.strip_prefix('/').unwrap_or(text);
    let mut bytes = text.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected a container's name, [a-zA-Z0-9][a-zA-Z0-9_.-]+, found {}",
            described(value)
        ))
    }
}

/// A label, `"key=value"`, or `"key"` for any value.
pub(super) fn label(value: &DeValue<'_>) -> Result<Label, String> {
    string(value)?.parse().map_err(|()| {
        format!(
            "expected a label, \"key=value\" or \"key\" for any value, found {}",
            described(value)
        )
    })
}

/// A workflow's file name or its path in the repository.
pub(super) fn workflow(value: &DeValue<'_>) -> Result<String, String> {
    let text = string(value)?;
    if text.ends_with(".yml") || text.ends_with(".yaml") {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected the workflow's file name such as \"ci.yml\", not its display name, found {}",
            described(value)
        ))
    }
}

/// The relay's origin: https, or http on this very machine.
pub(super) fn relay_url(value: &DeValue<'_>) -> Result<RelayUrl, String> {
    string(value)?.parse()
}

pub(super) fn http_url(value: &DeValue<'_>) -> Result<HttpUrl, String> {
    string(value)?.parse()
}

pub(super) fn tcp_address(value: &DeValue<'_>) -> Result<TcpAddress, String> {
    string(value)?.parse()
}

/// A command and its arguments, each by itself: no shell reads them.
pub(super) fn command(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let list = value.as_array();
    let expected = || {
        let found = match list {
            Some(list) if list.is_empty() => "an empty list".to_owned(),
            Some(_) | None => described(value),
        };
        format!(
            "expected a list such as [\"pg_isready\", \"-q\"], which no shell reads, found {found}"
        )
    };
    let list = list.ok_or_else(expected)?;
    let words = list.iter().map(|word| word.get_ref().as_str());
    let words: Option<Vec<&str>> = words.collect();
    words
        .filter(|words| words.first().is_some_and(|program| !program.is_empty()))
        .filter(|words| !words.iter().any(|word| word.contains('\0')))
        .map(|words| words.into_iter().map(str::to_owned).collect())
        .ok_or_else(expected)
}

/// A JSON pointer (RFC 6901).
pub(super) fn json_pointer(value: &DeValue<'_>) -> Result<String, String> {
    let text = string(value)?;
    let mut escapes = text.split('~').skip(1);
    let valid = (text.is_empty() || text.starts_with('/'))
        && escapes.all(|rest| rest.starts_with(['0', '1']));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected a JSON pointer such as \"/status\", with ~0 for ~ and ~1 for /, found {}",
            described(value)
        ))
    }
}

/// Text, a number, true or false, as JSON has them.
pub(super) fn scalar(value: &DeValue<'_>) -> Result<Value, String> {
    let found = match value {
        DeValue::String(text) => Some(Value::from(&**text)),
        DeValue::Boolean(flag) => Some(Value::from(*flag)),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map(Value::Number)
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    };
    found.ok_or_else(|| {
        format!(
            "expected text, a number, true or false, found {}",
            described(value)
        )
    })
}

fn integer(number: &DeInteger<'_>) -> Option<Value> {
    let (digits, radix) = (number.as_str(), number.radix());
    let signed = i64::from_str_radix(digits, radix).map(Value::from);
    signed
        .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from))
        .ok()
}

pub(super) fn web_uri(text: &str, example: &str) -> Result<Uri, String> {
    let expected = || {
        format!(
            "expected an address such as {example:?}, without user name, found {:?}",
            cut(text)
        )
    };
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let web = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    let plain = uri.authority().is_some_and(|authority| {
        let text = authority.as_str();
        let has_port = authority.port_u16().is_some();
        !text.contains('@') && (has_port || text == authority.host())
    });
    let host = uri.host().is_some_and(|host| !host.is_empty());
    if web && plain && host {
        Ok(uri)
    } else {
        Err(expected())
    }
}

fn is_loopback(uri: &Uri) -> bool {
    matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}
