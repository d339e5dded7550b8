//! Towline's relay: a Cloudflare Worker that turns GitHub's signed deliveries into deploy intents.
//!
//! The pure half decides and is tested natively: [`settings`], [`webhook`], [`event`], [`json`],
//! [`gate`], [`manual`], [`mailbox`], [`pace`], [`missed`], [`upkeep`], [`doorbell`], [`tally`], [`api`],
//! [`error`]. The shell acts and alone names the crate `worker`: this file, [`cron`], [`github`], [`http`],
//! [`jwks`], [`kv`], [`limit`], [`ordering`], [`webcrypto`], [`hub`]. Nothing here panics, because a panic
//! inside of the hub leaves its callers without an answer; the lints below see to it.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod api;
pub mod cron;
pub mod doorbell;
pub mod error;
pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gate;
pub mod github;
pub mod http;
#[expect(
    missing_docs,
    reason = "the methods that the macro `durable_object` exports to JavaScript have none"
)]
pub mod hub;
pub mod json;
pub mod jwks;
pub mod kv;
pub mod limit;
pub mod mailbox;
pub mod manual;
pub mod missed;
pub mod oidc;
pub mod ordering;
pub mod pace;
pub mod settings;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod upkeep;
pub mod v1;
pub mod webcrypto;
pub mod webhook;

use towline_protocol::{MAX_REQUEST_BODY, PROTOCOL_HEADER, WebhookAnswer, WebhookStatus};
use worker::{Context, Date, Env, Request, Response, console_error, console_log, event, js_sys};

use api::{Answer, Route, auth};
use error::Refusal;
use hub::ask::{self, Ask, Committed};
use limit::At;
use settings::Var;
use webhook::Verdict;

/// Answers every request.
///
/// # Errors
/// When the runtime refuses an answer's header.
#[event(fetch)]
pub async fn fetch(mut request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let route = api::route(request.method().as_ref(), &request.path());
    let answer = match route {
        Ok(Route::Health) => Ok(Answer::health()),
        Ok(Route::Webhook) => return http::send(deliver(&mut request, &env).await),
        Ok(Route::Poll) => v1::poll(&request, &env).await,
        Ok(Route::Order) => match ordering::order(&mut request, &env, &context).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => return http::send(refused(&refusal, &request)),
        },
        Ok(Route::Intent(id)) => v1::intent(&request, &env, &id).await,
        Ok(Route::Reports) => v1::reports(&mut request, &env).await,
        Ok(Route::Fleet) => v1::fleet(&request, &env).await,
        Ok(Route::Hello) => v1::hello(&mut request, &env).await,
        Ok(Route::Doorbell) => match v1::connect(&request, &env).await {
            Ok(upgrade) => return Ok(upgrade),
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    let refusal = match answer {
        Ok(answer) => return http::send(answer),
        Err(refusal) => limit::instead_of(refusal, At::Api, &request, &env).await,
    };
    http::send(refused(&refusal, &request))
}

/// The answer to what was refused; a fault goes to the log.
fn refused(refusal: &Refusal, request: &Request) -> Answer {
    if refusal.status() >= 500 {
        let path = request.path();
        console_error!("{} {path}: {}", request.method(), refusal.for_the_log());
    }
    Answer::from(refusal)
}

/// `POST /webhook/github`, with one line in the log whatever becomes of it, but for a flood.
async fn deliver(request: &mut Request, env: &Env) -> Answer {
    let head = http::delivery_head(request);
    let shown = |text: &Option<String>| -> String {
        let text = text.as_deref().unwrap_or_default();
        text.chars().take(80).collect()
    };
    let (event, delivery) = (shown(&head.event), shown(&head.delivery));
    match judge(request, env, &head).await {
        Ok(answer) => {
            console_log!("delivery {delivery:?} {event:?}: {}", answer.body);
            answer
        }
        Err(refusal) => {
            let refusal = limit::instead_of(refusal, At::Webhook, request, env).await;
            let (status, why) = (refusal.status(), refusal.for_the_log());
            let line = format!("delivery {delivery:?} {event:?}: {status}: {why}");
            if status >= 500 {
                console_error!("{line}");
            } else if refusal != Refusal::TooManyFailures {
                console_log!("{line}");
            }
            Answer::from(&refusal)
        }
    }
}

async fn judge(request: &mut Request, env: &Env, head: &webhook::Head) -> Result<Answer, Refusal> {
    let signature = webhook::check_head(head)?;
    let body = http::read_body(request, towline_protocol::MAX_WEBHOOK_BODY).await?;
    let vars = |name: &str| var(env, name);
    webhook::check_signature(&signature, &settings::webhook_secrets(&vars)?, &body)?;
    let event = webhook::read(head, &body)?;
    match webhook::decide(&event, &settings::gate(&vars)?)? {
        Verdict::Answer(answer) => Ok(Answer::json(200, &answer)),
        Verdict::Queue(candidate) => {
            let json = ask::ask(env, &Ask::Queue(candidate)).await?;
            Ok(queued(ask::answer(&json)?))
        }
    }
}

fn queued(committed: Committed) -> Answer {
    let (http, status, reason) = if committed.duplicate {
        let reason = "the same cause was queued before".to_owned();
        (200, WebhookStatus::Duplicate, Some(reason))
    } else {
        (202, WebhookStatus::Queued, None)
    };
    let answer = WebhookAnswer {
        status,
        reason,
        intent: Some(committed.id),
        seq: Some(committed.seq),
    };
    Answer::json(http, &answer)
}

/// The body of a request of ours: JSON, and not too large.
async fn json_body(request: &mut Request) -> Result<Vec<u8>, Refusal> {
    if !webhook::is_json(http::header(request, "content-type").as_deref()) {
        return Err(Refusal::ContentType);
    }
    let length = http::header(request, "content-length");
    webhook::check_length(length.as_deref(), MAX_REQUEST_BODY)?;
    http::read_body(request, MAX_REQUEST_BODY).await
}

/// Who asks. The protocol's version comes first: another one may have other tokens.
fn claims(request: &Request, env: &Env) -> Result<towline_protocol::Claims, Refusal> {
    api::check_protocol(http::header(request, PROTOCOL_HEADER).as_deref())?;
    let settings = settings::token_settings(&|name: &str| var(env, name))?;
    auth::claims(http::header(request, "authorization").as_deref(), &settings)
}

/// A variable or secret. Objects become JSON text, so that their checking is the pure half's.
fn var(env: &Env, name: &str) -> Var {
    let Ok(value) = js_sys::Reflect::get(env, &name.into()) else {
        return Var::Absent;
    };
    if value.is_undefined() || value.is_null() {
        return Var::Absent;
    }
    if let Some(text) = value.as_string() {
        return Var::Text(text);
    }
    match js_sys::JSON::stringify(&value) {
        Ok(json) => Var::Json(json.into()),
        Err(_) => Var::Json(String::new()),
    }
}

/// The time, in milliseconds since 1970. It stands still while nothing is awaited (Cloudflare,
/// "Performance and timers").
fn now_ms() -> u64 {
    Date::now().as_millis()
}

/// The time, in seconds since 1970.
fn now_s() -> i64 {
    i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX)
}
