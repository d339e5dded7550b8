//! What holds for any configuration, also for broken ones.

use super::*;

#[test]
fn fields_that_nobody_here_knows_pass_through() {
    let host = json!({ "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }], "FutureThing": { "a": [1] },
                       "RestartPolicy": { "Name": "always" }, "Devices": [{ "PathOnHost": "/dev/null" }] });
    let old = container(&json!({ "FutureConfig": 7 }), &json!({}), host);
    let body = request(&old, &json!({}), &json!({})).body;
    assert_eq!(body["FutureConfig"], 7);
    assert_eq!(body["HostConfig"]["FutureThing"], json!({ "a": [1] }));
    assert_eq!(body["HostConfig"]["Ulimits"][0]["Hard"], 2);
    assert_eq!(body["HostConfig"]["RestartPolicy"], json!({ "Name": "no" }));
    assert_eq!(body["Image"], "ghcr.io/octo-org/web:latest");
}

#[test]
fn a_description_without_its_parts_is_an_error_that_names_the_part() {
    let broken = json!({ "Id": OLD_ID, "Config": {} });
    let new = image(json!({}));
    let from = Recreate {
        container: &broken,
        old_image: None,
        new_image: &new,
        reference: "web",
        deploy: "0",
        service: "web",
    };
    assert_eq!(
        create_request(&from).unwrap_err().to_string(),
        "the engine's description of the container has no HostConfig"
    );
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[ab]{1,2}", "[xy]", 0..4)
}

fn words() -> impl Strategy<Value = Option<Vec<String>>> {
    proptest::option::of(proptest::collection::vec("[a-c]", 1..3))
}

prop_compose! {
    fn a_config()(
        env in labels(), labels in labels(), ports in labels(), entrypoint in words(), cmd in words(),
        user in "[uv]?", dir in "(/[a-c])?", signal in "(SIGA|SIGB)?",
        test in words(), interval in 0u8..3, retries in 0u8..3, check in any::<bool>(),
    ) -> Value {
        let ports: BTreeMap<_, _> = ports.keys().map(|key| (key.clone(), json!({}))).collect();
        let env: Vec<_> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let health = check.then(|| json!({ "Test": test, "Interval": interval, "Retries": retries }));
        json!({ "Env": env, "Labels": labels, "ExposedPorts": ports, "Entrypoint": entrypoint, "Cmd": cmd,
                "User": user, "WorkingDir": dir, "StopSignal": signal, "Healthcheck": health })
    }
}

proptest! {
    #[test]
    fn a_replacement_from_the_same_image_is_the_same_twice(user in a_config(), defaults in a_config()) {
        let shown = merge(&user, &defaults);
        let once = after(user, defaults.clone(), defaults.clone());
        prop_assert_eq!(normal(&once), normal(&shown));
        prop_assert_eq!(normal(&after(once, defaults.clone(), defaults)), normal(&shown));
    }

    #[test]
    fn each_plain_setting_is_the_new_default_where_it_was_the_old_one_and_else_the_operators(
        user in a_config(), old in a_config(), new in a_config(),
    ) {
        let before = merge(&user, &old);
        let shown = after(user, old.clone(), new.clone());
        for field in ["User", "WorkingDir", "StopSignal"] {
            let expected = if same(before.get(field), old.get(field)) { &new[field] } else { &before[field] };
            prop_assert!(same(shown.get(field), Some(expected)) || (unset(before.get(field)) && same(shown.get(field), Some(&new[field]))));
        }
        for (key, value) in before["Labels"].as_object().unwrap() {
            let default = old["Labels"].get(key) == Some(value);
            prop_assert_eq!(shown["Labels"].get(key), if default { new["Labels"].get(key) } else { Some(value) });
        }
        for (key, value) in new["Labels"].as_object().unwrap() {
            prop_assert!(before["Labels"].get(key).is_some() || shown["Labels"].get(key) == Some(value));
        }
    }

    #[test]
    fn no_json_makes_it_panic(config in a_config(), text in ".{0,20}", number in any::<i64>()) {
        for odd in [json!(text), json!(number), json!([text]), json!({ text.clone(): number }), Value::Null] {
            let old = json!({ "Id": OLD_ID, "Config": odd, "HostConfig": { "Mounts": odd, "Binds": odd }, "Mounts": odd,
                              "NetworkSettings": { "Networks": odd } });
            for defaults in [&config, &odd] {
                let (image, new) = (image(defaults.clone()), image(odd.clone()));
                let from = Recreate { container: &old, old_image: Some(&image), new_image: &new,
                                      reference: "web", deploy: "0", service: "web" };
                let _ = create_request(&from);
            }
        }
    }
}
