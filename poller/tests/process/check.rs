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
