//! What holds for every input of the readers: one function for each target of `fuzz/`, which panics when it does not.
//!
//! Compiled for `cargo fuzz`, and for this crate's tests, which play the seeds back. In no build that is shipped.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is how a finding is told"
)]

use serde_json::Value;
use towline_protocol::{Revision, Sha};

use crate::{
    docker::{Layers, registry},
    machine::{Deploy, Event},
    reference::{Reference, Template},
    sequence::{self, Sequence},
    store::{JournalEntry, row},
};

mod inspect;

pub use inspect::inspect;

/// Image references and templates: what is taken reads back as itself.
pub fn reference(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(reference) = text.parse::<Reference>() {
        let again: Reference = reference.to_string().parse().expect("its own normal form");
        assert_eq!(again, reference);
        let familiar: Reference = reference.familiar_name().parse().expect("its short form");
        assert!(familiar.same_repository(&reference));
    }
    if let Ok(template) = Template::parse(text) {
        let again = Template::parse(&template.to_string()).expect("its own text");
        assert_eq!(again.name(), template.name());
        let sha: Option<Sha> = "0a".repeat(20).parse().ok();
        let revision = Revision {
            sha,
            ..Revision::default()
        };
        if let Ok(reference) = template.render(&revision, Some(u64::MAX)) {
            assert_eq!(reference.name(), template.name());
        }
    }
}

/// Rows of the state's database and the journals in them: damage is seen, and any journal that is taken has an end.
pub fn journal(input: &[u8]) {
    const KEY: &str = "0a1b2c3d";
    let _ = row::open::<JournalEntry>("journal", KEY, input);
    if let Ok(entry) = serde_json::from_slice::<JournalEntry>(input) {
        let sealed = row::seal("journal", KEY, &entry).expect("a row");
        let opened: JournalEntry = row::open("journal", KEY, &sealed).expect("the row as it was");
        assert_eq!(opened, entry);
        assert!(row::open::<JournalEntry>("journal", "another", &sealed).is_err());
        let mut flipped = sealed.clone();
        for at in [0, 1, sealed.len() / 2, sealed.len() - 1] {
            flipped[at] ^= 1;
            assert!(row::open::<JournalEntry>("journal", KEY, &flipped).is_err());
            flipped[at] ^= 1;
        }
        deploy(&entry.body);
        parts(&entry.body);
    } else if let Ok(text) = std::str::from_utf8(input) {
        deploy(text);
        parts(text);
    }
}

/// However a journal's deploy goes on, it comes to an end and never stands still without one.
fn deploy(journal: &str) {
    let Ok(deploy) = Deploy::from_journal(journal) else {
        return;
    };
    let text = deploy.to_journal().expect("a journal");
    assert_eq!(Deploy::from_journal(&text).expect("a journal"), deploy);
    let failed = || Event::Failed {
        why: "refused".to_owned(),
    };
    let gone = || Event::Gone {
        why: "gone".to_owned(),
    };
    for event in [&|| Event::Done, &failed, &gone] as [&dyn Fn() -> Event; 3] {
        for start in [deploy.clone(), deploy.clone().resume()] {
            walk(start.or_stuck(), event);
        }
    }
}

fn walk(mut deploy: Deploy, event: &dyn Fn() -> Event) {
    // No step is made twice for a member, forth, back or behind the commit.
    let most = 40 * (deploy.members.len() + 1);
    for _ in 0..most {
        if deploy.next().is_none() {
            assert!(deploy.ending().is_some(), "{deploy:?}");
            return;
        }
        deploy = deploy.on(event()).or_stuck();
    }
    assert!(deploy.next().is_none(), "no end after {most} calls");
}

/// The same for a deploy of parts, also when its engine was lost.
fn parts(journal: &str) {
    let Ok(deploy) = Sequence::from_journal(journal) else {
        return;
    };
    let text = deploy.to_journal().expect("a journal");
    assert_eq!(Sequence::from_journal(&text).expect("a journal"), deploy);
    let most = 40 * (deploy.before.tags.len() + 1);
    let why = || "refused".to_owned();
    for event in [
        sequence::Event::Done,
        sequence::Event::Failed { why: why() },
        sequence::Event::Postponed { why: why() },
        sequence::Event::Outlived { why: why() },
    ] {
        for start in [
            deploy.clone(),
            deploy.clone().resume(),
            deploy.clone().found_again(),
        ] {
            let mut deploy = start.or_stuck();
            for _ in 0..most {
                deploy = deploy.on(event.clone()).or_stuck();
            }
            assert!(
                deploy.ending().is_some(),
                "no end after {most} actions: {deploy:?}"
            );
        }
    }
}

/// The items of a pull's stream, one a line: no more of a layer is here than there is, and what an error means does not
/// hang on how it is written.
pub fn pull(input: &[u8]) {
    let mut layers = Layers::default();
    for line in String::from_utf8_lossy(input).lines() {
        let item: Value = serde_json::from_str(line).unwrap_or_default();
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let bytes = |which: &str| item.get("progressDetail")?.get(which)?.as_i64();
        layers.note(text("id"), text("status"), bytes("current"), bytes("total"));
        assert!(layers.loaded() <= layers.size() && layers.done() <= layers.count());
        let words = text("error").unwrap_or(line);
        for status in [200, 401, 404, 429, 500] {
            let trouble = registry::trouble(status, words);
            let loud = words.to_ascii_uppercase();
            assert_eq!(registry::trouble(status, &loud), trouble, "{words}");
        }
    }
    assert!(layers.to_string().contains(" layers"));
}

#[cfg(test)]
mod tests;
