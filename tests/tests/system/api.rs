//! What hosts and operators ask the relay, and who may.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use towline_protocol::{Claims, Glob, Role, Secret, TokenKey};
use towline_tests::{
    github::Delivery,
    http::{get, post},
    relay::{WEBHOOK_SECRET, token, token_of},
    wait::until,
};

use crate::{refused, relay};

fn queue(repository: &str, id: u64, number: u64) -> Result<String> {
    let run = Delivery::run(number, &format!("{number:040x}"))?.of(repository, id);
    let answer = run.send(&relay()?.url, WEBHOOK_SECRET)?.json()?;
    Ok(answer["intent"].as_str().unwrap_or_default().to_owned())
}

fn pi() -> Result<String> {
    token(Role::Host, "pi", &["octo-org/*"])
}

fn report(intent: &str, outcome: &str) -> Value {
    json!({
        "intent": intent, "service": "web", "attempt": 1, "outcome": outcome,
        "started_at": "2026-11-20T15:00:01Z", "finished_at": null, "gate": null,
        "from": { "sha": null, "digest": null }, "to": { "sha": null, "digest": null },
        "message": "as told", "log_tail": "", "steps": [],
    })
}

#[test]
fn every_channel_asked_for_appears_with_what_is_newer_than_its_mark() -> Result<()> {
    for number in 1..=3 {
        queue("octo-org/news", 601, number)?;
    }
    let ask = |mark: &str| -> Result<Value> {
        let path = format!(
            "/v1/intents?channel=octo-org/news@{mark}&channel=octo-org/unknown@0.0&fresh=1"
        );
        relay()?.get(&path, &pi()?)?.json()
    };
    let all = ask("0.0")?;
    let epoch = all["channels"]["octo-org/news"]["epoch"].as_u64().unwrap();
    let seqs = |answer: &Value| -> Vec<u64> {
        let intents = answer["channels"]["octo-org/news"]["intents"]
            .as_array()
            .unwrap();
        intents
            .iter()
            .filter_map(|intent| intent["seq"].as_u64())
            .collect()
    };
    assert_eq!(seqs(&all), [1, 2, 3]);
    assert_eq!(all["channels"]["octo-org/unknown"]["head"], 0);
    assert_eq!(seqs(&ask(&format!("{epoch}.2"))?), [3]);
    assert_eq!(
        seqs(&ask(&format!("{}.9", epoch - 1))?),
        [1, 2, 3],
        "an older epoch counts for nothing"
    );
    assert!(seqs(&ask(&format!("{epoch}.3"))?).is_empty());
    Ok(())
}

#[test]
fn a_poll_of_many_channels_finds_each_ones_mailbox_in_kv() -> Result<()> {
    for (channel, id, runs) in [("kv-one", 611, 1), ("kv-two", 612, 2)] {
        for number in 1..=runs {
            queue(&format!("octo-org/{channel}"), id, number)?;
        }
        until("the mailbox in KV", Duration::from_secs(20), || {
            let mailbox = relay()?.mailbox(&format!("octo-org/{channel}")).ok();
            Ok(mailbox.filter(|mailbox| mailbox["head"] == runs))
        })?;
    }
    let unknown: String = (0..97)
        .map(|n| format!("&channel=octo-org/none{n}@0.0"))
        .collect();
    let path =
        format!("/v1/intents?channel=octo-org/kv-one@0.0&channel=octo-org/kv-two@0.0{unknown}");
    let answer = relay()?.get(&path, &pi()?)?.json()?;
    let channels = answer["channels"].as_object().context("no channels")?;
    assert_eq!(channels.len(), 99);
    assert_eq!(
        channels["octo-org/none96"],
        json!({ "epoch": 0, "head": 0, "pruned_before": 0, "intents": [] })
    );
    for (channel, runs) in [("octo-org/kv-one", 1), ("octo-org/kv-two", 2)] {
        let news = &channels[channel];
        assert_eq!(
            (&news["head"], news["intents"].as_array().map(Vec::len)),
            (&json!(runs), Some(runs)),
            "{news}"
        );
        assert_eq!(news["intents"][0]["channel"], channel);
    }
    let epoch = channels["octo-org/kv-two"]["epoch"]
        .as_u64()
        .context("no epoch")?;
    let path = format!("/v1/intents?channel=octo-org/kv-two@{epoch}.1");
    let newer = relay()?.get(&path, &pi()?)?;
    assert_eq!(
        newer.json()?["channels"]["octo-org/kv-two"]["intents"][0]["seq"],
        2
    );
    let etag = newer.headers["etag"].to_str()?;
    let bearer = format!("Bearer {}", pi()?);
    let headers = [("Authorization", bearer.as_str()), ("If-None-Match", etag)];
    assert_eq!(
        get(&format!("{}{path}", relay()?.url), &headers)?.status,
        304
    );
    Ok(())
}

