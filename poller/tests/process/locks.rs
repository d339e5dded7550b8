//! `hold` and `release`: a service is held off, with `towline run` by its control socket and without it.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use super::{
    backups::Served,
    commands::{ask_for, commit, host},
    control::{Run, json_of, refused, said},
    *,
};

const PENDING: &str = "pending";

fn service(host: &Host) -> Value {
    json_of(host, &["status", "--json"])["services"][0].clone()
}

/// Who holds the service off, by the status.
fn names(host: &Host) -> Vec<Value> {
    let locks = service(host)["locks"].as_array().unwrap().clone();
    locks.into_iter().map(|lock| lock["name"].clone()).collect()
}

/// A host that has a state and a service of commands, whose `run` goes on with `script`.
fn begun(relay: &Relay, script: &str) -> Host {
    let host = host(relay, script, "rollback = [\"DIR/step\"]\n");
    assert_eq!(host.once().0, 0);
    host
}

fn is_deployed(host: &Host, commit: &str) -> bool {
    let last = format!("start {commit} 1");
    host.steps().last().is_some_and(|step| *step == last)
}

#[test]
fn without_a_run_what_comes_waits_until_it_is_released_and_the_relay_hears_why() {
    let relay = Relay::start();
    let host = begun(&relay, "");
    let text = said(&host, &["hold", "web", "--reason", "a migration by hand"]);
    assert!(
        text.starts_with("web is held off by operator until 2")
            && text.ends_with(" (a migration by hand)\n"),
        "{text}"
    );
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 1, "it is still to be done: {log}");
    assert!(log.contains("not applied: held off by operator"), "{log}");
    assert_eq!(host.steps(), [""; 0]);
    assert_eq!(relay.outcomes(), [("web".to_owned(), "waiting".to_owned())]);

    let service = service(&host);
    let (pending, lock) = (&service[PENDING], &service["locks"][0]);
    assert_eq!(pending["state"], "waiting");
    assert_eq!(pending["until"], lock["until"]);
    assert_eq!(lock["reason"], "a migration by hand");
    let table = said(&host, &["status", "web"]);
    let told = "web: deploys are held off by operator since ";
    assert!(
        table.contains(told) && table.contains(": a migration by hand\n"),
        "{table}"
    );
    let plan = said(&host, &["check", "--plan", &"a".repeat(40)]);
    assert!(
        plan.contains("  held off: by operator until ")
            && plan.contains("or for after `towline release web`\n"),
        "{plan}"
    );

    let text = said(&host, &["release", "web"]);
    assert_eq!(text, "web is no longer held off by operator\n");
    assert_eq!(host.once().0, 0);
    assert!(is_deployed(&host, "aaaaaaa"), "{:?}", host.steps());
    assert_eq!(names(&host), [Value::Null; 0]);
}

#[test]
fn a_run_applies_what_has_waited_as_soon_as_the_last_one_lets_go() {
    let relay = Relay::start();
    let host = begun(&relay, "");
    let run = Run::of(&host);
    said(&host, &["hold", "web", "--for", "1h"]);
    said(&host, &["hold", "web", "--for", "2h", "--as", "dump"]);
    assert_eq!(names(&host), ["dump", "operator"]);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    until("the newest waits and the other one is settled", || {
        let outcomes = relay.outcomes();
        let is = |what: &str| outcomes.iter().any(|(_, outcome)| outcome == what);
        is("waiting") && is("superseded")
    });
    until("the status says so", || {
        let pending = service(&host)[PENDING].clone();
        pending["state"] == "waiting" && pending["why"].as_str().unwrap().contains("by dump until")
    });
    let text = said(&host, &["release", "web"]);
    assert!(
        text.contains("; it is still held off by dump until"),
        "{text}"
    );
    assert_eq!(host.steps(), [""; 0]);
    said(&host, &["release", "web", "--as", "dump"]);
    until("it is applied", || is_deployed(&host, "bbbbbbb"));
    assert_eq!(service(&host)["locks"], json!([]));
    run.terminate();
}

#[test]
fn a_run_applies_what_has_waited_when_the_time_is_over_though_nobody_lets_go() {
    let relay = Relay::start();
    let host = begun(&relay, "");
    let run = Run::of(&host);
    said(&host, &["hold", "web", "--for", "10s"]);
    ask_for(&relay, &[commit(1, 'a')]);
    until("it waits", || {
        relay
            .outcomes()
            .contains(&("web".to_owned(), "waiting".to_owned()))
    });
    until("it is applied", || is_deployed(&host, "aaaaaaa"));
    until("nobody holds it off", || names(&host).is_empty());
    let text = said(&host, &["release", "web"]);
    assert_eq!(text, "web was not held off by operator\n");
    run.terminate();
}

