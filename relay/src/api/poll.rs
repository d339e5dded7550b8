//! `GET /v1/intents`: what a poller asks, and what it is told.

use std::collections::BTreeMap;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use towline_protocol::{
    Channel, ChannelMark, ChannelNews, Claims, MAX_ANSWER, MAX_CHANNELS, Mailbox, Mark, Polled,
};

use super::{Answer, auth};
use crate::{error::Refusal, mailbox};

/// What a poller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The asker's place in each channel.
    pub marks: BTreeMap<Channel, Mark>,
    /// Whether the hub is to answer instead of KV.
    pub fresh: bool,
}

/// Reads the query `channel=C@EPOCH.SEQ&...&fresh=1`; parameters that are not known are passed over.
///
/// # Errors
/// 400 for no channel, more than 99, a bad one, one twice, or another `fresh` than 0 or 1; 403 for one
/// that the token does not allow.
pub fn asked(query: &str, claims: &Claims) -> Result<Asked, Refusal> {
    let mut asked = Asked {
        marks: BTreeMap::new(),
        fresh: false,
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "channel" => add_channel(&mut asked.marks, &value)?,
            "fresh" => asked.fresh = flag(&value)?,
            _ => {}
        }
    }
    if asked.marks.is_empty() {
        let message = "name at least one channel: ?channel=octo-org/web@0.0";
        return Err(Refusal::BadRequest(message.to_owned()));
    }
    for channel in asked.marks.keys() {
        auth::demand_channel(claims, channel)?;
    }
    Ok(asked)
}

fn add_channel(marks: &mut BTreeMap<Channel, Mark>, text: &str) -> Result<(), Refusal> {
    let bad = |message: String| Err(Refusal::BadRequest(message));
    let ChannelMark { channel, mark } = match text.parse::<ChannelMark>() {
        Ok(channel) => channel,
        Err(error) => return bad(error.to_string()),
    };
    if marks.len() >= MAX_CHANNELS {
        return bad(format!("ask for at most {MAX_CHANNELS} channels at once"));
    }
    let name = channel.to_string();
    match marks.insert(channel, mark) {
        None => Ok(()),
        Some(_) => bad(format!("channel {name:?} is asked for twice")),
    }
}

fn flag(text: &str) -> Result<bool, Refusal> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(Refusal::BadRequest("fresh is 1 or 0".to_owned())),
    }
}

/// What is new in the mailboxes, given as KV holds them, and the channels whose mailbox cannot be read.
/// Every channel asked for is in one of the two.
pub fn news(
    asked: &Asked,
    mut values: BTreeMap<Channel, String>,
) -> (Polled, Vec<(Channel, serde_json::Error)>) {
    let (mut polled, mut unreadable) = (Polled::default(), Vec::new());
    let mut bytes = 0usize;
    for (channel, mark) in &asked.marks {
        let value = values.remove(channel);
        bytes = bytes.saturating_add(value.as_ref().map_or(0, String::len));
        let mailbox = value.map(|value| serde_json::from_str::<Mailbox>(&value));
        let news = match mailbox {
            None => ChannelNews::default(),
            Some(Ok(mailbox)) => mailbox.since(*mark),
            Some(Err(error)) => {
                unreadable.push((channel.clone(), error));
                continue;
            }
        };
        polled.channels.insert(channel.clone(), news);
    }
    let surely_fits = bytes < MAX_ANSWER / 2;
    let polled = if surely_fits {
        polled
    } else {
        mailbox::fit(polled)
    };
    (polled, unreadable)
}

/// The answer of a poll's body: 304 when the asker has it already.
pub fn answer(body: String, if_none_match: Option<&str>) -> Answer {
    let hash = Sha256::digest(body.as_bytes());
    let head = hash.first_chunk::<16>().copied().unwrap_or_default();
    let etag = format!("\"{}\"", BASE32_NOPAD.encode(&head).to_ascii_lowercase());
    if if_none_match.is_some_and(|header| has(header, &etag)) {
        Answer::text(304, String::new()).with("etag", etag)
    } else {
        Answer::text(200, body).with("etag", etag)
    }
}

