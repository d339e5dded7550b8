//! Pushes, published images, releases and deployments: what the relay makes of them, and one that is deployed.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    docker::{Web, push},
    github::Delivery,
    host::Host,
    relay::{PREVIOUS_SECRET, WEBHOOK_SECRET, token},
    wait::until,
};

use crate::{refused, relay};

const PATIENCE: Duration = Duration::from_secs(60);

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// A fixture as an event of a repository of its own.
fn delivery(fixture: &str, name: &str, id: u64) -> Result<Delivery> {
    Ok(Delivery::fixture(fixture)?.of(&format!("octo-org/{name}"), id))
}

/// The newest intent of a repository's channel, as the hub has it.
fn newest(name: &str) -> Result<Value> {
    let path = format!("/v1/intents?channel=octo-org/{name}@0.0&fresh=1");
    let host = token(Role::Host, "pi", &["octo-org/*"])?;
    let polled = relay()?.get(&path, &host)?.json()?;
    let intents = &polled["channels"][format!("octo-org/{name}")]["intents"];
    let newest = intents.as_array().and_then(|intents| intents.last());
    newest.cloned().context("no intent")
}

/// The delivery is queued; the same one under another GUID, and signed with the secret of before, is a duplicate.
/// Returns the intent.
fn queued_once(delivery: &mut Delivery, name: &str) -> Result<Value> {
    let url = &relay()?.url;
    let first = delivery.send(url, WEBHOOK_SECRET)?;
    assert_eq!(first.status, 202, "{name}: {}", first.body);
    delivery.guid = format!("{name}-again");
    let again = delivery.send(url, PREVIOUS_SECRET)?;
    assert_eq!(again.status, 200, "{name}: {}", again.body);
    let (first, again) = (first.json()?, again.json()?);
    assert_eq!(
        (&first["status"], &again["status"]),
        (&json!("queued"), &json!("duplicate"))
    );
    assert_eq!(first["intent"], again["intent"]);
    let intent = newest(name)?;
    assert_eq!(
        (&intent["id"], &intent["seq"]),
        (&first["intent"], &json!(1))
    );
    Ok(intent)
}

#[test]
fn a_push_is_queued_once_as_its_branch_and_commit() -> Result<()> {
    let mut push = delivery("push", "pushed", 801)?;
    let intent = queued_once(&mut push, "pushed")?;
    assert_eq!(
        intent["source"],
        json!({ "kind": "push", "repository_id": 801, "repository": "octo-org/pushed", "actor": "octo-dev",
                "url": "https://github.com/octo-org/web/compare/0d5c4b3a2918...3484a3fb816e" })
    );
    assert_eq!(
        (&intent["revision"], &intent["image"]),
        (
            &json!({ "sha": SHA, "branch": "main", "tag": null }),
            &json!(null)
        )
    );
    push.body["head_commit"] = json!({ "id": SHA });
    let other = push.send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!(
        other.status, 202,
        "another body is another push: {}",
        other.body
    );
    Ok(())
}

#[test]
fn a_published_image_is_queued_once_with_its_digest() -> Result<()> {
    let mut package = delivery("registry_package.published", "packed", 802)?;
    let digest = package.body["registry_package"]["package_version"]["version"].clone();
    let intent = queued_once(&mut package, "packed")?;
    assert_eq!(
        intent["image"],
        json!({ "reference": "ghcr.io/octo-org/web:v1.4.0", "digest": digest })
    );
    assert_eq!(
        (&intent["source"]["kind"], &intent["source"]["tag"]),
        (&json!("registry_package"), &json!("v1.4.0"))
    );
    package.body["action"] = json!("updated");
    let updated = package.send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!(updated.json()?["status"], "duplicate", "{}", updated.body);
    Ok(())
}

#[test]
fn a_release_is_queued_once_with_its_tag() -> Result<()> {
    let mut release = delivery("release.published", "released", 803)?;
    let intent = queued_once(&mut release, "released")?;
    assert_eq!(
        (
            &intent["source"]["release_id"],
            &intent["source"]["prerelease"]
        ),
        (&json!(55_120_331), &json!(false))
    );
    assert_eq!(
        intent["revision"],
        json!({ "sha": null, "branch": null, "tag": "v1.4.0" })
    );
    Ok(())
}

#[test]
fn a_deployment_is_queued_once_with_its_environment() -> Result<()> {
    let mut deployment = delivery("deployment.created", "asked", 804)?;
    let intent = queued_once(&mut deployment, "asked")?;
    assert_eq!(
        (&intent["source"]["environment"], &intent["source"]["task"]),
        (&json!("production"), &json!("deploy"))
    );
    assert_eq!(
        intent["revision"],
        json!({ "sha": SHA, "branch": "main", "tag": null })
    );
    Ok(())
}

