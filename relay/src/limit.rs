//! The platform's rate limit, by which failures are answered: not what is signed or has a good token.
//!
//! It is asked only once a request has failed, so that a good one is neither counted nor refused. It
//! counts in each of Cloudflare's locations by itself and is not exact ("Rate Limiting" in Cloudflare's
//! documentation of Workers); without the binding nothing is limited.

use std::net::{IpAddr, Ipv6Addr};

use worker::{Env, Request};

use crate::{error::Refusal, http};

/// The name of the rate limit's binding.
const BINDING: &str = "FAILURES";

/// Where a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At the webhook.
    Webhook,
    /// On the way to knowing whose job it is that orders.
    Job,
    /// Anywhere else in the API.
    Api,
}

/// What is to be answered: the refusal itself, or that there have been too many from this address.
pub async fn instead_of(refusal: Refusal, at: At, request: &Request, env: &Env) -> Refusal {
    let Some(kind) = counted(&refusal, at) else {
        return refusal;
    };
    let Ok(limiter) = env.rate_limiter(BINDING) else {
        return refusal;
    };
    let address = http::header(request, "cf-connecting-ip").unwrap_or_default();
    let outcome = limiter.limit(format!("{kind} {}", network(&address))).await;
    // A limit that fails must not keep anybody from the answer.
    if outcome.is_ok_and(|outcome| !outcome.success) {
        Refusal::TooManyFailures
    } else {
        refusal
    }
}

/// As what a refusal is counted: all that comes before it is known who asks, and writes a line into the log or asks
/// for more than a look at the request's head.
fn counted(refusal: &Refusal, at: At) -> Option<&'static str> {
    match refusal {
        Refusal::BadSignature | Refusal::HookContentType => Some("signature"),
        Refusal::BadToken => Some("token"),
        // Elsewhere a body is read only of who has a good token.
        Refusal::TooLarge { .. } => (at == At::Webhook).then_some("signature"),
        // Anybody can invent a token for whose key the relay has to ask.
        Refusal::Unavailable(_) => (at == At::Job).then_some("token"),
        // A good token's: nobody behind the same address shall keep its bearer from the reason.
        Refusal::Forbidden(_)
        | Refusal::NoSuchPath
        | Refusal::WrongMethod { .. }
        | Refusal::ContentType
        | Refusal::BadDelivery(_)
        | Refusal::BadRequest(_)
        | Refusal::NoSuchIntent
        | Refusal::Conflict
        | Refusal::Protocol
        | Refusal::NotAnUpgrade
        | Refusal::TooManyFailures => None,
    }
}

/// Whose address it is: one customer has 2^64 of IPv6.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    #[test]
    fn all_that_a_stranger_can_cause_is_counted_and_nothing_of_who_is_known() {
        let down = Refusal::Unavailable(Fault::Storage("down".to_owned()));
        let large = Refusal::TooLarge { limit: 1 };
        for at in [At::Webhook, At::Job, At::Api] {
            assert_eq!(counted(&Refusal::BadSignature, at), Some("signature"));
            assert_eq!(counted(&Refusal::HookContentType, at), Some("signature"));
            assert_eq!(counted(&Refusal::BadToken, at), Some("token"));
            for known in [
                Refusal::Forbidden("not this channel".to_owned()),
                Refusal::BadDelivery("no event".to_owned()),
                Refusal::BadRequest("no channel".to_owned()),
                Refusal::ContentType,
                Refusal::Conflict,
                Refusal::NoSuchIntent,
                Refusal::TooManyFailures,
            ] {
                assert_eq!(counted(&known, at), None, "{known:?}");
            }
        }
        assert_eq!(counted(&large, At::Webhook), Some("signature"));
        assert_eq!(
            (counted(&large, At::Api), counted(&large, At::Job)),
            (None, None)
        );
        assert_eq!(counted(&down, At::Job), Some("token"));
        // GitHub's deliveries and good tokens hear 503 for as long as it lasts.
        assert_eq!(
            (counted(&down, At::Webhook), counted(&down, At::Api)),
            (None, None)
        );
    }

    #[test]
    fn addresses_of_one_customer_are_counted_together() {
        assert_eq!(network("203.0.113.7"), "203.0.113.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network(""), "unknown");
    }
}