/// Whether an `If-None-Match` lists the tag, which a proxy may have marked as weak
/// (RFC 9110, section 13.1.2).
fn has(header: &str, etag: &str) -> bool {
    let tags = header.split(',').map(str::trim);
    let mut tags = tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag));
    tags.any(|tag| tag == etag || tag == "*")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towline_protocol::{Glob, Role};

    use super::*;

    fn claims(glob: &str) -> Claims {
        Claims {
            role: Role::Host,
            name: "pi".parse().unwrap(),
            channels: vec![Glob::new(glob)],
            generation: 1,
            iat: 0,
        }
    }

    fn refusal(query: &str) -> Refusal {
        asked(query, &claims("octo-org/*")).unwrap_err()
    }

    #[test]
    fn channels_and_marks_are_read_also_when_encoded() {
        let asked = asked(
            "channel=octo-org/web@7.3&channel=octo-org%2Fapi%400.0&new=1&fresh=1",
            &claims("*"),
        )
        .unwrap();
        assert_eq!(asked.marks.len(), 2);
        assert!(asked.fresh);
        let web = &asked.marks[&"octo-org/web".parse::<Channel>().unwrap()];
        assert_eq!(*web, Mark { epoch: 7, seq: 3 });
    }

    #[test]
    fn a_bad_question_says_what_is_bad() {
        for (query, said) in [
            ("", "at least one channel"),
            ("channel=octo-org/web", "octo-org/web"),
            ("channel=Octo/web@0.0", "Octo/web"),
            ("channel=octo-org/web@0.0&channel=octo-org/web@1.0", "twice"),
            ("channel=octo-org/web@0.0&fresh=yes", "fresh is 1 or 0"),
        ] {
            let refusal = refusal(query);
            assert_eq!(refusal.status(), 400, "{query}");
            assert!(refusal.to_string().contains(said), "{query}: {refusal}");
        }
    }

    #[test]
    fn ninety_nine_channels_are_fine_and_a_hundred_are_not() {
        let query = |count: usize| {
            let channels: Vec<_> = (0..count)
                .map(|n| format!("channel=octo-org/r{n}@0.0"))
                .collect();
            channels.join("&")
        };
        assert!(asked(&query(99), &claims("*")).is_ok());
        assert!(
            asked(&query(100), &claims("*"))
                .unwrap_err()
                .to_string()
                .contains("at most 99")
        );
    }

    #[test]
    fn a_channel_outside_the_token_is_refused_by_name() {
        let refusal = refusal("channel=octo-org/web@0.0&channel=other/web@0.0");
        assert_eq!(refusal.status(), 403);
        assert!(refusal.to_string().contains("other/web"));
    }

    #[test]
    fn an_unknown_mailbox_appears_with_head_zero() {
        let asked = asked("channel=octo-org/web@0.0", &claims("*")).unwrap();
        let (polled, unreadable) = news(&asked, BTreeMap::new());
        assert!(unreadable.is_empty());
        let json = serde_json::to_string(&polled).unwrap();
        assert!(
            json.contains(r#""octo-org/web":{"epoch":0,"head":0"#),
            "{json}"
        );
    }

    #[test]
    fn an_unreadable_mailbox_is_named_and_neither_empty_nor_in_the_way_of_the_others() {
        let asked = asked(
            "channel=octo-org/web@0.0&channel=octo-org/api@0.0",
            &claims("*"),
        )
        .unwrap();
        let [api, web] = ["octo-org/api", "octo-org/web"].map(|name| name.parse().unwrap());
        let values = [(Channel::clone(&web), "{}".to_owned())].into();
        let (polled, unreadable) = news(&asked, values);
        assert!(polled.channels.keys().eq([&api]));
        let named: Vec<_> = unreadable.into_iter().map(|(channel, _)| channel).collect();
        assert_eq!(named, [web]);
    }

    #[test]
    fn the_same_news_twice_is_a_304_however_the_tag_is_quoted_back() {
        let first = answer("{}".to_owned(), None);
        let (_, etag) = first.headers[0].clone();
        assert_eq!(first.status, 200);
        for header in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"x\", {etag}"),
            "*".to_owned(),
        ] {
            let again = answer("{}".to_owned(), Some(&header));
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{header}");
        }
        assert_eq!(answer("{ }".to_owned(), Some(&etag)).status, 200);
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "\\PC*") {
            let _ = asked(&query, &claims("*"));
        }
    }
}
