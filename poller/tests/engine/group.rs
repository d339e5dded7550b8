//! Containers that share a namespace of the one that is deployed to: they go forth and back with it.

use std::process::Command;

use serde_json::Value;
use towline_protocol::Outcome;

use crate::scene::{Scene, docker, inspect};

/// A scene on v1 and containers beside it, which are removed at the end.
struct Group {
    scene: Scene,
}

/// What is to be seen of one of them.
#[derive(Debug, PartialEq)]
struct Seen {
    id: String,
    runs: bool,
    policy: String,
}

impl Group {
    /// The scene's container runs v1.
    async fn new(name: &'static str, arguments: &[&str]) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        scene.run(arguments);
        scene.push("idle", "idle", &[]);
        Self { scene }
    }

    /// The container `NAME-other`.
    fn name(&self, other: &str) -> String {
        format!("{}-{other}", self.scene.name)
    }

    /// Runs `NAME-other` on an image that gets no new versions, with these arguments, in which `@` is the scene's name.
    fn join(&self, other: &str, arguments: &[&str]) {
        self.join_from(other, "idle", arguments);
    }

    fn join_from(&self, other: &str, tag: &str, arguments: &[&str]) {
        let (name, image) = (self.name(other), self.scene.image(tag));
        let arguments: Vec<_> = arguments
            .iter()
            .map(|one| one.replace('@', self.scene.name))
            .collect();
        let mut all = vec!["run", "--detach", "--name", &name];
        all.extend(arguments.iter().map(String::as_str));
        all.push(&image);
        docker(&all);
    }

    fn seen(&self, others: &[&str]) -> Vec<Seen> {
        let each = others.iter().map(|other| {
            let shown = inspect(&self.name(other));
            Seen {
                id: shown["Id"].as_str().unwrap().to_owned(),
                runs: shown["State"]["Running"] == true,
                policy: shown["HostConfig"]["RestartPolicy"]["Name"].to_string(),
            }
        });
        each.collect()
    }

    /// With whom `NAME-other` shares this.
    fn lender(&self, other: &str, mode: &str) -> Value {
        inspect(&self.name(other))["HostConfig"][mode].clone()
    }

    fn id(&self, name: &str) -> String {
        inspect(name)["Id"].as_str().unwrap().to_owned()
    }

    /// Whether `NAME-other` finds the service at its own address.
    fn reaches(&self, other: &str) -> bool {
        let name = self.name(other);
        let mut asked = Command::new("docker");
        let asked = asked.args(["exec", &name, "/toy", "health"]).output();
        asked.unwrap().status.success()
    }

    /// The names of all that was made from the scene's images or is called like it.
    fn names(&self) -> Vec<String> {
        let filter = format!("name={}", self.scene.name);
        let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
        names.sort();
        names
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for name in self.names() {
            let remove = ["rm", "--force", &name];
            Command::new("docker").args(remove).output().ok();
        }
    }
}

/// Two that share the network, one of them kept up, and one that was stopped.
async fn around_one_network(name: &'static str) -> Group {
    let group = Group::new(name, &["--restart", "always"]).await;
    let shares = ["--network", "container:@"];
    group.join(
        "app",
        &[&shares[..], &["--restart", "unless-stopped"]].concat(),
    );
    group.join("side", &shares);
    group.join("off", &shares);
    docker(&["stop", &group.name("off")]);
    assert!(group.reaches("app"));
    group
}

#[tokio::test]
async fn those_that_share_its_network_are_made_anew_with_a_good_version_and_reach_it() {
    let mut group = around_one_network("grouped").await;
    for version in ["v2", "v3"] {
        let before = group.seen(&["app", "side", "off"]);
        group.scene.release(version, "ok", &[]);
        let service = group.scene.checked(version);
        let applied = group.scene.deploy(&service).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert!(
            applied
                .message
                .contains("; with it: grouped-app, grouped-off, grouped-side"),
            "{}",
            applied.message
        );
        let lender = format!("container:{}", group.id("grouped"));
        for (other, before) in ["app", "side", "off"].iter().zip(before) {
            let now = &group.seen(&[other])[0];
            assert_ne!(now.id, before.id);
            assert_eq!(
                (now.runs, &now.policy),
                (before.runs, &before.policy),
                "{other}"
            );
            assert_eq!(group.lender(other, "NetworkMode"), lender, "{other}");
            let image = &inspect(&group.name(other))["Config"]["Image"];
            assert_eq!(*image, group.scene.image("idle"), "{other}");
        }
        assert!(group.reaches("app") && group.reaches("side"), "{version}");
        let all = ["grouped", "grouped-app", "grouped-off", "grouped-side"];
        assert_eq!(group.names(), all);
    }
}

#[tokio::test]
async fn a_bad_version_leads_back_to_all_the_same_containers_which_reach_it_again() {
    let mut group = around_one_network("ungrouped").await;
    let all = ["app", "side", "off"];
    let (before, lender) = (group.seen(&all), group.id("ungrouped"));
    group.scene.release("v2", "500", &[]);
    let service = group.scene.checked("v2");
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied
            .message
            .contains("; put back with it: ungrouped-app, ungrouped-off, ungrouped-side"),
        "{}",
        applied.message
    );
    assert_eq!(group.seen(&all), before);
    assert_eq!(group.id("ungrouped"), lender);
    assert_eq!(group.scene.get().as_deref(), Some("toy v1 \n"));
    assert!(group.reaches("app") && group.reaches("side"));
    assert_eq!(group.names().len(), 4);
}

