//! What programs leave running: it is ended and told, and where it cannot be ended, nothing is done beside it.
//!
//! Root without `CAP_KILL`, as a service manager may start it, is not let end the programs of other users.

use super::{
    commands::{ask_for, commit, last},
    *,
};

const WEB: &str =
    "user = \"nobody\"\n[service.web.command]\nrun = [\"DIR/run\"]\nrollback = [\"DIR/step\"]\n";
const STEP: &str = "#!/bin/sh\necho $TOWLINE_STEP $TOWLINE_SHORT_SHA >> DIR/open/steps\n";

/// A host whose service runs as another user, and whose `run` goes on with `script`. `None` where tests are not root.
fn host(relay: &Relay, script: &str) -> Option<Host> {
    host_with(relay, script, "")
}

/// The same with `more` behind its commands.
fn host_with(relay: &Relay, script: &str, more: &str) -> Option<Host> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let host = Host::with(relay.port, &format!("{WEB}{more}"));
    let open = host.path("open");
    fs::create_dir(&open).unwrap();
    for (folder, mode) in [(host.dir.path(), 0o755), (&open, 0o777)] {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }
    let here = |text: &str| text.replace("DIR", host.dir.path().to_str().unwrap());
    host.script("step", &here(STEP));
    host.script("run", &here(&format!("{STEP}{script}\n")));
    Some(host)
}

impl Host {
    /// `towline once`, which may not end other users' programs.
    fn once_without_kill(&self) -> Command {
        self.command_without("-kill", &["once"])
    }

