//! `kill -9` at every step of a rolling deploy of three replicas, when the first of them has passed: all end on one version, or, where a
//! failure pauses, on the one that is told of each.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};

use crate::{
    engine,
    images::{Images, V2},
    poller::Poller,
    relay::manual,
    scene::{docker, inspect, required},
    side_by_side::side_by_side,
};

/// How a deploy must end, whenever its poller was killed.
#[derive(Clone, Copy)]
struct Promise {
    /// The digest of what the intent asks for.
    v2: fn(&'static Images) -> &'static str,
    /// Further keys of `docker`.
    keys: &'static str,
    outcome: &'static str,
    /// The exit status of the run that ends it.
    status: i32,
    /// Which of the replicas are new then.
    new: [bool; 3],
}

/// Three replicas on v1, of which the second has no variable TOY_DATA, and a poller that has not run yet.
struct Fleet {
    name: String,
    olds: Vec<Value>,
    poller: Poller,
}

impl Fleet {
    fn new(name: String, promise: Promise) -> Self {
        let service = format!(
            "[service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"1s\"\n\
             docker = {{ label = \"octo.fleet={name}\"{} }}\n\
             health = [{{ tcp = \"{{container}}:8080\", within = \"60s\" }}]\n",
            promise.keys
        );
        let poller = Poller::new(&service, required("DOCKER_HOST"));
        let mut intent = manual(1);
        intent["service"] = json!(name);
        intent["image"] = json!({ "digest": (promise.v2)(Images::get()) });
        poller.offer(&[intent]);
        let image = Images::get().tagged_v1(&name);
        let label = format!("octo.fleet={name}");
        for (number, variable) in [(1, "TOY_DATA=/data"), (2, "OTHER=1"), (3, "TOY_DATA=/data")] {
            let called = format!("{name}--{number}");
            let run = ["run", "--detach", "--restart", "always", "--name", &called];
            docker(&[&run[..], &["--label", &label, "--env", variable, &image]].concat());
        }
        let mut fleet = Self {
            name,
            olds: Vec::new(),
            poller,
        };
        fleet.olds = fleet.ids();
        fleet
    }

    fn ids(&self) -> Vec<Value> {
        let each = (1..=3).map(|number| inspect(&format!("{}--{number}", self.name)));
        each.map(|shown| shown["Id"].clone()).collect()
    }

    /// Id, run state and restart policy of each container there is, by name.
    fn world(&self) -> BTreeMap<String, (Value, Value, Value)> {
        let filter = format!("label=octo.fleet={}", self.name);
        let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        let shown = names.lines().map(|name| (name.to_owned(), inspect(name)));
        shown
            .map(|(name, shown)| {
                let policy = shown["HostConfig"]["RestartPolicy"]["Name"].clone();
                (
                    name,
                    (
                        shown["Id"].clone(),
                        shown["State"]["Running"].clone(),
                        policy,
                    ),
                )
            })
            .collect()
    }

    /// What is seen is as promised and as reported, nothing is left over, and another run changes nothing.
    fn keeps(&self, promise: Promise, story: &str) {
        let (world, reports) = (self.world(), self.poller.reports());
        let (_, last) = reports.last_key_value().unwrap();
        assert_eq!(last["outcome"], promise.outcome, "{story}: {last}");
        let names: Vec<_> = world.keys().cloned().collect();
        let expected = [1, 2, 3].map(|number| format!("{}--{number}", self.name));
        assert_eq!(names, expected, "{story}: {last}");
        for (id, runs, policy) in world.values() {
            assert_eq!(
                (runs, policy),
                (&json!(true), &json!("always")),
                "{story}: {id}: {last}"
            );
        }
        let ids = self.ids();
        let new = [0, 1, 2].map(|at| ids[at] != self.olds[at]);
        assert_eq!(new, promise.new, "{story}: {last}");
        for report in reports.values().filter(|report| *report != last) {
            let message = report["message"].as_str().unwrap();
            assert!(message.contains("interrupted ("), "{story}: {message}");
        }
        let (status, log, passed) = self.poller.once();
        assert_eq!((status, passed), (0, Vec::new()), "{story}: {log}");
        assert_eq!(
            (self.world(), self.poller.reports()),
            (world, reports),
            "{story}"
        );
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for name in self.world().keys() {
            let remove = ["rm", "--force", name];
            Command::new("docker").args(remove).output().ok();
        }
    }
}

/// Kills runs at each point that a clean one passes, the second time that it comes there if it does so again.
fn killed_everywhere(name: &str, promise: Promise) {
    let _served = engine::served();
    let clean = Fleet::new(format!("{name}-clean"), promise);
    let (status, log, passed) = clean.poller.once();
    assert_eq!(status, promise.status, "{log}");
    clean.keeps(promise, "no kill");
    let mut often: BTreeMap<String, u32> = BTreeMap::new();
    for point in passed {
        *often.entry(point).or_default() += 1;
    }
    // One that cannot run may have ended before its gate.
    let comes_again = |point: &str| promise.new[1] || !point.starts_with("replacing.gate.");
    let times = |point: &str, times: u32| if comes_again(point) { times.min(2) } else { 1 };
    let points: Vec<_> = often
        .iter()
        .map(|(point, often)| format!("{point},{}", times(point, *often)))
        .collect();
    assert!(
        points.contains(&"replacing.stop.after,2".to_owned()),
        "{points:?}"
    );
    side_by_side(points, |at, point| {
        let fleet = Fleet::new(format!("{name}-{at}"), promise);
        fleet.poller.killed_at(&point);
        let armed = fleet
            .world()
            .into_values()
            .filter(|(_, _, policy)| policy != "no");
        assert!(armed.count() <= 3, "{point}");
        let (status, log, _) = fleet.poller.once();
        let expected = if point.starts_with("ended.after") {
            0
        } else {
            promise.status
        };
        assert_eq!(status, expected, "{point}: {log}");
        fleet.keeps(promise, &point);
    });
}

#[test]
fn a_good_version_comes_to_all_replicas_whichever_step_the_poller_is_killed_at() {
    killed_everywhere(
        "fleet-good",
        Promise {
            v2: |images| images.digest(V2::Good),
            keys: "",
            outcome: "succeeded",
            status: 0,
            new: [true; 3],
        },
    );
}

#[test]
fn one_that_the_second_replica_cannot_run_is_taken_back_from_all_whichever_step_the_poller_is_killed_at()
 {
    killed_everywhere(
        "fleet-bad",
        Promise {
            v2: Images::picky,
            keys: "",
            outcome: "rolled_back",
            status: 3,
            new: [false; 3],
        },
    );
}

#[test]
fn where_a_failure_pauses_the_first_replica_keeps_it_whichever_step_the_poller_is_killed_at() {
    killed_everywhere(
        "fleet-paused",
        Promise {
            v2: Images::picky,
            keys: ", on_failure = \"pause\"",
            outcome: "needs_operator",
            status: 4,
            new: [true, false, false],
        },
    );
}