#[test]
fn a_report_on_an_intent_that_the_token_does_not_allow_is_left_out() -> Result<()> {
    let intent = queue("elsewhere/reported", 613, 1)?;
    let answer = relay()?.post(
        "/v1/reports",
        &pi()?,
        &json!([report(&intent, "succeeded")]),
    )?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.json()?["accepted"], 0, "{}", answer.body);
    let operator = token(Role::Operator, "ops", &["*"])?;
    let status = relay()?
        .get(&format!("/v1/intents/{intent}"), &operator)?
        .json()?;
    assert_eq!(status["hosts"], json!({}));
    Ok(())
}

#[test]
fn an_answer_that_the_asker_has_already_is_304() -> Result<()> {
    queue("octo-org/etag", 602, 1)?;
    let path = "/v1/intents?channel=octo-org/etag@0.0&fresh=1";
    let first = relay()?.get(path, &pi()?)?;
    let etag = first.headers["etag"].to_str()?.to_owned();
    let bearer = format!("Bearer {}", pi()?);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("If-None-Match", etag.as_str()),
    ];
    let url = format!("{}{path}", relay()?.url);
    let second = get(&url, &headers)?;
    assert_eq!((second.status, second.body.as_str()), (304, ""));
    queue("octo-org/etag", 602, 2)?;
    assert_eq!(get(&url, &headers)?.status, 200);
    Ok(())
}

#[test]
fn a_question_that_makes_no_sense_is_400_and_says_what_would() -> Result<()> {
    let many: String = (0..100)
        .map(|n| format!("channel=octo-org/n{n}@0.0&"))
        .collect();
    for query in [
        "",
        "channel=octo-org/web",
        "channel=octo-org/web@1",
        "channel=Octo-Org/Web@0.0",
        &many,
    ] {
        let answer = relay()?.get(&format!("/v1/intents?{query}"), &pi()?)?;
        refused(&answer, 400, "bad_request");
    }
    Ok(())
}

#[test]
fn no_token_a_wrong_one_and_a_revoked_one_are_one_and_the_same_401() -> Result<()> {
    let claims = |name: &str, generation| -> Result<Claims> {
        let channels = vec![Glob::new("*")];
        Ok(Claims {
            role: Role::Host,
            name: name.parse()?,
            channels,
            generation,
            iat: 0,
        })
    };
    let other = TokenKey::new(Secret::new("x".repeat(32)))?.mint(&claims("nas", 2)?);
    let mut bodies = Vec::new();
    let url = format!("{}/v1/intents?channel=octo-org/web@0.0", relay()?.url);
    bodies.push(get(&url, &[])?);
    bodies.push(get(&url, &[("Authorization", "Basic cGk6cGk=")])?);
    bodies.push(relay()?.get(
        "/v1/intents?channel=octo-org/web@0.0",
        other.expose_str().unwrap(),
    )?);
    for revoked in [claims("lost", 9)?, claims("nas", 1)?] {
        // REVOKED is "lost nas<2".
        bodies.push(relay()?.get("/v1/intents?channel=octo-org/web@0.0", &token_of(&revoked)?)?);
    }
    for answer in &bodies {
        refused(answer, 401, "bad_token");
        assert_eq!(answer.body, bodies[0].body);
    }
    let renewed = token_of(&claims("nas", 2)?)?;
    assert_eq!(
        relay()?
            .get("/v1/intents?channel=octo-org/web@0.0", &renewed)?
            .status,
        200
    );
    Ok(())
}

