use std::time::Duration;

use super::*;

const GOOD: &str = r#"
[relay]
url = "https://towline.example.workers.dev/"
token_file = "/etc/towline/token"

[service.web]
repository = "Octo-Org/Web"
workflow = "ci.yml"
branch = "main"
image = "ghcr.io/octo-org/web:sha-{short_sha}"
image_wait = "2m"
keep = 3

[service.web.docker]
container = "web"

[[service.web.health]]
http = "http://127.0.0.1:8080/health"
contains = "ok"
within = "90s"

[[service.web.health]]
docker = true

[service.tool]
channel = "tools"
docker = { container = "tool" }
"#;

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Settings::parse(text, "towline.toml").unwrap_err();
    mistakes.iter().map(Mistake::to_string).collect()
}

/// The mistakes of the good file after a change.
fn after(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    mistakes(&GOOD.replacen(from, to, 1))
}

#[test]
fn the_file_of_logins_lies_beside_the_host_s_file_unless_its_path_is_absolute() {
    let logins = |line: &str, file: &str| {
        let settings = Settings::parse(&format!("{line}\n{GOOD}"), file).unwrap();
        settings.registry_auth_file
    };
    let file = "/etc/towline/towline.toml";
    assert_eq!(logins("", file), None);
    let beside = logins("registry_auth_file = \"logins.json\"", file);
    assert_eq!(beside, Some("/etc/towline/logins.json".into()));
    let absolute = logins("registry_auth_file = \"/run/logins.json\"", file);
    assert_eq!(absolute, Some("/run/logins.json".into()));
    let wrong = mistakes(&format!("registry_auth_file = 7\n{GOOD}"));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("registry_auth_file"), "{wrong:?}");
}

#[test]
fn a_good_file_becomes_settings() {
    let settings = Settings::parse(GOOD, "towline.toml").unwrap();
    assert_eq!(
        settings.relay.url.as_str(),
        "https://towline.example.workers.dev"
    );
    assert_eq!(settings.relay.token_file, Some("/etc/towline/token".into()));
    let [tool, web] = &settings.services[..] else {
        panic!("{settings:?}");
    };
    assert_eq!(
        (tool.rule.channel.as_str(), &tool.rule.runs),
        ("tools", &None)
    );
    assert_eq!(tool.image_wait, Duration::from_secs(300));
    assert_eq!((tool.keep, web.keep), (2, 3));
    assert_eq!(web.rule.channel.as_str(), "octo-org/web");
    assert_eq!(web.rule.place.to_string(), "towline.toml:6");
    assert_eq!(
        web.rule.runs.as_ref().unwrap().branches,
        [Glob::new("main")]
    );
    assert_eq!(
        web.work,
        Work::Docker {
            container: Choice::Name("web".to_owned())
        }
    );
    let http = HealthCheck::Tried {
        probe: Probe::Http(HttpProbe {
            url: "http://127.0.0.1:8080/health".parse().unwrap(),
            status: None,
            contains: Some("ok".to_owned()),
            json: None,
        }),
        within: Duration::from_secs(90),
    };
    assert_eq!(web.health, [http, HealthCheck::Docker { within: None }]);
}

#[test]
fn a_token_file_is_looked_for_beside_the_hosts_file() {
    let text = GOOD.replace("/etc/towline/token", "token");
    let settings = Settings::parse(&text, "/srv/conf/towline.toml").unwrap();
    assert_eq!(settings.relay.token_file, Some("/srv/conf/token".into()));
}

#[test]
fn all_mistakes_are_told_at_once_with_line_key_and_what_was_expected() {
    let text = r#"
[relay]
url = "http://relay.example"
token-file = "/etc/towline/token"

[service.Web]
repository = "web"
workflow = "CI pipeline"
branch = []
image_wait = 300
manual = "no"
colour = "red"

[[service.Web.health]]
http = "localhost/health"
status = 99

[service.api]
repository = "octo-org/api"

[service.api.docker]
container = "-x"
"#;
    insta::assert_snapshot!(mistakes(text).join("\n"));
}

#[test]
fn broken_toml_is_told_with_its_lines() {
    let told = mistakes("[relay]\nurl = \n[service.web\nx = 1\n");
    assert!(told.len() >= 2, "{told:?}");
    assert!(
        told[0].starts_with("towline.toml:2: not valid TOML"),
        "{told:?}"
    );
    let twice = after("branch = \"main\"", "branch = \"main\"\nbranch = \"dev\"");
    assert!(
        twice[0].contains("towline.toml:10") && twice[0].contains("duplicate key"),
        "{twice:?}"
    );
}

#[test]
fn a_bracket_that_is_not_closed_does_not_make_a_mistake_of_every_line_after_it() {
    let told = after("branch = \"main\"", "branch = [\"main\"");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[2].contains(" more, which may follow from these"),
        "{told:?}"
    );
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let told = mistakes("");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("relay: is missing") && told[1].contains("service: is missing"));
}

#[test]
fn the_relay_is_https_or_on_this_machine() {
    for good in [
        "http://127.0.0.1:8787",
        "http://localhost:1",
        "http://[::1]:80",
        "https://relay.example:8443",
    ] {
        let text = GOOD.replace("https://towline.example.workers.dev/", good);
        assert_eq!(
            Settings::parse(&text, "t").unwrap().relay.url.as_str(),
            good
        );
    }
    for bad in [
        "http://relay.example",
        "http://127.0.0.1.example",
        "https://u:p@relay.example",
        "https://relay.example/path",
        "relay.example",
        "ftp://relay.example",
        "",
    ] {
        let told = after("https://towline.example.workers.dev/", bad);
        assert!(
            told[0].starts_with("towline.toml:3: relay.url: expected"),
            "{bad}: {told:?}"
        );
    }
}

