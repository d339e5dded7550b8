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

#[test]
fn a_checkout_is_looked_at_and_its_own_programs_may_still_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let done = git.arg("-C").arg(folder.path()).args(arguments).output();
        assert!(done.unwrap().status.success(), "{arguments:?}");
    };
    let lines = format!("git = {{ path = \"{path}\" }}\ncommand = {{ run = [\"./update\"] }}");
    let none = checked(&lines);
    assert!(none.0.contains("checkout: PROBLEM: "), "{none:?}");
    assert_eq!(none.1, "towline: 1 problem\n");
    git(&["init", "--quiet", "--initial-branch=main"]);
    fs::write(folder.path().join("file"), "1").unwrap();
    git(&["add", "."]);
    let who = [
        "-c",
        "user.name=octocat",
        "-c",
        "user.email=octocat@example.com",
    ];
    git(&[&who[..], &["commit", "--quiet", "-m", "first"]].concat());
    git(&[
        "remote",
        "add",
        "origin",
        "https://github.example/octo-org/web",
    ]);
    let (said, log) = checked(&lines);
    assert_eq!(log, "", "{said}");
    assert!(said.contains(" on main\n"), "{said}");
    fs::write(folder.path().join("file"), "2").unwrap();
    let (said, _) = checked(&lines);
    assert!(
        said.contains("checkout: PROBLEM: it has local changes: file"),
        "{said}"
    );
}

#[test]
fn a_project_is_looked_at_only_with_an_engine_which_is_one_problem_for_all() {
    let (said, log) = checked("compose = { file = \"/srv/c.yml\" }");
    assert_eq!(log, "towline: 1 problem\n", "{said}");
    assert!(said.contains("project: PROBLEM: not looked at: "), "{said}");
}
