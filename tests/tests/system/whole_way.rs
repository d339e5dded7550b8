//! From GitHub's delivery to a new container and back: relay, binary, engine and registry together.

use std::{collections::HashSet, fs, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    docker::{Web, inspect, push, push_with},
    github::Delivery,
    host::Host,
    relay::{WEBHOOK_SECRET, token},
    wait::until,
};

use crate::relay;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A service at v1 on a host of its own, with a repository of its own at GitHub; both have the same name.
pub(crate) struct Scene {
    pub(crate) repository: String,
    id: u64,
    pub(crate) web: Web,
    pub(crate) host: Host,
}

impl Scene {
    pub(crate) fn new(name: &str, id: u64) -> Result<Self> {
        push(name, "v1", "ok")?;
        let web = Web::start(name, "v1")?;
        web.page(PATIENCE)?;
        let repository = format!("octo-org/{name}");
        let services = format!(
            "[service.web]\nrepository = {repository:?}\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             image = \"{}:v{{run_number}}\"\ndocker = {{ container = {:?} }}\n\
             health = [{{ http = \"{}/\", contains = \"toy\", within = \"20s\" }}]\n",
            web.repository, web.name, web.url
        );
        let host = Host::new(
            &relay()?.url,
            &token(Role::Host, name, &["octo-org/*"])?,
            &services,
        )?;
        Ok(Self {
            repository,
            id,
            web,
            host,
        })
    }

    fn delivery(&self, number: u64) -> Result<Delivery> {
        Ok(Delivery::run(number, &format!("{number:040x}"))?.of(&self.repository, self.id))
    }

    /// CI has succeeded: the intent's id, once it is in KV.
    pub(crate) fn ci_succeeds(&self, number: u64) -> Result<String> {
        queued(&self.delivery(number)?)
    }

    /// `towline once`: its exit status and what it said.
    pub(crate) fn once(&self) -> Result<(Option<i32>, String)> {
        self.host.once()
    }

    pub(crate) fn report(&self, intent: &str) -> Result<Value> {
        Ok(self.told(intent)?["services"]["web"].clone())
    }

    /// What the relay knows of an intent and this host.
    pub(crate) fn told(&self, intent: &str) -> Result<Value> {
        told(intent, self.repository.trim_start_matches("octo-org/"))
    }

    fn container(&self) -> Result<Value> {
        Ok(inspect(&self.web.name)?["Id"].clone())
    }
}

/// Delivers what must become an intent; its id, once it is in KV.
pub(crate) fn queued(delivery: &Delivery) -> Result<String> {
    let answer = delivery.send(&relay()?.url, WEBHOOK_SECRET)?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let queued = answer.json()?;
    let channel = &delivery.body["repository"]["full_name"];
    let channel = channel.as_str().context("a delivery is of a repository")?;
    until("the mailbox in KV", PATIENCE, || {
        let mailbox = relay()?.mailbox(channel).ok();
        Ok(mailbox.filter(|mailbox| mailbox["head"].as_u64() >= queued["seq"].as_u64()))
    })?;
    let intent = queued["intent"].as_str();
    Ok(intent.context("the answer names no intent")?.to_owned())
}

/// What the relay knows of an intent and a host.
pub(crate) fn told(intent: &str, host: &str) -> Result<Value> {
    let operator = token(Role::Operator, "ops", &["*"])?;
    let path = format!("/v1/intents/{intent}");
    let status = relay()?.get(&path, &operator)?.json()?;
    Ok(status["hosts"][host].clone())
}

/// The report of how an intent has ended for the only service of a host, once it is there.
pub(crate) fn reported(intent: &str, host: &str, service: &str) -> Result<Value> {
    until("the report", PATIENCE, || {
        let report = told(intent, host)?["services"][service].clone();
        Ok(Some(report).filter(|report| report["finished_at"].is_string()))
    })
}

#[test]
fn a_signed_run_replaces_the_container_once_and_the_outcome_comes_back() -> Result<()> {
    let scene = Scene::new("replaced", 701)?;
    let digest = push("replaced", "v2", "ok")?;
    let old = scene.container()?;
    let intent = scene.ci_succeeds(2)?;
    let (status, said) = scene.once()?;
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2");
    assert_ne!(scene.container()?, old);
    assert_eq!(scene.web.containers()?, [scene.web.name.as_str()]);
    let report = scene.report(&intent)?;
    assert_eq!(
        (&report["outcome"], &report["gate"]),
        (&json!("succeeded"), &json!("healthy"))
    );
    assert!(
        digest.ends_with(report["to"]["digest"].as_str().unwrap_or("none")),
        "{digest}: {report}"
    );
    assert_eq!(report["to"]["sha"], format!("{:040x}", 2));
    let new = scene.container()?;
    let (status, said) = scene.once()?;
    assert_eq!((status, scene.container()?), (Some(0), new), "{said}");
    Ok(())
}

