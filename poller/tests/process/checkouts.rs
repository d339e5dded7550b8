//! Services with a git checkout, deployed by the real binary with the real git, from a repository behind an HTTP server.

use towline_tests::git_server::GitServer;

use super::{
    commands::{ask_for, last, of_commit},
    *,
};

/// A repository at a server, a relay, and a host that has a clone of the repository.
pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) host: Host,
    server: GitServer,
}

/// A service whose command is a file of its checkout, with data that are backed up.
pub(crate) const APP: &str = "git = { path = \"DIR/app\" }\nbackup = { paths = [\"DIR/data\"], restore = true }\n\
    [service.web.command]\nrun = [\"./update\"]\nstop = [\"touch\", \"../stopped\"]\n\
    start = [\"rm\", \"../stopped\"]\n";

/// What `update` does: it migrates the data.
pub(crate) const UPDATE: &str =
    "#!/bin/sh\ntest -e ../stopped || exit 1\necho $TOWLINE_SHORT_SHA >> ../data/migrations\n";

impl World {
    pub(crate) fn new(keys: &str) -> Self {
        let relay = Relay::start();
        let host = Host::with(relay.port, keys);
        fs::create_dir(host.path("srv")).unwrap();
        fs::create_dir(host.path("data")).unwrap();
        let server = GitServer::start(&host.path("srv")).unwrap();
        let world = Self {
            relay,
            host,
            server,
        };
        world.git(".", &["init", "-q", "--bare", "-b", "main", "srv/app.git"]);
        world.git(".", &["init", "-q", "-b", "main", "work"]);
        world.commit(UPDATE);
        let url = format!("{}/app.git", world.server.url);
        world.git(".", &["clone", "-q", &url, "app"]);
        world
    }

    pub(crate) fn git(&self, dir: &str, args: &[&str]) -> String {
        let mut git = Command::new("git");
        let who = [
            "-c",
            "user.name=octocat",
            "-c",
            "user.email=octocat@example.com",
        ];
        git.args(who).args(args).current_dir(self.host.path(dir));
        git.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let output = git.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Pushes a commit in which `update` is this script.
    pub(crate) fn commit(&self, update: &str) -> String {
        self.host.script("work/update", update);
        self.git("work", &["add", "--all"]);
        self.git("work", &["commit", "-q", "--allow-empty", "-m", "a change"]);
        self.git("work", &["push", "-q", "../srv/app.git", "main"]);
        self.git("work", &["rev-parse", "HEAD"])
    }

    /// The commit of the host's checkout.
    pub(crate) fn head(&self) -> String {
        self.git("app", &["rev-parse", "HEAD"])
    }

    pub(crate) fn migrations(&self) -> String {
        fs::read_to_string(self.host.path("data/migrations")).unwrap_or_default()
    }

    /// What `towline once` and the relay say of an intent for this commit.
    pub(crate) fn deploy(&self, seq: u64, sha: &str) -> (i32, String, serde_json::Value) {
        ask_for(&self.relay, &[of_commit(seq, sha)]);
        let (status, log) = self.host.once();
        (status, log, last(&self.relay))
    }
}

pub(crate) fn text<'a>(report: &'a serde_json::Value, key: &str) -> &'a str {
    report[key].as_str().unwrap()
}

#[test]
fn a_commit_is_checked_out_and_runs_its_own_command_and_is_then_in_place() {
    let world = World::new(APP);
    let first = world.head();
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!(status, 0, "{log}");
    assert_eq!(world.head(), new);
    assert_eq!(world.migrations(), format!("{}\n", &new[..7]));
    assert_eq!(
        (&told["from"]["sha"], &told["to"]["sha"]),
        (&first.as_str().into(), &new.as_str().into())
    );
    let message = text(&told, "message");
    assert!(
        message.starts_with(&format!("web: {} -> {} in ", &first[..7], &new[..7])),
        "{message}"
    );
    let times = told["steps"].as_array().unwrap().iter();
    let times: Vec<_> = times.map(|step| text(step, "step")).collect();
    assert_eq!(
        times,
        [
            "fetch", "stop", "backup", "checkout", "run", "start", "gate"
        ]
    );
    let (_, log, told) = world.deploy(2, &new);
    assert_eq!(text(&told, "outcome"), "unchanged", "{log}");
    assert!(world.migrations().lines().count() == 1 && !world.host.path("stopped").exists());
}

