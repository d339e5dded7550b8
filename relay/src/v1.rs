//! Requests of hosts and operators, acted out: the token is looked at first, the hub asked last.
//!
//! Orders are [`crate::ordering`]'s.

use std::collections::BTreeMap;

use towline_protocol::{Channel, IntentStatus, PROTOCOL_HEADER, Polled, Role};
use worker::{Env, Request, Response, console_error};

use crate::{
    api::{self, Answer, auth, poll, report},
    claims,
    doorbell::{self, Caller},
    error::Refusal,
    http,
    hub::ask::{self, Ask, Kept},
    json_body,
    kv::{self, Mailboxes},
    mailbox, now_ms, now_s, settings, var,
};

/// `GET /v1/intents`
///
/// # Errors
/// As docs/protocol.md says.
pub async fn poll(request: &Request, env: &Env) -> Result<Answer, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Host)?;
    let asked = poll::asked(&http::query(request), &claims)?;
    let body = if asked.fresh {
        ask::ask(env, &Ask::Since(asked.marks)).await?
    } else {
        let values = Mailboxes::open(env)?.get_all(asked.marks.keys()).await?;
        let (polled, unreadable) = poll::news(&asked, values);
        let polled = if unreadable.is_empty() {
            polled
        } else {
            mailbox::fit(with_the_hubs(polled, &asked, unreadable, env).await?)
        };
        Answer::json(200, &polled).body
    };
    let if_none_match = http::header(request, "if-none-match");
    Ok(poll::answer(body, if_none_match.as_deref()))
}

/// Adds what the hub says of channels whose mailbox cannot be read, so that the others are served.
async fn with_the_hubs(
    mut polled: Polled,
    asked: &poll::Asked,
    unreadable: Vec<(Channel, serde_json::Error)>,
    env: &Env,
) -> Result<Polled, Refusal> {
    let mut marks = BTreeMap::new();
    for (channel, error) in unreadable {
        let key = kv::key(&channel);
        console_error!("KV: the value of {key} is no mailbox: {error}; the hub is asked instead");
        let mark = asked.marks.get(&channel).copied().unwrap_or_default();
        marks.insert(channel, mark);
    }
    let json = ask::ask(env, &Ask::Since(marks)).await?;
    let theirs: Polled = ask::answer(&json)?;
    polled.channels.extend(theirs.channels);
    Ok(polled)
}

/// `GET /v1/intents/{id}`
///
/// # Errors
/// As docs/protocol.md says.
pub async fn intent(request: &Request, env: &Env, id: &str) -> Result<Answer, Refusal> {
    api::check_protocol(http::header(request, PROTOCOL_HEADER).as_deref())?;
    let settings = settings::token_settings(&|name: &str| var(env, name))?;
    let authorization = http::header(request, "authorization");
    let reader = auth::reader(authorization.as_deref(), &settings, now_s())?;
    let id = api::intent_id(id)?;
    if reader.never_sees(&id) {
        return Err(Refusal::NoSuchIntent);
    }
    let json = ask::ask(env, &Ask::Status(id)).await?;
    let status: Option<IntentStatus> = ask::answer(&json)?;
    // An id can be worked out from a run's: that an intent is there is told only to who may see it.
    let seen = status.filter(|status| reader.sees(status));
    let status = seen.ok_or(Refusal::NoSuchIntent)?;
    Ok(Answer::json(200, &status))
}

/// `POST /v1/reports`
///
/// # Errors
/// As docs/protocol.md says.
pub async fn reports(request: &mut Request, env: &Env) -> Result<Answer, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Host)?;
    let body = json_body(request).await?;
    let keep = Ask::Keep {
        host: claims.name,
        channels: claims.channels,
        reports: report::read(&body)?,
    };
    let json = ask::ask(env, &keep).await?;
    let kept: Kept = ask::answer(&json)?;
    Ok(Answer::json(202, &kept))
}

/// `GET /v1/fleet`
///
/// # Errors
/// As docs/protocol.md says.
pub async fn fleet(request: &Request, env: &Env) -> Result<Answer, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Operator)?;
    let body = ask::ask(env, &Ask::Fleet(claims.channels)).await?;
    Ok(Answer::text(200, body))
}

/// `POST /v1/hello`
///
/// # Errors
/// As docs/protocol.md says.
pub async fn hello(request: &mut Request, env: &Env) -> Result<Answer, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Host)?;
    let body = json_body(request).await?;
    let hello = Ask::Hello {
        host: claims.name,
        channels: claims.channels,
        hello: doorbell::hello(&body)?,
    };
    ask::ask(env, &hello).await?;
    Ok(Answer::text(202, "{}".to_owned()))
}

/// `GET /v1/doorbell`: the answer is the hub's, a WebSocket.
///
/// # Errors
/// As docs/protocol.md says.
pub async fn connect(request: &Request, env: &Env) -> Result<Response, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Host)?;
    api::demand_upgrade(http::header(request, "upgrade").as_deref())?;
    let caller = Caller {
        host: claims.name,
        channels: claims.channels,
        greeted: false,
        opened_ms: now_ms(),
    };
    Ok(ask::connect(env, &caller).await?)
}
