//! `towline backups` and `towline restore`: a command service with data, with `towline run` and without it.

use serde_json::Value;
use towline::backup::{BackupName, Occasion, Shelf};

use super::{control::Run, *};

const OLDER: &str = "20261121T221500Z-3484a3f.tar.gz";
const NEWER: &str = "20261122T010000Z-3484a3f.tar.gz";

/// A host whose service keeps data in a folder and writes down when it is stopped and started.
pub(super) struct Served {
    pub(super) host: Host,
    _relay: Relay,
}

impl Served {
    fn new(more: &str) -> Self {
        let relay = Relay::start();
        let host = Host::new(relay.port, "");
        let at = |name: &str| host.path(name).display().to_string();
        let file = fs::read_to_string(host.path("towline.toml")).unwrap();
        let (file, _) = file.split_once("[service.web.docker]").unwrap();
        let note = |word: &str| {
            let script = format!(
                "echo {word} $TOWLINE_SERVICE $TOWLINE_STEP >> {}",
                at("steps")
            );
            format!("[\"/bin/sh\", \"-c\", \"{script}\"]")
        };
        let file = format!(
            "{file}backup = {{ paths = [\"{}\"], keep = 5 }}\n\n[service.web.command]\nrun = [\"/bin/true\"]\n\
             stop = {}\nstart = {}\n{more}\n",
            at("data"),
            note("stop"),
            note("start"),
        );
        fs::write(host.path("towline.toml"), file).unwrap();
        fs::create_dir(host.path("data")).unwrap();
        fs::write(host.path("data/rows"), "old").unwrap();
        assert_eq!(host.once().0, 0);
        Self {
            host,
            _relay: relay,
        }
    }

    /// One with a backup of `old` and data that are `new`.
    pub(super) fn with_a_backup(more: &str) -> Self {
        let served = Self::new(more);
        served.back_up(OLDER);
        fs::write(served.host.path("data/rows"), "new").unwrap();
        served
    }

