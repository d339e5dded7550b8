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