#[tokio::test]
async fn one_whose_own_healthcheck_fails_beside_the_new_version_takes_it_back_unless_it_was_unwell()
{
    let mut group = Group::new("picky", &[]).await;
    let shares = ["--network", "container:@"];
    let health = r#"HEALTHCHECK --interval=1s --retries=2 CMD ["/toy", "health"]"#;
    group.scene.push("checked", "idle", &[health]);
    group.join_from("app", "checked", &shares);
    group.scene.release("v2", "500", &[]);
    let service = group.scene.service("");
    let (app, web) = (group.seen(&["app"]), group.id("picky"));
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("picky-app: "),
        "{}",
        applied.message
    );
    assert_eq!((group.seen(&["app"]), group.id("picky")), (app, web));
    assert!(group.reaches("app"));

    docker(&["stop", "--time", "1", &group.name("app")]);
    docker(&["rm", "--force", "picky", "picky-app"]);
    docker(&["pull", "--quiet", &group.scene.image("live")]);
    group.scene.run(&[]);
    group.join_from("app", "checked", &shares);
    group.scene.release("v3", "500 ", &[]);
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
}

#[tokio::test]
async fn one_that_shares_is_started_only_once_what_it_shares_is_healthy_forth_and_back() {
    let mut group = Group::new("lent", &[]).await;
    let health = r#"HEALTHCHECK --interval=1s --retries=60 CMD ["/toy", "health"]"#;
    group.scene.release("v1", "slow", &[health]);
    docker(&["rm", "--force", "lent"]);
    docker(&["pull", "--quiet", &group.scene.image("live")]);
    group.scene.run(&[]);
    group.join("app", &["--network", "container:@"]);
    while inspect("lent")["State"]["Health"]["Status"] != "healthy" {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let service = group.scene.service("");
    for (mode, outcome) in [("slow", Outcome::Succeeded), ("exit", Outcome::RolledBack)] {
        group.scene.release(&format!("v2-{mode}"), mode, &[health]);
        let applied = group.scene.deploy(&service).await;
        assert_eq!(applied.outcome, outcome, "{}", applied.message);
        let started = |name: &str| -> jiff::Timestamp {
            let at = inspect(name)["State"]["StartedAt"].clone();
            at.as_str().unwrap().parse().unwrap()
        };
        // The lender listens after three seconds.
        let after = started("lent-app").duration_since(started("lent"));
        assert!(after >= jiff::SignedDuration::from_secs(3), "{after}");
        assert!(group.reaches("app"));
    }
}

#[tokio::test]
async fn those_that_share_its_memory_and_its_processes_and_what_shares_theirs_go_with_it() {
    let mut group = Group::new("chained", &["--ipc", "shareable"]).await;
    group.join("z", &["--ipc", "container:@", "--network", "none"]);
    group.join("a", &["--pid", "container:@-z", "--ipc", "container:@"]);
    // Made from the tag that is deployed: it goes along to the new version.
    group.join_from("same", "live", &["--pid", "container:@"]);
    group.scene.release("v2", "ok", &[]);
    let service = group.scene.checked("v2");
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert!(
        applied
            .message
            .contains("with it: chained-same, chained-z, chained-a"),
        "{}",
        applied.message
    );
    let of = |name: &str| Value::from(format!("container:{}", group.id(name)));
    assert_eq!(group.lender("z", "IpcMode"), of("chained"));
    assert_eq!(group.lender("a", "IpcMode"), of("chained"));
    assert_eq!(group.lender("a", "PidMode"), of("chained-z"));
    assert_eq!(group.lender("same", "PidMode"), of("chained"));
    assert_eq!(
        inspect("chained-same")["Image"],
        inspect("chained")["Image"]
    );
    assert!(group.seen(&["z", "a", "same"]).iter().all(|one| one.runs));
    group.scene.release("v3", "exit", &[]);
    let before = group.seen(&["z", "a", "same"]);
    let service = group.scene.checked("v3");
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert_eq!(group.seen(&["z", "a", "same"]), before);
    assert_eq!(group.scene.get().as_deref(), Some("toy v2 \n"));
}

#[tokio::test]
async fn one_that_may_not_be_made_anew_keeps_all_as_it_is_and_is_named() {
    let mut group = around_one_network("unfit").await;
    group.scene.release("v2", "ok", &[]);
    let service = group.scene.checked("v2");
    let all = ["app", "side", "off"];
    let before = (group.seen(&all), group.id("unfit"));
    let side = group.name("side");
    docker(&["pause", &side]);
    let paused = group.scene.deploy(&service).await;
    docker(&["unpause", &side]);
    let (idle, own) = (group.scene.image("idle"), inspect(&side)["Image"].clone());
    docker(&["tag", &group.scene.image("live"), &idle]);
    let strayed = group.scene.deploy(&service).await;
    docker(&["tag", own.as_str().unwrap(), &idle]);
    for (applied, words) in [
        (
            paused,
            "unfit-side, which shares the network of unfit and would be made anew with it, cannot be: the container is paused",
        ),
        (
            strayed,
            "was made from 127.0.0.1:5000/unfit:idle, which does not lead to its image any more",
        ),
    ] {
        assert_eq!(applied.outcome, Outcome::Refused, "{}", applied.message);
        let words = words.replace("127.0.0.1:5000/unfit:idle", &idle);
        assert!(applied.message.contains(&words), "{}", applied.message);
    }
    assert_eq!((group.seen(&all), group.id("unfit")), before);
    let applied = group.scene.deploy(&service).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
}
