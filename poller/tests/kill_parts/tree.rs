//! A service with a checkout, whose poller is killed; and all that can be seen of it.

use std::{fs, ops::Deref, path::PathBuf};

use tempfile::TempDir;
use towline_tests::program;

use crate::{
    app::intent,
    poller::Poller,
    remote::{Remote, git},
    seen::{self, files, names},
};

/// Stops and starts the service: it is there when `up` is.
const ACT: &str = "#!/bin/sh\necho \"$TOWLINE_STEP $TOWLINE_SHORT_SHA\" >> ../log\n\
    case $TOWLINE_STEP in stop) rm -f ../up ;; start) touch ../up ;; esac\n";

/// What a service has besides its checkout.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Nothing.
    Alone,
    /// A command of the checkout, which changes data that are backed up.
    WithData,
}

impl Kind {
    fn table(self, dir: &str, within: &str) -> String {
        match self {
            Self::Alone => format!(
                "[[service.app.health]]\nexec = [\"grep\", \"-qx\", \"v[12]\", \"version\"]\nwithin = \"{within}\"\n"
            ),
            Self::WithData => format!(
                "backup = {{ paths = [\"{dir}/data\"], restore = true }}\n[service.app.command]\nrun = [\"./update\"]\n\
                 stop = [\"{dir}/act\"]\nstart = [\"{dir}/act\"]\non_interrupt = \"rollback\"\n[[service.app.health]]\n\
                 exec = [\"sh\", \"-c\", \"test -e ../up && cmp -s version ../data/db\"]\nwithin = \"{within}\"\n"
            ),
        }
    }
}

/// A service on v1, and a poller that is offered another version.
pub(crate) struct Tree {
    poller: Poller,
    folder: TempDir,
}

impl Deref for Tree {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl Tree {
    pub(crate) fn new(kind: Kind, remote: &Remote, sha: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_str().unwrap();
        // For as long a version that is not well is tried, each time.
        let within = if sha == remote.bad { "2s" } else { "1m" };
        let service = format!(
            "[service.app]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"100ms\"\n\
             git = {{ path = \"{dir}/app\" }}\n{}",
            kind.table(dir, within)
        );
        let no_engine = "unix:///nowhere/docker.sock".to_owned();
        let tree = Self {
            poller: Poller::new(&service, no_engine),
            folder,
        };
        remote.clone_to(&tree.file("app"));
        program::write(&tree.file("act"), ACT).unwrap();
        fs::create_dir(tree.file("data")).unwrap();
        fs::write(tree.file("data/db"), "v1\n").unwrap();
        fs::write(tree.file("data/precious"), "kept").unwrap();
        fs::write(tree.file("up"), "").unwrap();
        tree.offer(&[intent(1, sha)]);
        tree
    }

    /// A file beside the checkout.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// All of the service that can be seen, a line each, but for when that was and what its commands have written down: the
    /// checkout, its refs, what lies around, who runs there.
    pub(crate) fn world(&self) -> Vec<String> {
        let mut world = seen::checkout(&self.file("app"));
        world.push(format!("db {}", self.text("data/db")));
        for folder in [self.folder.path(), &self.file("data"), &self.state()] {
            world.extend(names(folder).into_iter().filter(|name| name != "log"));
        }
        world.extend(self.running());
        world
    }

    /// The backups that are there, whole or not.
    pub(crate) fn backups(&self) -> Vec<String> {
        files(&self.state().join("backups"))
    }

    /// The programs that run in the service's folders or for its poller.
    pub(crate) fn running(&self) -> Vec<String> {
        seen::running(&[self.folder.path(), &self.state()])
    }

    /// The outcome and message of the last report.
    pub(crate) fn told(&self) -> (String, String) {
        let reports = self.reports();
        let (_, last) = reports.last_key_value().unwrap();
        let text = |key: &str| last[key].as_str().unwrap().to_owned();
        (text("outcome"), text("message"))
    }

    /// The commit that is in place whole, with its data: not one, and half of the other.
    pub(crate) fn in_place(&self, remote: &Remote) -> String {
        let head = git(&self.file("app"), &["rev-parse", "HEAD"]);
        let changed = git(&self.file("app"), &["status", "--porcelain"]);
        assert_eq!(changed, "");
        assert_eq!(self.text("app/version").trim(), remote.name(&head));
        assert_eq!(self.text("data/precious"), "kept");
        assert!(self.file("up").exists());
        head
    }
}
