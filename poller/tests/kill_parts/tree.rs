//! A service with a checkout, whose poller is killed; and all that can be seen of it.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use towline_tests::program;

use crate::{
    app::intent,
    poller::Poller,
    remote::{Remote, git},
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
    fn table(self, dir: &str) -> String {
        match self {
            Self::Alone => "[[service.app.health]]\nexec = [\"grep\", \"-qx\", \"v[12]\", \"version\"]\nwithin = \"2s\"\n".to_owned(),
            Self::WithData => format!(
                "backup = {{ paths = [\"{dir}/data\"], restore = true }}\n[service.app.command]\nrun = [\"./update\"]\n\
                 stop = [\"{dir}/act\"]\nstart = [\"{dir}/act\"]\non_interrupt = \"rollback\"\n[[service.app.health]]\n\
                 exec = [\"sh\", \"-c\", \"test -e ../up && cmp -s version ../data/db\"]\nwithin = \"2s\"\n"
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
        let service = format!(
            "[service.app]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"1s\"\n\
             git = {{ path = \"{dir}/app\" }}\n{}",
            kind.table(dir)
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
        let app = self.file("app");
        let git = |args: &[&str]| git(&app, args);
        let mut world = vec![
            git(&["rev-parse", "HEAD"]),
            git(&["rev-parse", "--abbrev-ref", "HEAD"]),
            git(&["status", "--porcelain", "--ignored"]),
            git(&["for-each-ref"]),
            format!("db {}", self.text("data/db")),
        ];
        for folder in [self.folder.path(), &self.file("data"), &self.state()] {
            world.extend(names(folder).into_iter().filter(|name| name != "log"));
        }
        let lying = files(&app.join(".git")).into_iter();
        world.extend(lying.filter(|path| path.contains("lock") || path.contains("tmp_")));
        world.extend(self.running());
        world
    }

    /// The backups that are there, whole or not.
    pub(crate) fn backups(&self) -> Vec<String> {
        files(&self.state().join("backups"))
    }

    /// The programs that run in the service's folders or for its poller.
    pub(crate) fn running(&self) -> Vec<String> {
        let state = self.state();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let ours = processes.filter(|process| {
            let of = |link: &str| fs::read_link(process.path().join(link)).unwrap_or_default();
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            of("cwd").starts_with(self.folder.path())
                || String::from_utf8_lossy(&line).contains(state.to_str().unwrap())
        });
        ours.map(|process| format!("process {:?}", process.file_name()))
            .collect()
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

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The files in a folder and those below it.
fn files(folder: &Path) -> Vec<String> {
    let paths = names(folder).into_iter().map(|name| folder.join(name));
    let below = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path.display().to_string()],
    });
    below.collect()
}
