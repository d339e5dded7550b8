//! What two services cannot both have.

use super::*;

/// The mistakes of a file with two services that have these lines, `b` after `a`.
fn two(a: &str, b: &str) -> Vec<String> {
    let text = format!("{}\n[service.b]\nchannel = \"b\"\n{b}\n", with_app(a));
    match Settings::parse(&text, "towline.toml") {
        Ok(_) => vec![],
        Err(told) => told.iter().map(Mistake::to_string).collect(),
    }
}

#[track_caller]
fn told(a: &str, b: &str) -> String {
    let told = two(a, b);
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, told) = told[0].split_once(": service.b.").unwrap();
    told.to_owned()
}

#[test]
fn two_services_cannot_have_one_checkout() {
    let git = "git = { path = \"/srv/app\" }";
    let command = "git = { path = \"/srv//app/\" }\ncommand = { run = [\"a\"] }";
    assert_eq!(
        told(git, command),
        "git.path: service app has the checkout \"/srv/app\" already"
    );
    assert!(two(git, "git = { path = \"/srv/app2\" }").is_empty());
}

#[test]
fn two_services_may_share_a_project_only_when_each_has_services_of_its_own() {
    let project = |more: &str| format!("compose = {{ file = \"/srv/c.yml\"{more} }}");
    let api = project(", services = [\"api\", \"db\"]");
    let whole = "compose: service app has the whole Compose project or a part of it already";
    assert_eq!(told(&project(""), &project("")), whole);
    assert_eq!(told(&project(""), &api), whole);
    assert_eq!(told(&api, &project("")), whole);
    let db = project(", services = [\"web\", \"db\"]");
    assert_eq!(
        told(&api, &db),
        "compose.services: service app has the Compose service \"db\" already"
    );
    assert!(two(&api, &project(", services = \"web\"")).is_empty());
}

#[test]
fn a_project_is_known_by_its_name_and_else_by_its_folder() {
    let project =
        |file: &str, name: &str| format!("compose = {{ file = \"{file}\", project = \"{name}\" }}");
    assert!(!two(&project("/srv/a.yml", "x"), &project("/srv/b.yml", "x")).is_empty());
    assert!(two(&project("/srv/a.yml", "x"), &project("/srv/a.yml", "y")).is_empty());
    let checkout = "git = { path = \"/srv/stack\" }\ncompose = { file = \"c.yml\" }";
    let plain = "compose = { file = \"/srv/stack/c.yml\" }";
    assert!(told(checkout, plain).starts_with("compose: "));
    for same in [
        project("/srv/else.yml", "stack"),
        "compose = { file = \"/srv/stack/other.yml\" }".to_owned(),
    ] {
        assert!(told(plain, &same).starts_with("compose: "), "{same}");
    }
}

#[test]
fn two_services_cannot_back_up_the_same_data() {
    let backup =
        |path: &str| format!("command = {{ run = [\"a\"] }}\nbackup = {{ paths = [\"{path}\"] }}");
    for path in ["/srv/data", "/srv", "/srv/data/photos"] {
        let told = told(&backup("/srv/data"), &backup(path));
        assert!(told.starts_with("backup.paths: service app has"), "{told}");
    }
    assert!(two(&backup("/srv/data"), &backup("/srv/data2")).is_empty());
}
