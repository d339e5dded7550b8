//! Variables as people set them, right and wrong.

use super::*;

const KEY: &str = "a key for tests of thirty-two bytes or more";

fn vars<'a>(set: &'a [(&'a str, Var)]) -> impl Fn(&str) -> Var + 'a {
    |name| {
        let found = set.iter().find(|(key, _)| *key == name);
        found.map_or(Var::Absent, |(_, value)| value.clone())
    }
}

fn text(value: &str) -> Var {
    Var::Text(value.to_owned())
}

fn gate_of(json: &str) -> Result<Gate, SettingsError> {
    gate(&vars(&[("gate", Var::Json(json.to_owned()))]))
}

fn problem(json: &str) -> String {
    gate_of(json).unwrap_err().to_string()
}

#[test]
fn a_missing_or_empty_webhook_secret_is_named_and_never_signs() {
    for set in [vec![], vec![("WEBHOOK_SECRET", text(""))]] {
        let error = webhook_secrets(&vars(&set)).unwrap_err();
        assert_eq!(error.variable, "WEBHOOK_SECRET");
        assert!(error.to_string().contains("wrangler secret put"));
    }
    let set = [
        ("WEBHOOK_SECRET", text("x")),
        ("WEBHOOK_SECRET_PREVIOUS", text("")),
    ];
    assert!(webhook_secrets(&vars(&set)).unwrap().previous.is_none());
}

#[test]
fn a_short_token_key_and_a_bad_revocation_are_named() {
    let with = |name, value| {
        let set = [("TOKEN_KEY", text(KEY)), (name, text(value))];
        token_settings(&vars(&set))
            .map(|_| ())
            .unwrap_err()
            .variable
    };
    assert_eq!(with("TOKEN_KEY_PREVIOUS", "short"), "TOKEN_KEY_PREVIOUS");
    assert_eq!(with("REVOKED", "pi<x"), "REVOKED");
    let short = [("TOKEN_KEY", text("short"))];
    let error = token_settings(&vars(&short)).unwrap_err();
    assert_eq!(error.variable, "TOKEN_KEY");
    assert!(!error.to_string().contains("\"short\""));
    assert!(token_settings(&vars(&[("TOKEN_KEY", text(KEY))])).is_ok());
}

#[test]
fn retention_is_never_shorter_than_the_contract_keeps_causes() {
    let retention = |value: &str| retention(&vars(&[("RETENTION", text(value))]));
    assert_eq!(retention(""), Ok(35 * 86_400));
    assert_eq!(retention("90d"), Ok(90 * 86_400));
    for bad in ["34d", "1h", "35", "never", "400d"] {
        let error = retention(bad).unwrap_err();
        assert!(error.to_string().starts_with("RETENTION is"), "{error}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_refused() {
    let set = [("WEBHOOK_SECRET", Var::Json("7".to_owned()))];
    assert!(webhook_secrets(&vars(&set)).is_err());
}

#[test]
fn an_empty_gate_is_the_default_one() {
    let default = gate(&vars(&[])).unwrap();
    let empty = r#"{"sources": [], "repositories": [], "workflows": [], "branches": [],
                    "run_events": [], "expires_in": ""}"#;
    assert_eq!(gate_of(empty).unwrap(), default);
    assert_eq!(gate_of("{}").unwrap(), default);
    assert_eq!(gate(&vars(&[("gate", text("{}"))])).unwrap(), default);
}

#[test]
fn an_unknown_key_of_the_gate_is_named() {
    assert!(problem(r#"{"brnches": ["main"]}"#).contains("unknown field `brnches`"));
}

#[test]
fn a_source_that_does_not_exist_is_named_with_those_that_do() {
    let problem = problem(r#"{"sources": ["workflow_run", "pull_request"]}"#);
    assert!(problem.contains("\"pull_request\"") && problem.contains("registry_package"));
}

#[test]
fn a_list_must_be_a_list_and_have_no_empty_entry() {
    assert!(problem(r#"{"branches": "main"}"#).contains("expected a sequence"));
    assert!(problem(r#"{"branches": ["main", " "]}"#).contains("branches has an empty entry"));
}

#[test]
fn a_condition_that_no_source_heeds_is_refused_because_it_would_keep_nothing_out() {
    for (gate, told) in [
        (
            r#"{"sources": ["push"], "workflows": ["ci.yml"]}"#,
            "workflows counts for",
        ),
        (
            r#"{"sources": ["release"], "run_events": ["push"]}"#,
            "run_events counts for",
        ),
        (
            r#"{"sources": ["registry_package"], "branches": ["main"]}"#,
            "branches counts for",
        ),
    ] {
        assert!(problem(gate).contains(told), "{gate}: {}", problem(gate));
    }
    for good in [
        r#"{"workflows": ["ci.yml"], "run_events": ["push"], "branches": ["main"]}"#,
        r#"{"sources": ["push", "workflow_run"], "workflows": ["ci.yml"]}"#,
        r#"{"sources": ["deployment"], "run_events": ["push"], "branches": ["main"]}"#,
        r#"{"sources": ["registry_package", "release"], "branches": ["v*"]}"#,
    ] {
        assert!(gate_of(good).is_ok(), "{good}");
    }
}

#[test]
fn expires_in_is_a_number_and_a_unit() {
    assert!(gate_of(r#"{"expires_in": "24h"}"#).is_ok());
    for bad in [
        "24",
        "h",
        "0s",
        "-1h",
        "1w",
        "1.5h",
        "500d",
        "é",
        "4294967296d",
    ] {
        let problem = problem(&format!(r#"{{"expires_in": "{bad}"}}"#));
        assert!(problem.contains("expires_in is"), "{bad}: {problem}");
    }
}
