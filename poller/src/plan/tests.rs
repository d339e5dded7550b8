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
        brought: None,
    }
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

#[test]
fn of_an_image_with_several_digests_the_one_that_a_deploy_brought_counts_as_long_as_it_is_among_them()
 {
    let mut shown = observed("ghcr.io/octo-org/web:main");
    let both = [OLD, NEW].map(|digest| format!("ghcr.io/octo-org/web@{digest}"));
    shown.image = Some(json!({ "RepoDigests": both }));
    let digest = |text: &str| text.parse().ok();
    assert_eq!(shown.digest(), digest(OLD));
    let shown = shown.brought(digest(NEW));
    assert_eq!(shown.digest(), digest(NEW));
    let another = format!("sha256:{}", "3".repeat(64));
    assert_eq!(shown.brought(digest(&another)).digest(), digest(OLD));
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

#[test]
fn only_a_container_that_the_engine_started_again_a_moment_ago_counts_as_restarting() {
    let was_restarting = |state: Value, count: u64| {
        let mut observed = observed("ghcr.io/octo-org/web:main");
        observed.container["State"] = state;
        observed.container["RestartCount"] = json!(count);
        let plan = planned(&observed, &new_image(), None).unwrap();
        plan.deploy.members[0].was_restarting
    };
    let since = |at: &str| json!({ "Running": true, "StartedAt": at });
    let (recent, long_ago) = (
        since("2026-11-20T14:59:30.1Z"),
        since("2026-11-20T14:00:00Z"),
    );
    assert!(was_restarting(recent.clone(), 2));
    assert!(!was_restarting(recent, 0));
    assert!(!was_restarting(long_ago, 2), "it has run for an hour since");
    assert!(was_restarting(
        json!({ "Running": true, "Restarting": true }),
        0
    ));
}

#[test]
fn without_a_template_the_containers_own_tag_is_asked_for() {
    let target = target(None, &intent(None), &observed("ghcr.io/octo-org/web:main")).unwrap();
    assert_eq!(target.wanted.to_string(), "ghcr.io/octo-org/web:main");
    assert_eq!(target.shown(&digest(NEW)), "ghcr.io/octo-org/web:main");
    assert_eq!(
        target.tag().unwrap().to_string(),
        "ghcr.io/octo-org/web:main"
    );
}

#[test]
fn a_template_says_what_is_pulled_and_the_container_keeps_its_reference() {
    let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
    let target = target(
        template.as_ref(),
        &intent(None),
        &observed("ghcr.io/octo-org/web:main"),
    )
    .unwrap();
    assert_eq!(
        target.wanted.to_string(),
        "ghcr.io/octo-org/web:sha-3484a3f"
    );
    assert_eq!(
        target.at(&digest(NEW)).to_string(),
        format!("ghcr.io/octo-org/web@{NEW}")
    );
    assert_eq!(target.shown(&digest(NEW)), "ghcr.io/octo-org/web:main");
}

#[test]
fn the_local_tag_of_another_repository_is_left_alone() {
    let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
    for placeholder in ["nginx:latest", "nginx", "ghcr.io/octo-org/web2:main"] {
        let target = target(template.as_ref(), &intent(None), &observed(placeholder)).unwrap();
        let own = "ghcr.io/octo-org/web:sha-3484a3f";
        assert_eq!(target.shown(&digest(NEW)), own, "{placeholder}");
        assert_eq!(target.tag().unwrap().to_string(), own, "{placeholder}");
    }
}

#[test]
fn a_reference_with_a_digest_keeps_its_form_and_moves_no_tag() {
    let observed = observed(&format!("ghcr.io/octo-org/web:v1@{OLD}"));
    let target = target(None, &intent(None), &observed).unwrap();
    assert_eq!(
        target.shown(&digest(NEW)),
        format!("ghcr.io/octo-org/web:v1@{NEW}")
    );
    assert_eq!(target.tag(), None);
}

#[test]
fn an_intent_may_change_tag_and_digest_but_not_the_repository() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let asked = by_reference(&format!("ghcr.io/octo-org/web:v2@{NEW}"));
    let found = target(None, &asked, &observed).unwrap();
    assert_eq!(
        (found.wanted.tag(), found.digest),
        (Some("v2"), Some(digest(NEW)))
    );
    for other in [
        "ghcr.io/mallory/web:v2",
        "octo-org/web:v2",
        "ghcr.io/octo-org/web2",
    ] {
        let refused = target(None, &by_reference(other), &observed).unwrap_err();
        assert!(matches!(refused, Refusal::Repository { .. }), "{refused}");
    }
    assert!(matches!(
        target(None, &by_reference("Not a reference"), &observed),
        Err(Refusal::Reference(_))
    ));
    let both = intent(Some(Image {
        reference: Some(format!("ghcr.io/octo-org/web@{OLD}")),
        digest: Some(digest(NEW)),
    }));
    assert_eq!(target(None, &both, &observed), Err(Refusal::TwoDigests));
}

