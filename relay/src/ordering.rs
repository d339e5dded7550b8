//! `POST /v1/intents`, acted out: who orders is asked first, the hub last.

use towline_protocol::{PROTOCOL_HEADER, Role};
use worker::{Context, Env, Request, console_log};

use crate::{
    api::{self, Answer, auth},
    claims,
    error::{Fault, Refusal},
    gate::Candidate,
    http,
    hub::ask::{self, Ask},
    json_body, jwks,
    limit::{self, At},
    manual::{self, Key, Ordered},
    now_s,
    oidc::{
        Denied,
        claims::Claims,
        jwt::Jwt,
        policy::{Job, Policy},
    },
    settings, var, webcrypto,
};

/// Answers `POST /v1/intents`. Failures are counted here: whose they are is not known elsewhere.
///
/// # Errors
/// As docs/protocol.md says.
pub async fn order(request: &mut Request, env: &Env, context: &Context) -> Result<Answer, Refusal> {
    api::check_protocol(http::header(request, PROTOCOL_HEADER).as_deref())?;
    let authorization = http::header(request, "authorization");
    let Some(token) = auth::actions_token(authorization.as_deref()) else {
        return match of_an_operator(request, env).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => Err(limit::instead_of(refusal, At::Api, request, env).await),
        };
    };
    let denied = match job(env, context, token).await {
        Ok(Ok(job)) => return of_a_job(request, env, job).await,
        Ok(Err(denied)) => denied,
        Err(refusal) => return Err(limit::instead_of(refusal, At::Job, request, env).await),
    };
    let refusal = limit::instead_of(denied.refusal(), At::Job, request, env).await;
    if refusal != Refusal::TooManyFailures {
        console_log!("POST /v1/intents: a token of GitHub Actions was not taken: {denied}");
    }
    Err(refusal)
}

async fn of_an_operator(request: &mut Request, env: &Env) -> Result<Answer, Refusal> {
    let claims = claims(request, env)?;
    auth::demand(&claims, Role::Operator)?;
    let header = http::header(request, "idempotency-key");
    let key = match manual::idempotency_key(header.as_deref())? {
        Some(key) => Key::Given(key.to_owned()),
        None => Key::Random(webcrypto::random()?),
    };
    let order = manual::read(&json_body(request).await?)?;
    auth::demand_channel(&claims, &order.channel)?;
    let candidate = manual::by_operator(order, &claims.name, &key);
    manual::answer(place(env, candidate).await?, |_| None)
}

async fn of_a_job(request: &mut Request, env: &Env, job: Job) -> Result<Answer, Refusal> {
    // Before anything is queued: without a key there is no ticket.
    let tokens = settings::token_settings(&|name: &str| var(env, name))?;
    let order = manual::read(&json_body(request).await?)?;
    job.demand_channel(&order.channel)?;
    manual::answer(place(env, job.candidate(order)).await?, |intent| {
        let ticket = auth::ticket(intent, &tokens);
        ticket.expose_str().map(str::to_owned)
    })
}

/// The job that a token is of, if it may order at all.
async fn job(env: &Env, context: &Context, token: &str) -> Result<Result<Job, Denied>, Refusal> {
    let policy = settings::oidc(&|name: &str| var(env, name))?;
    let Some(policy) = policy else {
        return Ok(Err(Denied::NoPolicy));
    };
    admitted(&policy, context, token).await
}

async fn admitted(
    policy: &Policy,
    context: &Context,
    token: &str,
) -> Result<Result<Job, Denied>, Refusal> {
    let jwt = match Jwt::read(token) {
        Ok(jwt) => jwt,
        Err(denied) => return Ok(Err(denied)),
    };
    let Some(key) = jwks::key(&policy.jwks_url, jwt.kid(), context).await? else {
        return Ok(Err(Denied::UnknownKey(jwt.kid().to_owned())));
    };
    let verified = jwt.verify(&webcrypto::Subtle, &key).await?;
    Ok(verified
        .and_then(|token| Claims::read(&token, &policy.issuer, &policy.audience, now_s()))
        .and_then(|claims| policy.admit(claims)))
}

async fn place(env: &Env, candidate: Candidate) -> Result<Ordered, Fault> {
    let json = ask::ask(env, &Ask::Order(Box::new(candidate))).await?;
    ask::answer(&json)
}
