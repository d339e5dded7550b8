//! Services made of commands, deployed by the real binary on a host without an engine: each command is a real process.

use std::process::Command;

use serde_json::Value;
use towline_tests::program;

use super::*;

/// The service's commands: each writes down its step, and `run` does what a test wants besides.
const WEB: &str = "[service.web.command]\nrun = [\"DIR/run\", \"two words\"]\nstop = [\"DIR/step\"]\n\
    start = [\"DIR/step\"]\nenv = { PASSWORD = \"correct-horse\" }\n";

/// A host with such a service, whose `run` goes on with `script`; `more` are further keys of its commands.
pub(crate) fn host(relay: &Relay, script: &str, more: &str) -> Host {
    let host = Host::with(relay.port, &format!("{WEB}{more}"));
    let steps = host.path("steps");
    let step = format!(
        "#!/bin/sh\necho $TOWLINE_STEP $TOWLINE_SHORT_SHA $TOWLINE_ATTEMPT >> {}\n",
        steps.display()
    );
    host.script("step", &step);
    host.script("run", &format!("{step}{script}\n"));
    host
}

impl Host {
    pub(crate) fn script(&self, name: &str, text: &str) {
        program::write(&self.path(name), text).unwrap();
    }

    /// What the commands have written down.
    pub(crate) fn steps(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// An intent for the commit of forty times this digit.
pub(crate) fn commit(seq: u64, digit: char) -> Value {
    of_commit(seq, &digit.to_string().repeat(40))
}

pub(crate) fn of_commit(seq: u64, sha: &str) -> Value {
    let mut intent = manual(seq);
    intent.as_object_mut().unwrap().remove("image");
    intent["revision"]["sha"] = sha.into();
    intent
}

pub(crate) fn ask_for(relay: &Relay, intents: &[Value]) {
    relay.change(|state| state.intents = news(intents));
}

/// The last report that is no acknowledgement.
pub(crate) fn last(relay: &Relay) -> Value {
    relay.change(|state| {
        let mut reports = state.heard.iter().rev();
        reports
            .find(|one| !one["service"].is_null())
            .unwrap()
            .clone()
    })
}

fn names(relay: &Relay) -> Vec<String> {
    let outcomes = relay.outcomes().into_iter();
    outcomes.map(|(_, outcome)| outcome).collect()
}

#[test]
fn a_commit_is_brought_in_place_between_stop_and_start_and_once() {
    let relay = Relay::start();
    let host = host(&relay, "test \"$1\" = \"two words\" && echo $PASSWORD", "");
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    let steps = ["stop aaaaaaa 1", "run aaaaaaa 1", "start aaaaaaa 1"];
    assert_eq!(host.steps(), steps);
    let told = last(&relay);
    assert_eq!(
        (&told["outcome"], &told["gate"]),
        (&"succeeded".into(), &"weak".into())
    );
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("web: unknown -> aaaaaaa in "),
        "{message}"
    );
    let times = told["steps"].as_array().unwrap().iter();
    let times: Vec<_> = times.map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(times, ["stop", "run", "start", "gate"]);
    assert!(
        log.contains("run: ***") && !log.contains("correct-horse"),
        "{log}"
    );

    assert_eq!(host.once().0, 0, "there is nothing to do");
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'a')]);
    assert_eq!(host.once().0, 0);
    assert_eq!(last(&relay)["outcome"], "unchanged");
    assert_eq!(host.steps(), steps);
}

#[test]
fn where_nothing_leads_back_an_operator_is_needed_and_the_report_has_the_last_words() {
    let relay = Relay::start();
    let host = host(&relay, "echo no $PASSWORD >&2; exit 3", "");
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 4, "{log}");
    let told = last(&relay);
    assert_eq!(told["outcome"], "needs_operator");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("run: exit status 3: no ***"), "{message}");
    assert_eq!(told["log_tail"], "no ***\n");
    assert_eq!(host.steps(), ["stop aaaaaaa 1", "run aaaaaaa 1", "start 1"]);
}

