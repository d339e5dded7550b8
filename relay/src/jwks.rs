//! The issuer's keys over HTTPS, from the address that the relay's configuration names.
//!
//! Memory is an isolate's own, and gone with it: [`crate::oidc::cache`] decides when to ask anew.

use std::{cell::RefCell, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{Either, select},
    pin_mut,
};
use worker::{
    AbortController, Context, Delay, Fetch, Method, Request, RequestInit, RequestRedirect,
    console_error,
};

use crate::{
    error::Fault,
    now_ms,
    oidc::{
        cache::{Cache, Next, TIMEOUT_MS},
        keys::{KeySet, MAX_SET, RsaKey},
    },
};

/// How long to wait for somebody else's fetch before another look, in milliseconds. A fetch belongs to the
/// request that began it, so that it cannot be waited for itself.
const LOOK_MS: u64 = 100;

thread_local! {
    static CACHE: RefCell<Cache> = const { RefCell::new(Cache::new()) };
}

/// The key of this name; `None` when the issuer has none.
///
/// # Errors
/// When the keys cannot be had.
pub async fn key(url: &str, kid: &str, context: &Context) -> Result<Option<RsaKey>, Fault> {
    loop {
        match CACHE.with_borrow(|cache| cache.next(kid, now_ms())) {
            Next::Use(key) => return Ok(Some(key)),
            Next::Unknown => return Ok(None),
            Next::Wait => Delay::from(Duration::from_millis(LOOK_MS)).await,
            Next::Fetch => renew(url, context).await,
            Next::Unavailable => {
                let what = "a moment ago they could not be fetched; see the log before this line";
                return Err(Fault::storage(url, what));
            }
        }
    }
}

/// Fetches the keys, also when whoever asked hangs up meanwhile: else a stranger could keep a new key from being found.
async fn renew(url: &str, context: &Context) {
    CACHE.with_borrow_mut(|cache| cache.begin(now_ms()));
    let fetching = fetch_and_keep(url.to_owned()).boxed_local().shared();
    context.wait_until(fetching.clone());
    fetching.await;
}

async fn fetch_and_keep(url: String) {
    let fetched = fetch_in_time(&url).await;
    if let Err(fault) = &fetched {
        console_error!("the keys of GitHub Actions' tokens: {fault}");
    }
    CACHE.with_borrow_mut(|cache| cache.end(fetched.ok(), now_ms()));
}

async fn fetch_in_time(url: &str) -> Result<KeySet, Fault> {
    let aborting = AbortController::default();
    let signal = aborting.signal();
    let fetched = async {
        let text = fetch(url, &signal).await?;
        KeySet::read(&text).map_err(|problem| Fault::storage(url, problem))
    };
    pin_mut!(fetched);
    let late = Delay::from(Duration::from_millis(TIMEOUT_MS));
    match select(fetched, late).await {
        Either::Left((fetched, _)) => fetched,
        Either::Right(((), _)) => {
            aborting.abort();
            Err(Fault::storage(url, "no answer in time"))
        }
    }
}

async fn fetch(url: &str, signal: &worker::AbortSignal) -> Result<String, Fault> {
    let failed = |error: worker::Error| Fault::storage(url, error);
    let mut init = RequestInit::new();
    // Where a redirect leads is not what the configuration says.
    init.with_method(Method::Get)
        .with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(url, &init).map_err(failed)?;
    let fetched = Fetch::Request(request).send_with_signal(signal).await;
    let mut response = fetched.map_err(failed)?;
    if response.status_code() != 200 {
        let status = format!("answered {}", response.status_code());
        return Err(Fault::storage(url, status));
    }
    let mut stream = response.stream().map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(failed)?;
        if body.len().saturating_add(chunk.len()) > MAX_SET {
            return Err(Fault::storage(
                url,
                format!("is larger than {MAX_SET} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|error| Fault::storage(url, error))
}