#[test]
fn a_broken_commit_is_taken_back_with_its_data_and_not_tried_again() {
    let world = World::new(APP);
    let first = world.head();
    fs::write(world.host.path("data/kept"), "precious").unwrap();
    let broken = world.commit(&format!(
        "{UPDATE}rm ../data/kept; echo cannot migrate >&2; exit 9\n"
    ));
    let (status, log, told) = world.deploy(1, &broken);
    assert_eq!(status, 3, "{log}");
    assert_eq!(text(&told, "outcome"), "rolled_back");
    let message = text(&told, "message");
    assert!(
        message.contains("run: exit status 9: cannot migrate"),
        "{message}"
    );
    assert_eq!((world.head(), world.migrations().as_str()), (first, ""));
    assert_eq!(world.git("app", &["branch", "--show-current"]), "main");
    assert_eq!(
        fs::read_to_string(world.host.path("data/kept")).unwrap(),
        "precious"
    );
    assert!(
        !world.host.path("stopped").exists(),
        "it was not started again"
    );
    let (status, log, _) = world.deploy(1, &broken);
    assert_eq!((status, world.migrations().as_str()), (0, ""), "{log}");
}

#[test]
fn what_the_host_does_not_allow_or_cannot_have_touches_nothing() {
    let world = World::new(APP);
    let first = world.head();
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    let mut of_nothing = of_commit(1, &new);
    of_nothing["revision"] = serde_json::json!({});
    ask_for(&world.relay, &[of_nothing]);
    assert_eq!(world.host.once().0, 3);
    assert!(text(&last(&world.relay), "message").contains("names none"));

    fs::write(world.host.path("app/update"), "mine").unwrap();
    let (status, _, told) = world.deploy(2, &new);
    assert_eq!((status, text(&told, "outcome")), (3, "refused"));
    assert!(
        text(&told, "message").contains("tracked files were changed here"),
        "{told}"
    );
    world.git("app", &["checkout", "-q", "update"]);

    let unknown = "f".repeat(40);
    let (status, _, told) = world.deploy(3, &unknown);
    assert_eq!((status, text(&told, "outcome")), (1, "waiting"), "{told}");

    world.git(
        "app",
        &["remote", "set-url", "origin", "http://127.0.0.1:9/app.git"],
    );
    let (status, _, told) = world.deploy(4, &new);
    assert_eq!((status, text(&told, "outcome")), (1, "waiting"), "{told}");
    assert!(text(&told, "message").contains("not reachable"), "{told}");
    fs::remove_dir_all(world.host.path("data")).unwrap();
    world.git(
        "app",
        &[
            "remote",
            "set-url",
            "origin",
            &format!("{}/app.git", world.server.url),
        ],
    );
    let (status, _, told) = world.deploy(5, &new);
    assert_eq!(
        (status, text(&told, "outcome")),
        (3, "failed_untouched"),
        "{told}"
    );
    assert!(text(&told, "message").contains("backup: "), "{told}");
    assert_eq!(world.head(), first);
    assert!(!world.host.path("stopped").exists());
}

