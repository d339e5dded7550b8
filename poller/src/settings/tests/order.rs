//! Which services come after which.

use super::*;

/// A file with these services; each has a name and its `after`.
fn file(services: &[(&str, &str)]) -> String {
    let service = |(name, after): &(&str, &str)| {
        let after = match *after {
            "" => String::new(),
            after => format!("after = {after}\n"),
        };
        format!(
            "[service.{name}]\nchannel = \"stack\"\n{after}docker = {{ container = \"{name}\" }}\n"
        )
    };
    let services: String = services.iter().map(service).collect();
    format!("[relay]\nurl = \"https://r.example\"\n{services}")
}

fn names(services: &[&Service]) -> String {
    let names: Vec<_> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    names.join(" ")
}

const STACK: [(&str, &str); 5] = [
    ("api", "[\"db\", \"cache\"]"),
    ("cache", ""),
    ("db", ""),
    ("admin", "\"web\""),
    ("web", "[\"api\", \"api\"]"),
];

#[test]
fn each_service_comes_after_those_before_it_and_else_by_its_name() {
    let settings = Settings::parse(&file(&STACK), "t").unwrap();
    assert_eq!(names(&settings.in_order()), "cache db api web admin");
    let listed = settings
        .services
        .iter()
        .map(|service| service.name.as_str());
    assert!(listed.is_sorted_by(|one, next| one < next));
    let free = Settings::parse(GOOD, "t").unwrap();
    assert_eq!(names(&free.in_order()), "tool web");
}

#[test]
fn who_comes_before_and_who_behind_is_also_by_way_of_others() {
    let settings = Settings::parse(&file(&STACK), "t").unwrap();
    let of = |name: &str| {
        let mut services = settings.services.iter();
        let service = services.find(|service| service.name.as_str() == name);
        let service = service.unwrap();
        let (before, behind) = (settings.before(service), settings.behind(&service.name));
        (names(&before), names(&behind))
    };
    let both = |before: &str, behind: &str| (before.to_owned(), behind.to_owned());
    assert_eq!(of("db"), both("", "api web admin"));
    assert_eq!(of("api"), both("cache db", "web admin"));
    assert_eq!(of("admin"), both("cache db api web", ""));
}

#[test]
fn a_name_that_is_none_of_the_files_is_refused_with_the_one_that_was_meant() {
    let told = mistakes(&file(&[("db", ""), ("web", "[\"db\", \"bd\"]")]));
    assert_eq!(
        told,
        [
            "t:8: service.web.after: there is no [service.bd]; did you mean `db`?"
                .replace("t:", "towline.toml:")
        ]
    );
    let told = mistakes(&file(&[("db", ""), ("web", "\"postgres\"")]));
    assert!(
        told[0].ends_with("there is no [service.postgres]; the file has: db, web"),
        "{told:?}"
    );
}

#[test]
fn a_service_with_a_mistake_of_its_own_is_known_all_the_same() {
    let wrong = file(&[("db", ""), ("web", "\"db\"")]).replace("container = \"db\"", "");
    let told = mistakes(&wrong);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("service.db.docker"), "{told:?}");
}

#[test]
fn a_service_after_itself_and_a_circle_are_refused_each_once() {
    let told = mistakes(&file(&[("web", "\"web\"")]));
    assert_eq!(
        told,
        ["towline.toml:5: service.web.after: web cannot come after itself; take it away here"]
    );
    let told = mistakes(&file(&[
        ("api", "\"db\""),
        ("db", "\"web\""),
        ("web", "[\"api\", \"cache\"]"),
        ("cache", ""),
        ("admin", "\"web\""),
    ]));
    assert_eq!(
        told,
        [
            "towline.toml:5: service.api.after: goes round in a circle: api after db after web after api; take one of them away"
        ]
    );
}

#[test]
fn what_is_no_name_is_refused() {
    for wrong in ["[]", "\"\"", "\"Db\"", "[\"db\", 1]", "true"] {
        let told = mistakes(&file(&[("db", ""), ("web", wrong)]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("towline.toml:8: service.web.after: "),
            "{told:?}"
        );
    }
}
