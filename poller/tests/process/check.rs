//! `towline check` without an engine.

use super::*;

#[test]
fn check_tells_every_mistake_of_the_file() {
    let host = Host::new(1, "colour = \"red\"\nimage_wait = 5");
    let (status, log) = ended(host.command(&["check"]).output().unwrap());
    assert_eq!(status, 1);
    assert!(
        log.contains("2 mistakes in") && log.contains("towline.toml:9: service.web.colour"),
        "{log}"
    );
    assert!(
        log.contains("towline.toml:10: service.web.image_wait: expected a duration"),
        "{log}"
    );
}

#[test]
fn check_says_what_a_service_accepts_and_an_engine_or_token_that_is_missing_is_a_problem() {
    let host = Host::new(1, "");
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    assert_eq!((status, log.trim()), (1, "towline: 1 problem"), "{said}");
    assert!(
        said.contains("successful runs of ci.yml in octo-org/web on main"),
        "{said}"
    );
    assert!(said.contains("container: PROBLEM: not looked at"), "{said}");
    fs::remove_file(host.path("token")).unwrap();
    let output = host.command(&["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("token: PROBLEM: cannot read the token")
    );
}

#[test]
fn check_reads_the_file_of_logins_although_the_engine_does_not_answer() {
    let host = Host::new(1, "image = \"registry.example/web:{sha}\"");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let file = format!("registry_auth_file = \"logins.json\"\n{file}");
    fs::write(host.path("towline.toml"), file).unwrap();
    fs::write(host.path("logins.json"), "{ no json").unwrap();
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(ended(output), (1, "towline: 2 problems\n".to_owned()));
    assert!(
        said.contains("registry: PROBLEM:") && said.contains("logins.json"),
        "{said}"
    );
}

#[test]
fn a_file_of_roots_that_is_of_no_use_is_told_by_check_and_at_the_start_with_its_line() {
    let host = Host::new(1, "");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let file = file.replacen("[relay]\n", "[relay]\nca_file = \"ca.pem\"\n", 1);
    fs::write(host.path("towline.toml"), file).unwrap();
    fs::write(host.path("ca.pem"), "").unwrap();
    let wanted = "towline.toml:2: relay.ca_file: no certificate is in";
    let output = host.command(&["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("relay: PROBLEM: ") && said.contains(wanted),
        "{said}"
    );
    let (status, log) = ended(host.command(&["once"]).output().unwrap());
    assert!(status == 1 && log.contains(wanted), "{log}");
}

#[test]
fn a_proxy_that_cannot_be_one_is_told_at_the_start_and_its_password_is_not() {
    let host = Host::new(1, "");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let elsewhere = file.replacen("http://127.0.0.1:1", "https://relay.octo-org.example", 1);
    fs::write(host.path("towline.toml"), elsewhere).unwrap();
    let mut once = host.command(&["once"]);
    once.env("HTTPS_PROXY", "socks5://octocat:hunter2@proxy.example");
    let (status, log) = ended(once.output().unwrap());
    assert!(
        status == 1 && log.contains("$HTTPS_PROXY is not a proxy's address"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}

/// What `check` says of a service with these lines, and how it ends.
fn checked(lines: &str) -> (String, String) {
    let host = Host::new(1, "");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let file = file.replace("[service.web.docker]\ncontainer = \"web\"\n", lines);
    fs::write(host.path("towline.toml"), file).unwrap();
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (said, ended(output).1)
}

#[test]
fn without_containers_no_engine_is_missed() {
    let (said, log) =
        checked("command = { run = [\"true\"] }\nbackup = { paths = \"/etc/hostname\" }");
    assert_eq!(log, "", "{said}");
    assert!(
        said.contains("runs: [\"true\"] in /, each command for at most 300 s"),
        "{said}"
    );
    assert!(
        said.contains("backup: ") && !said.contains("PROBLEM"),
        "{said}"
    );
}

#[test]
fn what_could_not_be_run_or_backed_up_is_a_problem() {
    let (said, log) = checked(
        "command = { run = [\"no-such-program\"], stop = [\"./stop\"], start = [\"true\"] }\n\
         backup = { paths = \"/nowhere\" }\nhealth = [{ exec = [\"no-such-check\"] }]",
    );
    assert_eq!(log, "towline: 4 problems\n", "{said}");
    for problem in [
        "command.run: PROBLEM: there is no program \"no-such-program\" in /usr/local/sbin:",
        "command.stop: PROBLEM: there is no \"./stop\" in /",
        "health.exec: PROBLEM: there is no program \"no-such-check\" in",
        "backup: PROBLEM: ",
    ] {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    let nobody = checked("user = \"no-such-user\"\ncommand = { run = [\"true\"] }").0;
    let problem = "command.run: PROBLEM: there is no user \"no-such-user\" on this host";
    assert!(nobody.contains(problem), "{nobody}");
}

/// A checkout of one file, without a remote.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        fs::write(tree.0.path().join("file"), "1").unwrap();
        tree.git(&["add", "."]);
        let who = [
            "-c",
            "user.name=octocat",
            "-c",
            "user.email=octocat@example.com",
        ];
        tree.git(&[&who[..], &["commit", "--quiet", "-m", "first"]].concat());
        tree
    }

    fn with_remote(address: &str) -> Self {
        let tree = Self::new();
        tree.git(&["remote", "add", "origin", address]);
        tree
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        let done = git.arg("-C").arg(self.0.path()).args(arguments).output();
        assert!(done.unwrap().status.success(), "{arguments:?}");
    }

    /// What `check` says of a service with this checkout, other keys of it and other lines.
    fn checked(&self, keys: &str, lines: &str) -> (String, String) {
        let path = self.0.path().display();
        checked(&format!("git = {{ path = \"{path}\"{keys} }}\n{lines}"))
    }
}

const REMOTE: &str = "https://github.example/octo-org/web";

#[test]
fn a_checkout_is_looked_at_and_its_own_programs_may_still_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let none = checked(&format!("git = {{ path = \"{path}\" }}"));
    assert!(none.0.contains("checkout: PROBLEM: "), "{none:?}");
    assert_eq!(none.1, "towline: 1 problem\n");
    let tree = Tree::with_remote(REMOTE);
    let (said, log) = tree.checked("", "command = { run = [\"./update\"] }");
    assert_eq!(log, "", "{said}");
    assert!(said.contains(" on main\n"), "{said}");
    assert!(said.contains(&format!("remote: origin at {REMOTE}\n")));
    let program = "command.run: a commit has to bring it: there is no \"./update\"";
    assert!(said.contains(program), "{said}");
    fs::write(tree.0.path().join("file"), "2").unwrap();
    let (said, _) = tree.checked("", "");
    assert!(
        said.contains("checkout: PROBLEM: it has local changes: file"),
        "{said}"
    );
}

#[test]
fn what_stops_the_service_is_called_before_a_commit_can_bring_it() {
    let lines = "command = { run = [\"true\"], stop = [\"./stop\"], start = [\"true\"] }";
    let (said, log) = Tree::with_remote(REMOTE).checked("", lines);
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    assert!(
        said.contains("command.stop: PROBLEM: there is no \"./stop\""),
        "{said}"
    );
}

#[test]
fn a_missing_program_of_a_check_is_told_where_there_is_nothing_but_a_checkout() {
    let lines = "health = [{ exec = [\"no-such-check\"] }]";
    let (said, log) = Tree::with_remote(REMOTE).checked("", lines);
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    assert!(
        said.contains("health.exec: PROBLEM: there is no program \"no-such-check\" in"),
        "{said}"
    );
}

#[test]
fn a_remote_that_a_deploy_could_not_fetch_from_is_told_without_asking_the_network() {
    let problem = |tree: &Tree, keys: &str, expected: &str| {
        let (said, log) = tree.checked(keys, "");
        assert_eq!(log, "towline: 1 problem\n", "{said}");
        let (_, told) = said.split_once("remote: PROBLEM: ").unwrap();
        assert!(told.contains(expected), "{told}");
    };
    problem(
        &Tree::new(),
        "",
        "there is no remote \"origin\"; it has: none",
    );
    let tree = Tree::with_remote(REMOTE);
    problem(
        &tree,
        ", remote = \"up\"",
        "there is no remote \"up\"; it has: origin",
    );
    problem(
        &tree,
        ", credential_file = \"/nowhere/login\"",
        "/nowhere/login: cannot read the login for the remote: No such file",
    );
    let login = tree.0.path().join(".git/login");
    fs::write(&login, "https://octocat:hunter2@other.example\n").unwrap();
    let keys = format!(", credential_file = \"{}\"", login.display());
    problem(&tree, &keys, "it has no login for https://github.example");
    problem(
        &Tree::with_remote("/nowhere/web.git"),
        "",
        "no such repository, or hidden from this login",
    );
}

#[test]
fn a_remote_that_is_somebody_elses_is_not_taken_for_the_checkout() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let remote = tempfile::tempdir().unwrap();
    let bare = remote.path().join("web.git");
    let tree = Tree::with_remote(&format!("file://{}", bare.display()));
    tree.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let (said, log) = tree.checked("", "");
    assert_eq!(log, "", "{said}");
    std::os::unix::fs::chown(&bare, Some(65534), None).unwrap();
    let (said, log) = tree.checked("", "");
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    assert!(said.contains(" on main\n"), "{said}");
    let told = format!(
        "remote: PROBLEM: the remote {}: it belongs to ",
        bare.display()
    );
    assert!(
        said.contains(&told) && said.contains("--add safe.directory"),
        "{said}"
    );
}

#[test]
fn a_git_folder_that_the_services_user_cannot_write_is_told() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let tree = Tree::with_remote(REMOTE);
    let top = tree.0.path();
    fs::set_permissions(top, fs::Permissions::from_mode(0o755)).unwrap();
    for own in [top.to_owned(), top.join(".git")] {
        std::os::unix::fs::chown(own, Some(65534), None).unwrap();
    }
    let (said, log) = tree.checked("", "user = \"nobody\"");
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    let told = format!(
        "checkout: PROBLEM: {0}: git runs as nobody and cannot write {0}/.git/objects",
        top.display()
    );
    assert!(said.contains(&told), "{said}");
}

