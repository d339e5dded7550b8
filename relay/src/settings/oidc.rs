//! `[vars.oidc]` and `PUBLIC_URL`: which workflows of GitHub Actions may order intents.

use serde::Deserialize;
use serde_json::Value;
use towline_protocol::Glob;

use super::{SettingsError, Var, Vars, address, text};
use crate::oidc::policy::{NEVER, Policy};

/// Who signs the tokens of GitHub Actions on github.com.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// `[vars.oidc]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawOidc {
    repository_ids: Vec<Value>,
    workflows: Vec<Glob>,
    refs: Vec<Glob>,
    events: Vec<Glob>,
    channels: Vec<Glob>,
    issuer: String,
    jwks_url: String,
}

/// Reads `[vars.oidc]` and `PUBLIC_URL`; without any entry no workflow may order.
///
/// # Errors
/// When a key is unknown, a value has the wrong type, or a list is empty that must not be.
pub fn oidc(vars: &Vars<'_>) -> Result<Option<Policy>, SettingsError> {
    let wrong = |problem: String| SettingsError::new("oidc", format!("is wrong: {problem}"));
    let raw: RawOidc = match vars("oidc") {
        Var::Absent => return Ok(None),
        Var::Text(text) if text.trim().is_empty() => return Ok(None),
        Var::Text(json) | Var::Json(json) => {
            serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))?
        }
    };
    if raw.is_empty() {
        return Ok(None);
    }
    let audience = public_url(vars)?;
    raw.check(audience).map(Some).map_err(wrong)
}

fn public_url(vars: &Vars<'_>) -> Result<String, SettingsError> {
    let wrong = |problem: &str| SettingsError::new("PUBLIC_URL", problem);
    let url = text("PUBLIC_URL", vars)?.unwrap_or_default();
    let url = url.trim().trim_end_matches('/');
    if url.is_empty() {
        let what =
            "is not set, and oidc needs it: this relay's address, which tokens must be made for";
        return Err(wrong(what));
    }
    address::check(url).map_err(|problem| wrong(&problem))?;
    Ok(url.to_owned())
}

impl RawOidc {
    fn is_empty(&self) -> bool {
        self.repository_ids.is_empty()
            && self.issuer.trim().is_empty()
            && self.jwks_url.trim().is_empty()
            && self.lists().iter().all(|(_, globs)| globs.is_empty())
    }

    fn lists(&self) -> [(&'static str, &[Glob]); 4] {
        [
            ("workflows", &self.workflows),
            ("refs", &self.refs),
            ("events", &self.events),
            ("channels", &self.channels),
        ]
    }

    fn check(self, audience: String) -> Result<Policy, String> {
        for (key, globs) in self.lists() {
            if globs.iter().any(|glob| glob.as_str().trim().is_empty()) {
                return Err(format!("{key} has an empty entry, which matches nothing"));
            }
            if globs.is_empty() && ["workflows", "refs"].contains(&key) {
                return Err(format!(
                    "{key} is empty; name what may, for instance {}",
                    example(key)
                ));
            }
        }
        if self.repository_ids.is_empty() {
            return Err(format!(
                "repository_ids is empty; name what may, for instance {}",
                example("")
            ));
        }
        let ids: Result<_, _> = self.repository_ids.iter().map(repository_id).collect();
        check_refs(&self.refs)?;
        check_events(&self.events)?;
        let issuer = or(&self.issuer, GITHUB.to_owned());
        let jwks_url = or(
            &self.jwks_url,
            format!("{}/.well-known/jwks", issuer.trim_end_matches('/')),
        );
        for (key, url) in [("issuer", &issuer), ("jwks_url", &jwks_url)] {
            address::check(url).map_err(|problem| format!("{key} {problem}"))?;
        }
        let lower = |glob: &Glob| Glob::new(glob.as_str().to_ascii_lowercase());
        Ok(Policy {
            issuer,
            jwks_url,
            audience,
            repository_ids: ids?,
            workflows: self.workflows,
            refs: self.refs,
            events: if self.events.is_empty() {
                vec![Glob::new("workflow_dispatch")]
            } else {
                self.events
            },
            channels: self.channels.iter().map(lower).collect(),
        })
    }
}

/// A repository's id, as a number or as GitHub's tokens write it.
fn repository_id(id: &Value) -> Result<u64, String> {
    let text = id.as_str().and_then(|text| text.trim().parse().ok());
    text.or(id.as_u64()).ok_or_else(|| {
        let how = "gh api repos/OWNER/REPO --jq .id";
        format!("repository_ids has {id}, which is no id; ask for it: {how}")
    })
}

fn example(key: &str) -> &'static str {
    match key {
        "workflows" => r#"["redeploy.yml"]"#,
        "refs" => r#"["refs/heads/main"]"#,
        _ => "[1296269]",
    }
}

fn check_refs(refs: &[Glob]) -> Result<(), String> {
    let whole = |glob: &&Glob| glob.as_str().starts_with("refs/") || glob.as_str().starts_with('*');
    match refs.iter().find(|glob| !whole(glob)) {
        None => Ok(()),
        Some(glob) => Err(format!(
            "refs has {:?}; write a branch as \"refs/heads/{glob}\", a tag as \"refs/tags/{glob}\"",
            glob.as_str()
        )),
    }
}

fn check_events(events: &[Glob]) -> Result<(), String> {
    match events.iter().find(|glob| NEVER.contains(&glob.as_str())) {
        None => Ok(()),
        Some(glob) => Err(format!(
            "events has {:?}, which strangers can cause and which is never let in",
            glob.as_str()
        )),
    }
}

fn or(text: &str, default: String) -> String {
    match text.trim() {
        "" => default,
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