#[test]
fn a_good_token_of_the_wrong_role_or_channel_is_403() -> Result<()> {
    let operator = token(Role::Operator, "ops", &["*"])?;
    refused(
        &relay()?.get("/v1/intents?channel=octo-org/web@0.0", &operator)?,
        403,
        "forbidden",
    );
    refused(
        &relay()?.post("/v1/reports", &operator, &json!([]))?,
        403,
        "forbidden",
    );
    refused(
        &relay()?.get("/v1/intents?channel=elsewhere/web@0.0", &pi()?)?,
        403,
        "forbidden",
    );
    Ok(())
}

#[test]
fn an_intent_of_another_channel_looks_as_if_there_were_none() -> Result<()> {
    let intent = queue("elsewhere/private", 603, 1)?;
    let path = format!("/v1/intents/{intent}");
    let hidden = relay()?.get(&path, &pi()?)?;
    refused(&hidden, 404, "not_found");
    let none = relay()?.get("/v1/intents/in_aaaaaaaaaaaaaaaaaaaaaaaaaa", &pi()?)?;
    assert_eq!(hidden.body, none.body);
    let operator = token(Role::Operator, "ops", &["*"])?;
    assert_eq!(
        relay()?.get(&path, &operator)?.json()?["intent"]["id"],
        intent
    );
    Ok(())
}

#[test]
fn the_token_is_looked_at_before_content_type_and_body() -> Result<()> {
    let url = format!("{}/v1/reports", relay()?.url);
    let large = vec![b'x'; 65 * 1024];
    refused(
        &post(&url, &[("Content-Type", "text/plain")], &large)?,
        401,
        "bad_token",
    );
    let bearer = format!("Bearer {}", pi()?);
    let text = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "text/plain"),
    ];
    refused(&post(&url, &text, &large)?, 415, "unsupported_media_type");
    let json = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    refused(&post(&url, &json, &large)?, 413, "too_large");
    refused(&post(&url, &json, b"{}")?, 400, "bad_request");
    Ok(())
}

#[test]
fn a_protocol_from_the_future_is_426() -> Result<()> {
    let bearer = format!("Bearer {}", pi()?);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Towline-Protocol", "2"),
    ];
    let url = format!("{}/v1/intents?channel=octo-org/web@0.0", relay()?.url);
    refused(&get(&url, &headers)?, 426, "unsupported_protocol");
    Ok(())
}

#[test]
fn a_later_phase_replaces_an_earlier_one_and_repeats_are_harmless() -> Result<()> {
    let intent = queue("octo-org/reported", 604, 1)?;
    let tell =
        |outcome: &str| relay()?.post("/v1/reports", &pi()?, &json!([report(&intent, outcome)]));
    let outcome = || -> Result<Value> {
        let status = relay()?
            .get(&format!("/v1/intents/{intent}"), &pi()?)?
            .json()?;
        Ok(status["hosts"]["pi"]["services"]["web"]["outcome"].clone())
    };
    for (told, seen) in [
        ("applying", "applying"),
        ("succeeded", "succeeded"),
        ("succeeded", "succeeded"),
        ("applying", "succeeded"),
    ] {
        assert_eq!(tell(told)?.status, 202);
        assert_eq!(outcome()?, seen, "after {told}");
    }
    Ok(())
}

#[test]
fn reports_are_taken_for_unknown_intents_and_refused_by_the_hundred_and_first() -> Result<()> {
    let one = report("in_bbbbbbbbbbbbbbbbbbbbbbbbbb", "succeeded");
    assert_eq!(
        relay()?.post("/v1/reports", &pi()?, &json!([one]))?.status,
        202
    );
    assert_eq!(
        relay()?
            .post("/v1/reports", &pi()?, &json!(vec![one.clone(); 100]))?
            .status,
        202
    );
    let answer = relay()?.post("/v1/reports", &pi()?, &json!(vec![one; 101]))?;
    refused(&answer, 400, "bad_request");
    Ok(())
}
