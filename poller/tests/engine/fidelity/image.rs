//! What an image brings along: the new one's defaults arrive, under the operator's own settings.

use serde_json::{Value, json};
use towline_protocol::{Image, Outcome};

use super::engine_knows;
use crate::scene::{Scene, docker};

/// The settings of a container that was made with these arguments from an image with the defaults `old`, after its
/// replacement by one with the defaults `new`. It is not started, which needs no wait for its health.
struct Change {
    scene: Scene,
    digest: String,
}

impl Change {
    async fn new(name: &'static str, old: &[&str], new: &[&str]) -> Self {
        let scene = Scene::new(name).await;
        scene.release("v1", "ok", old);
        docker(&["pull", "--quiet", &scene.image("v1")]);
        docker(&["tag", &scene.image("v1"), &scene.image("live")]);
        let digest = scene.push("v2", "ok", new);
        Self { scene, digest }
    }

    async fn of(&mut self, arguments: &[&str]) -> Value {
        self.of_command(arguments, &[]).await
    }

    /// The same of a container with a command.
    async fn of_command(&mut self, arguments: &[&str], command: &[&str]) -> Value {
        let (name, live) = (self.scene.name, self.scene.image("live"));
        docker(&["tag", &self.scene.image("v1"), &live]);
        docker(&[&["create", "--name", name], arguments, &[&live], command].concat());
        self.replaced().await
    }

