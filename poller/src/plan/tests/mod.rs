//! Plans from what an engine shows.

mod eligible;
mod group;
mod obstacle;
mod planned;
mod replicas;
mod target;

use serde_json::json;
use towline_protocol::{Image, Intent, Revision, RunSource, Source};

use super::*;
use crate::reference::Template;

const ID: &str = "4f5a8c3d2b1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a";
const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn observed(image: &str) -> Observed {
    Observed {
        container: json!({
            "Id": ID, "Name": "/web", "Image": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "State": { "Running": true }, "Config": { "Image": image },
            "HostConfig": { "RestartPolicy": { "Name": "always", "MaximumRetryCount": 0 } },
        }),
        image: Some(
            json!({ "Config": {}, "Os": "linux", "Architecture": "amd64",
                            "RepoDigests": [format!("ghcr.io/octo-org/web@{OLD}")] }),
        ),
        all: Vec::new(),
        with: Vec::new(),
        brought: None,
    }
}

/// Another container of the host, which runs, by its name.
fn other(name: &str, host: Value) -> Value {
    json!({ "Id": name.repeat(12), "Name": format!("/{name}"), "Image": format!("sha256:{name}"), "HostConfig": host,
            "Config": { "Image": format!("ghcr.io/octo-org/{name}:main") }, "State": { "Running": true } })
}

fn intent(image: Option<Image>) -> Intent {
    let run = RunSource {
        repository_id: 1,
        repository: "octo-org/web".to_owned(),
        workflow_id: 2,
        workflow: ".github/workflows/ci.yml".to_owned(),
        run_id: 3,
        run_number: 163,
        run_attempt: 1,
        event: "push".to_owned(),
        actor: None,
        url: None,
    };
    Intent {
        id: "in_aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap(),
        channel: "octo-org/web".parse().unwrap(),
        epoch: 1,
        seq: 1,
        created_at: "2026-11-20T15:00:00Z".parse().unwrap(),
        expires_at: None,
        source: Source::WorkflowRun(run),
        revision: Revision {
            sha: Some("3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap()),
            ..Revision::default()
        },
        image,
        service: None,
        hosts: Vec::new(),
    }
}

fn by_reference(reference: &str) -> Intent {
    intent(Some(Image {
        reference: Some(reference.to_owned()),
        digest: None,
    }))
}

fn template(text: &str) -> Option<Template> {
    Some(Template::parse(text).unwrap())
}

fn digest(text: &str) -> Digest {
    text.parse().unwrap()
}

fn new_image() -> Value {
    json!({ "Id": "sha256:new", "Config": {}, "Os": "linux", "Architecture": "amd64",
            "RepoDigests": [format!("ghcr.io/octo-org/web@{NEW}")] })
}

fn naming(tagged: Option<&str>) -> Naming<'_> {
    Naming {
        container: "web",
        service: "web",
        deploy: "0a1b2c3d",
        tagged,
        was_healthy: true,
        now: "2026-11-20T15:00:00Z".parse().unwrap(),
    }
}

fn planned(observed: &Observed, image: &Value, tagged: Option<&str>) -> Result<Plan, ImageMistake> {
    let target = target(None, &intent(None), observed).unwrap();
    plan(
        observed,
        &target,
        &digest(NEW),
        image,
        naming(tagged),
        Side::default(),
    )
}
