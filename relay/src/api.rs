//! The API's pure half: which request is which, and what an answer looks like before it is sent.
//!
//! In [`auth`] who asks, in [`poll`] what a poller is told, in [`report`] what a host tells, in
//! [`status`] how an intent fares, in [`fleet`] how the hosts do.

use serde::Serialize;
use towline_protocol::{ErrorBody, Health, IntentId, PROTOCOL_VERSION};

use crate::error::Refusal;

pub mod auth;
pub mod fleet;
pub mod poll;
pub mod report;
pub mod status;

/// A request that the relay knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /health`
    Health,
    /// `POST /webhook/github`
    Webhook,
    /// `GET /v1/intents`
    Poll,
    /// `POST /v1/intents`
    Order,
    /// `GET /v1/intents/{id}`, the id as it stands in the path.
    Intent(String),
    /// `POST /v1/reports`
    Reports,
    /// `GET /v1/doorbell`
    Doorbell,
    /// `POST /v1/hello`
    Hello,
    /// `GET /v1/fleet`
    Fleet,
}

/// Finds the route of a request.
///
/// # Errors
/// 404 for an unknown path, 405 for a known one with another method.
pub fn route(method: &str, path: &str) -> Result<Route, Refusal> {
    let (allow, route) = match path {
        "/health" => ("GET", Route::Health),
        "/webhook/github" => ("POST", Route::Webhook),
        "/v1/intents" if method == "POST" => ("POST", Route::Order),
        "/v1/intents" if method == "GET" => ("GET", Route::Poll),
        "/v1/intents" => ("GET, POST", Route::Poll),
        "/v1/reports" => ("POST", Route::Reports),
        "/v1/doorbell" => ("GET", Route::Doorbell),
        "/v1/hello" => ("POST", Route::Hello),
        "/v1/fleet" => ("GET", Route::Fleet),
        _ => match path.strip_prefix("/v1/intents/") {
            Some(id) if !id.is_empty() && !id.contains('/') => {
                ("GET", Route::Intent(id.to_owned()))
            }
            _ => return Err(Refusal::NoSuchPath),
        },
    };
    if method == allow {
        Ok(route)
    } else {
        Err(Refusal::WrongMethod { allow })
    }
}

/// Checks the header `Towline-Protocol`; absent means 1.
///
/// # Errors
/// [`Refusal::Protocol`] for any other version.
pub fn check_protocol(header: Option<&str>) -> Result<(), Refusal> {
    let version = header.map_or(Ok(PROTOCOL_VERSION), |text| text.trim().parse());
    if version == Ok(PROTOCOL_VERSION) {
        Ok(())
    } else {
        Err(Refusal::Protocol)
    }
}

/// Demands that a request is the opening of a WebSocket.
///
/// # Errors
/// [`Refusal::NotAnUpgrade`] when its header `Upgrade` says anything else.
pub fn demand_upgrade(header: Option<&str>) -> Result<(), Refusal> {
    let upgrade = header.is_some_and(|name| name.trim().eq_ignore_ascii_case("websocket"));
    if upgrade {
        Ok(())
    } else {
        Err(Refusal::NotAnUpgrade)
    }
}

/// Reads the id in `/v1/intents/{id}`.
///
/// # Errors
/// 400 when it is none.
pub fn intent_id(text: &str) -> Result<IntentId, Refusal> {
    text.parse()
        .map_err(|error: towline_protocol::NameError| Refusal::BadRequest(error.to_string()))
}