#[test]
fn what_a_later_version_will_have_is_told_as_that() {
    let told = after(
        "[service.web.docker]\ncontainer = \"web\"",
        "compose = { file = \"compose.yml\" }",
    );
    assert!(
        told.iter().any(|line| line
            == "towline.toml:14: service.web.compose: is not supported by this version of towline"),
        "{told:?}"
    );
}

#[test]
fn a_misspelt_key_is_told_with_the_right_one() {
    let told = after("branch = ", "brunch = ");
    assert!(
        told.iter().any(|line| line
            == "towline.toml:9: service.web.brunch: unknown key; did you mean `branch`?"),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|line| line.contains("service.web.branch: is missing")),
        "{told:?}"
    );
}

#[test]
fn a_channel_for_manual_intents_has_no_workflow_and_no_slash() {
    let told = after(
        "channel = \"tools\"",
        "channel = \"tools\"\nworkflow = \"ci.yml\"",
    );
    assert!(
        told[0].contains("service.tool.workflow: is for a `repository`"),
        "{told:?}"
    );
    assert!(
        after("channel = \"tools\"", "channel = \"octo-org/tools\"")[0]
            .contains("use `repository`")
    );
    assert!(
        after("channel = \"tools\"", "channel = \"tools\"\nmanual = false")[0]
            .contains("nothing could ever deploy")
    );
    assert!(
        after(
            "channel = \"tools\"",
            "channel = \"tools\"\nrepository = \"a/b\""
        )[0]
        .contains("either")
    );
    assert!(after("channel = \"tools\"", "")[0].contains("service.tool.repository: is missing"));
}

#[test]
fn two_services_cannot_have_one_container() {
    let told = after("container = \"tool\"", "container = \"web\"");
    assert_eq!(
        told,
        [
            "towline.toml:6: service.web.docker.container: service tool has the container \"web\" already"
        ]
    );
}

#[test]
fn a_container_is_chosen_by_its_name_or_by_a_label() {
    let chosen = |line: &str| {
        let text = GOOD.replace("container = \"web\"", line);
        let service = Settings::parse(&text, "towline.toml").unwrap().services;
        let Work::Docker { container } = service[1].work.clone();
        container
    };
    let label = |key: &str, value: Option<&str>| {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        Choice::Label(Label { key, value })
    };
    assert_eq!(chosen("label = \"app=web=1\""), label("app", Some("web=1")));
    assert_eq!(chosen("label = \"app=\""), label("app", Some("")));
    assert_eq!(chosen("label = \"app\""), label("app", None));
    for (line, told) in [
        ("label = \"\"", "docker.label: expected a label"),
        ("label = \"=web\"", "docker.label: expected a label"),
        ("label = \"my app=web\"", "docker.label: expected a label"),
        ("label = [\"app\"]", "docker.label: expected text"),
        (
            "label = \"app\"\ncontainer = \"web\"",
            "docker.label: a service has either",
        ),
        ("", "docker.container: is missing"),
    ] {
        let found = after("container = \"web\"", line);
        assert!(found[0].contains(told), "{line}: {found:?}");
    }
    let told = mistakes(
        &GOOD
            .replace("container = \"web\"", "label = \"app\"")
            .replace("container = \"tool\"", "label = \"app\""),
    );
    assert!(
        told[0].ends_with("docker.label: service tool has the label app already"),
        "{told:?}"
    );
}

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
        ("exec = []", "health.exec: expected a list"),
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

#[test]
fn the_example_is_valid_and_has_nothing_that_never_happens() {
    let example = include_str!("../../../docs/examples/towline.toml");
    let settings = Settings::parse(example, "towline.toml").unwrap();
    assert!(!settings.services.is_empty());
    for service in settings.services {
        assert!(
            service.rule.runs.is_some(),
            "nothing deploys {}",
            service.name
        );
    }
}

#[test]
fn a_host_listens_to_so_many_channels_and_no_more() {
    let service = |n: usize| {
        format!("[service.s{n}]\nchannel = \"c{n}\"\ndocker = {{ container = \"c{n}\" }}\n")
    };
    let file = |count| {
        format!(
            "[relay]\nurl = \"https://r.example\"\n{}",
            (0..count).map(service).collect::<String>()
        )
    };
    assert_eq!(
        Settings::parse(&file(99), "t").unwrap().channels().len(),
        99
    );
    assert!(mistakes(&file(100))[0].contains("listen to 100 channels"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]a-z.=\"{}\n0-9 ]{0,200}") {
        let _ = Settings::parse(&text, "towline.toml");
    }
}

#[test]
fn how_many_versions_are_kept_is_a_number_from_1_to_100() {
    for wrong in ["0", "101", "-1", "2.0", "\"2\"", "99999999999"] {
        let told = after("keep = 3", &format!("keep = {wrong}"));
        assert_eq!(told.len(), 1, "{told:?}");
        let place = "towline.toml:12: service.web.keep: expected how many versions are kept";
        assert!(told[0].starts_with(place), "{}", told[0]);
        assert!(
            told[0].ends_with(&format!("from 1 to 100, found {wrong}")),
            "{}",
            told[0]
        );
    }
    let good = |keep| Settings::parse(&GOOD.replace("keep = 3", keep), "towline.toml");
    assert!(good("keep = 1").is_ok() && good("keep = 100").is_ok());
}

#[test]
fn the_placeholder_of_the_first_steps_is_no_relay() {
    let told = after(
        "towline.example.workers.dev",
        "towline.YOUR-ACCOUNT.workers.dev",
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("relay.url") && told[0].contains("`wrangler deploy` prints"),
        "{told:?}"
    );
}
