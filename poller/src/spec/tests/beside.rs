//! Replacements that nobody is to find before they are well.

use super::*;

fn endpoint(aliases: &[&str]) -> Value {
    json!({ "IPAMConfig": null, "DriverOpts": { "a": "b" }, "Aliases": aliases })
}

fn connect(network: &str, endpoint: Value) -> Connect {
    Connect {
        network: network.to_owned(),
        endpoint,
    }
}

#[test]
fn a_new_container_has_none_of_the_names_at_first_and_all_of_them_later() {
    let short = &OLD_ID[..12];
    let networks = json!({ "back": endpoint(&["db-client"]), "front": endpoint(&[short, "api", "shop-web-1"]) });
    let request = networked("front", networks);
    let unnamed = request.unnamed();
    let none = json!({ "DriverOpts": { "a": "b" } });
    assert_eq!(
        unnamed.body["NetworkingConfig"]["EndpointsConfig"],
        json!({ "front": none })
    );
    assert_eq!(unnamed.connect, [connect("back", none)]);
    let named = |aliases: &[&str]| json!({ "DriverOpts": { "a": "b" }, "Aliases": aliases });
    let expected = [
        connect("front", named(&["api"])),
        connect("back", named(&["db-client"])),
    ];
    assert_eq!(
        request.named("shop-web-1"),
        expected,
        "its own name is no alias: that would stay with it when another one has the name"
    );
}

#[test]
fn names_are_given_on_networks_that_have_names_alone() {
    let plain = json!({ "Aliases": null });
    let aliased = json!({ "Aliases": ["api"] });
    let both = json!({ "bridge": plain, "front": aliased });
    let named = [connect("front", json!({ "Aliases": ["api"] }))];
    for (mode, networks) in [
        ("bridge", both.clone()),
        ("default", both.clone()),
        ("front", both),
        ("front", json!({ "front": aliased })),
    ] {
        assert_eq!(networked(mode, networks).named("web"), named, "{mode}");
    }
    for (mode, networks) in [
        ("bridge", json!({ "bridge": plain })),
        ("default", json!({ "bridge": plain })),
        ("front", json!({ "front": plain })),
        ("front", json!({ "front": { "Aliases": ["web"] } })),
    ] {
        let alone = networked(mode, networks);
        assert_eq!(alone.named("web"), [], "{mode}");
    }
}