/// `run` goes on until there is the file `go`.
const UNTIL_GO: &str = "touch DIR/begun; while ! test -e DIR/go; do sleep 0.1; done";

/// A run in the middle of a deploy of commit a.
fn in_the_middle(relay: &Relay) -> (Host, Run) {
    let host = begun(relay, "");
    let script = UNTIL_GO.replace("DIR", host.dir.path().to_str().unwrap());
    let text = fs::read_to_string(host.path("run")).unwrap();
    host.script("run", &format!("{text}{script}\n"));
    let run = Run::of(&host);
    ask_for(relay, &[commit(1, 'a')]);
    until("the deploy is under way", || host.path("begun").exists());
    (host, run)
}

#[test]
fn a_hold_that_is_over_before_what_it_waits_for_is_no_hold() {
    let relay = Relay::start();
    let (host, run) = in_the_middle(&relay);
    let wait = ["hold", "web", "--as", "dump", "--for", "5s", "--wait"];
    let mut wait = host.command(&wait);
    let piped = wait.stdout(Stdio::piped()).stderr(Stdio::piped());
    let wait = piped.spawn().unwrap();
    until("it holds", || names(&host) == ["dump"]);
    until("it is over", || names(&host).is_empty());
    fs::write(host.path("go"), "").unwrap();
    let output = wait.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("web is not held off by dump any more"),
        "{text}"
    );
    drop(run);
}

#[test]
fn a_hold_in_the_middle_of_a_deploy_is_answered_at_once_and_holds_off_only_what_comes_next() {
    let relay = Relay::start();
    let (host, run) = in_the_middle(&relay);
    let text = said(&host, &["hold", "web"]);
    let told = "; what is under way with it is not held off and goes on\n";
    assert!(text.ends_with(told), "{text}");
    let service_now = service(&host);
    assert_eq!(service_now[PENDING]["state"], "applying", "{service_now}");
    assert_eq!(names(&host), ["operator"], "shown at once, too");
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);

    let mut wait = host.command(&["hold", "web", "--as", "dump", "--wait"]);
    let piped = wait.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wait = piped.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(wait.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(
        line.ends_with("; waiting for what is under way with it to end\n"),
        "{line}"
    );
    assert_eq!(wait.try_wait().unwrap(), None);
    fs::write(host.path("go"), "").unwrap();
    let output = wait.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.starts_with("web is held off by dump until "),
        "{text}"
    );
    assert!(is_deployed(&host, "aaaaaaa"), "{:?}", host.steps());

    until("the next one waits", || {
        service(&host)[PENDING]["state"] == "waiting"
    });
    said(&host, &["release", "web", "--all"]);
    until("it is applied", || is_deployed(&host, "bbbbbbb"));
    run.terminate();
}

#[test]
fn a_hold_outlives_a_run_that_is_killed_and_keeps_no_deploy_from_its_end() {
    let relay = Relay::start();
    let (host, run) = in_the_middle(&relay);
    said(&host, &["hold", "web", "--as", "dump"]);
    drop(run);
    assert_eq!(names(&host), ["dump"]);
    let text = said(&host, &["hold", "web"]);
    let told = "; a deploy of it was interrupted, and is taken to its end all the same\n";
    assert!(text.ends_with(told), "{text}");
    fs::write(host.path("go"), "").unwrap();

    let run = Run::of(&host);
    until("the deploy is at its end", || {
        service(&host)[PENDING]["state"] != "interrupted"
    });
    assert_eq!(names(&host), ["dump", "operator"]);
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    until("the next one waits", || {
        let pending = service(&host)[PENDING].clone();
        pending["state"] == "waiting" && pending["sha"] == "b".repeat(40)
    });
    run.terminate();
}

#[test]
fn what_an_operator_asks_for_is_declined_with_the_same_words_with_a_run_and_without_one() {
    let relay = Relay::start();
    let host = begun(&relay, "");
    said(
        &host,
        &["hold", "web", "--as", "dump", "--reason", "nightly dump"],
    );
    let declined = || {
        for (order, told) in [
            (
                ["retry", "web"],
                "run `towline release web --as dump` first",
            ),
            (["rollback", "web"], "web is held off by dump until "),
            (["hold", "wbe"], "there is no [service.wbe]"),
            (["release", "wbe"], "there is no [service.wbe]"),
        ] {
            let log = refused(&host, &order);
            assert!(log.contains(told), "{order:?}: {log}");
        }
        let text = said(&host, &["resolve", "web"]);
        assert_eq!(text, "web was not waiting for an operator\n");
    };
    declined();
    let run = Run::of(&host);
    declined();
    run.terminate();
    assert_eq!(names(&host), ["dump"]);
}

