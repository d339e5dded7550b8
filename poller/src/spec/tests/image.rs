//! What comes from the images and what is the operator's.

use super::*;

#[test]
fn the_new_images_variables_arrive_and_the_operators_stay() {
    let old = json!({ "Env": ["PATH=/bin", "VERSION=1", "GONE=x", "LEVEL=info"] });
    let new = json!({ "Env": ["PATH=/app/bin", "VERSION=2", "LEVEL=warn", "FRESH=y"] });
    let env = after(json!({ "Env": ["LEVEL=debug", "KEY=k=v"] }), old, new);
    assert_eq!(
        env["Env"],
        json!([
            "LEVEL=debug",
            "KEY=k=v",
            "PATH=/app/bin",
            "VERSION=2",
            "FRESH=y"
        ])
    );
}

#[test]
fn of_an_image_that_names_a_variable_twice_a_replacement_has_what_the_container_had() {
    let old = json!({ "Env": ["LEVEL=info", "LEVEL=warn", "FROM_IMAGE=1"] });
    let new = json!({ "Env": ["LEVEL=error", "FROM_IMAGE=2"] });
    // What the operator set; the same image again, as both engines show it; the new image.
    for (own, same, newer) in [
        (
            json!([]),
            json!(["LEVEL=info", "LEVEL=warn", "FROM_IMAGE=1"]),
            json!(["LEVEL=error", "FROM_IMAGE=2"]),
        ),
        (
            json!(["MINE=1"]),
            json!(["MINE=1", "LEVEL=info", "FROM_IMAGE=1"]),
            json!(["MINE=1", "LEVEL=error", "FROM_IMAGE=2"]),
        ),
        (
            json!(["LEVEL=info"]),
            json!(["LEVEL=info", "FROM_IMAGE=1"]),
            json!(["LEVEL=info", "FROM_IMAGE=2"]),
        ),
        (
            json!(["MINE=1", "LEVEL=warn"]),
            json!(["MINE=1", "LEVEL=warn", "FROM_IMAGE=1"]),
            json!(["MINE=1", "LEVEL=warn", "FROM_IMAGE=2"]),
        ),
    ] {
        let config = json!({ "Env": own });
        assert_eq!(after(config.clone(), old.clone(), old.clone())["Env"], same);
        assert_eq!(after(config, old.clone(), new.clone())["Env"], newer);
    }
}

#[test]
fn the_root_that_the_operator_asked_for_is_not_the_new_images_directory() {
    let new = json!({ "WorkingDir": "/app" });
    let asked = after(json!({ "WorkingDir": "/" }), json!({}), new.clone());
    assert_eq!(asked["WorkingDir"], "/");
    let never = after(json!({}), json!({ "WorkingDir": "/" }), new);
    assert_eq!(never["WorkingDir"], "/app");
}

#[test]
fn labels_go_by_key_and_ours_are_only_the_new_deploys() {
    let old = json!({ "Labels": { "org.opencontainers.image.version": "1", "gone": "x" } });
    let new = json!({ "Labels": { "org.opencontainers.image.version": "2" } });
    let mine = json!({ "Labels": { "traefik.enable": "true", "towline.deploy": "ffffffff", "towline.mine": "1" } });
    let labels = after(mine, old, new)["Labels"].clone();
    assert_eq!(
        labels,
        json!({ "org.opencontainers.image.version": "2", "traefik.enable": "true", "towline.mine": "1", "towline.deploy": "0a1b2c3d",
                "towline.service": "web", "towline.predecessor": OLD_ID })
    );
}

#[test]
fn composes_image_label_follows_the_image_and_is_never_added() {
    let mine = json!({ "Labels": { "com.docker.compose.image": "sha256:aaaa", "com.docker.compose.config-hash": "h" } });
    let labels = replaced(mine, json!({}), json!({}))["Labels"].clone();
    assert_eq!(labels["com.docker.compose.image"], NEW_IMAGE);
    assert_eq!(labels["com.docker.compose.config-hash"], "h");
    let without = replaced(json!({}), json!({}), json!({}));
    assert!(without["Labels"].get("com.docker.compose.image").is_none());
}

