//! What the webhook answers, over HTTP and through workerd.

use anyhow::{Context, Result};
use serde_json::json;
use towline_protocol::Mailbox;
use towline_tests::{
    github::{Delivery, signature},
    http::{Answer, get, post, post_chunked},
    relay::{PREVIOUS_SECRET, WEBHOOK_SECRET},
};

use crate::{refused, relay};

const MIB: usize = 1024 * 1024;

fn hook() -> Result<String> {
    Ok(format!("{}/webhook/github", relay()?.url))
}

/// Posts `body` as GitHub would, with `changed` headers in place of the usual ones; an empty value
/// leaves a header out.
fn deliver(body: &[u8], changed: &[(&str, &str)]) -> Result<Answer> {
    let signed = signature(WEBHOOK_SECRET, body);
    let usual = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "workflow_run"),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("X-Hub-Signature-256", signed.as_str()),
    ];
    let headers: Vec<(&str, &str)> = usual
        .iter()
        .map(|(name, value)| {
            *changed
                .iter()
                .find(|(other, _)| other == name)
                .unwrap_or(&(name, value))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    post(&hook()?, &headers, body)
}

#[test]
fn another_path_is_404_and_another_method_405() -> Result<()> {
    refused(
        &get(&format!("{}/webhook", relay()?.url), &[])?,
        404,
        "not_found",
    );
    let answer = get(&hook()?, &[])?;
    refused(&answer, 405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
    Ok(())
}

#[test]
fn a_form_is_415_before_anything_else_and_is_told_how_to_set_the_hook() -> Result<()> {
    let form = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Hub-Signature-256", ""),
    ];
    let answer = deliver(&vec![b'x'; MIB + 1], &form)?;
    refused(&answer, 415, "unsupported_media_type");
    assert!(answer.body.contains("application/json"), "{}", answer.body);
    Ok(())
}

#[test]
fn a_body_over_the_cap_is_413_by_its_length_before_the_signature_is_looked_at() -> Result<()> {
    refused(
        &deliver(&vec![b'x'; MIB + 1], &[("X-Hub-Signature-256", "")])?,
        413,
        "too_large",
    );
    Ok(())
}

#[test]
fn a_body_over_the_cap_without_a_length_is_413_while_it_is_read() -> Result<()> {
    let body = vec![b'x'; MIB + 1];
    let signed = signature(WEBHOOK_SECRET, &body);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Hub-Signature-256", signed.as_str()),
    ];
    refused(&post_chunked(&hook()?, &headers, &body)?, 413, "too_large");
    let unsigned = [("Content-Type", "application/json")];
    refused(
        &post_chunked(&hook()?, &unsigned, &body)?,
        401,
        "bad_signature",
    );
    Ok(())
}

#[test]
fn every_bad_signature_is_401_with_one_body() -> Result<()> {
    let body = b"{}";
    let right = signature(WEBHOOK_SECRET, body);
    let other = signature("another secret", body);
    let bad: [&str; 8] = [
        "",
        "sha256=",
        right.trim_start_matches("sha256="),
        &right[..right.len() - 1],
        &format!("{right}0"),
        "sha1=757107ea0eb2509fc211221cce984b8a37570b6d",
        "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        &other,
    ];
    let mut bodies = Vec::new();
    for signature in bad {
        let answer = deliver(body, &[("X-Hub-Signature-256", signature)])?;
        refused(&answer, 401, "bad_signature");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    Ok(())
}

#[test]
fn githubs_documented_example_passes_the_signature_and_nothing_near_it_does() -> Result<()> {
    // GitHub, "Validating webhook deliveries", "Testing the webhook payload validation".
    let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signature(PREVIOUS_SECRET, b"Hello, World!"), documented);
    let signed = [("X-Hub-Signature-256", documented)];
    refused(&deliver(b"Hello, World!", &signed)?, 400, "bad_delivery");
    refused(&deliver(b"Hello, World?", &signed)?, 401, "bad_signature");
    Ok(())
}

#[test]
fn a_signed_body_without_event_or_guid_is_400_and_says_which() -> Result<()> {
    for header in ["X-GitHub-Event", "X-GitHub-Delivery"] {
        let answer = deliver(b"{}", &[(header, "")])?;
        refused(&answer, 400, "bad_delivery");
        assert!(answer.body.contains(header), "{}", answer.body);
    }
    Ok(())
}

#[test]
fn a_signed_body_that_is_not_the_event_is_400() -> Result<()> {
    let deep = format!("{}1{}", r#"{"a":["#.repeat(4000), "]}".repeat(4000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"[]",
        b"null",
        deep.as_bytes(),
        br#"{"action": "completed", "action": "requested"}"#,
        b"{\"action\": \"\xff\xfe\"}",
        br#"{"action": "completed", "workflow_run": {}, "repository": {}}"#,
    ];
    for body in bodies {
        refused(&deliver(body, &[])?, 400, "bad_delivery");
    }
    let ping = Delivery::fixture("ping")?;
    refused(
        &deliver(&serde_json::to_vec(&ping.body)?, &[])?,
        400,
        "bad_delivery",
    );
    Ok(())
}

