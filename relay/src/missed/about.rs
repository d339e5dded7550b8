//! What a delivery is about: two that are about the same have an order, and the later one counts.
//!
//! The relay's own gate says it, from what GitHub has kept of the request (GitHub, "Webhooks", "Get a delivery").

use serde::Deserialize;
use serde_json::Value;
use towline_protocol::{Source, WebhookStatus};

use crate::{
    event,
    gate::{Candidate, Gate},
    json,
    webhook::{self, Verdict},
};

/// An attempt with what was sent and what was answered.
#[derive(Deserialize)]
struct Whole {
    event: String,
    request: Part,
    #[serde(default)]
    response: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    payload: Value,
}

/// What the relay has answered, in part.
#[derive(Deserialize)]
struct Answered {
    status: WebhookStatus,
}

/// What a whole attempt is about: a branch, an image's tags, an environment. `None` for what makes no intent, has made
/// none, has an order of its own, or cannot be read.
pub fn about(body: &[u8], gate: &Gate) -> Option<String> {
    let whole: Whole = json::of_bytes(body).ok()?;
    if whole.was_ignored() {
        return None;
    }
    let payload = whole.request.payload.to_string();
    let event = event::read(&whole.event, payload.as_bytes()).ok()?;
    match webhook::decide(&event, gate).ok()? {
        Verdict::Queue(candidate) => subject(&candidate),
        Verdict::Answer(_) => None,
    }
}

impl Whole {
    /// By a gate that may have been another one then.
    fn was_ignored(&self) -> bool {
        let payload = self.response.as_ref().map(|response| &response.payload);
        let text = payload.and_then(Value::as_str);
        let answered = text.and_then(|text| serde_json::from_str::<Answered>(text).ok());
        answered.is_some_and(|answered| answered.status == WebhookStatus::Ignored)
    }
}

fn subject(candidate: &Candidate) -> Option<String> {
    let channel = &candidate.channel;
    let tag = candidate.revision.tag.as_ref();
    let tags = tag.map(|tag| format!("tags {:?}", line(tag.as_str())));
    let of = match &candidate.source {
        Source::Push(_) => {
            let branch = candidate.revision.branch.as_ref();
            branch.map(|branch| format!("branch {branch:?}")).or(tags)
        }
        Source::Release(_) => tags.map(|tags| format!("releases, {tags}")),
        Source::RegistryPackage(package) => {
            let (name, line) = (&package.package, line(&package.tag));
            Some(format!("package {name:?}, tags {line:?}"))
        }
        Source::Deployment(deployment) => {
            let (environment, task) = (&deployment.environment, &deployment.task);
            Some(format!("environment {environment:?}, task {task:?}"))
        }
        Source::WorkflowRun(_) | Source::Actions(_) | Source::Manual { .. } | Source::Unknown => {
            None
        }
    };
    of.map(|of| format!("{channel}: {of}"))
}

/// What the tags of a line of versions have in common: what stands before the first digit, nothing where the tag is a
/// commit's hash.
fn line(tag: &str) -> &str {
    if tag.len() >= 7 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "";
    }
    tag.split(|c: char| c.is_ascii_digit())
        .next()
        .unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::{self, Var};

    fn gate() -> Gate {
        settings::gate(&|name: &str| match name {
            "gate" => Var::Json(
                r#"{"sources": ["workflow_run", "push", "registry_package", "release", "deployment"], "branches": ["*"]}"#
                    .to_owned(),
            ),
            _ => Var::Absent,
        })
        .unwrap()
    }

    fn whole(event: &str, payload: &Value, answered: &str) -> Option<String> {
        let whole = json!({
            "id": 1, "guid": "a", "event": event, "status_code": 200, "request": { "headers": {}, "payload": payload },
            "response": { "headers": {}, "payload": answered },
        });
        about(whole.to_string().as_bytes(), &gate())
    }

    fn fixture(name: &str) -> Value {
        let path = format!(
            "{}/../tests/fixtures/github/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// What the event is about when the value at a place is this.
    fn with(name: &str, place: &str, value: &str) -> Option<String> {
        let mut payload = fixture(name);
        *payload.pointer_mut(place).unwrap() = json!(value);
        let event = name.split('.').next().unwrap();
        whole(event, &payload, "")
    }

    #[test]
    fn a_push_is_about_its_branch_and_a_tag_about_its_line_of_versions() {
        let push = |name: &str| with("push", "/ref", name).unwrap();
        assert_eq!(push("refs/heads/main"), "octo-org/web: branch \"main\"");
        assert_ne!(push("refs/heads/main"), push("refs/heads/v1"));
        assert_eq!(push("refs/tags/v1.2.3"), push("refs/tags/v1.3.0-rc1"));
        assert_ne!(push("refs/tags/web-v1"), push("refs/tags/api-v1"));
    }

    #[test]
    fn a_package_is_about_its_name_and_tags_and_a_deployment_about_its_environment_and_task() {
        let name = "/registry_package/name";
        let tag = "/registry_package/package_version/container_metadata/tag/name";
        let of = |place, value| with("registry_package.published", place, value).unwrap();
        assert_ne!(of(name, "web"), of(name, "api"));
        assert_ne!(of(tag, "latest"), of(tag, "v1"));
        assert_eq!(of(tag, "1.2"), of(tag, "3484a3fb"));
        let of = |place, value| with("deployment.of-a-job", place, value).unwrap();
        let environment = "/deployment/environment";
        assert_ne!(of(environment, "production"), of(environment, "staging"));
        let task = "/deployment/task";
        assert_ne!(of(task, "deploy"), of(task, "deploy:migrations"));
    }

    #[test]
    fn a_release_is_about_its_line_of_versions_once_it_is_published() {
        let tag = |tag| with("release.published", "/release/tag_name", tag).unwrap();
        assert_eq!(tag("v1.0"), tag("v2.0"));
        assert_ne!(tag("v1.0"), tag("nightly-7"));
        assert_eq!(with("release.published", "/action", "edited"), None);
    }

    #[test]
    fn what_made_no_intent_is_about_nothing() {
        let push = fixture("push");
        let answered = |answer: &str| whole("push", &push, answer).is_some();
        assert!(answered(r#"{"status": "queued", "intent": "in_x"}"#));
        assert!(answered(r#"{"status": "duplicate"}"#) && answered("Bad gateway"));
        assert!(!answered(r#"{"status": "ignored", "reason": "not then"}"#));
        assert_eq!(with("push", "/ref", "refs/notes/x"), None);
        assert_eq!(
            whole("workflow_run", &fixture("workflow_run.completed"), ""),
            None
        );
    }

    #[test]
    fn what_cannot_be_read_is_about_nothing() {
        for body in [
            "",
            "[]",
            r#"{"event": "push", "request": {"payload": null}}"#,
        ] {
            assert_eq!(about(body.as_bytes(), &gate()), None, "{body}");
        }
    }
}