#[test]
fn each_pitfall_of_the_other_sources_is_ignored_and_stores_nothing() -> Result<()> {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 13] = [
        ("push.deleted", |_| ()),
        ("push.annotated-tag", |_| ()),
        ("push", |body| body["ref"] = json!("refs/heads/feature")),
        ("push", |body| body["ref"] = json!("refs/pull/1/merge")),
        ("registry_package.untagged", |_| ()),
        ("registry_package.npm", |_| ()),
        ("registry_package.published", |body| {
            body["action"] = json!("deleted")
        }),
        ("release.published", |body| {
            body["action"] = json!("created")
        }),
        ("release.published", |body| {
            body["release"]["draft"] = json!(true)
        }),
        ("deployment.fork-main", |body| {
            body["workflow_run"]["head_repository"]["id"] = json!(88_112_233);
        }),
        ("deployment.created", |body| {
            body["deployment"]["ref"] = json!("feature")
        }),
        ("deployment.created", |body| {
            body["deployment"]["payload"] = json!({ "towline": {} });
        }),
        ("deployment.created", |body| {
            body["action"] = json!("deleted")
        }),
    ];
    for (fixture, change) in cases {
        let mut delivery = delivery(fixture, "nothing", 805)?;
        change(&mut delivery.body);
        let answer = delivery.send(&relay()?.url, WEBHOOK_SECRET)?;
        assert_eq!(answer.status, 200, "{fixture}: {}", answer.body);
        let said = answer.json()?;
        assert_eq!(said["status"], "ignored", "{fixture}: {said}");
        assert!(said["reason"].is_string(), "{fixture}: {said}");
    }
    assert!(newest("nothing").is_err());
    Ok(())
}

#[test]
fn an_event_under_another_ones_name_is_400_and_stores_nothing() -> Result<()> {
    let names = [
        "workflow_run",
        "push",
        "registry_package",
        "release",
        "deployment",
    ];
    let fixtures = [
        "push",
        "registry_package.published",
        "release.published",
        "deployment.created",
        "deployment_status.created",
    ];
    for fixture in fixtures {
        let own = delivery(fixture, "disguised", 806)?;
        for name in names.into_iter().filter(|name| *name != own.event) {
            let mut disguised = own.clone();
            disguised.event = name.to_owned();
            let answer = disguised.send(&relay()?.url, WEBHOOK_SECRET)?;
            refused(&answer, 400, "bad_delivery");
        }
    }
    assert!(newest("disguised").is_err());
    Ok(())
}

#[test]
fn a_published_image_is_deployed_by_its_digest_wherever_its_tag_leads_by_then() -> Result<()> {
    push("published", "v1", "ok")?;
    let web = Web::start("published", "v1")?;
    web.page(PATIENCE)?;
    let published = push("published", "v2", "ok")?;
    let digest = published.rsplit('@').next().unwrap_or_default();
    let services = format!(
        "[service.web]\nrepository = \"octo-org/published\"\non = \"package\"\ntag = \"v*\"\nimage = {:?}\n\
         docker = {{ container = {:?} }}\nhealth = [{{ http = \"{}/\", contains = \"toy\", within = \"20s\" }}]\n",
        web.repository, web.name, web.url
    );
    let host_token = token(Role::Host, "pi", &["octo-org/*"])?;
    let host = Host::new(&relay()?.url, &host_token, &services)?;
    let mut seq = 0;
    let mut publish = |repository: &str, tag: &str, digest: &str| -> Result<()> {
        let mut delivery = delivery("registry_package.published", "published", 807)?;
        let version = &mut delivery.body["registry_package"]["package_version"];
        version["version"] = json!(digest);
        version["package_url"] = json!(format!("{repository}:{tag}"));
        version["container_metadata"]["tag"]["name"] = json!(tag);
        let answer = delivery.send(&relay()?.url, WEBHOOK_SECRET)?;
        assert_eq!(answer.status, 202, "{}", answer.body);
        seq += 1;
        until("the mailbox in KV", PATIENCE, || {
            let mailbox = relay()?.mailbox("octo-org/published").ok();
            Ok(mailbox.filter(|mailbox| mailbox["head"] == json!(seq)))
        })?;
        Ok(())
    };
    publish(&web.repository, "v2", digest)?;
    // Neither another image of the repository nor another tag is for this service.
    publish(&format!("{}-api", web.repository), "v3", digest)?;
    publish(&web.repository, "latest", digest)?;
    push("published", "v2", "exit")?;
    let output = host.call(&["once"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(web.page(PATIENCE)?, "toy v2");
    let history = host.call(&["history", "--json"])?;
    let history: Value = serde_json::from_slice(&history.stdout)?;
    let last = &history["deploys"][0];
    assert_eq!(
        (
            &last["outcome"],
            &last["cause"]["kind"],
            &last["cause"]["tag"]
        ),
        (
            &json!("succeeded"),
            &json!("registry_package"),
            &json!("v2")
        ),
        "{history}"
    );
    assert_eq!(last["to"]["digest"], digest, "{history}");
    Ok(())
}