#[test]
fn what_somebody_does_in_the_checkout_while_a_deploy_prepares_is_not_thrown_away() {
    for (stop, why) in [
        (
            "echo mine >> update",
            "tracked files were changed here: update",
        ),
        ("echo > .git/index.lock", "index.lock"),
        (
            "git -c user.name=o -c user.email=o@example.com commit -qm x --allow-empty",
            "meanwhile",
        ),
    ] {
        // It stands for an operator who works there while the data are backed up.
        let stop = format!("stop = [\"sh\", \"-c\", \"touch ../stopped; {stop}\"]");
        let world = World::new(&APP.replace("stop = [\"touch\", \"../stopped\"]", &stop));
        let new = world.commit(&UPDATE.replace("-e", "-f"));
        let (_, log, told) = world.deploy(1, &new);
        assert_eq!(text(&told, "outcome"), "rolled_back", "{log}");
        assert!(text(&told, "message").contains(why), "{told}");
        assert_eq!(world.git("app", &["branch", "--show-current"]), "main");
        let update = fs::read_to_string(world.host.path("app/update")).unwrap();
        assert_eq!(update.contains("mine"), stop.contains("mine"));
        let lock = world.host.path("app/.git/index.lock");
        assert_eq!(lock.exists(), stop.contains("lock"));
        assert!(world.migrations().is_empty() && !world.host.path("stopped").exists());
    }
}

#[test]
fn a_commit_without_the_program_to_run_is_refused_before_anything_is_stopped() {
    let world = World::new(APP);
    let first = world.head();
    world.git("work", &["mv", "update", "upgrade"]);
    world.git("work", &["commit", "-q", "-m", "renamed"]);
    world.git("work", &["push", "-q", "../srv/app.git", "main"]);
    let renamed = world.git("work", &["rev-parse", "HEAD"]);
    let (status, log, told) = world.deploy(1, &renamed);
    assert_eq!(
        (status, text(&told, "outcome")),
        (3, "failed_untouched"),
        "{log}"
    );
    let expected = format!("command.run: commit {} has no ./update", &renamed[..7]);
    assert!(text(&told, "message").contains(&expected), "{told}");
    let steps = told["steps"].as_array().unwrap().iter();
    assert_eq!(
        steps.map(|step| text(step, "step")).collect::<Vec<_>>(),
        ["fetch"]
    );
    assert_eq!(world.head(), first);
}

#[test]
fn what_is_thrown_away_is_in_the_report() {
    let world = World::new(&APP.replace("/app\" }", "/app\", discard_changes = true }"));
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    fs::write(world.host.path("app/update"), "mine").unwrap();
    let output = world.host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let before = "; a deploy throws away what was changed here (discard_changes): update\n";
    assert!(said.contains(before), "{said}");
    let (said, _, _) = world.host.plan(&new, &[]);
    let before = "), which throws away what was changed here: update\n";
    assert!(said.contains(before), "{said}");
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!(status, 0, "{log}");
    let lost = "; discard_changes has thrown away what was changed here: update";
    assert!(text(&told, "message").ends_with(lost), "{told}");
}

/// A service that is stopped and started by programs of its checkout.
fn started_by_itself() -> World {
    let keys = APP
        .replace("[\"touch\", \"../stopped\"]", "[\"./stop\"]")
        .replace("[\"rm\", \"../stopped\"]", "[\"./start\"]");
    World::new(&keys)
}

impl World {
    /// Pushes a commit in which both programs are there, or not.
    fn commit_with(&self, stop: bool, start: bool) -> String {
        for (name, is_there, script) in [
            ("stop", stop, "#!/bin/sh\ntouch ../stopped\n"),
            ("start", start, "#!/bin/sh\nrm ../stopped\n"),
        ] {
            let path = format!("work/{name}");
            if is_there {
                self.host.script(&path, script);
            } else if self.host.path(&path).exists() {
                fs::remove_file(self.host.path(&path)).unwrap();
            }
        }
        self.commit(UPDATE)
    }
}

