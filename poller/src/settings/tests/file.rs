//! The file as a whole: what makes it valid, and how mistakes are told.

use towline_protocol::Glob;

use super::*;

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
fn the_doorbell_is_on_unless_turned_off_and_the_file_of_roots_is_remembered_with_its_line() {
    let relay = |line: &str| {
        let text = GOOD.replacen("[relay]\n", &format!("[relay]\n{line}\n"), 1);
        Settings::parse(&text, "/etc/towline/towline.toml").map(|settings| settings.relay)
    };
    assert!(relay("").unwrap().doorbell && relay("doorbell = true").unwrap().doorbell);
    assert!(!relay("doorbell = false").unwrap().doorbell);
    assert!(relay("doorbell = \"off\"").is_err() && relay("ca_file = 3").is_err());
    let file = relay("ca_file = \"ca.pem\"").unwrap().ca_file.unwrap();
    assert_eq!(file.path, std::path::Path::new("/etc/towline/ca.pem"));
    let line = GOOD.lines().position(|line| line == "[relay]").unwrap() + 2;
    assert_eq!(
        file.place.to_string(),
        format!("/etc/towline/towline.toml:{line}")
    );
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
        (tool.rule.channel.as_str(), &tool.rule.events),
        ("tools", &Events::default())
    );
    assert_eq!(tool.image_wait, Duration::from_secs(300));
    assert_eq!((tool.keep, web.keep), (2, 3));
    assert_eq!(web.rule.channel.as_str(), "octo-org/web");
    assert_eq!(web.rule.place.to_string(), "towline.toml:6");
    assert_eq!(
        web.rule.events.runs.as_ref().unwrap().branches,
        [Glob::new("main")]
    );
    assert_eq!(
        web.work,
        Work::Docker {
            container: Choice::Name("web".to_owned()),
            rolling: Rolling::default(),
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
    let told = after("keep = 3", "keep_env = []");
    assert_eq!(
        told,
        ["towline.toml:12: service.web.keep_env: is not supported by this version of towline"]
    );
}

#[test]
fn a_key_that_is_near_to_none_is_told_with_all_that_there_are() {
    for (key, near) in [
        ("x", None),
        ("xy", None),
        ("no", Some("on")),
        ("imgae", Some("image")),
    ] {
        let told = after("branch = ", &format!("{key} = 1\nbranch = "));
        let told = told.join("\n");
        let meant = near.map_or("unknown key; expected one of: ".to_owned(), |near| {
            format!("unknown key; did you mean `{near}`?")
        });
        assert!(
            told.contains(&format!("service.web.{key}: {meant}")),
            "{told}"
        );
    }
}

#[test]
fn an_address_of_a_repository_is_told_with_the_name_that_it_stands_for() {
    for address in [
        "https://github.com/Octo-Org/Web",
        "https://github.com/Octo-Org/Web.git",
        "https://octocat:hunter22@github.com/Octo-Org/Web/tree/main?tab=readme",
        "ssh://git@github.com:22/Octo-Org/Web.git",
        "git@github.com:Octo-Org/Web.git",
        "github.com/Octo-Org/Web/",
        "Octo-Org/Web.git",
    ] {
        let told = after("\"Octo-Org/Web\"", &format!("{address:?}"));
        let wanted = "service.web.repository: expected \"owner/repo\", and this is an address; write \"Octo-Org/Web\"";
        assert!(told[0].ends_with(wanted), "{address}: {told:?}");
        assert!(!told.join("\n").contains("hunter22"), "{told:?}");
    }
    for other in ["web", "https://github.com/", "a/b/c", "octo org/web"] {
        let told = after("\"Octo-Org/Web\"", &format!("{other:?}"));
        assert!(told[0].contains("service.web.repository: "), "{told:?}");
        assert!(!told[0].contains("address"), "{told:?}");
    }
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
fn the_example_is_valid_and_has_nothing_that_never_happens() {
    let example = include_str!("../../../../docs/examples/towline.toml");
    let settings = Settings::parse(example, "towline.toml").unwrap();
    assert!(!settings.services.is_empty());
    for service in settings.services {
        assert!(
            !service.rule.events.is_empty(),
            "nothing deploys {}",
            service.name
        );
    }
}

#[test]
fn the_services_of_other_kinds_that_the_example_has_in_comments_are_valid() {
    let example = include_str!("../../../../docs/examples/towline.toml");
    let (live, others) = example.split_once("# A plain process").unwrap();
    let is_key = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let lines = others.lines().filter_map(|line| line.strip_prefix("# "));
    let lines: Vec<_> = lines.filter(is_key).collect();
    let settings = Settings::parse(&format!("{live}\n{}", lines.join("\n")), "towline.toml");
    let services = settings.unwrap().services;
    let kinds: Vec<_> = services.iter().map(|one| one.work.kind()).collect();
    assert_eq!(kinds, ["command", "compose", "docker"]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]a-z.=\"{}\n0-9 ]{0,200}") {
        let _ = Settings::parse(&text, "towline.toml");
    }
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