/// An answer before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON; empty with 304.
    pub body: String,
    /// Headers beyond those that every answer has.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// An answer of `body` as JSON.
    pub fn json<T: Serialize>(status: u16, body: &T) -> Self {
        // The answers' types are plain data, which always serialises.
        Self::text(status, serde_json::to_string(body).unwrap_or_default())
    }

    /// An answer of a body that is JSON already.
    pub fn text(status: u16, body: String) -> Self {
        let headers = Vec::new();
        Self {
            status,
            body,
            headers,
        }
    }

    /// The answer to `GET /health`.
    pub fn health() -> Self {
        let health = Health {
            status: "healthy".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Self::json(200, &health)
    }

    /// The answer with one more header.
    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        let body = ErrorBody {
            error: towline_protocol::answer::ErrorDetail {
                code: refusal.code().to_owned(),
                message: refusal.to_string(),
            },
        };
        let answer = Self::json(refusal.status(), &body);
        if let Refusal::WrongMethod { allow } = refusal {
            answer.with("allow", *allow)
        } else if *refusal == Refusal::BadToken {
            answer.with("www-authenticate", "Bearer")
        } else if *refusal == Refusal::TooManyFailures {
            // The period that the rate limit counts in.
            answer.with("retry-after", "60")
        } else if *refusal == Refusal::NotAnUpgrade {
            answer.with("upgrade", "websocket")
        } else {
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_contract_has_its_route_and_its_one_method() {
        let routes = [
            ("GET", "/health"),
            ("POST", "/webhook/github"),
            ("GET", "/v1/intents/in_x"),
            ("POST", "/v1/reports"),
            ("GET", "/v1/doorbell"),
            ("POST", "/v1/hello"),
            ("GET", "/v1/fleet"),
        ];
        for (method, path) in routes {
            assert!(route(method, path).is_ok(), "{path}");
            for other in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get"] {
                if other != method {
                    let refusal = route(other, path).unwrap_err();
                    assert_eq!(refusal, Refusal::WrongMethod { allow: method });
                    let answer = Answer::from(&refusal);
                    assert!(answer.headers.contains(&("allow", method.to_owned())));
                }
            }
        }
    }

    #[test]
    fn intents_are_asked_for_and_ordered_at_one_path() {
        assert_eq!(route("GET", "/v1/intents"), Ok(Route::Poll));
        assert_eq!(route("POST", "/v1/intents"), Ok(Route::Order));
        let allow = "GET, POST";
        for method in ["PUT", "DELETE", "HEAD", "post"] {
            let refusal = Err(Refusal::WrongMethod { allow });
            assert_eq!(route(method, "/v1/intents"), refusal);
        }
    }

    #[test]
    fn what_is_not_there_is_a_404_with_any_method() {
        for path in [
            "/",
            "/webhook",
            "/health/",
            "/v1/intents/",
            "/v1/intents/a/b",
            "//health",
        ] {
            assert_eq!(route("GET", path), Err(Refusal::NoSuchPath), "{path}");
            assert_eq!(route("POST", path), Err(Refusal::NoSuchPath), "{path}");
        }
    }

    #[test]
    fn a_newer_protocol_is_told_so_and_none_means_the_first() {
        assert!(check_protocol(None).is_ok() && check_protocol(Some("1")).is_ok());
        for bad in ["2", "0", "", "one", "1, 1"] {
            assert_eq!(check_protocol(Some(bad)), Err(Refusal::Protocol), "{bad:?}");
        }
    }

    #[test]
    fn a_doorbell_without_a_websocket_is_told_what_to_send() {
        assert!(demand_upgrade(Some("websocket")).is_ok());
        assert!(demand_upgrade(Some("WebSocket")).is_ok());
        for bad in [None, Some(""), Some("h2c"), Some("websocket, h2c")] {
            let answer = Answer::from(&demand_upgrade(bad).unwrap_err());
            assert_eq!(answer.status, 426);
            assert!(answer.body.contains("Upgrade: websocket"));
            assert!(
                answer
                    .headers
                    .contains(&("upgrade", "websocket".to_owned()))
            );
        }
    }

    #[test]
    fn an_error_is_json_with_a_code_and_a_message() {
        let answer = Answer::from(&Refusal::BadSignature);
        let body: ErrorBody = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (answer.status, body.error.code.as_str()),
            (401, "bad_signature")
        );
        assert!(!body.error.message.is_empty());
    }
}
