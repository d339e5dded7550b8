use serde_json::{Value, json};

use super::*;

fn full() -> Value {
    json!({
        "repository_ids": [1_296_269, "583231"], "workflows": ["redeploy.yml"],
        "refs": ["refs/heads/main"], "events": [], "channels": ["Octo-Org/*", "kiosk"],
        "issuer": "", "jwks_url": "",
    })
}

fn read(json: &Value, public_url: Option<&str>) -> Result<Option<Policy>, SettingsError> {
    let json = json.to_string();
    oidc(&|name: &str| match name {
        "oidc" => Var::Json(json.clone()),
        "PUBLIC_URL" => public_url.map_or(Var::Absent, |url| Var::Text(url.to_owned())),
        _ => Var::Absent,
    })
}

fn policy(json: &Value) -> Result<Policy, SettingsError> {
    let policy = read(json, Some("https://relay.example/"))?;
    Ok(policy.expect("it is set"))
}

fn problem(member: &str, value: Value) -> String {
    let mut json = full();
    json[member] = value;
    policy(&json).unwrap_err().to_string()
}

#[test]
fn without_an_entry_nothing_is_let_in_and_nothing_is_wrong() {
    let empty = json!({
        "repository_ids": [], "workflows": [], "refs": [], "events": [], "channels": [],
        "issuer": "", "jwks_url": "",
    });
    for json in [empty, json!({})] {
        assert_eq!(read(&json, None), Ok(None));
    }
    assert_eq!(oidc(&|_: &str| Var::Absent), Ok(None));
    assert_eq!(oidc(&|_: &str| Var::Text(" ".to_owned())), Ok(None));
}

#[test]
fn what_is_left_out_is_githubs_and_a_start_by_hand() {
    let policy = policy(&full()).unwrap();
    assert_eq!(policy.issuer, GITHUB);
    assert_eq!(policy.jwks_url, format!("{GITHUB}/.well-known/jwks"));
    assert_eq!(policy.audience, "https://relay.example");
    assert_eq!(policy.repository_ids, [1_296_269, 583_231]);
    assert_eq!(policy.events, [Glob::new("workflow_dispatch")]);
    assert_eq!(policy.channels[0], Glob::new("octo-org/*"));
}

#[test]
fn another_issuer_has_its_keys_below_it_unless_they_are_elsewhere() {
    let mut json = full();
    json["issuer"] = json!("https://ghes.example/_services/token");
    let policy_of = |json: &Value| policy(json).unwrap();
    let keys = "https://ghes.example/_services/token/.well-known/jwks";
    assert_eq!(policy_of(&json).jwks_url, keys);
    json["jwks_url"] = json!("http://127.0.0.1:4000/keys");
    assert_eq!(policy_of(&json).jwks_url, "http://127.0.0.1:4000/keys");
}

#[test]
fn half_a_policy_is_none_and_names_what_is_missing() {
    for list in ["repository_ids", "workflows", "refs"] {
        let problem = problem(list, json!([]));
        assert!(problem.starts_with("oidc is wrong"), "{problem}");
        assert!(problem.contains(&format!("{list} is empty")), "{problem}");
    }
    for url in [None, Some(""), Some(" / ")] {
        let error = read(&full(), url).unwrap_err();
        assert_eq!(error.variable, "PUBLIC_URL");
    }
}

#[test]
fn a_mistake_is_named_with_what_would_be_right() {
    for (member, value, said) in [
        ("repositoryids", json!([1]), "unknown field `repositoryids`"),
        (
            "repository_ids",
            json!(["octo-org/web"]),
            "gh api repos/OWNER/REPO",
        ),
        ("repository_ids", json!([-1]), "repository_ids"),
        ("workflows", json!("redeploy.yml"), "expected a sequence"),
        ("workflows", json!([" "]), "workflows has an empty entry"),
        ("refs", json!(["main"]), "\"refs/heads/main\""),
        (
            "events",
            json!(["push", "pull_request_target"]),
            "never let in",
        ),
        (
            "issuer",
            json!("http://issuer.example"),
            "no https:// address",
        ),
        ("jwks_url", json!("file:///etc/keys"), "no https:// address"),
        (
            "jwks_url",
            json!("http://localhost:1@evil.example/"),
            "no https:// address",
        ),
        (
            "jwks_url",
            json!("http://localhost.evil.example/"),
            "no https:// address",
        ),
    ] {
        let problem = problem(member, value);
        assert!(problem.contains(said), "{member}: {problem}");
    }
}

#[test]
fn the_audience_is_an_address_that_tokens_may_cross_the_network_to() {
    for bad in [
        "relay.example",
        "http://relay.example",
        "https://",
        "https://relay example",
    ] {
        let error = read(&full(), Some(bad)).unwrap_err();
        assert_eq!(error.variable, "PUBLIC_URL", "{bad}");
    }
    for good in [
        "https://relay.example",
        "http://localhost:8787",
        "http://[::1]:80",
        "http://127.0.0.1",
    ] {
        assert!(read(&full(), Some(good)).is_ok(), "{good}");
    }
}