#[test]
fn a_restore_that_is_under_way_is_told_and_goes_on_and_the_next_one_is_declined() {
    let host = Served::with_a_backup("").host;
    let script = UNTIL_GO.replace("DIR", host.dir.path().to_str().unwrap());
    let file = host.path("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("echo stop", &format!("{script}; echo stop")),
    )
    .unwrap();
    let run = Run::of(&host);
    let mut restore = host.command(&["restore", "web"]);
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::null());
    let restore = restore.spawn().unwrap();
    until("the service is being stopped", || {
        host.path("begun").exists()
    });
    let text = said(&host, &["hold", "web"]);
    assert!(text.contains("; what is under way with it"), "{text}");
    fs::write(host.path("go"), "").unwrap();
    let output = restore.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let again = ["restore", "web"];
    let log = refused(&host, &again);
    assert!(log.contains("run `towline release web` first"), "{log}");
    said(&host, &["release", "web"]);
    said(&host, &again);
    run.terminate();
}

#[test]
fn a_time_a_name_or_a_reason_that_cannot_be_is_a_wrong_usage_and_holds_nothing_off() {
    let relay = Relay::start();
    let host = begun(&relay, "");
    let long = "x".repeat(201);
    for more in [
        ["--for", "0s"],
        ["--for", "25h"],
        ["--for", "soon"],
        ["--as", "Nightly Dump"],
        ["--as", ""],
        ["--reason", ""],
        ["--reason", "two\nlines"],
        ["--reason", &long],
    ] {
        let call = [&["hold", "web"], more.as_slice()].concat();
        let (status, log) = ended(host.command(&call).output().unwrap());
        assert_eq!(status, 2, "{call:?}: {log}");
        assert!(log.contains("use "), "{log}");
    }
    let both = ["release", "web", "--all", "--as", "dump"];
    assert_eq!(ended(host.command(&both).output().unwrap()).0, 2);
    assert_eq!(names(&host), [Value::Null; 0]);
}

#[test]
fn a_hook_and_a_command_that_would_wait_for_themselves_are_told_so_and_their_deploy_goes_on() {
    let relay = Relay::start();
    let hooks =
        "rollback = [\"DIR/step\"]\n[service.web.hooks]\nbefore = { run = [\"DIR/run\"] }\n";
    let host = host(&relay, "", hooks);
    assert_eq!(host.once().0, 0);
    let call = |arguments: &[&str]| {
        let towline = host.command(arguments);
        let words = towline.get_args().map(|word| word.to_str().unwrap());
        let program = towline.get_program().to_str().unwrap();
        let line = [program].into_iter().chain(words).collect::<Vec<_>>();
        format!(
            "{} >> {} 2>&1; echo $TOWLINE_STEP $? >> {1}\n",
            line.join(" "),
            host.path("said").display()
        )
    };
    let calls = [
        &["hold", "web", "--wait"][..],
        &["retry", "web"],
        &["rollback", "web"],
        &["restore", "web"],
        &["resolve", "web"],
        &["retry", "another"],
        &["hold", "web", "--as", "update", "--for", "1h"],
        &["release", "web", "--as", "update"],
    ];
    let text = fs::read_to_string(host.path("run")).unwrap();
    let script = text + &calls.map(call).concat();
    host.script("run", &script);

    let run = Run::of(&host);
    ask_for(&relay, &[commit(1, 'a')]);
    until("it is applied", || is_deployed(&host, "aaaaaaa"));
    let text = fs::read_to_string(host.path("said")).unwrap();
    for step in ["before", "run"] {
        let counted = |status: u8| text.matches(&format!("{step} {status}\n")).count();
        assert_eq!((counted(1), counted(0)), (6, 2), "{text}");
        for command in ["retry", "rollback", "restore", "resolve"] {
            let told = format!(
                "towline {command} waits for what is under way, and that waits for this program, the {step} of web: "
            );
            assert!(text.contains(&told), "{text}");
        }
        let told = format!("waits for this program, its {step}: leave --wait away");
        assert!(text.contains(&told), "{text}");
    }
    assert!(names(&host).is_empty(), "{text}");
    run.terminate();
}
