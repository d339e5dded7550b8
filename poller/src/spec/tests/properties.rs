//! What holds for any configuration, also for broken ones.

use super::{faithful::a_config, *};

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

proptest! {
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