#[test]
fn an_image_that_ends_at_once_is_taken_back_and_the_report_has_its_last_words() -> Result<()> {
    let scene = Scene::new("broken", 702)?;
    push("broken", "v2", "exit")?;
    let old = scene.container()?;
    let intent = scene.ci_succeeds(2)?;
    let (status, said) = scene.once()?;
    assert_eq!(status, Some(3), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v1");
    assert_eq!(scene.container()?, old, "the same old container");
    assert_eq!(scene.web.containers()?, [scene.web.name.as_str()]);
    let report = scene.report(&intent)?;
    assert_eq!(report["outcome"], "rolled_back", "{report}");
    assert!(
        !report["log_tail"].as_str().unwrap_or_default().is_empty(),
        "{report}"
    );
    Ok(())
}

#[test]
fn an_image_whose_own_healthcheck_fails_is_taken_back() -> Result<()> {
    let scene = Scene::new("unhealthy", 703)?;
    let check = r#"HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD ["/toy","health"]"#;
    push_with("unhealthy", "v2", "500", &[check])?;
    let services = fs::read_to_string(scene.host.path("towline.toml"))?;
    let services: Vec<&str> = services
        .lines()
        .filter(|line| !line.starts_with("health"))
        .collect();
    scene.host.write(&services.join("\n"))?;
    let intent = scene.ci_succeeds(2)?;
    let (status, said) = scene.once()?;
    assert_eq!(
        (status, scene.web.page(PATIENCE)?),
        (Some(3), "toy v1".to_owned()),
        "{said}"
    );
    assert_eq!(scene.report(&intent)?["outcome"], "rolled_back");
    Ok(())
}

#[test]
fn of_several_runs_the_newest_is_applied_and_an_old_run_run_again_is_stale() -> Result<()> {
    let scene = Scene::new("several", 704)?;
    push("several", "v4", "ok")?;
    let intents = [2, 3, 4].map(|number| scene.ci_succeeds(number));
    let intents: Vec<String> = intents.into_iter().collect::<Result<_>>()?;
    let (status, said) = scene.once()?;
    assert_eq!(
        (status, scene.web.page(PATIENCE)?),
        (Some(0), "toy v4".to_owned()),
        "{said}"
    );
    let outcomes: Result<Vec<Value>> = intents
        .iter()
        .map(|intent| Ok(scene.report(intent)?["outcome"].clone()))
        .collect();
    assert_eq!(
        outcomes?,
        ["superseded", "superseded", "succeeded"].map(Value::from)
    );
    let mut again = scene.delivery(3)?;
    again.body["workflow_run"]["run_attempt"] = json!(2);
    let again = again.send(&relay()?.url, WEBHOOK_SECRET)?.json()?;
    let again = again["intent"].as_str().context("no intent")?.to_owned();
    scene.ci_succeeds(1)?;
    let (status, said) = scene.once()?;
    assert_eq!(
        (status, scene.web.page(PATIENCE)?),
        (Some(0), "toy v4".to_owned()),
        "{said}"
    );
    assert_eq!(scene.report(&again)?["outcome"], "stale");
    Ok(())
}

#[test]
fn a_forks_run_and_another_branchs_run_touch_nothing() -> Result<()> {
    let scene = Scene::new("untouched", 705)?;
    let old = scene.container()?;
    let mut fork = scene.delivery(2)?;
    fork.body["workflow_run"]["head_repository"]["id"] = json!(4711);
    let mut branch = scene.delivery(3)?;
    branch.body["workflow_run"]["head_branch"] = json!("feature");
    for delivery in [fork, branch] {
        assert_eq!(delivery.send(&relay()?.url, WEBHOOK_SECRET)?.status, 200);
    }
    let (status, said) = scene.once()?;
    assert_eq!((status, scene.container()?), (Some(0), old), "{said}");
    Ok(())
}

#[test]
fn what_the_hosts_own_file_does_not_name_is_not_deployed() -> Result<()> {
    let scene = Scene::new("other-workflow", 706)?;
    push("other-workflow", "v2", "ok")?;
    let services = fs::read_to_string(scene.host.path("towline.toml"))?;
    scene
        .host
        .write(&services.replace("\"ci.yml\"", "\"release.yml\""))?;
    let old = scene.container()?;
    let intent = scene.ci_succeeds(2)?;
    let (status, said) = scene.once()?;
    assert_eq!((status, scene.container()?), (Some(0), old), "{said}");
    assert!(
        said.contains("not for this service") && said.contains("release.yml"),
        "{said}"
    );
    let told = scene.told(&intent)?;
    assert_eq!(
        (&told["matched"], &told["services"]),
        (&json!([]), &json!({}))
    );
    Ok(())
}

#[test]
fn a_token_that_the_relay_does_not_know_is_exit_1_and_touches_nothing() -> Result<()> {
    let scene = Scene::new("wrong-token", 707)?;
    let old = scene.container()?;
    scene.ci_succeeds(2)?;
    let lost = token(Role::Host, "lost", &["octo-org/*"])?;
    fs::write(scene.host.path("token"), &lost)?;
    let (status, said) = scene.once()?;
    assert_eq!((status, scene.container()?), (Some(1), old), "{said}");
    assert!(said.contains("token") && !said.contains(&lost), "{said}");
    Ok(())
}

#[test]
fn run_deploys_by_itself_listens_on_no_port_and_ends_cleanly_on_sigterm() -> Result<()> {
    let scene = Scene::new("running", 708)?;
    push("running", "v2", "ok")?;
    let mut towline = scene.host.run()?;
    towline.line(PATIENCE, |line| line.contains("running"))?;
    let intent = scene.ci_succeeds(2)?;
    towline.line(PATIENCE, |line| line.contains("reported succeeded"))?;
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2");
    assert_eq!(scene.report(&intent)?["outcome"], "succeeded");
    assert_eq!(listening(towline.id())?, Vec::<String>::new());
    let ended = towline.terminate(Duration::from_secs(5))?;
    assert!(ended.success(), "{ended}: {}", towline.output());
    Ok(())
}

#[test]
fn sigterm_while_a_new_version_is_watched_ends_soon_and_the_next_one_watches_on() -> Result<()> {
    let scene = Scene::new("mid-deploy", 709)?;
    push("mid-deploy", "v2", "slow")?;
    let mut towline = scene.host.run()?;
    towline.line(PATIENCE, |line| line.contains("running"))?;
    let intent = scene.ci_succeeds(2)?;
    towline.line(PATIENCE, |line| line.contains("started the new container"))?;
    let ended = towline.terminate(PATIENCE)?;
    assert!(ended.success(), "{ended}: {}", towline.output());
    assert!(
        towline.output().contains("asked to stop in the gate"),
        "{}",
        towline.output()
    );
    let (status, said) = scene.once()?;
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2", "{said}");
    assert_eq!(scene.web.containers()?, [scene.web.name.as_str()], "{said}");
    assert_eq!(scene.report(&intent)?["outcome"], "succeeded", "{said}");
    Ok(())
}

#[test]
fn a_poller_killed_in_mid_deploy_leaves_a_service_that_the_next_one_takes_to_the_new_version()
-> Result<()> {
    let scene = Scene::new("killed", 710)?;
    push("killed", "v2", "slow")?;
    let mut towline = scene.host.run()?;
    towline.line(PATIENCE, |line| line.contains("running"))?;
    let intent = scene.ci_succeeds(2)?;
    towline.line(PATIENCE, |line| line.contains("started the new container"))?;
    towline.signal("KILL")?;
    towline.ended(PATIENCE)?;
    let (status, said) = scene.once()?;
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(scene.web.page(PATIENCE)?, "toy v2", "{said}");
    assert_eq!(scene.web.containers()?, [scene.web.name.as_str()], "{said}");
    assert_eq!(scene.report(&intent)?["outcome"], "succeeded", "{said}");
    Ok(())
}

/// The TCP sockets on which a process listens, as the kernel lists them.
fn listening(process: u32) -> Result<Vec<String>> {
    let mut own = HashSet::new();
    for file in fs::read_dir(format!("/proc/{process}/fd"))? {
        own.extend(
            fs::read_link(file?.path())
                .ok()
                .map(|to| to.to_string_lossy().into_owned()),
        );
    }
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")));
    let tables: Vec<String> = tables.into_iter().collect::<Result<_, _>>()?;
    let listens = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // State 0A is LISTEN; the tenth field is the socket's inode (proc(5), /proc/net/tcp).
        fields.get(3) == Some(&"0A")
            && fields
                .get(9)
                .is_some_and(|inode| own.contains(&format!("socket:[{inode}]")))
    };
    Ok(tables
        .iter()
        .flat_map(|table| table.lines())
        .filter(listens)
        .map(str::to_owned)
        .collect())
}
