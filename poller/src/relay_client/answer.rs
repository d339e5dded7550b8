//! What a poll answers, read piece by piece: an intent or a channel that is not understood hides no other one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use towline_protocol::{Channel, ChannelMark, ChannelNews, Intent, MAX_REQUEST_BODY};

use super::cut;

/// The answer to `GET /v1/intents`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What was understood, by channel.
    pub channels: BTreeMap<Channel, News>,
    /// What was not, a line each, for the log.
    pub complaints: Vec<String>,
    /// For the next time that the same is asked, once this answer is safe on disk.
    pub tag: Option<Tag>,
}

/// One channel's part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What was understood.
    pub news: ChannelNews,
    /// The numbers of the intents that were not. They are not waited for.
    pub unreadable: BTreeSet<u64>,
}

/// Names an answer, so that the relay need not repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What was asked.
    pub(super) question: String,
    /// The answer's `ETag`.
    pub(super) tag: String,
}

#[cfg(test)]
impl Tag {
    pub(crate) fn of(question: &str, tag: &str) -> Self {
        Self {
            question: question.to_owned(),
            tag: tag.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct WireAnswer {
    channels: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct WireNews {
    epoch: u64,
    head: u64,
    #[serde(default)]
    pruned_before: u64,
    intents: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// Reads the body of an answer to `asked`.
///
/// # Errors
/// When it is no JSON object with `channels`.
pub(super) fn read(body: &[u8], asked: &[ChannelMark]) -> serde_json::Result<Answer> {
    let wire: WireAnswer = serde_json::from_slice(body)?;
    let mut answer = Answer::default();
    for channel in asked.iter().map(|asked| &asked.channel) {
        let Some(raw) = wire.channels.get(channel.as_str()) else {
            let complaint = format!("the relay leaves out channel {channel}, which was asked for");
            answer.complaints.push(complaint);
            continue;
        };
        match serde_json::from_str(raw.get()) {
            Ok(wire) => {
                let news = news(channel, wire, &mut answer.complaints);
                answer.channels.insert(channel.clone(), news);
            }
            Err(error) => answer.complaints.push(format!(
                "the relay's answer for channel {channel} is not understood: {}",
                cut(&error.to_string())
            )),
        }
    }
    Ok(answer)
}

fn news(channel: &Channel, wire: WireNews, complaints: &mut Vec<String>) -> News {
    let mut read = News {
        news: ChannelNews {
            epoch: wire.epoch,
            head: wire.head,
            pruned_before: wire.pruned_before,
            intents: Vec::new(),
        },
        unreadable: BTreeSet::new(),
    };
    let mut problems = Vec::new();
    for raw in wire.intents {
        match intent(&raw) {
            Ok(intent) => read.news.intents.push(intent),
            Err(problem) => {
                let seq = serde_json::from_str::<Numbered>(raw.get()).ok();
                read.unreadable.extend(seq.map(|numbered| numbered.seq));
                problems.push(problem);
            }
        }
    }
    if let Some(first) = problems.first() {
        let numbers: Vec<_> = read.unreadable.iter().take(16).collect();
        complaints.push(format!(
            "{} of the intents on channel {channel} are not understood and left out (numbers {numbers:?}), the first: {}; \
             is the relay newer than this towline?",
            problems.len(),
            cut(first)
        ));
    }
    read
}

fn intent(raw: &RawValue) -> Result<Intent, String> {
    if raw.get().len() > MAX_REQUEST_BODY {
        return Err(format!("it is longer than {MAX_REQUEST_BODY} bytes"));
    }
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::intent;

    fn answer(channels: &Value) -> Answer {
        let asked = [
            "octo-org/web@7.3".parse().unwrap(),
            "octo-org/api@0.0".parse().unwrap(),
        ];
        let body = json!({ "channels": channels }).to_string();
        read(body.as_bytes(), &asked).unwrap()
    }

    fn web(intents: &[Value]) -> Value {
        json!({ "epoch": 7, "head": 9, "intents": intents })
    }

    #[test]
    fn an_intent_that_is_not_understood_hides_no_other_one() {
        let good = json!(intent(7, 5));
        let mut bad = json!(intent(7, 4));
        bad["source"] = json!("a run");
        let mut huge = json!(intent(7, 6));
        huge["more"] = json!("x".repeat(MAX_REQUEST_BODY));
        let read = answer(
            &json!({ "octo-org/web": web(&[bad, good, huge, json!(3)]), "octo-org/api": web(&[]) }),
        );
        let web = read.channels.values().last().unwrap();
        assert_eq!(web.news.intents, [intent(7, 5)]);
        assert_eq!(web.unreadable, BTreeSet::from([4, 6]));
        assert_eq!(read.complaints.len(), 1);
        assert!(
            read.complaints[0].starts_with("3 of the intents on channel octo-org/web"),
            "{:?}",
            read.complaints
        );
    }

    #[test]
    fn a_channel_that_is_left_out_or_not_understood_is_told_and_hides_no_other_one() {
        let read = answer(&json!({ "octo-org/web": web(&[]), "octo-org/other": web(&[]) }));
        assert_eq!(read.channels.len(), 1);
        assert_eq!(
            read.complaints,
            ["the relay leaves out channel octo-org/api, which was asked for"]
        );
        let read = answer(&json!({ "octo-org/web": { "epoch": -1 }, "octo-org/api": web(&[]) }));
        assert_eq!(read.channels.len(), 1);
        assert!(
            read.complaints[0].contains("octo-org/web is not understood"),
            "{:?}",
            read.complaints
        );
    }
}
