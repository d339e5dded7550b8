//! Which images are asked for: the file names them, an intent at most a digest of one.

use serde_json::{Value, json};
use towline_protocol::Image;

use crate::compose::{Resolved, WantedImage, asked};

const ONE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn ask(
    services: Value,
    image: Option<(Option<&str>, Option<&str>)>,
) -> Result<Vec<WantedImage>, String> {
    let config = json!({ "name": "s", "services": services });
    let intent = image.map(|(reference, digest)| Image {
        reference: reference.map(str::to_owned),
        digest: digest.map(|digest| digest.parse().unwrap()),
    });
    asked(&Resolved::read(&config, &[]).unwrap(), intent.as_ref())
}

fn stack() -> Value {
    json!({
        "api": { "image": "ghcr.io/octo-org/app:live" },
        "worker": { "image": "ghcr.io/octo-org/app:live" },
        "proxy": { "image": "caddy" },
    })
}

#[test]
fn one_image_of_two_services_is_asked_for_once() {
    let images = ask(stack(), None).unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0].services, ["api", "worker"]);
    assert!(images.iter().all(|image| image.digest.is_none()));
}

#[test]
fn the_digest_of_an_intent_is_that_of_the_image_that_it_is_about() {
    for reference in ["ghcr.io/octo-org/app:live", "ghcr.io/octo-org/app:live@"] {
        let reference = reference.replace('@', &format!("@{ONE}"));
        let images = ask(stack(), Some((Some(&reference), Some(ONE)))).unwrap();
        assert_eq!(images[0].digest, Some(ONE.parse().unwrap()));
        assert_eq!(images[1].digest, None);
    }
    let alone = json!({ "api": { "image": "octo/app" }, "worker": { "image": "octo/app" } });
    let images = ask(alone, Some((None, Some(ONE)))).unwrap();
    assert_eq!(images[0].digest, Some(ONE.parse().unwrap()));
}

#[test]
fn an_intent_about_what_the_file_does_not_name_is_refused() {
    let pinned = || json!({ "api": { "image": format!("octo/app@{ONE}") } });
    for (services, image, words) in [
        (
            stack(),
            (Some("ghcr.io/evil/app:live"), Some(ONE)),
            "the services use ghcr.io/octo-org/app:live",
        ),
        (
            stack(),
            (Some("ghcr.io/octo-org/app:v2"), Some(ONE)),
            "the Compose file names the tag",
        ),
        (stack(), (None, Some(ONE)), "which could be each of"),
        (stack(), (Some("octo app"), None), "is not valid"),
        (
            pinned(),
            (None, Some(TWO)),
            "the intent asks for 222222222222",
        ),
    ] {
        let refused = ask(services, Some(image)).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    let two = format!("ghcr.io/octo-org/app:live@{TWO}");
    let refused = ask(stack(), Some((Some(&two), Some(ONE)))).unwrap_err();
    assert!(refused.contains("two different digests"), "{refused}");
}
