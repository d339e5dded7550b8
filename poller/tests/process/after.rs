//! Two services of one intent, one after the other: real commands on a host without an engine. By their names alone they
//! would go the other way.

use serde_json::Value;

use super::{
    commands::{ask_for, commit, last},
    control::{Run, json_of},
    *,
};

/// `web` comes after `zookeeper`. Each writes down that it has run; `zookeeper` does what a test wants besides.
fn host(relay: &Relay, script: &str, more: &str) -> Host {
    let keys = format!(
        "after = \"zookeeper\"\ncommand = {{ run = [\"DIR/web\"] }}\n[service.zookeeper]\n\
         repository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
         [service.zookeeper.command]\nrun = [\"DIR/zookeeper\"]\n{more}"
    );
    let host = Host::with(relay.port, &keys);
    host.runs("web", "");
    host.runs("zookeeper", script);
    ask_for(relay, &[for_both(1, 'a')]);
    host
}

impl Host {
    /// What the `run` of this service does besides writing down that it runs.
    fn runs(&self, service: &str, script: &str) {
        let (steps, dir) = (self.path("steps"), self.dir.path().display());
        let (steps, script) = (steps.display(), script.replace("DIR", &dir.to_string()));
        let text =
            format!("#!/bin/sh\necho $TOWLINE_SERVICE $TOWLINE_SHORT_SHA >> {steps}\n{script}\n");
        self.script(service, &text);
    }

    fn retry(&self, service: &str) -> (i32, String, String) {
        let output = self.command(&["retry", service]).output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let (status, log) = ended(output);
        (status, said, log)
    }
}

/// An intent that both services want.
fn for_both(seq: u64, digit: char) -> Value {
    let mut intent = commit(seq, digit);
    intent["service"] = Value::Null;
    intent
}

/// How the reports of this service ended, one after the other.
fn told(relay: &Relay, service: &str) -> Vec<Value> {
    relay.change(|state| {
        let reports = state.heard.iter();
        let of_it = reports.filter(|one| one["service"] == service);
        of_it.map(|one| one["outcome"].clone()).collect()
    })
}

const WITH_WAY_BACK: &str = "rollback = [\"true\"]\n";

#[test]
fn one_intent_is_applied_to_the_service_before_and_then_to_the_one_after_it() {
    let relay = Relay::start();
    let host = host(&relay, "", "");
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(host.steps(), ["zookeeper aaaaaaa", "web aaaaaaa"]);
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = "  comes after: zookeeper; an intent for any of these too is applied there first, and here only if that ends well\n";
    assert!(said.contains(line), "{said}");
    let (said, _, log) = host.plan(&"b".repeat(40), &[]);
    let [before, after] = ["zookeeper (command)", "web (command)"].map(|one| said.find(one));
    assert!(before < after, "{said}{log}");
    let line = "  after: zookeeper; an intent for any of these too is applied there first\n";
    assert!(said.contains(line), "{said}");
}

#[test]
fn a_failure_before_keeps_the_one_after_untouched_until_both_are_tried_again() {
    let relay = Relay::start();
    let host = host(&relay, "exit 3", WITH_WAY_BACK);
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert_eq!(host.steps(), ["zookeeper aaaaaaa"]);
    assert_eq!(told(&relay, "zookeeper").last().unwrap(), "rolled_back");
    let of_web = last(&relay);
    assert_eq!(
        (&of_web["service"], &of_web["outcome"]),
        (&"web".into(), &"failed_untouched".into())
    );
    let message = of_web["message"].as_str().unwrap();
    let why = "web: not begun: zookeeper, which comes before it, was rolled back; `towline retry zookeeper`, then \
               `towline retry web`, or the next intent";
    assert_eq!(message, why);

    let (status, _, log) = host.retry("web");
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("run `towline retry zookeeper` first"), "{log}");
    host.runs("zookeeper", "");
    let (status, said, log) = host.retry("zookeeper");
    assert_eq!(status, 0, "{log}");
    assert!(
        said.contains("web was stopped by its failure before: `towline retry web`"),
        "{said}{log}"
    );
    assert_eq!(host.steps(), ["zookeeper aaaaaaa"; 2]);
    assert_eq!(host.retry("web").0, 0);
    assert_eq!(host.steps()[2..], ["web aaaaaaa"]);
    assert_eq!(told(&relay, "web").last().unwrap(), "succeeded");
}

#[test]
fn who_waits_is_shown_and_goes_on_by_itself_in_the_moment_in_which_the_one_before_is_there() {
    let relay = Relay::start();
    let host = host(&relay, "test -e DIR/ready || exit 75", "");
    let _run = Run::of(&host);
    let web = || json_of(&host, &["status", "--json"])["services"][0]["pending"].clone();
    until("it waits", || web()["state"] == "waiting");
    assert_eq!(web()["why"], "waits for zookeeper, which comes before it");
    until("the relay knows", || told(&relay, "web") == ["waiting"]);
    fs::write(host.path("ready"), "").unwrap();
    let (status, _, log) = host.retry("zookeeper");
    assert_eq!(status, 0, "{log}");
    let is_there = || told(&relay, "web").last().unwrap() == "succeeded";
    until("it went on", is_there);
    assert_eq!(host.steps().last().unwrap(), "web aaaaaaa");
}

#[test]
fn a_death_in_the_one_before_neither_loses_the_one_after_nor_lets_it_overtake() {
    let relay = Relay::start();
    let again = "on_interrupt = \"rerun\"\n";
    let host = host(&relay, "test -e DIR/ready || sleep 600", again);
    let mut once = host.command(&["once"]).spawn().unwrap();
    until("it runs", || host.steps().len() == 1);
    once.kill().unwrap();
    once.wait().unwrap();
    fs::write(host.path("ready"), "").unwrap();
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    let steps = ["zookeeper aaaaaaa", "zookeeper aaaaaaa", "web aaaaaaa"];
    assert_eq!(host.steps(), steps);
}
