//! The doorbell: who may open it, what it is rung with, and when it is closed.

mod fleet;
mod told;

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    doorbell::{Doorbell, hello},
    github::Delivery,
    http::get,
    relay::{WEBHOOK_SECRET, token},
    wait::until,
};

use crate::{refused, relay};

/// Queues run `number` of a repository and returns the answer.
fn queue(repository: &str, number: u64) -> Result<Value> {
    let id = 7000 + repository.bytes().map(u64::from).sum::<u64>();
    let run = Delivery::run(number, &format!("{number:040x}"))?.of(repository, id);
    let answer = run.send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

fn host(name: &str) -> Result<String> {
    token(Role::Host, name, &["octo-org/*"])
}

fn epoch(channel: &str) -> Result<u64> {
    let path = format!("/v1/intents?channel={channel}@0.0&fresh=1");
    let news = relay()?.get(&path, &host("asker")?)?.json()?;
    Ok(news["channels"][channel]["epoch"].as_u64().unwrap_or(0))
}

#[test]
fn an_intent_rings_at_every_host_that_listens_and_at_no_other() -> Result<()> {
    let listen = |name: &str, channel: &str| -> Result<Doorbell> {
        let mut bell = Doorbell::greet(relay()?, &host(name)?, &json!({ channel: "0.0" }))?;
        bell.is_quiet()?;
        Ok(bell)
    };
    let mut one = listen("rings-one", "octo-org/rings")?;
    let mut two = listen("rings-two", "octo-org/rings")?;
    let mut other = listen("rings-other", "octo-org/silent")?;
    let queued = queue("octo-org/rings", 1)?;
    for bell in [&mut one, &mut two] {
        let ring = bell.frame()?;
        assert_eq!(ring["type"], "ring");
        assert_eq!(ring["intent"]["id"], queued["intent"]);
        assert_eq!(ring["intent"]["source"]["run_number"], 1);
    }
    other.is_quiet()
}

#[test]
fn a_hello_is_answered_with_everything_newer_than_its_marks_in_order() -> Result<()> {
    for number in 1..=3 {
        queue("octo-org/newer", number)?;
    }
    let epoch = epoch("octo-org/newer")?;
    for (mark, wanted) in [
        ("0.0".to_owned(), vec![1, 2, 3]),
        (format!("{epoch}.1"), vec![2, 3]),
        (format!("{epoch}.3"), vec![]),
        (format!("{}.3", epoch - 1), vec![1, 2, 3]),
        (format!("{}.1", epoch + 1), vec![]),
    ] {
        let marks = json!({ "octo-org/newer": mark, "octo-org/never-used": "0.0" });
        let mut bell = Doorbell::greet(relay()?, &host("newer")?, &marks)?;
        for seq in wanted {
            assert_eq!(bell.ring()?, ("octo-org/newer".to_owned(), seq), "{mark}");
        }
        bell.is_quiet()?;
    }
    Ok(())
}

#[test]
fn a_long_absence_is_answered_with_the_newest_sixty_four() -> Result<()> {
    for number in 1..=70 {
        queue("octo-org/absent", number)?;
    }
    let marks = json!({ "octo-org/absent": "0.0" });
    let mut bell = Doorbell::greet(relay()?, &host("absent")?, &marks)?;
    for seq in 7..=70 {
        assert_eq!(bell.ring()?.1, seq);
    }
    bell.is_quiet()
}

#[test]
fn a_doorbell_before_its_hello_answers_pings_and_rings_for_nothing() -> Result<()> {
    let marks = json!({ "octo-org/unsaid": "0.0" });
    Doorbell::greet(relay()?, &host("unsaid")?, &marks)?.is_quiet()?;
    let mut bell = Doorbell::connect(relay()?, &host("unsaid")?)?;
    queue("octo-org/unsaid", 1)?;
    bell.is_quiet()?;
    bell.say(&hello(&marks))?;
    assert_eq!(bell.ring()?.1, 1);
    Ok(())
}

#[test]
fn a_second_hello_changes_what_is_listened_to() -> Result<()> {
    let mut bell = Doorbell::greet(
        relay()?,
        &host("mover")?,
        &json!({ "octo-org/left": "0.0", "octo-org/kept": "0.0" }),
    )?;
    bell.say(&hello(
        &json!({ "octo-org/kept": "0.0", "octo-org/joined": "0.0" }),
    ))?;
    bell.is_quiet()?;
    queue("octo-org/left", 1)?;
    queue("octo-org/joined", 1)?;
    queue("octo-org/kept", 1)?;
    assert_eq!(bell.ring()?.0, "octo-org/joined");
    assert_eq!(bell.ring()?.0, "octo-org/kept");
    bell.is_quiet()
}

#[test]
fn a_channel_that_the_token_does_not_allow_is_left_out_and_the_others_are_served() -> Result<()> {
    let marks = json!({ "elsewhere/spied": "0.0", "octo-org/own": "0.0" });
    queue("elsewhere/spied", 1)?;
    let mut bell = Doorbell::greet(relay()?, &host("spy")?, &marks)?;
    bell.is_quiet()?;
    queue("elsewhere/spied", 2)?;
    queue("octo-org/own", 1)?;
    assert_eq!(bell.ring()?.0, "octo-org/own");
    bell.is_quiet()?;
    let told = "hello of spy: left out, not its token's channels: elsewhere/spied";
    until("the log", Duration::from_secs(10), || {
        Ok(relay()?.output().contains(told).then_some(()))
    })
}

#[test]
fn a_narrower_token_is_not_rung_for_what_an_earlier_one_subscribed_to() -> Result<()> {
    let marks = json!({ "octo-org/wide": "0.0" });
    Doorbell::greet(relay()?, &host("narrowed")?, &marks)?.is_quiet()?;
    let narrower = token(Role::Host, "narrowed", &["octo-org/other"])?;
    let mut bell = Doorbell::greet(relay()?, &narrower, &json!({}))?;
    bell.is_quiet()?;
    queue("octo-org/wide", 1)?;
    bell.is_quiet()
}

#[test]
fn a_second_doorbell_of_a_host_takes_the_place_of_the_first() -> Result<()> {
    let marks = json!({ "octo-org/rung-twice": "0.0" });
    let mut first = Doorbell::greet(relay()?, &host("twice")?, &marks)?;
    first.is_quiet()?;
    let mut second = Doorbell::greet(relay()?, &host("twice")?, &marks)?;
    let (code, reason) = first.closed()?;
    assert_eq!(code, 4001);
    assert!(reason.starts_with("replaced"), "{reason}");
    second.is_quiet()?;
    queue("octo-org/rung-twice", 1)?;
    assert_eq!(second.ring()?.1, 1);
    second.is_quiet()
}

#[test]
fn a_close_is_answered_and_a_host_that_vanished_stops_nobody() -> Result<()> {
    let marks = json!({ "octo-org/leaving": "0.0" });
    let listen = |name: &str| -> Result<Doorbell> {
        let mut bell = Doorbell::greet(relay()?, &host(name)?, &marks)?;
        bell.is_quiet()?;
        Ok(bell)
    };
    let (polite, vanished, mut stays) = (listen("polite")?, listen("vanished")?, listen("stays")?);
    polite.close()?;
    drop(vanished);
    queue("octo-org/leaving", 1)?;
    assert_eq!(stays.ring()?.1, 1);
    Ok(())
}

#[test]
fn what_is_no_frame_closes_the_doorbell_with_a_reason() -> Result<()> {
    type Bad = fn(&mut Doorbell) -> Result<()>;
    let long: Bad = |bell| bell.say(&json!({ "type": "sing", "song": "x".repeat(64 * 1024) }));
    let cases: [(Bad, u16, &str); 5] = [
        (|bell| bell.text("ding"), 1007, "not a frame: "),
        (|bell| bell.text("{}"), 1007, "not a frame: "),
        (
            |bell| bell.say(&json!({ "type": "hello", "version": "1", "marks": { "Web": "0.0" } })),
            1007,
            "not a frame: ",
        ),
        (|bell| bell.binary(b"{}"), 1003, "send text frames"),
        (long, 1009, "a frame has at most 65536 bytes"),
    ];
    for (bad, code, begins) in cases {
        let mut bell = Doorbell::connect(relay()?, &host("babbler")?)?;
        bad(&mut bell)?;
        let (got, reason) = bell.closed()?;
        assert_eq!(got, code, "{reason}");
        assert!(reason.starts_with(begins), "{reason}");
    }
    let mut bell = Doorbell::connect(relay()?, &host("babbler")?)?;
    bell.say(&json!({ "type": "sing" }))?;
    bell.is_quiet()
}

#[test]
fn who_may_not_open_a_doorbell_is_told_before_it_is_one() -> Result<()> {
    let url = format!("{}/v1/doorbell", relay()?.url);
    let upgrade = ("Upgrade", "websocket");
    refused(&get(&url, &[upgrade])?, 401, "bad_token");
    let bearer = |token: String| format!("Bearer {token}");
    let operator = bearer(token(Role::Operator, "ops", &["*"])?);
    let operator = ("Authorization", operator.as_str());
    refused(&get(&url, &[upgrade, operator])?, 403, "forbidden");
    let lost = bearer(token(Role::Host, "lost", &["*"])?);
    let lost = ("Authorization", lost.as_str());
    refused(&get(&url, &[upgrade, lost])?, 401, "bad_token");
    let pi = bearer(host("pi")?);
    let pi = ("Authorization", pi.as_str());
    let newer = ("Towline-Protocol", "2");
    refused(
        &get(&url, &[upgrade, pi, newer])?,
        426,
        "unsupported_protocol",
    );
    refused(&get(&url, &[pi])?, 426, "upgrade_required");
    Ok(())
}

#[test]
fn a_client_cannot_name_another_host_in_the_hubs_own_header() -> Result<()> {
    let url = format!("{}/v1/doorbell", relay()?.url);
    // {"host":"pi","channels":["*"],"greeted":true}
    let forged = "eyJob3N0IjoicGkiLCJjaGFubmVscyI6WyIqIl0sImdyZWV0ZWQiOnRydWV9";
    let headers = [("Upgrade", "websocket"), ("towline-caller", forged)];
    refused(&get(&url, &headers)?, 401, "bad_token");
    Ok(())
}

#[test]
fn the_longest_token_opens_a_doorbell_too() -> Result<()> {
    let globs: Vec<String> = (0..60)
        .map(|n| format!("octo-org/repository-of-a-long-name-{n:04}"))
        .collect();
    let mut globs: Vec<&str> = globs.iter().map(String::as_str).collect();
    globs.push("octo-org/long");
    let token = token(Role::Host, "long", &globs)?;
    assert!(token.len() > 3500, "{}", token.len());
    let mut bell = Doorbell::greet(relay()?, &token, &json!({ "octo-org/long": "0.0" }))?;
    bell.is_quiet()?;
    queue("octo-org/long", 1)?;
    assert_eq!(bell.ring()?.1, 1);
    Ok(())
}
