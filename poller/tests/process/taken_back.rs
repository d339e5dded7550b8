//! `towline rollback` of checkouts and commands, by the real binary with the real git: no engine and no remote is there.

use serde_json::Value;

use super::{
    checkouts::{APP, UPDATE, World},
    commands::{ask_for, commit, host, last, of_commit},
    *,
};

impl Host {
    /// What a command of an operator's prints, and how it ends.
    fn ordered(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        let (status, log) = ended(output);
        (status, printed + &log)
    }

    fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]).output().unwrap();
        let mut status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["services"][0].take()
    }
}

/// A host whose service has been at the commits of `a`s and `b`s, and keeps three versions. `run` and `rollback` write down
/// what is live; a commit passes its checks unless it is named in `bad`.
pub(crate) fn at_b(relay: &Relay) -> Host {
    let more = "rollback = [\"DIR/run\"]\n[[service.web.health]]\nexec = [\"DIR/check\"]\nwithin = \"5s\"\n";
    let host = host(relay, "", more);
    let live = host.path("live");
    let run = fs::read_to_string(host.path("run")).unwrap();
    host.script(
        "run",
        &format!("{run}echo $TOWLINE_SHORT_SHA > {}\n", live.display()),
    );
    let check = "#!/bin/sh\ncd DIR\ncmp -s live slow && touch checking\nwhile cmp -s live slow; do sleep 0.1; done\n! cmp -s live bad\n";
    let check = check.replace("DIR", host.dir.path().to_str().unwrap());
    host.script("check", &check);
    for intents in [&[commit(1, 'a')][..], &[commit(1, 'a'), commit(2, 'b')]] {
        ask_for(relay, intents);
        let (status, log) = host.once();
        assert_eq!(status, 0, "{log}");
        assert!(!log.contains("WARN"), "a host without an engine: {log}");
    }
    host
}

fn live(host: &Host) -> String {
    fs::read_to_string(host.path("live")).unwrap()
}

