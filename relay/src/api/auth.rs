//! Who asks: the bearer token of a request, and what it allows.

use towline_protocol::{
    Channel, Claims, Intent, IntentId, IntentStatus, Role, Secret, TICKET_LIFE, Ticket,
};

use crate::{error::Refusal, settings::TokenSettings};

/// Who may look at an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Whoever has a token: at the intents of its channels.
    Bearer(Claims),
    /// Whoever has a ticket: at this one.
    Ticket(IntentId),
}

impl Reader {
    /// Whether there is no need to ask for this intent.
    pub fn never_sees(&self, id: &IntentId) -> bool {
        match self {
            Self::Bearer(_) => false,
            Self::Ticket(intent) => intent != id,
        }
    }

    /// Whether the reader may see it.
    pub fn sees(&self, status: &IntentStatus) -> bool {
        match self {
            Self::Bearer(claims) => claims.allows(&status.intent.channel),
            Self::Ticket(intent) => *intent == status.intent.id,
        }
    }
}

/// Reads who asks for an intent out of the header `Authorization`, at `now_s` in seconds since 1970.
///
/// # Errors
/// [`Refusal::BadToken`] as for [`claims`], and for a ticket whose time is over.
pub fn reader(
    authorization: Option<&str>,
    settings: &TokenSettings,
    now_s: i64,
) -> Result<Reader, Refusal> {
    let Some(ticket) = authorization
        .and_then(bearer)
        .filter(|text| Ticket::is_one(text))
    else {
        return claims(authorization, settings).map(Reader::Bearer);
    };
    let current = settings.current.verify_ticket(ticket).ok();
    let ticket = current.or_else(|| settings.previous.as_ref()?.verify_ticket(ticket).ok());
    let ticket = ticket.filter(|ticket| now_s < ticket.expires);
    ticket
        .map(|ticket| Reader::Ticket(ticket.intent))
        .ok_or(Refusal::BadToken)
}

/// The ticket for an intent. It ends an hour after the intent's creation, however often its order is repeated.
pub fn ticket(intent: &Intent, settings: &TokenSettings) -> Secret {
    settings.current.mint_ticket(&Ticket {
        intent: intent.id.clone(),
        expires: intent.created_at.as_second().saturating_add(TICKET_LIFE),
    })
}

/// The token of GitHub Actions in the header `Authorization`: what has three parts and is none of ours.
pub fn actions_token(authorization: Option<&str>) -> Option<&str> {
    let token = authorization.and_then(bearer)?;
    let ours = token.starts_with("tl1.") || Ticket::is_one(token);
    (!ours && token.split('.').count() == 3).then_some(token)
}

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
    use towline_protocol::{Glob, TokenKey};

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

    /// An intent of that key that was created at `created_s`, in seconds since 1970.
    fn intent(key: &str, created_s: i64) -> Intent {
        let created_at = jiff::Timestamp::from_second(created_s).unwrap();
        serde_json::from_value(serde_json::json!({
            "id": IntentId::of_key(key), "channel": "kiosk", "epoch": 1, "seq": 1,
            "created_at": created_at, "expires_at": null,
            "source": { "kind": "manual", "by": "desk", "reason": "" },
            "revision": { "sha": null, "branch": null, "tag": null },
            "image": null, "service": null, "hosts": [],
        }))
        .unwrap()
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
    fn a_ticket_is_good_for_its_intent_and_its_hour() {
        let settings = settings();
        let ordered = intent("actions:1", 1000);
        let (mine, other) = (ordered.id.clone(), IntentId::of_key("actions:2"));
        let header = |settings: &TokenSettings| {
            let ticket = ticket(&ordered, settings);
            format!("Bearer {}", ticket.expose_str().unwrap())
        };
        let header_now = header(&settings);
        let reader_at = |header: &str, now| reader(Some(header), &settings, now);
        let reader = reader_at(&header_now, 4599).unwrap();
        assert_eq!(reader, Reader::Ticket(mine.clone()));
        assert!(!reader.never_sees(&mine) && reader.never_sees(&other));
        assert_eq!(reader_at(&header_now, 4600), Err(Refusal::BadToken));
        let rotated = TokenSettings {
            current: settings.previous.clone().unwrap(),
            ..settings.clone()
        };
        assert!(reader_at(&header(&rotated), 1000).is_ok());
        let stranger = TokenSettings {
            current: key("a third key of thirty-two bytes or more"),
            ..settings.clone()
        };
        assert_eq!(reader_at(&header(&stranger), 1000), Err(Refusal::BadToken));
    }

    #[test]
    fn a_ticket_is_nothing_where_a_token_is_wanted() {
        let settings = settings();
        let ticket = ticket(&intent("actions:1", 1000), &settings);
        let ticket = format!("Bearer {}", ticket.expose_str().unwrap());
        assert_eq!(claims(Some(&ticket), &settings), Err(Refusal::BadToken));
        assert_eq!(actions_token(Some(&ticket)), None);
    }

    #[test]
    fn what_has_three_parts_and_is_not_ours_may_be_githubs() {
        assert_eq!(actions_token(Some("Bearer a.b.c")), Some("a.b.c"));
        for bad in [
            "a.b.c",
            "Basic a.b.c",
            "Bearer a.b",
            "Bearer a.b.c.d",
            "Bearer tl1.b.c",
            "Bearer",
        ] {
            assert_eq!(actions_token(Some(bad)), None, "{bad}");
        }
        assert_eq!(actions_token(None), None);
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
