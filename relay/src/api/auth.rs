//! Who asks: the bearer token of a request, and what it allows.

use towline_protocol::{Channel, Claims, Role};

use crate::{error::Refusal, settings::TokenSettings};

/// Reads the claims out of the header `Authorization`. No storage is asked.
///
/// # Errors
/// [`Refusal::BadToken`] when there is no token, it was made with neither key, or it is revoked.
pub fn claims(authorization: Option<&str>, settings: &TokenSettings) -> Result<Claims, Refusal> {
    let token = authorization.and_then(bearer).ok_or(Refusal::BadToken)?;
    let current = settings.current.verify(token).ok();
    let claims = current.or_else(|| settings.previous.as_ref()?.verify(token).ok());
    claims
        .filter(|claims| !settings.revoked.revokes(claims))
        .ok_or(Refusal::BadToken)
}

/// Demands a role.
///
/// # Errors
/// [`Refusal::Forbidden`] for the other one.
pub fn demand(claims: &Claims, role: Role) -> Result<(), Refusal> {
    if claims.role == role {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "this needs the role {role}; the token of {:?} has the role {}",
        claims.name.as_str(),
        claims.role
    )))
}

/// Demands that the token's globs have the channel.
///
/// # Errors
/// [`Refusal::Forbidden`], naming the channel.
pub fn demand_channel(claims: &Claims, channel: &Channel) -> Result<(), Refusal> {
    if claims.allows(channel) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "the token of {:?} does not allow channel {:?}",
        claims.name.as_str(),
        channel.as_str()
    )))
}

/// The token in `Bearer TOKEN`; the scheme's name has no case (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use towline_protocol::{Glob, Secret, TokenKey};

    use super::*;

    fn key(text: &str) -> TokenKey {
        TokenKey::new(Secret::new(text)).unwrap()
    }

    fn settings() -> TokenSettings {
        TokenSettings {
            current: key("the current key of thirty-two bytes or so"),
            previous: Some(key("the previous key of thirty-two bytes or so")),
            revoked: "gone, nas<3".parse().unwrap(),
        }
    }

    fn host(name: &str) -> Claims {
        Claims {
            role: Role::Host,
            name: name.parse().unwrap(),
            channels: vec![Glob::new("octo-org/*")],
            generation: 2,
            iat: 0,
        }
    }

    fn header(key: &TokenKey, claims: &Claims) -> String {
        let token = key.mint(claims);
        format!("Bearer {}", token.expose_str().unwrap())
    }

    #[test]
    fn tokens_of_the_current_and_the_previous_key_are_taken() {
        let settings = settings();
        let previous = settings.previous.clone().unwrap();
        for key in [&settings.current, &previous] {
            let header = header(key, &host("pi"));
            assert_eq!(claims(Some(&header), &settings), Ok(host("pi")));
            let lower = header.replace("Bearer", "bearer");
            assert!(claims(Some(&lower), &settings).is_ok());
        }
    }

    #[test]
    fn every_bad_token_gets_the_same_answer() {
        let settings = settings();
        let stranger = header(&key("a third key of thirty-two bytes or more"), &host("pi"));
        let revoked = header(&settings.current, &host("gone"));
        let old = header(&settings.current, &host("nas"));
        let basic = header(&settings.current, &host("pi")).replace("Bearer", "Basic");
        for bad in [
            stranger.as_str(),
            &revoked,
            &old,
            &basic,
            "",
            "Bearer",
            "Bearer ",
            "tl1.a.b",
        ] {
            assert_eq!(
                claims(Some(bad), &settings),
                Err(Refusal::BadToken),
                "{bad}"
            );
        }
        assert_eq!(claims(None, &settings), Err(Refusal::BadToken));
    }

    #[test]
    fn a_role_and_a_channel_that_are_not_allowed_are_named() {
        let operator = demand(&host("pi"), Role::Operator).unwrap_err();
        assert!(operator.to_string().contains("the role operator"));
        let channel = demand_channel(&host("pi"), &"other/web".parse().unwrap()).unwrap_err();
        assert!(channel.to_string().contains("\"other/web\""));
        assert_eq!((operator.status(), channel.status()), (403, 403));
        assert!(demand_channel(&host("pi"), &"octo-org/web".parse().unwrap()).is_ok());
    }
}
