//! Scripts that the system could not run, seen before anything is stopped: of this host, and of the commit that is to come.

use super::checkouts::{APP, UPDATE, World, text};

impl World {
    /// Nothing was stopped, run or checked out.
    fn assert_untouched(&self, head: &str) {
        assert_eq!(self.head(), head);
        assert!(self.migrations().is_empty() && !self.host.path("stopped").exists());
    }

    /// Pushes a commit in which `update` may not be executed.
    fn commit_unexecutable(&self) -> String {
        self.git("work", &["update-index", "--chmod=-x", "update"]);
        self.git("work", &["commit", "-q", "-m", "a file"]);
        self.git("work", &["push", "-q", "../srv/app.git", "main"]);
        self.git("work", &["rev-parse", "HEAD"])
    }
}

#[test]
fn a_commit_whose_script_no_system_can_run_is_given_up_before_anything_is_stopped() {
    let world = World::new(APP);
    let head = world.head();
    let windows = world.commit(&UPDATE.replace('\n', "\r\n"));
    let no_script = world.commit("test -e ../stopped\n");
    let unexecutable = {
        world.commit(UPDATE);
        world.commit_unexecutable()
    };
    for (seq, sha, why) in [
        (1, &windows, "has CRLF line ends"),
        (
            2,
            &unexecutable,
            "may not be executed; commit it after git update-index --chmod=+x update",
        ),
        (
            3,
            &no_script,
            "is neither a program for this machine nor a script",
        ),
    ] {
        let (status, log, told) = world.deploy(seq, sha);
        let end = (status, text(&told, "outcome"));
        assert_eq!(end, (3, "failed_untouched"), "{log}");
        let why = format!("command.run: ./update of commit {} {why}", &sha[..7]);
        assert!(text(&told, "message").contains(&why), "{told}");
        world.assert_untouched(&head);
    }
}

#[test]
fn a_commit_whose_interpreter_is_not_on_this_host_is_refused_and_tried_again_once_it_is() {
    let world = World::new(APP);
    let head = world.head();
    let shell = world.host.path("shell");
    let new = world.commit(&UPDATE.replace("/bin/sh", shell.to_str().unwrap()));
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
    let why = "names in its first line what cannot be run: there is no";
    assert!(text(&told, "message").contains(why), "{told}");
    world.assert_untouched(&head);
    let (said, status, _) = world.host.plan(&new, &[]);
    assert!(status == 1 && said.contains(why), "{said}");

    std::os::unix::fs::symlink("/bin/sh", shell).unwrap();
    let (status, log, _) = world.deploy(2, &new);
    assert_eq!(status, 0, "{log}");
    assert_eq!(world.head(), new);
}