#[test]
fn an_entrypoint_and_its_command_are_kept_or_inherited_as_a_pair() {
    let old = json!({ "Entrypoint": ["/app"], "Cmd": ["serve"] });
    let new = json!({ "Entrypoint": ["/new"], "Cmd": ["run"] });
    let pair = |config: Value| {
        let shown = after(config, old.clone(), new.clone());
        (shown["Entrypoint"].clone(), shown["Cmd"].clone())
    };
    assert_eq!(pair(json!({})), (json!(["/new"]), json!(["run"])));
    assert_eq!(
        pair(json!({ "Cmd": ["mine"] })),
        (json!(["/new"]), json!(["mine"]))
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/sh"] })),
        (json!(["/sh"]), Value::Null)
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/sh"], "Cmd": ["serve"] })),
        (json!(["/sh"]), json!(["serve"]))
    );
    assert_eq!(
        pair(json!({ "Entrypoint": ["/app"] })),
        (json!(["/app"]), Value::Null)
    );
    assert_eq!(
        pair(json!({ "Entrypoint": [""], "Cmd": ["x"] })),
        (Value::Null, json!(["x"]))
    );
}

#[test]
fn a_healthcheck_is_the_images_but_for_the_fields_that_the_operator_set() {
    let old =
        json!({ "Healthcheck": { "Test": ["CMD", "old"], "Interval": 30, "StartInterval": 5 } });
    let new =
        json!({ "Healthcheck": { "Test": ["CMD", "new"], "Interval": 60, "StartInterval": 7 } });
    let check = |config: Value| after(config, old.clone(), new.clone())["Healthcheck"].clone();
    assert_eq!(check(json!({})), new["Healthcheck"]);
    assert_eq!(
        check(json!({ "Healthcheck": { "Interval": 10 } })),
        json!({ "Interval": 10, "Test": ["CMD", "new"], "StartInterval": 7 })
    );
    assert_eq!(
        check(json!({ "Healthcheck": { "Test": ["NONE"] } }))["Test"],
        json!(["NONE"])
    );
}

#[test]
fn plain_settings_that_equal_the_old_default_follow_the_image() {
    let old = json!({ "User": "app", "StopSignal": "SIGTERM", "WorkingDir": "/srv/" });
    let new = json!({ "User": "web", "StopSignal": "SIGQUIT", "WorkingDir": "/new" });
    let shown = after(json!({ "WorkingDir": "/srv" }), old.clone(), new.clone());
    assert_eq!(
        (&shown["User"], &shown["StopSignal"], &shown["WorkingDir"]),
        (&json!("web"), &json!("SIGQUIT"), &json!("/new"))
    );
    let shown = after(json!({ "User": "1000", "StopTimeout": 3 }), old, new);
    assert_eq!(
        (&shown["User"], &shown["StopTimeout"]),
        (&json!("1000"), &json!(3))
    );
}

#[test]
fn a_published_port_stays_exposed_and_the_old_images_others_do_not() {
    let old = json!({ "ExposedPorts": { "80/tcp": {}, "81/tcp": {} } });
    let host = json!({ "PortBindings": { "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] } });
    let body = request(&container(&json!({}), &old, host), &old, &json!({})).body;
    assert_eq!(body["ExposedPorts"], json!({ "80/tcp": {} }));
    assert_eq!(
        body["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"],
        "8080"
    );
}

#[test]
fn a_hostname_that_is_the_old_id_goes_and_a_chosen_one_stays() {
    assert!(
        replaced(json!({ "Hostname": &OLD_ID[..12] }), json!({}), json!({}))
            .get("Hostname")
            .is_none()
    );
    assert_eq!(
        replaced(json!({ "Hostname": "web" }), json!({}), json!({}))["Hostname"],
        "web"
    );
}
