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

/// What is to be answered: the refusal itself, or that there have been too many from this address.
pub async fn instead_of(refusal: Refusal, request: &Request, env: &Env) -> Refusal {
    let Some(kind) = counted(&refusal) else {
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

/// As what a refusal is counted: what somebody may try who should not be here.
fn counted(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::BadSignature => Some("signature"),
        Refusal::BadToken => Some("token"),
        // A good token's: nobody behind the same address shall keep its bearer from the reason.
        Refusal::Forbidden(_)
        | Refusal::NoSuchPath
        | Refusal::WrongMethod { .. }
        | Refusal::HookContentType
        | Refusal::ContentType
        | Refusal::TooLarge { .. }
        | Refusal::BadDelivery(_)
        | Refusal::BadRequest(_)
        | Refusal::NoSuchIntent
        | Refusal::Conflict
        | Refusal::Protocol
        | Refusal::NotAnUpgrade
        | Refusal::TooManyFailures
        | Refusal::Unavailable(_) => None,
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

    #[test]
    fn addresses_of_one_customer_are_counted_together() {
        assert_eq!(network("203.0.113.7"), "203.0.113.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network(""), "unknown");
    }
}