#[test]
fn a_checkout_goes_back_without_its_remote_and_stays_until_something_newer_comes() {
    let update = format!("{UPDATE}echo $TOWLINE_BRANCH > ../data/branch\n");
    let world = World::new(&format!("keep = 3\n{APP}"));
    let first = world.head();
    let second = world.commit(&update);
    let third = world.commit(&format!("{update}# better\n"));
    let mut of_main = of_commit(1, &second);
    of_main["revision"]["branch"] = "main".into();
    ask_for(&world.relay, &[of_main]);
    assert_eq!(world.host.once().0, 0);
    assert_eq!(world.deploy(2, &third).0, 0);
    let remote = world.host.path("srv/app.git");
    fs::rename(&remote, world.host.path("gone.git")).unwrap();
    fs::remove_file(world.host.path("data/branch")).unwrap();

    let (status, said) = world.host.ordered(&["rollback", "web"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("going back to"), "{said}");
    assert_eq!(world.head(), second);
    assert!(world.migrations().ends_with(&format!("{}\n", &second[..7])));
    let branch = fs::read_to_string(world.host.path("data/branch")).unwrap();
    assert_eq!(branch, "main\n", "what the earlier deploy was told is kept");
    let outcomes = world.relay.outcomes();
    let told: Vec<_> = outcomes
        .iter()
        .map(|(_, outcome)| outcome.as_str())
        .collect();
    assert!(told.ends_with(&["rolled_back", "succeeded"]), "{told:?}");
    let shown = world.host.status();
    assert_eq!(shown["deployed"]["sha"], second.as_str(), "{shown}");
    assert!(!shown["held"].is_null(), "{shown}");
    assert_eq!(world.host.once().0, 0);
    assert_eq!(world.head(), second, "it was not held");

    let (status, said) = world
        .host
        .ordered(&["rollback", "web", "--to", &first[..9]]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(world.head(), first);
    let (status, said) = world.host.ordered(&["rollback", "web"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("left on purpose"), "{said}");

    fs::rename(world.host.path("gone.git"), &remote).unwrap();
    let newer = world.commit(&format!("{update}# best\n"));
    let (status, log, told) = world.deploy(3, &newer);
    assert_eq!(
        (status, told["outcome"].as_str()),
        (0, Some("succeeded")),
        "{log}"
    );
    assert_eq!(world.head(), newer);
    assert!(world.host.status()["held"].is_null());
}

#[test]
fn nothing_is_touched_where_the_checkout_was_changed_by_hand() {
    let world = World::new(APP);
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    assert_eq!(world.deploy(1, &new).0, 0);
    fs::write(world.host.path("app/update"), "mine").unwrap();
    let reports = world.relay.outcomes().len();
    let (status, said) = world.host.ordered(&["rollback", "web"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("tracked files were changed here"), "{said}");
    assert!(!said.contains("going back"), "it does not: {said}");
    assert_eq!(world.head(), new);
    assert!(!world.host.path("stopped").exists());
    assert_eq!(world.relay.outcomes().len(), reports);
    assert!(world.host.status()["held"].is_null());
}

#[test]
fn what_was_deployed_is_gone_back_to_from_a_commit_that_somebody_has_checked_out() {
    let world = World::new(APP);
    let first = world.head();
    let deployed = world.commit(&UPDATE.replace("-e", "-f"));
    assert_eq!(world.deploy(1, &deployed).0, 0);
    world.git("app", &["checkout", "--quiet", &first]);
    let (status, said) = world.host.ordered(&["retry", "web"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("replaced it by hand"), "{said}");
    let (status, said) = world
        .host
        .ordered(&["rollback", "web", "--to", &deployed[..9]]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(world.head(), deployed);
    let told = format!("web: {} -> {}", &first[..7], &deployed[..7]);
    assert!(said.contains(&told), "{said}");
    assert_eq!(world.host.status()["deployed"]["sha"], deployed.as_str());

    world.git("app", &["checkout", "--quiet", &first]);
    let (status, said) = world.host.ordered(&["rollback", "web"]);
    assert_eq!((status, world.head()), (0, deployed), "{said}");
}

#[test]
fn a_command_is_run_with_the_commit_before_and_a_retry_takes_that_back() {
    let relay = Relay::start();
    let host = at_b(&relay);
    let (status, said) = host.ordered(&["rollback", "web"]);
    assert_eq!(status, 0, "{said}");
    let steps = host.steps();
    assert_eq!(
        steps[steps.len() - 3..],
        ["stop aaaaaaa 2", "run aaaaaaa 2", "start aaaaaaa 2"]
    );
    assert_eq!(live(&host), "aaaaaaa\n");
    assert_eq!(
        last(&relay)["message"]
            .as_str()
            .unwrap()
            .find("in effect again"),
        Some(0)
    );
    let (status, said) = host.ordered(&["retry", "web"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(live(&host), "bbbbbbb\n");
    assert!(host.status()["held"].is_null());
}

#[test]
fn an_earlier_commit_that_does_not_pass_its_checks_leaves_the_current_one_and_no_hold() {
    let relay = Relay::start();
    let host = at_b(&relay);
    fs::write(host.path("bad"), "aaaaaaa\n").unwrap();
    let reports = relay.outcomes().len();
    let (status, said) = host.ordered(&["rollback", "web", "--to", "commit:aaa"]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("aaaaaaa failed: gate: "), "{said}");
    assert_eq!(live(&host), "bbbbbbb\n");
    assert_eq!(
        relay.outcomes().len(),
        reports,
        "only this host hears of it"
    );
    assert!(host.status()["held"].is_null());
    fs::remove_file(host.path("bad")).unwrap();
    assert_eq!(
        host.ordered(&["rollback", "web"]).0,
        0,
        "it is not in quarantine"
    );
}

#[test]
fn it_is_declined_where_nothing_is_kept_or_nothing_is_called_so() {
    let relay = Relay::start();
    let host = host(&relay, "", "");
    let declined = |arguments: &[&str], why: &str| {
        let (status, said) = host.ordered(arguments);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains(why), "{said}");
    };
    assert_eq!(host.once().0, 0);
    declined(&["rollback", "web"], "no earlier version is kept");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 0);
    declined(&["rollback", "web"], "no earlier version is kept");
    declined(
        &["rollback", "web", "--to", "aaaa"],
        "aaaa is what runs already",
    );
    declined(&["rollback", "web", "--to", "fff"], "begins with fff");
    assert_eq!(host.steps().len(), 3);
}

#[test]
fn an_order_that_the_command_puts_off_changes_nothing() {
    let relay = Relay::start();
    let host = at_b(&relay);
    let run = fs::read_to_string(host.path("run")).unwrap();
    host.script("run", &run.replace("#!/bin/sh\n", "#!/bin/sh\nexit 75\n"));
    let (status, said) = host.ordered(&["rollback", "web"]);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("postponed by run") && said.contains("ask again later"),
        "{said}"
    );
    let shown = host.status();
    assert!(
        shown["held"].is_null() && shown["pending"].is_null(),
        "{shown}"
    );
    assert_eq!(live(&host), "bbbbbbb\n");
}

#[test]
fn after_an_end_that_needs_an_operator_the_version_before_can_be_gone_back_to() {
    let relay = Relay::start();
    let host = host(&relay, "test ! -e DIR/broken", "");
    let run = fs::read_to_string(host.path("run")).unwrap();
    let dir = host.dir.path().to_str().unwrap();
    host.script("run", &run.replace("DIR", dir));
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 0);
    fs::write(host.path("broken"), "").unwrap();
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    assert_eq!(host.once().0, 4);
    let (status, said) = host.ordered(&["rollback", "web"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("towline resolve web"), "{said}");
    let (status, said) = host.ordered(&["resolve", "web"]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("how far its commands came only you can see"),
        "{said}"
    );
    fs::remove_file(host.path("broken")).unwrap();
    let (status, said) = host.ordered(&["rollback", "web"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(host.steps().last().unwrap(), "start aaaaaaa 2");
    assert_eq!(host.status()["deployed"]["sha"], "a".repeat(40).as_str());
}

#[test]
fn one_that_is_killed_in_the_gate_is_gone_on_with_and_holds_the_service_then() {
    let relay = Relay::start();
    let host = at_b(&relay);
    fs::write(host.path("slow"), "aaaaaaa\n").unwrap();
    let mut killed = host
        .command(&["rollback", "web"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checking = host.path("checking");
    until("the earlier version is looked at", || {
        live(&host) == "aaaaaaa\n" && checking.exists()
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    fs::remove_file(host.path("slow")).unwrap();
    assert!(host.status()["held"].is_null());
    let (status, log) = host.once();
    assert_eq!((status, live(&host).as_str()), (0, "aaaaaaa\n"), "{log}");
    let shown = host.status();
    assert_eq!(shown["deployed"]["sha"], "a".repeat(40).as_str());
    assert!(!shown["held"].is_null(), "{shown}");
    assert_eq!(
        shown["quarantined"][0],
        format!("commit:{}", "b".repeat(40))
    );
}
