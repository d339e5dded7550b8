//! What concerns all parts of a service together.

use super::*;

#[test]
fn a_user_is_a_name() {
    for user in [
        "\"\"",
        "1000",
        "\"-u\"",
        "\"1000\"",
        "\"pi:pi\"",
        "\"a b\"",
        "\"root\\n\"",
    ] {
        let told = told_of(&format!("command = {{ run = [\"a\"] }}\nuser = {user}"));
        assert!(
            told.starts_with("user: expected a user's name"),
            "{user}: {told}"
        );
    }
}

#[test]
fn what_is_journalled_is_read_again() {
    let parts = parts_of(
        "user = \"pi\"\ngit = { path = \"/srv/app\" }\nbackup = { paths = [\"/srv/data\"] }\n\
         command = { run = [\"a\"], rollback = [\"b\"], env = { X = \"1\" }, timeout = \"90s\" }",
    );
    let text = serde_json::to_string(&parts).unwrap();
    assert_eq!(serde_json::from_str::<Parts>(&text).unwrap(), parts);
}

#[test]
fn a_checkout_may_bring_the_programs_whose_paths_lead_into_it_and_no_others() {
    let git = "git = { path = \"/srv/app\" }\n";
    let may = |keys: &str, program| {
        let dir = format!("{git}command = {{ run = [\"true\"]{keys} }}");
        parts_of(&dir).in_checkout(program).is_some()
    };
    assert!(may("", "./update") && may(", dir = \"/srv/app/bin\"", "../update"));
    assert!(may(", dir = \"/srv\"", "app/update"));
    assert!(may("", "/srv/app/update"), "also by its whole path");
    assert!(!may("", "update") && !may("", "../update"));
    assert!(!may(", dir = \"/srv/other\"", "./update"));
    assert!(!may(", dir = \"/srv/app2\"", "./update"));
    let plain = parts_of("command = { run = [\"true\"] }");
    assert_eq!(plain.in_checkout("./update"), None);
}