#[test]
fn a_login_that_every_user_can_read_is_a_warning() {
    let tree = Tree::with_remote(REMOTE);
    let login = tree.0.path().join(".git/login");
    fs::write(&login, "https://octocat:hunter2@github.example\n").unwrap();
    let said = |mode: u32| {
        fs::set_permissions(&login, fs::Permissions::from_mode(mode)).unwrap();
        let keys = format!(", credential_file = \"{}\"", login.display());
        let (said, log) = tree.checked(&keys, "");
        assert_eq!(log, "", "{said}");
        said
    };
    let told = format!(
        "credential_file: WARNING: every user of this machine can read it; run: chmod 600 {}",
        login.display()
    );
    assert!(said(0o644).contains(&told));
    assert!(!said(0o600).contains("WARNING"));
}

#[test]
fn a_backup_is_looked_at_before_there_is_a_state_directory() {
    let place = tempfile::tempdir().unwrap();
    let inner = place.path().join("state-to-be");
    let lines = |path: &std::path::Path| {
        let path = path.display();
        format!("command = {{ run = [\"true\"] }}\nbackup = {{ paths = \"{path}\" }}")
    };
    let said = checked(&lines(&place.path().join("none"))).0;
    assert!(
        said.contains("backup: PROBLEM: ") && said.contains("is not there, so that"),
        "{said}"
    );
    let host = Host::with(1, &lines(place.path()));
    let mut check = host.command(&["check"]);
    let ended_so = |said: Output| String::from_utf8(said.stdout).unwrap();
    let said = ended_so(check.output().unwrap());
    assert!(said.contains("backup: there is room in "), "{said}");
    assert!(said.contains(", which is not there yet\n"), "{said}");
    let mut inside = towline(&["check", "--config"]);
    inside.arg(host.path("towline.toml"));
    inside.arg("--state-dir").arg(&inner);
    let said = ended_so(inside.output().unwrap());
    let told = format!("towline's own state is in {}", inner.display());
    assert!(said.contains(&told) && !inner.exists(), "{said}");
}