    fn back_up(&self, name: &str) {
        let shelf = Shelf::of(&self.host.path("state"), "web".parse().unwrap());
        let name: BackupName = name.parse().unwrap();
        let occasion = Occasion {
            deploy: "0a1b2c3d".to_owned(),
            at: name.at(),
            sha: "3484a3f0123456789abcdef0123456789abcdef0".parse().ok(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let paths = [self.host.path("data")];
        let made = shelf.create(&name, &occasion, &paths);
        runtime.block_on(made).unwrap();
    }

    fn restore(&self, arguments: &[&str]) -> (i32, String) {
        let arguments = [&["restore", "web"], arguments].concat();
        let output = self.host.command(&arguments).output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let (status, log) = ended(output);
        (status, said + &log)
    }

    fn rows(&self) -> String {
        fs::read_to_string(self.host.path("data/rows")).unwrap()
    }

    fn steps(&self) -> String {
        fs::read_to_string(self.host.path("steps")).unwrap_or_default()
    }

    /// Has another script for `stop` or `start`.
    fn replace(&self, key: &str, script: &str) {
        let file = self.host.path("towline.toml");
        let text = fs::read_to_string(&file).unwrap();
        let begin = format!("{key} =");
        let line = text.lines().find(|line| line.starts_with(&begin)).unwrap();
        let other = format!("{key} = [\"/bin/sh\", \"-c\", \"{script}\"]");
        fs::write(&file, text.replace(line, &other)).unwrap();
    }

    /// Restoring is refused so, and nothing was stopped or changed.
    fn refuses(&self, arguments: &[&str], told: &str) {
        let (status, said) = self.restore(arguments);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains(told), "{said}");
        assert_eq!((self.rows().as_str(), self.steps().as_str()), ("new", ""));
    }
}

#[test]
fn backups_are_listed_by_their_files_alone() {
    let served = Served::with_a_backup("");
    served.back_up(NEWER);
    let list = |arguments: &[&str]| {
        let output = served.host.command(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let run = Run::of(&served.host);
    fs::remove_file(served.host.path("towline.toml")).unwrap();
    let table = list(&["backups"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("TIME") && lines.len() == 3, "{table}");
    assert!(
        lines[1].starts_with("2026-11-22T01:00:00Z  web      3484a3f  "),
        "{table}"
    );
    assert!(
        lines[1].ends_with(NEWER) && lines[2].ends_with(OLDER),
        "{table}"
    );
    let json: Value = serde_json::from_str(&list(&["backups", "web", "--json"])).unwrap();
    assert_eq!(
        (&json["format"], &json["backups"][1]["name"]),
        (&1.into(), &OLDER.into())
    );
    assert_eq!(json["backups"][0]["deploy"], "0a1b2c3d");
    assert_eq!(list(&["backups", "other"]), "no backup is there yet\n");
    fs::write(
        served.host.path("state/backups/web").join(OLDER),
        "no archive",
    )
    .unwrap();
    assert!(list(&["backups"]).contains("is damaged"));
    drop(run);
}

#[test]
fn the_newest_backup_is_restored_with_the_service_stopped_and_what_was_there_is_kept() {
    let served = Served::with_a_backup("");
    let (status, said) = served.restore(&[]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(served.rows(), "old");
    assert_eq!(served.steps(), "stop web stop\nstart web start\n");
    let names = fs::read_dir(served.host.path("")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().path());
    let aside = names.find(|path| path.display().to_string().contains("data.before-restore-"));
    let aside = aside.unwrap();
    assert!(said.contains(&aside.display().to_string()), "{said}");
    assert_eq!(fs::read_to_string(aside.join("rows")).unwrap(), "new");
}

#[test]
fn a_running_towline_restores_and_says_each_step() {
    let served = Served::with_a_backup("");
    let run = Run::of(&served.host);
    let (status, said) = served.restore(&[OLDER]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("web has its data of 20261121T221500Z-3484a3f.tar.gz again"),
        "{said}"
    );
    assert!(
        said.contains("web: running stop") && said.contains("web: restoring"),
        "{said}"
    );
    assert_eq!(served.rows(), "old");
    run.terminate();
}

#[test]
fn what_cannot_be_restored_is_refused_before_the_service_is_stopped() {
    let served = Served::with_a_backup("");
    served.refuses(&[NEWER], "towline backups web lists what there is");
    let said = served.restore(&[NEWER]).1;
    assert!(!said.contains("reading the backup"), "{said}");
    let archive = served.host.path("state/backups/web").join(OLDER);
    let whole = fs::read(&archive).unwrap();
    fs::write(&archive, &whole[..whole.len() - 4]).unwrap();
    served.refuses(&[], "is damaged");
    let listed = served.host.command(&["backups", "web"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("is damaged (its end is missing)"),
        "{listed}"
    );
    fs::remove_file(&archive).unwrap();
    served.refuses(&[], "no backup of web is there yet");
    let output = served.host.command(&["restore", "web", "../x"]).output();
    let (status, log) = ended(output.unwrap());
    assert!(
        status == 2
            && log.contains("is no backup's name: expected TIME-COMMIT.tar.gz or TIME.tar.gz"),
        "{log}"
    );
    let output = served.host.command(&["restore", "other"]).output().unwrap();
    assert!(
        ended(output)
            .1
            .contains("there is no [service.other] in the host's file; it has: web")
    );
}

#[test]
fn backups_of_a_service_that_nobody_knows_are_told_from_none_yet() {
    let served = Served::with_a_backup("");
    let listed = |name: &str| {
        let output = served.host.command(&["backups", name]).output().unwrap();
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let (status, log) = ended(output);
        (status, text + &log)
    };
    let told = "towline: no service wbe is known; the host's file names web\n";
    assert_eq!(listed("wbe"), (1, told.to_owned()));
    let file = served.host.path("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[service.web", "[service.api")).unwrap();
    let (status, text) = listed("web");
    assert!(status == 0 && text.contains(OLDER), "{text}");
    let told = "the host's file names api, and does not name any more: web";
    assert!(listed("wbe").1.contains(told));
    let (status, none) = listed("api");
    assert!(status == 0 && !none.contains(OLDER), "{none}");
}

#[test]
fn data_are_exchanged_under_a_service_that_nothing_stops_only_on_demand() {
    let served = Served::with_a_backup("");
    let file = served.host.path("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    let is_kept = |line: &&str| !line.starts_with("stop =") && !line.starts_with("start =");
    let lines: Vec<_> = text.lines().filter(is_kept).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let told = "has no `command.stop` in the host's file";
    served.refuses(&[], told);
    let run = Run::of(&served.host);
    served.refuses(&[], "say --running");
    let (status, said) = served.restore(&["--running"]);
    assert_eq!((status, served.rows().as_str()), (0, "old"), "{said}");
    run.terminate();
}

#[test]
fn a_service_without_backups_says_which_key_is_missing() {
    let host = Host::new(1, "");
    drop(Store::open(&host.path("state")).unwrap());
    let (status, log) = ended(host.command(&["restore", "web"]).output().unwrap());
    assert!(
        status == 1 && log.contains("[service.web] has no `backup` in the host's file"),
        "{log}"
    );
}

#[test]
fn a_service_that_cannot_be_stopped_keeps_its_data_and_is_started_again() {
    let served = Served::with_a_backup("");
    served.replace("stop", "echo no power; exit 7");
    let (status, said) = served.restore(&[]);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains("web was not restored: `stop` ended with status 7: no power"),
        "{said}"
    );
    assert_eq!(
        (served.rows().as_str(), served.steps().as_str()),
        ("new", "start web start\n")
    );
}

#[test]
fn a_service_that_was_ended_with_its_start_is_not_said_to_be_well() {
    let served = Served::with_a_backup("");
    served.replace("start", "sleep 600 &");
    let (status, said) = served.restore(&[]);
    assert_eq!(status, 1, "{said}");
    let told =
        "; what start had left running was ended after it: what shall stay belongs to a supervisor";
    assert!(said.contains("again: ") && said.contains(told), "{said}");
    assert_eq!(served.rows(), "old");
}

#[test]
fn a_service_that_does_not_pass_its_checks_with_the_restored_data_is_told() {
    let more = "\n[[service.web.health]]\nexec = [\"/bin/grep\", \"new\", \"data/rows\"]\nwithin = \"1s\"\n";
    let served = Served::with_a_backup(more);
    let file = served.host.path("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    let absolute = served.host.path("data/rows").display().to_string();
    fs::write(
        &file,
        text.replace("data/rows\"]", &format!("{absolute}\"]")),
    )
    .unwrap();
    let (status, said) = served.restore(&[]);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains("again: ") && said.contains("it does not pass its checks"),
        "{said}"
    );
    assert_eq!(served.rows(), "old");
}