#[test]
fn a_ping_is_a_pong_and_an_event_of_no_interest_is_ignored_with_a_reason() -> Result<()> {
    let url = &relay()?.url;
    let pong = Delivery::fixture("ping")?.send(url, WEBHOOK_SECRET)?;
    assert_eq!(
        (pong.status, &pong.json()?["status"]),
        (200, &json!("pong"))
    );
    let mut issues = Delivery::fixture("push")?;
    issues.event = "issues".to_owned();
    let issues = issues.send(url, WEBHOOK_SECRET)?.json()?;
    assert_eq!(issues["status"], "ignored", "{issues}");
    assert!(
        issues["reason"].as_str().unwrap().contains("issues"),
        "{issues}"
    );
    Ok(())
}

#[test]
fn each_pitfall_of_the_payload_is_judged_right() -> Result<()> {
    let queued = (202, "queued");
    let ignored = (200, "ignored");
    let cases = [
        ("fork-main", ignored),
        ("head-repository-missing", ignored),
        ("head-repository-null", ignored),
        ("head-branch-missing", ignored),
        ("head-branch-null", ignored),
        ("action-required", ignored),
        ("action-required-completed", ignored),
        ("another-branch", ignored),
        ("conclusion-failure", ignored),
        ("conclusion-null", ignored),
        ("conclusion-startup-failure", ignored),
        ("conclusion-unknown", ignored),
        ("event-pull-request", ignored),
        ("event-pull-request-target", ignored),
        ("event-workflow-run", ignored),
        ("tag", ignored),
        ("rerun", queued),
        ("rerun-of-old", queued),
        ("path-with-ref", queued),
        ("only-what-counts", queued),
        ("only-what-counts-missing", queued),
        ("large-ids", queued),
        ("same-name-in-another-file", queued),
        ("tag-named-like-the-branch", queued),
        ("hostile-branch", ignored),
        ("path-of-another-repository", queued),
    ];
    for (at, (name, (status, said))) in cases.into_iter().enumerate() {
        let mut delivery = Delivery::fixture(&format!("workflow_run.{name}"))?;
        // A run of its own for each, so that none is another's duplicate.
        let id = delivery.body["workflow_run"]["id"]
            .as_u64()
            .unwrap_or_default();
        delivery.body["workflow_run"]["id"] = json!(id + at as u64 * 1000);
        let answer = delivery.send(&relay()?.url, WEBHOOK_SECRET)?;
        assert_eq!(
            (answer.status, &answer.json()?["status"]),
            (status, &json!(said)),
            "{name}: {}",
            answer.body
        );
        let told = if status == 202 { "intent" } else { "reason" };
        assert!(answer.json()?[told].is_string(), "{name}: {}", answer.body);
    }
    Ok(())
}

#[test]
fn one_run_under_two_guids_is_one_intent_and_a_rerun_is_another() -> Result<()> {
    let sha = "a".repeat(40);
    let mut run = Delivery::run(1, &sha)?.of("octo-org/twice", 501);
    let first = run.send(&relay()?.url, WEBHOOK_SECRET)?;
    run.guid = "another".to_owned();
    let second = run.send(&relay()?.url, PREVIOUS_SECRET)?;
    assert_eq!((first.status, second.status), (202, 200));
    assert_eq!(second.json()?["status"], "duplicate");
    assert_eq!(first.json()?["intent"], second.json()?["intent"]);
    run.body["workflow_run"]["run_attempt"] = json!(2);
    let rerun = run.send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!((rerun.status, &rerun.json()?["seq"]), (202, &json!(2)));
    Ok(())
}

#[test]
fn whatever_a_signed_run_has_in_a_field_the_answer_is_never_5xx() -> Result<()> {
    let values = [
        json!(null),
        json!(-1),
        json!(1.5),
        json!("$(x);\"\n💥"),
        json!([]),
        json!({}),
        json!(u64::MAX),
    ];
    let of_the_run = [
        "id",
        "name",
        "head_branch",
        "head_sha",
        "path",
        "run_number",
        "run_attempt",
        "event",
        "conclusion",
        "status",
        "workflow_id",
        "html_url",
        "actor",
        "head_repository",
        "repository",
    ];
    let places = of_the_run.map(|field| format!("/workflow_run/{field}"));
    let around = [
        "/action",
        "/workflow",
        "/repository",
        "/repository/full_name",
        "/repository/default_branch",
        "/sender",
    ];
    let places = places.into_iter().chain(around.map(str::to_owned));
    let mut number = 0;
    for place in places {
        for value in &values {
            // A run of its own for each, so that none stops at being another's duplicate.
            number += 1;
            let mut delivery = Delivery::run(number, &"b".repeat(40))?.of("octo-org/odd", 502);
            *delivery.body.pointer_mut(&place).context("no such field")? = value.clone();
            let answer = delivery.send(&relay()?.url, WEBHOOK_SECRET)?;
            assert!(
                answer.status < 500,
                "{place} = {value}: {} {}",
                answer.status,
                answer.body
            );
        }
    }
    // What was queued of it can be read by every poller.
    serde_json::from_value::<Mailbox>(relay()?.mailbox("octo-org/odd")?)?;
    Ok(())
}