#[test]
fn a_failed_run_is_taken_back_by_its_rollback_and_not_tried_again() {
    let relay = Relay::start();
    let host = host(
        &relay,
        "test $TOWLINE_SHORT_SHA = aaaaaaa",
        "rollback = [\"DIR/step\"]\n",
    );
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 0);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert_eq!(last(&relay)["outcome"], "rolled_back");
    let steps = [
        "stop bbbbbbb 1",
        "run bbbbbbb 1",
        "stop aaaaaaa 1",
        "rollback aaaaaaa 1",
        "start aaaaaaa 1",
    ];
    assert_eq!(host.steps()[3..], steps);
    assert_eq!(host.once().0, 0);
    assert_eq!(host.steps().len(), 8, "it was tried again");
}

#[test]
fn exit_status_75_puts_it_off_and_a_retry_tries_it_at_once() {
    let relay = Relay::start();
    let wait = "echo not now; test -e DIR/ready || exit 75";
    let host = host(&relay, "", "");
    let wait = wait.replace("DIR", host.dir.path().to_str().unwrap());
    let run = fs::read_to_string(host.path("run")).unwrap();
    host.script("run", &format!("{run}{wait}\n"));
    ask_for(&relay, &[commit(1, 'a')]);
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(status, 1, "{log}");
        assert_eq!(last(&relay)["outcome"], "waiting");
        let message = last(&relay)["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("postponed by run: exit status 75: not now"),
            "{message}"
        );
        let when = "; towline run tries it again in 300 s, `towline retry web` at once";
        assert!(message.ends_with(when), "{message}");
    }
    let steps = ["stop aaaaaaa 1", "run aaaaaaa 1", "stop 1", "start 1"];
    assert_eq!(host.steps()[..4], steps);
    fs::write(host.path("ready"), "").unwrap();
    let (status, log) = ended(host.command(&["retry", "web"]).output().unwrap());
    assert_eq!(status, 0, "{log}");
    assert_eq!(names(&relay).last().unwrap(), "succeeded");
}

#[test]
fn what_cannot_be_run_and_what_names_an_image_is_refused_before_anything_is_stopped() {
    let relay = Relay::start();
    let host = host(&relay, "", "rollback = [\"DIR/nothing\"]\n");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 3);
    let told = last(&relay);
    assert_eq!(told["outcome"], "refused");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("command.rollback: there is no"),
        "{message}"
    );
    ask_for(&relay, &[commit(1, 'a'), manual(2)]);
    assert_eq!(host.once().0, 3);
    let message = last(&relay)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("a command service has no image"),
        "{message}"
    );
    assert_eq!(host.steps(), [""; 0]);
}

#[test]
fn a_version_that_does_not_pass_its_checks_is_taken_back() {
    let relay = Relay::start();
    let check = "rollback = [\"DIR/step\"]\n[[service.web.health]]\ntcp = \"127.0.0.1:9\"\nwithin = \"1s\"\n";
    let host = host(&relay, "", check);
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    let told = last(&relay);
    assert_eq!(told["outcome"], "rolled_back");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("gate: tcp 127.0.0.1:9 was not good within 1 s"),
        "{message}"
    );
    assert!(message.contains("are they right?"), "{message}");
}

impl Host {
    fn resolve(&self) {
        let resolved = self.command(&["resolve", "web"]).output().unwrap();
        assert_eq!(resolved.status.code(), Some(0), "{resolved:?}");
    }

    /// The service's backups, the oldest first.
    fn backups(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state/backups/web")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort_unstable();
        names
    }
}

#[test]
fn a_version_is_brought_again_after_another_needed_an_operator() {
    let relay = Relay::start();
    let host = host(&relay, "test $TOWLINE_SHORT_SHA != bbbbbbb", "");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 0);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    assert_eq!(host.once().0, 4);
    host.resolve();
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b'), commit(3, 'a')]);
    assert_eq!(host.once().0, 0);
    assert_eq!(
        last(&relay)["outcome"],
        "succeeded",
        "nobody knew what was in place"
    );
}