#[test]
fn a_script_of_this_host_that_the_system_cannot_run_is_told_by_check_and_refused() {
    let keys = APP.replace("\"rm\", \"../stopped\"", "\"../start\"");
    let world = World::new(&keys);
    let head = world.head();
    let new = world.commit(&UPDATE.replace("-e", "-f"));
    for (seq, start, why) in [
        (
            1,
            "#!/bin/sh\r\nrm ../stopped\r\n",
            "\"../start\" has CRLF line ends",
        ),
        (
            2,
            "#!/usr/bin/env no-such-python\n",
            "the interpreter \"no-such-python\" that \"../start\" names",
        ),
        (
            3,
            "rm ../stopped\n",
            "\"../start\" is neither a program for this machine nor a script",
        ),
    ] {
        world.host.script("start", start);
        let output = world.host.command(&["check"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = format!("command.start: PROBLEM: {why}");
        assert!(said.contains(&problem), "{said}");
        let (status, log, told) = world.deploy(seq, &new);
        assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
        let why = format!("command.start: {why}");
        assert!(text(&told, "message").contains(&why), "{told}");
        world.assert_untouched(&head);
    }
}

/// With `update` in the checkout of the first commit, where git does not track it, and `back` as `rollback`.
fn with_untracked(name: &str, script: &str) -> World {
    let keys = APP.replace("[\"./update\"]", "[\"./deploy\"]\nrollback = [\"./back\"]");
    let world = World::new(&keys);
    for (file, text) in [
        ("deploy", "#!/bin/sh\nexit 0\n"),
        ("back", "#!/bin/sh\n"),
        (name, script),
    ] {
        world.host.script(&format!("app/{file}"), text);
    }
    world
}

#[test]
fn a_script_that_git_does_not_track_and_that_cannot_be_run_is_refused_and_no_fault_of_the_version()
{
    for key in ["run", "rollback"] {
        let name = if key == "run" { "deploy" } else { "back" };
        let world = with_untracked(name, "#!/bin/sh\r\nexit 0\r\n");
        let head = world.head();
        let new = world.commit(&UPDATE.replace("-e", "-f"));
        let (status, log, told) = world.deploy(1, &new);
        assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
        let why = format!("command.{key}: \"./{name}\" has CRLF line ends");
        assert!(text(&told, "message").contains(&why), "{told}");
        world.assert_untouched(&head);

        world
            .host
            .script(&format!("app/{name}"), "#!/bin/sh\nexit 0\n");
        let (status, log, _) = world.deploy(2, &new);
        assert_eq!((status, world.head()), (0, new), "{log}");
    }
}

#[test]
fn a_commit_whose_own_way_back_cannot_be_run_is_not_left() {
    let keys = APP.replace("\"rm\", \"../stopped\"", "\"./start\"");
    let keys = keys.replace("[\"./update\"]", "[\"./update\"]\nrollback = [\"./back\"]");
    for (name, key) in [("start", "start"), ("back", "rollback")] {
        let world = World::new(&keys);
        let whole = "#!/bin/sh\nrm -f ../stopped\n";
        world.host.script("work/start", whole);
        world.host.script("work/back", whole);
        let missing = "#!/usr/bin/env no-such-python\n";
        world.host.script(&format!("work/{name}"), missing);
        let old = world.commit(UPDATE);
        world.git("app", &["pull", "-q"]);
        world.host.script(&format!("work/{name}"), whole);
        let new = world.commit(UPDATE);
        let (status, log, told) = world.deploy(1, &new);
        assert_eq!((status, text(&told, "outcome")), (3, "refused"), "{log}");
        let left = &old[..7];
        let why = format!("command.{key}: commit {left}, which is left, could not be gone back to");
        let message = text(&told, "message");
        assert!(
            message.contains(&why) && message.contains("no-such-python"),
            "{message}"
        );
        world.assert_untouched(&old);
    }
}

#[test]
fn an_interpreter_that_run_makes_in_the_checkout_need_not_be_there_also_beside_the_folder_of_the_commands()
 {
    let keys = APP.replace(
        "run = [\"./update\"]",
        "dir = \"DIR/app/sub\"\nrun = [\"../update\"]",
    );
    let keys = keys.replace("\"rm\", \"../stopped\"", "\"../start\"");
    let world = World::new(&keys);
    std::fs::create_dir(world.host.path("app/sub")).unwrap();
    let made = world.host.path("app/made");
    let start = format!("#!{}\nrm ../stopped\n", made.display());
    world.host.script("app/start", &start);
    let new = world.commit("#!/bin/sh\nln -s /bin/sh ../made\n");
    let (status, log, told) = world.deploy(1, &new);
    assert_eq!((status, text(&told, "outcome")), (0, "succeeded"), "{log}");
    assert!(!world.host.path("app/stopped").exists());
}

#[test]
fn what_a_filter_of_git_s_makes_a_script_of_is_run() {
    let world = World::new(APP);
    for (key, filter) in [
        ("filter.shell.smudge", "echo '#!/bin/sh'; cat"),
        ("filter.shell.clean", "sed 1d"),
    ] {
        world.git("app", &["config", key, filter]);
    }
    std::fs::write(
        world.host.path("work/.gitattributes"),
        "update filter=shell\n",
    )
    .unwrap();
    let body = UPDATE.split_once('\n').unwrap().1;
    let new = world.commit(body);
    let (status, log, _) = world.deploy(1, &new);
    assert_eq!((status, world.head()), (0, new), "{log}");
}