#[test]
fn a_template_that_the_intent_cannot_fill_is_refused_unless_a_digest_says_enough() {
    let template = template("ghcr.io/octo-org/web:{tag}");
    let observed = observed("ghcr.io/octo-org/web:main");
    assert!(matches!(
        target(template.as_ref(), &intent(None), &observed),
        Err(Refusal::Template(_))
    ));
    let by_digest = intent(Some(Image {
        reference: None,
        digest: Some(digest(NEW)),
    }));
    let found = target(template.as_ref(), &by_digest, &observed).unwrap();
    assert_eq!(
        found.at(&digest(NEW)).to_string(),
        format!("ghcr.io/octo-org/web@{NEW}")
    );
}

#[test]
fn a_container_made_from_an_id_needs_a_template() {
    for id in [
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789ab",
    ] {
        assert!(
            matches!(
                target(None, &intent(None), &observed(id)),
                Err(Refusal::NoTag(_))
            ),
            "{id}"
        );
        let template = template("ghcr.io/octo-org/web:sha-{short_sha}");
        let found = target(template.as_ref(), &intent(None), &observed(id)).unwrap();
        assert_eq!(
            found.shown(&digest(NEW)),
            "ghcr.io/octo-org/web:sha-3484a3f"
        );
    }
    let pinned = observed(&format!("ghcr.io/octo-org/web@{OLD}"));
    assert!(matches!(
        target(None, &intent(None), &pinned),
        Err(Refusal::NoTag(_))
    ));
}

#[test]
fn a_plan_moves_the_tag_only_when_it_leads_elsewhere() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let plan = planned(&observed, &new_image(), Some("sha256:old")).unwrap();
    let member = &plan.deploy.members[0];
    assert_eq!(
        member.tag.as_ref().unwrap().from.as_deref(),
        Some("sha256:old")
    );
    assert_eq!((member.old.as_str(), member.runs), (ID, true));
    assert_eq!(plan.create.body["Image"], "ghcr.io/octo-org/web:main");
    assert_eq!(plan.deploy.from.digest, Some(digest(OLD)));
    let moved = planned(&observed, &new_image(), Some("sha256:new")).unwrap();
    assert_eq!(moved.deploy.members[0].tag, None);
}

#[test]
fn another_digest_and_another_platform_are_refused_before_anything_is_stopped() {
    let observed = observed("ghcr.io/octo-org/web:main");
    let mut image = new_image();
    image["RepoDigests"] = json!([format!("ghcr.io/octo-org/web@{OLD}")]);
    assert_eq!(
        planned(&observed, &image, None).unwrap_err(),
        ImageMistake::Digest(digest(NEW))
    );
    let mut image = new_image();
    image["Architecture"] = json!("arm64");
    let error = planned(&observed, &image, None).unwrap_err().to_string();
    assert_eq!(
        error,
        "the image is for linux/arm64, and the container that it would replace is linux/amd64"
    );
}

#[test]
fn what_runs_is_known_by_digest() {
    let observed = observed("ghcr.io/octo-org/web:main");
    assert!(observed.has(&digest(OLD)) && !observed.has(&digest(NEW)));
    assert_eq!(observed.digest(), Some(digest(OLD)));
}

#[test]
fn containers_that_depend_on_it_are_named_with_how() {
    let mut observed = observed("web");
    let other = |name: &str, host: Value| json!({ "Id": name.repeat(12), "Name": format!("/{name}"), "HostConfig": host });
    observed.all = vec![
        observed.container.clone(),
        other(
            "vpn",
            json!({ "NetworkMode": format!("container:{ID}"), "PidMode": "container:web" }),
        ),
        other(
            "log",
            json!({ "VolumesFrom": [format!("{}:ro", &ID[..12])] }),
        ),
        other("php", json!({ "Links": ["/web:/php/backend"] })),
        other(
            "far",
            json!({ "NetworkMode": "container:webber", "IpcMode": "private", "Links": ["/web2:/far/x"] }),
        ),
    ];
    let refused = refusal(&observed, None, None).unwrap();
    assert_eq!(
        refused,
        Refusal::Dependents(vec![
            "vpn (network, PID)".into(),
            "log (volumes)".into(),
            "php (link)".into()
        ])
    );
}

