//! The relay over HTTPS, from the host's side; the only file that names `ureq`.
//!
//! Bounded in time and memory whatever answers: a deadline for the whole exchange, at most 1 MiB of body, no redirect
//! followed, no compression asked for, JSON or nothing. Calls block; `daemon` has a thread for them.

use std::time::Duration;

use serde::Serialize;
use towline_protocol::{
    ChannelMark, Hello, MAX_ANSWER, PROTOCOL_HEADER, PROTOCOL_VERSION, Report, Secret,
};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Request, Response, StatusCode, header},
};

use crate::route::{Proxy, Route, Scheme, about};

mod answer;
mod error;
mod operator;
mod tls;

pub use answer::{Answer, News, Tag};
pub use error::RelayError;

pub(crate) use error::cut;

/// How long an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Until the connection stands, name resolution and TLS included.
    pub connect: Duration,
    /// Until the answer's last byte.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(30),
        }
    }
}

/// A connection to one relay, with this host's token.
#[derive(Clone, Debug)]
pub struct RelayClient {
    agent: Agent,
    origin: String,
    /// The proxy before it, for messages.
    proxy: Option<String>,
    authorization: Secret,
}

impl RelayClient {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// When `route` cannot be gone as it is: going past its proxy or its certificates is no way out.
    pub fn new(route: &Route, token: &Secret, deadlines: Deadlines) -> Result<Self, RelayError> {
        let url = &route.url;
        let impossible = |problem| RelayError::Unreachable {
            origin: url.to_string(),
            problem,
        };
        let proxy = route.proxy.as_ref().map(proxy).transpose();
        let config = Agent::config_builder()
            .proxy(proxy.map_err(impossible)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .https_only(!url.is_loopback())
            .timeout_connect(Some(deadlines.connect))
            .timeout_global(Some(deadlines.total))
            .max_response_header_size(16 * 1024)
            .max_idle_connections(1)
            .accept("application/json")
            .user_agent(concat!("towline/", env!("CARGO_PKG_VERSION")));
        let config = config.build();
        let agent = if route.roots.is_empty() {
            config.new_agent()
        } else {
            let trust = route.trust();
            tls::agent(
                config,
                trust.map_err(|error| impossible(error.to_string()))?,
            )
        };
        let authorization = Secret::new([b"Bearer ", token.expose()].concat());
        Ok(Self {
            agent,
            origin: url.to_string(),
            proxy: route.proxy.as_ref().map(Proxy::to_string),
            authorization,
        })
    }

    /// `GET /v1/intents`: what is newer than the marks; `None` when nothing has changed since the answer
    /// that had the tag `known`.
    ///
    /// With `fresh` the hub is asked, which knows more than the mailboxes.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn intents(
        &self,
        asked: &[ChannelMark],
        fresh: bool,
        known: Option<&Tag>,
    ) -> Result<Option<Answer>, RelayError> {
        let mut query: Vec<_> = asked.iter().map(|mark| format!("channel={mark}")).collect();
        if fresh {
            query.push("fresh=1".to_owned());
        }
        let path = format!("/v1/intents?{}", query.join("&"));
        let mut request = Request::get(format!("{}{path}", self.origin));
        let known = known.filter(|known| known.question == path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, &known.tag);
        }
        let response = self.exchange(request.body(Vec::new()))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return match known {
                Some(_) => Ok(None),
                None => Err(self.not_a_relay(
                    "it says that nothing has changed (304) without having been asked that"
                        .to_owned(),
                )),
            };
        }
        let tag = text_of(response.headers(), header::ETAG);
        let body = self.json(response, StatusCode::OK)?;
        let answer = answer::read(&body, asked)
            .map_err(|error| self.not_a_relay(format!("its JSON is not understood: {error}")))?;
        let tag = tag.map(|tag| Tag {
            question: path,
            tag,
        });
        Ok(Some(Answer { tag, ..answer }))
    }

    /// `POST /v1/reports`. `reports` are within the contract's number and size.
    ///
    /// # Errors
    /// See [`RelayError`]; repeating what was perhaps taken is harmless.
    pub fn report(&self, reports: &[&Report]) -> Result<(), RelayError> {
        self.post("/v1/reports", reports)
    }

    /// `POST /v1/hello`: who is there, and what it has.
    ///
    /// # Errors
    /// See [`RelayError`]; an older relay does not know it, see [`RelayError::is_unknown`].
    pub fn hello(&self, hello: &Hello) -> Result<(), RelayError> {
        self.post("/v1/hello", hello)
    }

    /// Sends JSON that is answered by 202.
    fn post(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<(), RelayError> {
        let body = serde_json::to_vec(body).map_err(|error| self.not_a_relay(error.to_string()))?;
        let request = Request::post(format!("{}{path}", self.origin))
            .header(header::CONTENT_TYPE, "application/json");
        let response = self.exchange(request.body(body))?;
        if response.status() == StatusCode::ACCEPTED {
            Ok(())
        } else {
            Err(self.refusal(response))
        }
    }

    fn exchange(
        &self,
        request: Result<Request<Vec<u8>>, ureq::http::Error>,
    ) -> Result<Response<Body>, RelayError> {
        let mut request = request.map_err(|error| self.not_a_relay(error.to_string()))?;
        let mut authorization = header::HeaderValue::from_bytes(self.authorization.expose())
            .map_err(|_| RelayError::Token {
                message: "it holds a character that no token has".to_owned(),
            })?;
        authorization.set_sensitive(true);
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, authorization);
        request.headers_mut().insert(
            header::HeaderName::from_bytes(PROTOCOL_HEADER.as_bytes())
                .map_err(|error| self.not_a_relay(error.to_string()))?,
            header::HeaderValue::from(PROTOCOL_VERSION),
        );
        self.agent.run(request).map_err(|error| self.trouble(error))
    }

    /// The JSON of an answer that has the status `wanted`.
    fn json(&self, response: Response<Body>, wanted: StatusCode) -> Result<Vec<u8>, RelayError> {
        if response.status() != wanted {
            return Err(self.refusal(response));
        }
        let kind = text_of(response.headers(), header::CONTENT_TYPE).unwrap_or_default();
        if !is_json(&kind) {
            return Err(self.not_a_relay(format!("expected JSON, found {kind:?}")));
        }
        self.body(response)
    }

    fn body(&self, mut response: Response<Body>) -> Result<Vec<u8>, RelayError> {
        if let Some(coding) = text_of(response.headers(), header::CONTENT_ENCODING) {
            return Err(self.not_a_relay(format!(
                "the answer is {coding:?}-coded, which was not asked for"
            )));
        }
        response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER as u64)
            .read_to_vec()
            .map_err(|error| self.trouble(error))
    }

    /// Tells the answers that are not the wanted one apart.
    fn refusal(&self, response: Response<Body>) -> RelayError {
        let status = response.status().as_u16();
        let of = |name| text_of(response.headers(), name);
        let (location, retry_after) = (of(header::LOCATION), of(header::RETRY_AFTER));
        let body = if response.status().is_redirection() {
            Vec::new()
        } else {
            self.body(response).unwrap_or_default()
        };
        RelayError::of_answer(
            &self.origin,
            status,
            location.as_deref(),
            retry_after.as_deref(),
            &body,
        )
    }

    fn not_a_relay(&self, problem: String) -> RelayError {
        RelayError::NotARelay {
            origin: self.origin.clone(),
            problem,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ureq may add errors, all of which mean no answer"
    )]
    fn trouble(&self, error: ureq::Error) -> RelayError {
        match error {
            ureq::Error::BodyExceedsLimit(limit) => {
                self.not_a_relay(format!("the answer is longer than {limit} bytes"))
            }
            ureq::Error::Protocol(_)
            | ureq::Error::LargeResponseHeader(..)
            | ureq::Error::Http(_) => self.not_a_relay(error.to_string()),
            ureq::Error::ConnectProxyFailed(problem) => RelayError::Unreachable {
                origin: self.origin.clone(),
                problem: format!(
                    "the proxy {} does not connect: {problem}",
                    self.proxy.as_deref().unwrap_or_default()
                ),
            },
            ureq::Error::Io(error) => RelayError::Unreachable {
                origin: self.origin.clone(),
                problem: match &self.proxy {
                    Some(proxy) => format!("through the proxy {proxy}: {}", about(&error)),
                    None => about(&error),
                },
            },
            other => RelayError::Unreachable {
                origin: self.origin.clone(),
                problem: other.to_string(),
            },
        }
    }
}

/// The same proxy as `ureq` has it, or what is wrong with it.
fn proxy(proxy: &Proxy) -> Result<ureq::Proxy, String> {
    let scheme = match proxy.scheme {
        Scheme::Http => ureq::ProxyProtocol::Http,
        Scheme::Https => ureq::ProxyProtocol::Https,
    };
    let mut builder = ureq::Proxy::builder(scheme)
        .host(&proxy.host)
        .port(proxy.port);
    if let Some((user, password)) = &proxy.login {
        let (Some(user), Some(password)) = (user.expose_str(), password.expose_str()) else {
            return Err(format!(
                "the user name or the password for the proxy {proxy} is no text"
            ));
        };
        builder = builder.username(user).password(password);
    }
    let built = builder.build();
    built.map_err(|error| format!("the proxy {proxy} cannot be used: {error}"))
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests;