#[test]
fn a_state_directory_that_can_be_none_is_told() {
    let host = Host::with(1, "command = { run = [\"true\"] }\n");
    let said = |state: &str| {
        let mut check = towline(&["check", "--config"]);
        check.arg(host.path("towline.toml"));
        check.arg("--state-dir").arg(host.path(state));
        let output = check.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (said, output.status.code())
    };
    let (good, status) = said("not/there/yet");
    assert!(status == Some(0) && !good.contains("state: "), "{good}");
    let (bad, status) = said("token/state");
    let told = format!("state: PROBLEM: {}", host.path("token").display());
    assert!(
        bad.contains(&told) && bad.contains(" is not a folder; "),
        "{bad}"
    );
    assert_eq!(status, Some(1), "{bad}");
    assert!(!host.path("not").exists());
}

#[test]
fn a_state_directory_that_others_may_look_into_is_told() {
    let host = Host::with(1, "command = { run = [\"true\"] }\n");
    let said = |mode: u32| {
        fs::create_dir_all(host.path("state")).unwrap();
        fs::set_permissions(host.path("state"), fs::Permissions::from_mode(mode)).unwrap();
        let output = host.command(&["check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let open = said(0o755);
    assert!(open.contains("state: WARNING: "), "{open}");
    assert!(open.contains("(mode 0755); run: chmod 700 "), "{open}");
    assert!(!said(0o700).contains("WARNING"));
}

#[test]
fn a_project_is_looked_at_only_with_an_engine_which_is_one_problem_for_all() {
    let (said, log) = checked("compose = { file = \"/srv/c.yml\" }");
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    assert!(said.contains("project: PROBLEM: not looked at: "), "{said}");
}