    async fn replaced(&mut self) -> Value {
        let image = Image {
            reference: None,
            digest: Some(self.digest.parse().unwrap()),
        };
        let service = self.scene.service("");
        let applied = self.scene.deploy_image(&service, Some(image)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        let config = self.scene.inspect()["Config"].clone();
        docker(&["rm", self.scene.name]);
        config
    }
}

#[tokio::test]
async fn a_new_images_defaults_arrive_under_the_operators_settings() {
    let mut scene = Scene::new("defaults").await;
    scene.release(
        "v1",
        "ok",
        &[
            "ENV KEPT=old",
            "ENV GONE=1",
            "LABEL version=1",
            "EXPOSE 1",
            "WORKDIR /old",
        ],
    );
    scene.run(&["--env", "MINE=1"]);
    scene.release(
        "v2",
        "ok",
        &[
            "ENV KEPT=new",
            "ENV FRESH=1",
            "LABEL version=2",
            "EXPOSE 2",
            "WORKDIR /new",
        ],
    );
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let config = scene.inspect()["Config"].clone();
    let mut env: Vec<&str> = config["Env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    env.retain(|entry| !entry.starts_with("PATH="));
    assert_eq!(env, ["MINE=1", "KEPT=new", "FRESH=1"]);
    assert_eq!(config["Labels"]["version"], "2");
    assert_eq!(config["WorkingDir"], "/new");
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    assert_eq!(ports, ["2/tcp", "8080/tcp"]);
}

#[tokio::test]
async fn an_entrypoint_and_its_command_are_kept_or_inherited_as_a_pair() {
    let old = ["ENTRYPOINT [\"/toy\"]", "CMD [\"old\"]"];
    let new = ["ENTRYPOINT [\"/toy\", \"new\"]", "CMD [\"fresh\"]"];
    let mut change = Change::new("pair", &old, &new).await;
    for (arguments, command, entrypoint, cmd) in [
        (&[][..], &[][..], json!(["/toy", "new"]), json!(["fresh"])),
        (&[], &["mine"], json!(["/toy", "new"]), json!(["mine"])),
        (
            &["--entrypoint", "/mine"],
            &[],
            json!(["/mine"]),
            Value::Null,
        ),
        (
            &["--entrypoint", "/mine"],
            &["own"],
            json!(["/mine"]),
            json!(["own"]),
        ),
        (
            &["--entrypoint", ""],
            &["/toy"],
            Value::Null,
            json!(["/toy"]),
        ),
    ] {
        let config = change.of_command(arguments, command).await;
        assert_eq!(
            (&config["Entrypoint"], &config["Cmd"]),
            (&entrypoint, &cmd),
            "{arguments:?} {command:?}"
        );
    }
}

#[tokio::test]
async fn each_field_of_a_healthcheck_is_the_operators_or_the_new_images() {
    let newer = engine_knows((1, 44)).await;
    let start = |seconds: &str| {
        if newer {
            format!("--start-interval={seconds}")
        } else {
            String::new()
        }
    };
    let old = format!(
        "HEALTHCHECK --interval=31s --timeout=32s --start-period=33s --retries=4 {} CMD [\"/old\"]",
        start("34s")
    );
    let new = format!(
        "HEALTHCHECK --interval=41s --timeout=42s --start-period=43s --retries=5 {} CMD [\"/new\"]",
        start("44s")
    );
    let mut change = Change::new("check", &[&old], &[&new]).await;
    let seconds = |seconds: u64| json!(seconds * 1_000_000_000);
    let arrived = change.of(&[]).await["Healthcheck"].clone();
    let mut expected = json!({ "Test": ["CMD", "/new"], "Interval": seconds(41), "Timeout": seconds(42), "StartPeriod": seconds(43), "Retries": 5 });
    if newer {
        expected["StartInterval"] = seconds(44);
    }
    assert_eq!(arrived, expected);
    let mut own = vec![
        ("Test", "--health-cmd=/mine", json!(["CMD-SHELL", "/mine"])),
        ("Interval", "--health-interval=1s", seconds(1)),
        ("Timeout", "--health-timeout=2s", seconds(2)),
        ("StartPeriod", "--health-start-period=3s", seconds(3)),
        ("Retries", "--health-retries=7", json!(7)),
    ];
    if newer {
        own.push(("StartInterval", "--health-start-interval=4s", seconds(4)));
    }
    for (field, argument, value) in own {
        let mut expected = expected.clone();
        expected[field] = value;
        assert_eq!(
            change.of(&[argument]).await["Healthcheck"],
            expected,
            "{argument}"
        );
    }
    let none = change.of(&["--no-healthcheck"]).await;
    assert_eq!(none["Healthcheck"]["Test"], json!(["NONE"]));
}

#[tokio::test]
async fn what_the_operator_chose_stays_and_what_the_image_chose_follows_it() {
    let old = [
        "USER 7",
        "WORKDIR /old",
        "STOPSIGNAL SIGINT",
        "LABEL by=old",
        "ENV LEVEL=info",
        "EXPOSE 1",
    ];
    let new = [
        "USER 8",
        "WORKDIR /new",
        "STOPSIGNAL SIGQUIT",
        "LABEL by=new",
        "ENV LEVEL=warn",
        "EXPOSE 2",
    ];
    // Engine 20.10 lets no `docker import` set a stop signal.
    let newer = engine_knows((1, 44)).await;
    let settable = |line: &&str| newer || !line.starts_with("STOPSIGNAL");
    let old: Vec<&str> = old.into_iter().filter(settable).collect();
    let new: Vec<&str> = new.into_iter().filter(settable).collect();
    let mut change = Change::new("chosen", &old, &new).await;
    let plain = change.of(&[]).await;
    let own = [
        "--user=9",
        "--workdir=/mine",
        "--stop-signal=SIGHUP",
        "--label=by=me",
        "--env=LEVEL=debug",
        "--expose=3",
    ];
    let chosen = change.of(&own).await;
    for (path, arrived, kept) in [
        ("/User", json!("8"), json!("9")),
        ("/WorkingDir", json!("/new"), json!("/mine")),
        (
            "/StopSignal",
            if newer { json!("SIGQUIT") } else { Value::Null },
            json!("SIGHUP"),
        ),
        ("/Labels/by", json!("new"), json!("me")),
        (
            "/ExposedPorts",
            json!({ "2/tcp": {} }),
            json!({ "2/tcp": {}, "3/tcp": {} }),
        ),
    ] {
        assert_eq!(
            plain.pointer(path).unwrap_or(&Value::Null),
            &arrived,
            "{path}"
        );
        assert_eq!(chosen.pointer(path), Some(&kept), "{path}");
    }
    let level = |config: &Value| {
        config["Env"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry == "LEVEL=debug")
    };
    assert!(level(&chosen) && !level(&plain), "{}", chosen["Env"]);
}

#[tokio::test]
async fn a_variable_that_the_operator_took_away_stays_away() {
    let mut change = Change::new("unset", &["ENV NOISY=1"], &["ENV NOISY=2"]).await;
    // The command line cannot say it, the API can: a name without a value.
    let (name, live) = (change.scene.name, change.scene.image("live"));
    let body = json!({ "Image": live, "Env": ["NOISY"] });
    let create = towline::spec::CreateRequest {
        body,
        connect: Vec::new(),
        disconnect: None,
    };
    change.scene.docker.create(name, &create).await.unwrap();
    let config = change.replaced().await;
    assert!(
        !config["Env"].to_string().contains("NOISY="),
        "{}",
        config["Env"]
    );
}
