//! How several containers of one label are replaced.

use super::*;

/// How the web service's containers are replaced, with these keys in the place of its container's name.
fn rolling(lines: &str) -> Rolling {
    let text = GOOD.replace("container = \"web\"", lines);
    let services = Settings::parse(&text, "towline.toml").unwrap().services;
    let Work::Docker { rolling, .. } = services[1].work else {
        panic!("{services:?}");
    };
    rolling
}

#[test]
fn several_containers_are_replaced_one_at_a_time_and_all_go_back_unless_the_file_says_otherwise() {
    let usual = Rolling {
        max_parallel: 1,
        on_failure: OnFailure::Rollback,
    };
    assert_eq!(rolling("label = \"app=web\""), usual);
    assert_eq!(rolling("container = \"web\""), usual);
    let told = rolling("label = \"app=web\"\nmax_parallel = 2\non_failure = \"pause\"");
    assert_eq!((told.max_parallel, told.on_failure), (2, OnFailure::Pause));
    assert_eq!(rolling("label = \"app\"\non_failure = \"rollback\""), usual);
}

#[test]
fn what_is_for_several_containers_needs_a_label_and_a_value_that_means_something() {
    let label = "label = \"app\"\n";
    for (lines, key, told) in [
        (
            format!("{label}max_parallel = 0"),
            "max_parallel",
            "from 1 to 100, found 0",
        ),
        (
            format!("{label}max_parallel = 101"),
            "max_parallel",
            "from 1 to 100",
        ),
        (
            format!("{label}max_parallel = \"2\""),
            "max_parallel",
            "from 1 to 100",
        ),
        (
            format!("{label}on_failure = \"stop\""),
            "on_failure",
            "expected \"rollback\" or \"pause\", found \"stop\"",
        ),
        (
            format!("{label}on_failure = true"),
            "on_failure",
            "expected \"rollback\" or \"pause\"",
        ),
        (
            "container = \"web\"\nmax_parallel = 2".to_owned(),
            "max_parallel",
            "only a `label` leads to",
        ),
        (
            "container = \"web\"\non_failure = \"pause\"".to_owned(),
            "on_failure",
            "only a `label` leads to",
        ),
    ] {
        let found = after("container = \"web\"", &lines);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(
            found[0].contains(&format!("service.web.docker.{key}: ")) && found[0].contains(told),
            "{lines}: {found:?}"
        );
    }
}
