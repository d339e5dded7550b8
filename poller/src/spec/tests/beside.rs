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
        connect("front", named(&["api", "shop-web-1"])),
        connect("back", named(&["db-client", "shop-web-1"])),
    ];
    assert_eq!(
        request.named("shop-web-1"),
        expected,
        "a name that it has is not given twice"
    );
}

#[test]
fn names_are_given_on_networks_that_have_names_alone() {
    let plain = json!({ "Aliases": null });
    let both = json!({ "bridge": plain, "front": plain });
    let named = [connect("front", json!({ "Aliases": ["web"] }))];
    for (mode, networks) in [
        ("bridge", both.clone()),
        ("default", both.clone()),
        ("front", both),
        ("front", json!({ "front": plain })),
    ] {
        assert_eq!(networked(mode, networks).named("web"), named, "{mode}");
    }
    for mode in ["bridge", "default"] {
        let alone = networked(mode, json!({ "bridge": plain }));
        assert_eq!(alone.named("web"), [], "{mode}");
    }
}
