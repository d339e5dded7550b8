//! What Compose's answer means, and what of it is refused.

use serde_json::{Value, json};

use super::project::part;
use crate::compose::{Healthcheck, Project, Resolved};

fn config(services: Value) -> Value {
    json!({ "name": "stack", "services": services })
}

fn read(services: Value, named: &[&str]) -> Result<Resolved, String> {
    let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
    Resolved::read(&config(services), &named)
}

#[test]
fn all_active_services_are_wanted_where_none_is_named_and_else_the_others_are_dependencies() {
    let services = json!({
        "web": { "image": "octo/web:live", "deploy": { "replicas": 2 }, "profiles": ["front"] },
        "db": { "image": "postgres" },
    });
    let all = read(services.clone(), &[]).unwrap();
    assert_eq!(all.wanted, ["db", "web"]);
    assert_eq!(all.dependencies().count(), 0);
    let one = read(services, &["web"]).unwrap();
    assert_eq!(
        one.dependencies().map(|(name, _)| name).collect::<Vec<_>>(),
        ["db"]
    );
    let (_, web) = one.wanted().next().unwrap();
    assert_eq!(
        (web.replicas, web.profiles.as_slice()),
        (2, &["front".to_owned()][..])
    );
    assert_eq!(
        web.reference.as_ref().unwrap().to_string(),
        "docker.io/octo/web:live"
    );
}

#[test]
fn a_profile_that_no_service_has_is_found_unless_services_are_named() {
    let services = json!({ "web": { "image": "w", "profiles": ["front"] } });
    let resolved = read(services, &[]).unwrap();
    let unknown = |profiles: &[&str], named: &[&str]| {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let mut project = Project::new(&part("/srv/s/compose.yml", None), None);
        (project.profiles, project.services) = (names(profiles), names(named));
        resolved.unknown_profile(&project).map(str::to_owned)
    };
    assert_eq!(unknown(&["front", "fornt"], &[]).unwrap(), "fornt");
    assert_eq!(unknown(&["front"], &[]), None);
    assert_eq!(unknown(&["*"], &[]), None);
    assert_eq!(unknown(&["fornt"], &["web"]), None);
}

#[test]
fn what_would_have_to_be_built_is_refused_unless_it_is_only_depended_on() {
    let services = json!({ "web": { "image": "w" }, "db": { "build": { "context": "." } } });
    let refused = read(services.clone(), &[]).unwrap_err();
    assert!(refused.contains("Towline builds nothing"), "{refused}");
    let resolved = read(services, &["web"]).unwrap();
    assert_eq!(resolved.services["db"].image, "stack-db");
    let named_too = json!({ "web": { "image": "w", "build": { "context": "." } } });
    assert!(read(named_too, &[]).is_ok());
}

#[test]
fn an_image_that_is_no_reference_and_a_name_for_two_containers_are_refused() {
    let refused = read(json!({ "web": { "image": "octo/web:" } }), &[]).unwrap_err();
    assert!(
        refused.contains("the service web: image reference"),
        "{refused}"
    );
    let twins = json!({
        "a": { "image": "w", "container_name": "one" },
        "b": { "image": "w", "container_name": "one" },
    });
    let refused = read(twins, &[]).unwrap_err();
    assert!(
        refused.contains("a and b have the same container_name"),
        "{refused}"
    );
    let none = read(json!({}), &[]).unwrap_err();
    assert!(none.contains("no service of it is active"), "{none}");
}

#[test]
fn a_service_without_a_hash_is_no_answer() {
    let resolved = read(json!({ "a": { "image": "w" }, "b": { "image": "w" } }), &[]).unwrap();
    let whole = resolved.clone().with_hashes("a 01\nb 02\nc 03\n").unwrap();
    assert_eq!(whole.services["b"].hash, "02");
    let refused = resolved.with_hashes("a 01\n").unwrap_err();
    assert!(refused.contains("no hash for the service b"), "{refused}");
}

#[test]
fn a_healthcheck_is_the_files_the_images_or_turned_off() {
    let of = |check: Value| {
        let services = json!({ "web": { "image": "w", "healthcheck": check } });
        read(services, &[]).unwrap().services["web"].healthcheck
    };
    assert_eq!(of(json!({ "test": ["CMD", "true"] })), Healthcheck::OfFile);
    assert_eq!(of(json!({ "interval": "5s" })), Healthcheck::OfImage);
    assert_eq!(of(Value::Null), Healthcheck::OfImage);
    assert_eq!(of(json!({ "test": ["NONE"] })), Healthcheck::Off);
    assert_eq!(of(json!({ "disable": true })), Healthcheck::Off);
}
