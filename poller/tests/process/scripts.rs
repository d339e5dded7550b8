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