#[test]
fn a_commit_that_could_not_be_stopped_or_started_is_refused_before_anything_is_stopped() {
    for (stop, start, which) in [(false, true, "stop"), (true, false, "start")] {
        let world = started_by_itself();
        let whole = world.commit_with(true, true);
        world.git("app", &["pull", "-q"]);
        let new = world.commit_with(stop, start);
        let (status, log, told) = world.deploy(1, &new);
        let end = (status, text(&told, "outcome"));
        assert_eq!(end, (3, "failed_untouched"), "{log}");
        let expected = format!("command.{which}: commit {} has no ./{which}", &new[..7]);
        assert!(text(&told, "message").contains(&expected), "{told}");
        assert_eq!((world.head(), world.migrations().as_str()), (whole, ""));
        assert!(!world.host.path("stopped").exists());
    }
}

#[test]
fn a_commit_that_could_not_be_started_again_is_not_left() {
    let world = started_by_itself();
    let old = world.commit_with(true, false);
    world.git("app", &["pull", "-q"]);
    let new = world.commit_with(true, true);
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
    let expected = format!("commit {}, which is left, has no ./start", &old[..7]);
    assert!(text(&told, "message").contains(&expected), "{told}");
    assert_eq!(world.head(), old);
    assert!(!world.host.path("stopped").exists());

    // By the hint that it gives.
    world.host.script("start", "#!/bin/sh\nrm ../stopped\n");
    let keys = fs::read_to_string(world.host.path("towline.toml")).unwrap();
    let beside = keys.replace("\"./start\"", "\"../start\"");
    fs::write(world.host.path("towline.toml"), beside).unwrap();
    let (status, log, _) = world.deploy(2, &new);
    assert_eq!(status, 0, "{log}");
    assert_eq!(world.head(), new);
}

#[test]
fn programs_that_only_the_new_commit_has_do_and_its_rollback_is_not_asked_of_the_old_one() {
    let keys = APP
        .replace("[\"./update\"]", "[\"DIR/app/new/update\"]")
        .replace(
            "[service.web.command]",
            "[service.web.command]\nrollback = [\"./new/back\"]",
        );
    let world = World::new(&keys);
    let first = world.head();
    fs::create_dir(world.host.path("work/new")).unwrap();
    world
        .host
        .script("work/new/back", "#!/bin/sh\ntouch ../data/back\n");
    world.host.script("work/new/update", "#!/bin/sh\nexit 1\n");
    let broken = world.commit(UPDATE);
    let (_, log, told) = world.deploy(1, &broken);
    assert_eq!(text(&told, "outcome"), "rolled_back", "{log}");
    assert_eq!(world.head(), first);
    assert!(!world.host.path("data/back").exists());
    world.host.script("work/new/update", UPDATE);
    let works = world.commit(UPDATE);
    let (status, log, told) = world.deploy(2, &works);
    assert_eq!((status, text(&told, "outcome")), (0, "succeeded"), "{log}");
}

#[test]
fn a_program_beside_the_checkout_is_looked_for_before_anything_is_touched() {
    let elsewhere = APP.replace("run = [", "dir = \"DIR/srv\"\nrun = [");
    let world = World::new(&elsewhere);
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
    let message = text(&told, "message");
    assert!(message.contains("command.run: there is no"), "{message}");
    assert!(!world.host.path("stopped").exists());
}

#[test]
fn a_commit_that_cannot_be_held_is_told_in_git_s_words_and_nothing_is_touched() {
    let world = World::new(APP);
    let first = world.head();
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    // As a git leaves it that is ended in the middle.
    let held = world.host.path("app/.git/refs/towline/web");
    fs::create_dir_all(&held).unwrap();
    fs::write(held.join(format!("{first}.lock")), "").unwrap();
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!(
        (status, text(&told, "outcome")),
        (3, "failed_untouched"),
        "{log}"
    );
    let message = text(&told, "message");
    assert!(
        message.contains("cannot be held") && message.contains("refs/towline"),
        "{message}"
    );
    assert_eq!((world.head(), world.migrations().as_str()), (first, ""));
}