    /// Towline as root without these capabilities.
    fn command_without(&self, capabilities: &str, arguments: &[&str]) -> Command {
        let whole = self.command(arguments);
        let mut command = Command::new("/usr/bin/setpriv");
        command
            .args(["--bounding-set", capabilities, "--inh-caps", capabilities])
            .arg(whole.get_program())
            .args(whole.get_args())
            .env_clear();
        let set = whole.get_envs();
        command.envs(set.filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn steps_of_nobody(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("open/steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The number that `run` has written down.
    fn pid(&self) -> Option<String> {
        let pid = fs::read_to_string(self.path("open/pid")).unwrap_or_default();
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    }

    /// Ends what `run` has left, as the operator does.
    fn end_it(&self) {
        end(&self.pid().unwrap());
    }
}

/// Ends what was left running.
fn end(pid: &str) {
    assert!(fs::exists(format!("/proc/{pid}")).unwrap(), "it has ended");
    let kill = Command::new("kill").args(["-KILL", pid]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn beside_a_program_that_cannot_be_ended_nothing_more_is_done_and_an_operator_is_needed() {
    let relay = Relay::start();
    let script =
        "test $TOWLINE_SHORT_SHA = bbbbbbb && exit\nsleep 600 & echo $! > DIR/open/pid\necho half";
    let Some(host) = host(&relay, script) else {
        return;
    };
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = ended(host.once_without_kill().output().unwrap());
    assert_eq!(status, 4, "{log}");
    let told = last(&relay);
    assert_eq!(told["outcome"], "needs_operator");
    let message = told["message"].as_str().unwrap();
    let is_told = message.contains("run: exit status 0, and what ")
        && message.contains("has started goes on as session ")
        && message.contains("so that nothing more was done");
    assert!(is_told, "{message}");
    assert_eq!(told["log_tail"], "half\n");
    assert_eq!(host.steps_of_nobody(), ["run aaaaaaa"], "{log}");

    host.end_it();
    let resolved = host.command(&["resolve", "web"]).output().unwrap();
    assert_eq!(resolved.status.code(), Some(0), "{resolved:?}");
    ask_for(&relay, &[commit(1, 'a'), commit(2, 'b')]);
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(host.steps_of_nobody(), ["run aaaaaaa", "run bbbbbbb"]);
}

#[test]
fn what_a_killed_towline_has_left_running_is_waited_for_where_it_cannot_be_ended() {
    let relay = Relay::start();
    let script = "test -e DIR/open/pid && exit\necho $$ > DIR/open/pid\nexec sleep 600";
    let Some(host) = host(&relay, script) else {
        return;
    };
    ask_for(&relay, &[commit(1, 'a')]);
    let mut once = host.command(&["once"]).spawn().unwrap();
    until("it runs", || host.pid().is_some());
    once.kill().unwrap();
    once.wait().unwrap();

    let (status, log) = ended(host.once_without_kill().output().unwrap());
    assert_eq!(status, 1, "{log}");
    let session = host.pid().unwrap();
    let told = format!("goes on as session {session} and cannot be ended");
    assert!(log.contains(&told), "{log}");
    assert_eq!(host.steps_of_nobody(), ["run aaaaaaa"], "{log}");

    host.end_it();
    let (status, log) = host.once();
    assert_eq!(last(&relay)["outcome"], "succeeded", "{status} {log}");
    let steps = ["run aaaaaaa", "rollback", "run aaaaaaa"];
    assert_eq!(host.steps_of_nobody(), steps);
}

#[test]
fn what_a_command_leaves_running_is_ended_and_that_is_in_the_report() {
    let relay = Relay::start();
    let Some(host) = host(&relay, "sleep 600 & echo $! > DIR/open/pid") else {
        return;
    };
    ask_for(&relay, &[commit(1, 'a')]);
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    let message = last(&relay)["message"].as_str().unwrap().to_owned();
    let told =
        "; what run had left running was ended after it: what shall stay belongs to a supervisor";
    assert!(message.ends_with(told), "{message}");
    // What has ended may still wait for init to take note of it, and has no command line then.
    let pid = host.pid().unwrap();
    let runs = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert_eq!(runs, "");
}

#[test]
fn a_check_that_cannot_be_ended_fails_at_once_and_the_report_says_what_goes_on() {
    let relay = Relay::start();
    let check = "\n[[service.web.health]]\nexec = [\"DIR/check\"]\nwithin = \"5m\"\n";
    let Some(host) = host_with(&relay, "touch DIR/open/ready", check) else {
        return;
    };
    // What is asked before the deploy is ended by itself, so that only the new version's check goes on.
    let check = "#!/bin/sh\ntest -e DIR/open/ready || exit 1\nsleep 600 & echo $! >> DIR/open/pids\necho no; exit 3\n";
    let check = check.replace("DIR", host.dir.path().to_str().unwrap());
    host.script("check", &check);
    ask_for(&relay, &[commit(1, 'a')]);
    let (_, log) = ended(host.once_without_kill().output().unwrap());
    let pids = fs::read_to_string(host.path("open/pids")).unwrap();
    pids.lines().for_each(end);
    assert_eq!(pids.lines().count(), 1, "{log}");
    let message = last(&relay)["message"].as_str().unwrap().to_owned();
    let is_told = message.contains("it ended with status 3 and said \"no\"; what ")
        && message.contains("has started goes on as session ");
    assert!(is_told, "{message}");
    assert_eq!(host.steps_of_nobody(), ["run aaaaaaa", "rollback"], "{log}");
}

#[test]
fn root_that_may_not_become_the_user_is_told_which_capabilities_it_lacks_and_nothing_runs() {
    let relay = Relay::start();
    let Some(host) = host(&relay, "") else {
        return;
    };
    ask_for(&relay, &[commit(1, 'a')]);
    for (lacking, arguments) in [
        ("-setuid", &["check"]),
        ("-setgid", &["check"]),
        ("-setuid", &["once"]),
    ] {
        let output = host.command_without(lacking, arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let why = "towline is root and may not become nobody, for it lacks the capabilities CAP_SETUID and CAP_SETGID";
        assert!(said.contains(why), "{lacking} {arguments:?}: {said}");
        assert!(said.contains("towline-commands.conf"), "{said}");
        assert_ne!(output.status.code(), Some(0), "{said}");
    }
    assert_eq!(last(&relay)["outcome"], "refused");
    assert_eq!(host.steps_of_nobody(), [""; 0]);
}