#[test]
fn what_needed_an_operator_long_ago_says_nothing_about_what_is_in_place() {
    let relay = Relay::start();
    let host = host(&relay, "test $TOWLINE_SHORT_SHA != aaaaaaa", "");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 4);
    host.resolve();
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    assert_eq!(host.once().0, 0);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b'), commit(3, 'b')]);
    assert_eq!(host.once().0, 0);
    assert_eq!(last(&relay)["outcome"], "unchanged");
}

/// Three backups of earlier days, of which `BACKED_UP` keeps two.
const EARLIER: [&str; 3] = [
    "20200101T000000Z-aaaaaaa.tar.gz",
    "20200102T000000Z-aaaaaaa.tar.gz",
    "20200103T000000Z-aaaaaaa.tar.gz",
];
const BACKED_UP: &str = "[service.web.backup]\npaths = [\"DIR/data\"]\nkeep = 2\n";

/// A host with those, whose service has data and a `run` that goes on with `script`.
fn backed_up(relay: &Relay, script: &str, more: &str) -> Host {
    let host = host(relay, script, &format!("{more}{BACKED_UP}"));
    fs::create_dir(host.path("data")).unwrap();
    let shelf = host.path("state/backups/web");
    assert_eq!(host.once().0, 0, "nothing to do yet");
    fs::create_dir_all(&shelf).unwrap();
    for name in EARLIER {
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(shelf.join(name));
        tar.arg("-C").arg(host.dir.path()).arg("data");
        assert!(tar.status().unwrap().success());
    }
    host
}

#[test]
fn tries_that_are_put_off_leave_no_backups_and_drive_out_no_more_than_one_may() {
    let relay = Relay::start();
    let host = backed_up(&relay, "exit 75", "");
    ask_for(&relay, &[commit(1, 'a')]);
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(
            (status, &last(&relay)["outcome"]),
            (1, &"waiting".into()),
            "{log}"
        );
    }
    assert_eq!(host.backups(), EARLIER[2..]);
}

#[test]
fn a_deploy_that_was_taken_back_keeps_as_many_backups_as_one_that_succeeded() {
    let relay = Relay::start();
    let host = backed_up(&relay, "exit 1", "rollback = [\"DIR/step\"]\n");
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    let kept = host.backups();
    assert_eq!((kept.len(), kept[0].as_str()), (2, EARLIER[2]), "{kept:?}");
}

#[test]
fn as_long_as_an_operator_is_needed_every_backup_stays() {
    let relay = Relay::start();
    let host = backed_up(&relay, "exit 1", "");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 4);
    let kept = host.backups();
    assert_eq!(
        (kept.len(), &kept[..3]),
        (4, &EARLIER.map(str::to_owned)[..])
    );
}

#[test]
fn what_was_put_off_gives_way_to_a_newer_version() {
    let relay = Relay::start();
    let host = host(&relay, "test $TOWLINE_SHORT_SHA != aaaaaaa || exit 75", "");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 1);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    let outcomes = names(&relay);
    assert!(outcomes.contains(&"superseded".to_owned()), "{outcomes:?}");
    assert_eq!(outcomes.last().unwrap(), "succeeded");
    let tried = host
        .steps()
        .into_iter()
        .filter(|step| step == "run aaaaaaa 1");
    assert_eq!(tried.count(), 1);
}

#[test]
fn a_commit_that_failed_is_tried_again_for_a_newer_intent_and_keeps_no_other_commit_out() {
    let relay = Relay::start();
    let host = host(
        &relay,
        "test $TOWLINE_SHORT_SHA != bbbbbbb",
        "rollback = [\"DIR/step\"]\n",
    );
    let mut asked = Vec::new();
    for (commit, status, outcome, runs) in [
        (commit(1, 'b'), 3, "rolled_back", 1),
        (commit(2, 'b'), 3, "rolled_back", 2),
        (commit(3, 'c'), 0, "succeeded", 2),
    ] {
        asked.push(commit);
        ask_for(&relay, &asked);
        let (ended, log) = host.once();
        assert_eq!(
            (ended, &last(&relay)["outcome"]),
            (status, &outcome.into()),
            "{log}"
        );
        let tried = host.steps().into_iter();
        let tried = tried.filter(|step| step.starts_with("run bbbbbbb"));
        assert_eq!(tried.count(), runs);
    }
}
