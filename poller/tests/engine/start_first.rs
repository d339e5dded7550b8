//! The new version takes over while the old one serves: asked by name all the time, a client on the same network never misses it.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use serde_json::Value;
use towline::{apply::Applied, machine::Fault, settings::Service};
use towline_protocol::{Gate, Outcome};
use towline_tests::program;

use crate::{
    roll_back::Host,
    scene::{Scene, docker, inspect, sleeper},
};

/// Asks for the name's addresses each time, and goes on to the next where one does not answer, as proxies do. The resolver of a
/// static program does not work where nothing else is installed.
const ASK: &str = r"while :; do
    said=lost
    for at in $(/busybox nslookup NAME 127.0.0.11 | /busybox tail -n +4 | /busybox sed -n 's/^Address: //p'); do
        got=$(printf 'GET / HTTP/1.0\r\n\r\n' | /busybox nc -w 5 $at 8080 | /busybox grep '^toy') && said=$got && break
    done
    echo $said
    /busybox usleep 20000
done";

/// A service on v1, on a network on which it is also called `api`, and a client there that asks it by its name all the time.
struct Front {
    scene: Scene,
}

impl Front {
    /// Its container is run with these further arguments.
    async fn new(name: &'static str, arguments: &[&str]) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", &[]);
        let (network, client) = (format!("{name}-net"), format!("{name}-client"));
        docker(&["network", "create", &network]);
        let on_network = ["run", "--detach", "--network", &network];
        let own = [
            "--name",
            name,
            "--network-alias",
            "api",
            "--restart",
            "always",
        ];
        let image = scene.image("live");
        docker(&[&on_network, &own[..], arguments, &[&image]].concat());
        sleeper(&client);
        let ask = ASK.replace("NAME", name);
        let asking = [
            "--name",
            &client,
            "--entrypoint",
            "/busybox",
            &client,
            "sh",
            "-c",
            &ask,
        ];
        docker(&[&on_network[..], &asking].concat());
        let front = Self { scene };
        for _ in 0..600 {
            if !front.heard().is_empty() {
                return front;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the client hears {:?}", front.heard());
    }

    /// The service, with these lines behind its strategy, whose versions must answer.
    fn service(&self, lines: &str) -> Service {
        self.scene.service(&self.lines(lines))
    }

    fn lines(&self, lines: &str) -> String {
        let name = self.scene.name;
        format!(
            "strategy = \"start-first\"\ndrain = \"3s\"\n{lines}\n\
             [[service.{name}.health]]\nhttp = \"http://{{container}}:8080/\"\nwithin = \"20s\"\n"
        )
    }

    async fn deploy(&mut self, version: &str, mode: &str, lines: &str) -> Applied {
        self.scene.release(version, mode, &[]);
        let service = self.service(lines);
        self.scene.deploy(&service).await
    }

    /// What the client has heard since the first answer, changes only.
    fn heard(&self) -> Vec<String> {
        let client = format!("{}-client", self.scene.name);
        let log = docker(&["logs", &client]);
        let lines = log.lines().map(|line| line.trim().to_owned());
        let mut lines: Vec<_> = lines.skip_while(|line| line == "lost").collect();
        lines.dedup();
        lines
    }

    /// The client has heard these versions, and was never left without an answer.
    fn assert_heard(&self, versions: &[&str]) {
        let heard = self.heard();
        let expected = versions.iter().map(|version| format!("toy {version}"));
        let expected: BTreeSet<_> = expected.collect();
        let all: BTreeSet<_> = heard.iter().cloned().collect();
        assert_eq!(all, expected, "{heard:?}");
    }

    /// The names by which it is found on its network, but for what the engine makes of its id.
    fn aliases(&self) -> BTreeSet<String> {
        let now = self.scene.inspect();
        let id = now["Id"].as_str().unwrap();
        let network = format!("{}-net", self.scene.name);
        let aliases = now["NetworkSettings"]["Networks"][&network]["Aliases"].as_array();
        let aliases = aliases.unwrap().iter().map(|alias| alias.as_str().unwrap());
        let aliases = aliases.filter(|alias| !id.starts_with(alias));
        aliases.map(str::to_owned).collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let name = self.scene.name;
        let mut names = self.scene.containers();
        names.push(format!("{name}-client"));
        for name in names {
            let remove = ["rm", "--force", "--volumes", &name];
            Command::new("docker").args(remove).output().ok();
        }
        let network = ["network", "rm", &format!("{name}-net")];
        Command::new("docker").args(network).output().ok();
    }
}

/// The container, and since when it runs.
fn run_of(container: &Value) -> [&Value; 2] {
    [&container["Id"], &container["State"]["StartedAt"]]
}

#[tokio::test]
async fn a_version_takes_over_by_name_and_alias_and_no_request_is_lost() {
    let mut front = Front::new("beside", &[]).await;
    let old = front.scene.inspect();
    let applied = front.deploy("v2", "ok", "").await;
    let end = (applied.outcome, applied.gate);
    let good = (Outcome::Succeeded, Some(Gate::Healthy));
    assert_eq!(end, good, "{}", applied.message);
    let now = front.scene.inspect();
    assert_ne!(now["Id"], old["Id"]);
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(front.scene.containers(), ["beside"]);
    let names = ["api"].map(str::to_owned).into();
    assert_eq!(front.aliases(), names, "its own name is no alias");
    let lines = front.scene.told.iter().filter(|told| !told.is_passing());
    let lines: Vec<String> = lines.map(ToString::to_string).collect();
    assert_eq!(
        lines[1..],
        [
            "created the new container",
            "started the new container",
            "passed http://{container}:8080/",
            "the new container serves beside the old one",
            "swapped: the new container has the name",
            "passed http://{container}:8080/",
            "left the old container its time to drain",
            "stopped the old container",
            "healthy",
            "committed"
        ]
    );
    let steps: Vec<&str> = applied
        .steps
        .iter()
        .map(|step| step.step.as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "resolve",
            "pull",
            "tag",
            "create",
            "start",
            "gate",
            "join",
            "switch",
            "gate again",
            "disarm",
            "drain",
            "stop",
            "commit"
        ]
    );

    let applied = front.deploy("v3", "ok", "").await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(front.aliases(), names, "names do not pile up");
    front.assert_heard(&["v1", "v2", "v3"]);
}

#[tokio::test]
async fn a_version_that_fails_beside_the_old_one_is_never_found_and_the_old_one_never_stops() {
    let mut front = Front::new("sickly", &[]).await;
    let old = front.scene.inspect();
    let applied = front.deploy("v2", "sick", "stable_for = \"30s\"").await;
    let end = (applied.outcome, applied.fault);
    let whose = (Outcome::FailedUntouched, Fault::Version);
    assert_eq!(end, whose, "{}", applied.message);
    let now = front.scene.inspect();
    assert_eq!(run_of(&now), run_of(&old));
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(front.scene.containers(), ["sickly"]);
    assert_eq!(front.aliases(), ["api".to_owned()].into());
    front.assert_heard(&["v1"]);
}

#[tokio::test]
async fn a_version_that_fails_once_it_is_found_gives_the_names_back_and_the_old_one_never_stops() {
    let mut front = Front::new("joined", &[]).await;
    let old = front.scene.inspect();
    let folder = tempfile::tempdir().unwrap();
    let (script, seen) = (folder.path().join("smoke"), folder.path().join("seen"));
    let text = format!(
        "#!/bin/sh\necho $TOWLINE_SERVICE >>{}\nsleep 2\nexit 1\n",
        seen.display()
    );
    program::write(&script, &text).unwrap();
    let hook = format!("hooks = {{ after = {{ run = [{script:?}] }} }}");
    let applied = front.deploy("v2", "ok", &hook).await;
    assert_eq!(applied.outcome, Outcome::RolledBack, "{}", applied.message);
    assert!(
        applied.message.contains("gate again: "),
        "{}",
        applied.message
    );
    let asked = fs::read_to_string(seen).unwrap();
    assert_eq!(asked, "joined\n", "by the last gate alone");
    let now = front.scene.inspect();
    assert_eq!(run_of(&now), run_of(&old));
    assert_eq!(now["HostConfig"]["RestartPolicy"]["Name"], "always");
    assert_eq!(front.scene.containers(), ["joined"]);
    front.assert_heard(&["v1", "v2"]);
}

#[tokio::test]
async fn a_container_that_is_alone_with_its_volume_is_refused_or_stopped_first_or_shares_it() {
    let mut front = Front::new("keeper", &["--volume", "/data"]).await;
    let old = front.scene.inspect();
    let refused = front.deploy("v2", "ok", "").await;
    assert_eq!(refused.outcome, Outcome::Refused);
    let why = "both versions would write to what is mounted at /data";
    let told = &refused.message;
    assert!(told.contains(why) && told.contains("fallback"), "{told}");
    assert_eq!(run_of(&front.scene.inspect()), run_of(&old));

    let shared = front.deploy("v3", "ok", "shared_volumes = \"/data\"").await;
    assert_eq!(shared.outcome, Outcome::Succeeded, "{}", shared.message);
    assert!(shared.steps.iter().any(|step| step.step == "drain"));
    let volume = |shown: &Value| shown["Mounts"][0]["Name"].clone();
    let now = front.scene.inspect();
    assert_eq!(volume(&now), volume(&old));
    front.assert_heard(&["v1", "v3"]);

    let stopped = front.deploy("v4", "ok", "fallback = \"stop-first\"").await;
    assert_eq!(stopped.outcome, Outcome::Succeeded, "{}", stopped.message);
    let told = &stopped.message;
    assert!(
        told.contains("stopped first, as `fallback` allows: ") && told.contains(why),
        "{told}"
    );
    assert!(!stopped.steps.iter().any(|step| step.step == "drain"));
    assert_eq!(volume(&front.scene.inspect()), volume(&old));
}

#[tokio::test]
async fn a_rollback_on_purpose_takes_over_the_same_way_and_check_says_what_a_deploy_would_do() {
    let mut front = Front::new("beside-back", &[]).await;
    let elsewhere = Scene::new("beside-elsewhere").await;
    let lines = front.lines("");
    let scene = std::mem::replace(&mut front.scene, elsewhere);
    let mut host = Host::with(scene, &lines);
    host.deploy("v2").await;
    let second = inspect("beside-back");
    let said = host.roll_back(&[]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.err
            .contains("left the old container its time to drain"),
        "{}",
        said.err
    );
    let now = inspect("beside-back");
    assert_ne!(now["Id"], second["Id"]);
    host.let_go();
    let said = host.say(&["check"]);
    assert!(
        said.out.contains("  strategy: start-first\n"),
        "{}",
        said.out
    );
    front.scene = host.scene;
    assert_eq!(front.scene.containers(), ["beside-back"]);
    front.assert_heard(&["v1", "v2"]);
}
