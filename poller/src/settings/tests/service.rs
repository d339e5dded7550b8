//! What a service listens to, what it replaces and keeps.

use super::*;

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
        let Work::Docker { container, .. } = service[1].work.clone() else {
            panic!("{service:?}");
        };
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
