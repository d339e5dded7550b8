//! A service of plain commands, whose poller is killed: what is in place is a file, and each command writes down that it ran.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use towline_tests::program;

use crate::{poller::Poller, relay::manual, seen};

/// The commits: the one that is in place, one that is well, and one that does not pass its check.
pub(crate) const V1: &str = "1111111111111111111111111111111111111111";
pub(crate) const GOOD: &str = "2222222222222222222222222222222222222222";
pub(crate) const BAD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// All commands are this script. It can be made to wait in the middle, to kill the poller there, and to leave somebody running
/// then.
const ACT: &str = r#"#!/bin/sh
if [ -e survivor ]; then
    case $(cut -d ' ' -f 3 "/proc/$(cat survivor)/stat" 2>/dev/null) in ''|Z) ;; *) echo survivor >> log ;; esac
fi
echo "$TOWLINE_STEP $TOWLINE_SHORT_SHA" >> log
case $TOWLINE_STEP in
stop) rm -f up ;;
start) touch up ;;
*)
    echo half > live
    while [ -e "hold-in-$TOWLINE_STEP" ]; do sleep 0.1; done
    if [ -e "kill-in-$TOWLINE_STEP" ]; then
        rm "kill-in-$TOWLINE_STEP"
        trap '' TERM
        sleep 300 &
        echo $! > survivor
        kill -9 "$PPID"
        wait
    fi
    echo "$TOWLINE_SHA" > live
    ;;
esac
"#;

/// An intent for a commit of the service `app`.
pub(crate) fn intent(number: u64, sha: &str) -> Value {
    let mut intent = manual(number);
    intent["service"] = json!("app");
    intent["revision"] = json!({ "sha": sha });
    intent.as_object_mut().unwrap().remove("image");
    intent
}

/// A service on v1, and a poller that is offered a v2.
pub(crate) struct App {
    poller: Poller,
    folder: TempDir,
}

impl Deref for App {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl App {
    /// With `more` in the table of its commands.
    pub(crate) fn new(more: &str, v2: &str) -> Self {
        Self::prepared(more, v2, |_| ())
    }

    /// The same; `prepare` is given its folder before anything is deployed.
    pub(crate) fn prepared(more: &str, v2: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let act = folder.path().join("act");
        program::write(&act, ACT).unwrap();
        let dir = folder.path().display();
        // For as long a version that is not well is tried, each time.
        let within = if v2 == BAD { "2s" } else { "1m" };
        let service = format!(
            "[service.app]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"100ms\"\n\
             [service.app.command]\nrun = [\"./act\"]\nstop = [\"./act\"]\nstart = [\"./act\"]\ndir = \"{dir}\"\n{more}\n\
             [[service.app.health]]\nexec = [\"sh\", \"-c\", \"test -e up && grep -qx '[12]*' live\"]\n\
             within = \"{within}\"\n"
        );
        let no_engine = "unix:///nowhere/docker.sock".to_owned();
        let app = Self {
            poller: Poller::new(&service, no_engine),
            folder,
        };
        let (status, log) = app.deploy(1, V1);
        assert_eq!(status, 0, "{log}");
        assert_eq!(app.took(), "stop 1111111\nrun 1111111\nstart 1111111\n");
        app.forget_reports();
        app.offer_commit(2, v2);
        app
    }

    fn offer_commit(&self, number: u64, sha: &str) {
        self.offer(&[intent(number, sha)]);
    }

    fn deploy(&self, number: u64, sha: &str) -> (i32, String) {
        self.offer_commit(number, sha);
        let (status, log, _) = self.once();
        (status, log)
    }

    /// A file of the service.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        read(&self.file(name))
    }

    /// The commands that were run since this was last asked, a line each.
    pub(crate) fn took(&self) -> String {
        let log = self.text("log");
        fs::remove_file(self.file("log")).ok();
        log
    }

    /// The commands that were run.
    pub(crate) fn log(&self) -> String {
        self.text("log")
    }

    /// The commit that is in place, if that can be said.
    pub(crate) fn live(&self) -> String {
        self.text("live").trim().to_owned()
    }

    /// Whether the service runs.
    pub(crate) fn is_up(&self) -> bool {
        self.file("up").exists()
    }

    /// The next time that this step's command runs, it kills the poller half-way and does not end by itself.
    pub(crate) fn kill_in(&self, step: &str) {
        fs::write(self.file(&format!("kill-in-{step}")), "").unwrap();
    }

    /// This step's command waits in the middle, until the file that is returned is removed.
    pub(crate) fn hold_in(&self, step: &str) -> PathBuf {
        let hold = self.file(&format!("hold-in-{step}"));
        fs::write(&hold, "").unwrap();
        hold
    }

    /// From now on a version has to be well for so long.
    pub(crate) fn watches_for(&self, stable: &str) {
        let path = self.path("towline.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("stable_for", _)) => format!("stable_for = \"{stable}\"\n"),
            _ => format!("{line}\n"),
        });
        fs::write(path, lines.collect::<String>()).unwrap();
    }

    /// The programs that run in the service's folder or for its poller.
    pub(crate) fn running(&self) -> Vec<String> {
        seen::running(&[self.folder.path(), &self.state()])
    }

    /// Whether what that command has left running is there.
    pub(crate) fn has_survivor(&self) -> bool {
        let pid = self.text("survivor");
        let stat = read(Path::new(&format!("/proc/{}/stat", pid.trim())));
        !pid.is_empty() && !stat.is_empty() && !stat.contains(") Z")
    }

    /// The outcome and message of the last report.
    pub(crate) fn told(&self) -> (String, String) {
        let reports = self.reports();
        let (_, last) = reports.last_key_value().unwrap();
        let text = |key: &str| last[key].as_str().unwrap().to_owned();
        (text("outcome"), text("message"))
    }

    /// What was reported is what is there; returns the outcome.
    pub(crate) fn truth(&self, v2: &str, story: &str) -> String {
        let (outcome, message) = self.told();
        let seen = (self.live(), self.is_up());
        match outcome.as_str() {
            "succeeded" => assert_eq!(seen, (v2.to_owned(), true), "{story}: {message}"),
            "rolled_back" => assert_eq!(seen, (V1.to_owned(), true), "{story}: {message}"),
            "needs_operator" => {}
            other => panic!("{story}: {other}: {message}"),
        }
        outcome
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