#[test]
fn one_that_shares_a_namespace_of_a_container_that_is_gone_or_down_could_not_be_started_again() {
    let shares = |field: &str, runs: bool, lender: Value| {
        let mut observed = observed("web");
        observed.container["HostConfig"][field] = json!("container:0123456789ab");
        observed.container["State"]["Running"] = json!(runs);
        observed.all = vec![observed.container.clone(), lender];
        refusal(&observed, None, None)
    };
    let lender = |state: Value| json!({ "Id": "0123456789abcdef", "Name": "/vpn", "State": state });
    let up = lender(json!({ "Running": true }));
    let down = lender(json!({ "Running": false }));
    let crashing = lender(json!({ "Running": true, "Restarting": true }));
    let stranger = json!({ "Id": "fedcba987654", "Name": "/other", "State": { "Running": true } });
    for (field, how) in [
        ("NetworkMode", "network"),
        ("IpcMode", "IPC"),
        ("PidMode", "PID"),
    ] {
        assert_eq!(shares(field, true, up.clone()), None);
        for lender in [&down, &crashing] {
            let refused = Some(Refusal::LenderDown {
                how,
                lender: "vpn".to_owned(),
            });
            assert_eq!(shares(field, true, lender.clone()), refused);
        }
        assert_eq!(
            shares(field, false, down.clone()),
            None,
            "nothing is started"
        );
        let gone = Some(Refusal::LenderGone {
            how,
            lender: "0123456789ab".to_owned(),
        });
        for runs in [true, false] {
            assert_eq!(shares(field, runs, stranger.clone()), gone);
        }
    }
}

#[test]
fn each_container_that_is_never_replaced_has_its_reason() {
    let with = |path: [&str; 2], value: Value| {
        let mut observed = observed("web");
        observed.container[path[0]][path[1]] = value;
        refusal(&observed, None, None)
    };
    assert_eq!(
        with(["HostConfig", "AutoRemove"], json!(true)),
        Some(Refusal::AutoRemove)
    );
    assert_eq!(
        with(["State", "Paused"], json!(true)),
        Some(Refusal::Paused)
    );
    assert_eq!(with(["State", "Dead"], json!(true)), Some(Refusal::Dying));
    assert_eq!(
        with(
            ["Config", "Labels"],
            json!({ "com.docker.swarm.task.id": "x" })
        ),
        Some(Refusal::SwarmTask)
    );
    assert_eq!(with(["State", "Dead"], json!(false)), None);
    assert_eq!(
        refusal(&observed("web"), Some(ID), None),
        Some(Refusal::Own)
    );
}

#[test]
fn the_proxy_that_the_engine_is_spoken_to_through_is_known_by_name_alias_or_address() {
    let mut observed = observed("web");
    observed.container["NetworkSettings"] =
        json!({ "Networks": { "n": { "Aliases": ["proxy"], "IPAddress": "172.18.0.2" } } });
    for host in ["web", "proxy", "172.18.0.2"] {
        assert_eq!(
            refusal(&observed, None, Some(Route { host, here: None })),
            Some(Refusal::Proxy),
            "{host}"
        );
    }
    assert_eq!(
        refusal(
            &observed,
            None,
            Some(Route {
                host: "127.0.0.1",
                here: None
            })
        ),
        None
    );
}

#[test]
fn the_proxy_is_known_by_the_port_of_this_machine_that_it_publishes() {
    let through = |here: &str, place: [&str; 2], port: &str, bindings: Value| {
        let mut observed = observed("web");
        observed.container[place[0]] = json!({ (place[1]): { (port): bindings } });
        let here = here.parse().ok();
        let host = "localhost";
        refusal(&observed, None, Some(Route { host, here })) == Some(Refusal::Proxy)
    };
    let at = |ip: &str, port: &str| json!([{ "HostIp": "192.0.2.9", "HostPort": "1" }, { "HostIp": ip, "HostPort": port }]);
    let (runs, made) = (["NetworkSettings", "Ports"], ["HostConfig", "PortBindings"]);
    let own = "127.0.0.1:2375";
    for ip in ["", "0.0.0.0", "::", "127.0.0.1"] {
        assert!(through(own, runs, "2375/tcp", at(ip, "2375")), "{ip}");
        assert!(through(own, made, "80/tcp", at(ip, "2375")), "{ip}");
        assert!(through("[::1]:2375", runs, "80/tcp", at("::1", "2375")));
    }
    assert!(
        !through(own, runs, "2375/tcp", at("", "2376")),
        "another port"
    );
    assert!(
        !through(own, runs, "2375/tcp", at("192.0.2.1", "2375")),
        "another address"
    );
    assert!(!through(own, runs, "2375/udp", at("", "2375")), "no TCP");
    assert!(
        !through(own, runs, "2375/tcp", Value::Null),
        "not published"
    );
    assert!(
        !through("elsewhere", runs, "2375/tcp", at("", "2375")),
        "another machine"
    );
}

#[test]
fn the_own_container_is_read_from_the_mount_table_and_a_host_has_none() {
    let inside = format!(
        "1 2 0:5 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    );
    assert_eq!(own_container(&inside), Some(ID));
    let host = format!("1 2 0:5 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n");
    assert_eq!(own_container(&host), None);
    assert_eq!(own_container("nonsense\n\n1 2"), None);
}
