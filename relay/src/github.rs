//! GitHub's REST API: a hook's attempts to deliver, one of them whole, and asking for another one.
//!
//! Here alone GitHub is spoken to. A redirect is not followed, because the token would go with it.

use std::time::Duration;

use futures_util::future::{Either, select};
use towline_protocol::Secret;
use worker::{Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

use crate::{
    error::Fault,
    missed::{
        Hook, PAGE, Page,
        answer::{self, Limits, Meaning},
    },
    now_ms,
    settings::github::GitHub,
};

/// How long GitHub may take for an answer with all its body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The version of the API (GitHub, "API Versions").
const VERSION: &str = "2022-11-28";

/// The API as one token may use it.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    token: Secret,
}

/// Why GitHub did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It wants to be left alone until this time, in milliseconds since 1970.
    Later(u64),
    /// It does not know the hook, the cursor or the attempt.
    Gone(String),
    /// Anything else; the text says what and what to do.
    Failed(String),
}

/// A whole answer.
struct Answer {
    status: u16,
    limits: Limits,
    /// `Link`, which names the next page.
    link: Option<String>,
    body: Vec<u8>,
}

impl Api {
    /// The API that is configured.
    pub fn new(github: &GitHub) -> Self {
        Self {
            url: github.api.clone(),
            token: github.token.clone(),
        }
    }

    /// One page of a hook's attempts, the newest first.
    ///
    /// # Errors
    /// When GitHub does not give it.
    pub async fn deliveries(&self, hook: &Hook, cursor: Option<&str>) -> Result<Page, Trouble> {
        let mut path = format!("{}/deliveries?per_page={PAGE}", hook.path());
        if let Some(cursor) = cursor {
            let cursor: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            path = format!("{path}&cursor={cursor}");
        }
        let answer = self.ask(Method::Get, &path).await?;
        Page::read(&answer.body, answer.link.as_deref()).map_err(failed)
    }

    /// One attempt with all that was sent and answered, as JSON: see [`crate::missed::about()`].
    ///
    /// # Errors
    /// When GitHub does not give it.
    pub async fn delivery(&self, hook: &Hook, attempt: u64) -> Result<Vec<u8>, Trouble> {
        let path = format!("{}/deliveries/{attempt}", hook.path());
        self.ask(Method::Get, &path).await.map(|answer| answer.body)
    }

    /// Asks for another attempt.
    ///
    /// # Errors
    /// When GitHub does not take it.
    pub async fn redeliver(&self, hook: &Hook, attempt: u64) -> Result<(), Trouble> {
        let path = format!("{}/deliveries/{attempt}/attempts", hook.path());
        self.ask(Method::Post, &path).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Answer, Trouble> {
        let request = self.request(method, path).map_err(failed)?;
        let answer = Box::pin(read(request));
        let answer = match select(answer, Delay::from(TIMEOUT)).await {
            Either::Left((answer, _)) => answer.map_err(failed)?,
            Either::Right(_) => {
                let limit = TIMEOUT.as_secs();
                return Err(failed(format!("no whole answer within {limit} s")));
            }
        };
        let status = answer.status;
        match answer::meaning(status, &answer.limits, now_ms()) {
            Meaning::Done => Ok(answer),
            Meaning::Later(until_ms) => Err(Trouble::Later(until_ms)),
            Meaning::Gone => Err(Trouble::Gone(format!(
                "GitHub answers {status}: it does not know this, or GITHUB_TOKEN may not see it"
            ))),
            Meaning::Refused => Err(Trouble::Failed(format!(
                "GitHub answers {status}: GITHUB_TOKEN needs the permission \"Webhooks: write\" there, and HOOKS the \
                 present name"
            ))),
            Meaning::Failed => Err(Trouble::Failed(format!("GitHub answers {status}"))),
        }
    }

    fn request(&self, method: Method, path: &str) -> worker::Result<Request> {
        let headers = Headers::new();
        let token = self.token.expose_str().unwrap_or_default();
        headers.set("authorization", &format!("Bearer {token}"))?;
        headers.set("accept", "application/vnd.github+json")?;
        headers.set("x-github-api-version", VERSION)?;
        headers.set("user-agent", "towline")?;
        let mut init = RequestInit::new();
        init.with_method(method)
            .with_headers(headers)
            .with_redirect(RequestRedirect::Manual);
        Request::new_with_init(&format!("{}/{path}", self.url), &init)
    }
}

/// Sends a request and reads all of its answer.
async fn read(request: Request) -> worker::Result<Answer> {
    let mut response = Fetch::Request(request).send().await?;
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let limits = Limits {
        retry_after: header("retry-after"),
        remaining: header("x-ratelimit-remaining"),
        reset: header("x-ratelimit-reset"),
    };
    let link = header("link");
    Ok(Answer {
        status: response.status_code(),
        limits,
        link,
        body: response.bytes().await?,
    })
}

fn failed(error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(Fault::storage("GitHub", error).to_string())
}
