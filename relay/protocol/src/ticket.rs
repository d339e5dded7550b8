//! Tickets: `tlt1.INTENT.EXPIRES.MAC`, with which a job of GitHub Actions follows the intent that it ordered.
//!
//! EXPIRES is in seconds since 1970, MAC the unpadded base64url of HMAC-SHA256 over the ASCII text
//! `tlt1.INTENT.EXPIRES` with the bytes of `TOKEN_KEY`. What a token's MAC is over begins with `tl1.`, so that
//! neither is ever the other.

use data_encoding::BASE64URL_NOPAD;
use hmac::Mac;

use crate::{
    name::IntentId,
    secret::Secret,
    token::{TokenError, TokenKey},
};

/// For how long a ticket counts, in seconds.
pub const TICKET_LIFE: i64 = 3600;

const PREFIX: &str = "tlt1";

/// Lets its bearer look at one intent for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The intent.
    pub intent: IntentId,
    /// Until when, in seconds since 1970.
    pub expires: i64,
}

impl Ticket {
    /// Whether some text says of itself that it is a ticket.
    pub fn is_one(text: &str) -> bool {
        text.split_once('.')
            .is_some_and(|(prefix, _)| prefix == PREFIX)
    }
}

impl TokenKey {
    /// Makes a ticket.
    pub fn mint_ticket(&self, ticket: &Ticket) -> Secret {
        let signed = format!("{PREFIX}.{}.{}", ticket.intent, ticket.expires);
        let mac = self.mac(&signed).finalize().into_bytes();
        Secret::new(format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac)))
    }

    /// Checks a ticket and returns what it says; whether it still counts is the caller's to look at.
    ///
    /// # Errors
    /// See [`TokenError`]. The MAC is compared in constant time, before anything else is looked at.
    pub fn verify_ticket(&self, text: &str) -> Result<Ticket, TokenError> {
        let (signed, mac) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let said = signed
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('.'));
        let said = said.ok_or(TokenError::Malformed)?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes());
        let mac = mac.map_err(|_| TokenError::Malformed)?;
        let made_here = self.mac(signed).verify_slice(&mac);
        made_here.map_err(|_| TokenError::WrongKey)?;
        let (intent, expires) = said.split_once('.').ok_or(TokenError::Claims)?;
        Ok(Ticket {
            intent: intent.parse().map_err(|_| TokenError::Claims)?,
            expires: expires.parse().map_err(|_| TokenError::Claims)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        glob::Glob,
        token::{Claims, Role},
    };

    fn key(text: &str) -> TokenKey {
        TokenKey::new(Secret::new(text)).unwrap()
    }

    fn ours() -> TokenKey {
        key("a key for tests of thirty-two bytes or more")
    }

    fn ticket() -> Ticket {
        Ticket {
            intent: IntentId::of_key("actions:1"),
            expires: 1_795_189_600,
        }
    }

    fn minted() -> String {
        ours()
            .mint_ticket(&ticket())
            .expose_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_ticket_says_what_it_was_made_to_say() {
        assert!(Ticket::is_one(&minted()));
        assert_eq!(ours().verify_ticket(&minted()), Ok(ticket()));
        let other = key("another key for tests of thirty-two bytes");
        assert_eq!(other.verify_ticket(&minted()), Err(TokenError::WrongKey));
    }

    #[test]
    fn a_ticket_is_no_token_and_a_token_no_ticket() {
        let claims = Claims {
            role: Role::Operator,
            name: "ops".parse().unwrap(),
            channels: vec![Glob::new("*")],
            generation: 1,
            iat: 0,
        };
        let token = ours().mint(&claims).expose_str().unwrap().to_owned();
        assert!(!Ticket::is_one(&token));
        assert!(ours().verify_ticket(&token).is_err());
        assert!(
            ours()
                .verify_ticket(&token.replace("tl1.", "tlt1."))
                .is_err()
        );
        assert!(ours().verify(&minted()).is_err());
        assert!(ours().verify(&minted().replace("tlt1.", "tl1.")).is_err());
    }

    #[test]
    fn what_is_no_ticket_is_malformed() {
        for bad in [
            "",
            "tlt1",
            "tlt1.",
            "tlt1..",
            "tlt2.a.1.AAAA",
            "x.y.z",
            "tlt1.in_x.1.!!!!",
        ] {
            assert!(ours().verify_ticket(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_byte_anywhere_is_refused(at in 0usize..200, with in 0u8..128) {
            let mut bytes = minted().into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != with);
            bytes[at] = with;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(ours().verify_ticket(&changed).is_err());
        }
    }
}
