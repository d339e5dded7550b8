//! Health checks and their window.

use super::*;

#[test]
fn a_health_check_is_of_one_kind() {
    assert!(
        after(
            "docker = true",
            "docker = true\nhttp = \"http://127.0.0.1/\""
        )[0]
        .contains("entry of its own")
    );
    assert!(
        after("docker = true", "docker = true\ncontains = \"ok\"")[0]
            .contains("is for an `http` check")
    );
    assert!(after("docker = true", "docker = false")[0].contains("expected true"));
    assert!(after("docker = true", "within = \"3s\"")[0].contains("health.http: is missing"));
}

#[test]
fn a_port_and_a_command_are_checks_too() {
    let check = |line: &str| {
        let text = GOOD.replace("docker = true", line);
        let service = Settings::parse(&text, "towline.toml").unwrap().services;
        service[1].health[1].clone()
    };
    let tried = |probe, seconds| HealthCheck::Tried {
        probe,
        within: Duration::from_secs(seconds),
    };
    let address = "{container}:5432".parse().unwrap();
    assert_eq!(
        check("tcp = \"{container}:5432\""),
        tried(Probe::Tcp(address), 60)
    );
    let words = ["pg_isready", "-q"].map(str::to_owned).to_vec();
    assert_eq!(
        check("exec = [\"pg_isready\", \"-q\"]\nwithin = \"5s\""),
        tried(Probe::Exec(words), 5)
    );
}

#[test]
fn the_window_is_the_services_and_not_a_checks() {
    let text = GOOD.replace("keep = 3", "keep = 3\nstable_for = \"1m\"");
    let services = Settings::parse(&text, "towline.toml").unwrap().services;
    let windows: Vec<_> = services.iter().map(|service| service.stable_for).collect();
    assert_eq!(windows, [None, Some(Duration::from_secs(60))]);
    let told = after("docker = true", "docker = true\nstable_for = \"1m\"");
    assert!(
        told[0].contains("health.stable_for: is for all checks together"),
        "{told:?}"
    );
    assert!(
        after("keep = 3", "stable_for = \"0s\"")[0].contains("stable_for: expected a duration")
    );
}

#[test]
fn a_port_and_a_command_that_cannot_be_are_refused() {
    for (line, told) in [
        ("tcp = \"5432\"", "health.tcp: expected \"HOST:PORT\""),
        ("tcp = 5432", "health.tcp: expected text"),
        ("exec = \"pg_isready -q\"", "health.exec: expected a list"),
        (
            "exec = []",
            "health.exec: expected a list such as [\"pg_isready\", \"-q\"], which no shell reads, found an empty list",
        ),
        ("exec = [\"\"]", "health.exec: expected a list"),
        ("exec = [\"a\", 1]", "health.exec: expected a list"),
        (
            "http = \"http://{container}.example/\"",
            "health.http: expected {container} as the whole host",
        ),
        (
            "tcp = \"db:1\"\nstatus = 200",
            "health.status: is for an `http` check",
        ),
        (
            "tcp = \"db:1\"\nexec = [\"true\"]",
            "health.exec: is an entry of its own beside `tcp`",
        ),
    ] {
        let found = after("docker = true", line);
        assert!(found[0].contains(told), "{line}: {found:?}");
    }
}

#[test]
fn a_value_in_a_json_answer_has_a_place_and_is_one_value() {
    let check = |json: &str| {
        let http = format!("http = \"http://127.0.0.1/\"\njson = {json}");
        after("docker = true", &http)
    };
    for (json, told) in [
        (
            "{ pointer = \"status\", equals = 1 }",
            "json.pointer: expected a JSON pointer",
        ),
        (
            "{ pointer = \"/a~2\", equals = 1 }",
            "json.pointer: expected a JSON pointer",
        ),
        (
            "{ pointer = \"/a\", equals = [1] }",
            "json.equals: expected text",
        ),
        (
            "{ pointer = \"/a\", equals = nan }",
            "json.equals: expected text",
        ),
        ("{ pointer = \"/a\" }", "json.equals: is missing"),
        ("{ equals = 1 }", "json.pointer: is missing"),
        (
            "{ pointer = \"/a\", equals = 1, is = 2 }",
            "json.is: unknown key",
        ),
        ("\"/a\"", "json: expected a table"),
    ] {
        let found = check(json);
        assert!(found[0].contains(told), "{json}: {found:?}");
    }
    let misplaced = after(
        "docker = true",
        "docker = true\njson = { pointer = \"\", equals = 1 }",
    );
    assert!(
        misplaced[0].contains("json: is for an `http` check"),
        "{misplaced:?}"
    );
}
