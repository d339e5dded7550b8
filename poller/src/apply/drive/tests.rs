//! What a refusal in the middle does to a deploy.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::{
    docker::fake::engine,
    testing::{deploy, journal_entry},
};

#[tokio::test]
async fn a_container_whose_creation_was_not_answered_makes_room_for_a_whole_one() {
    let half_made = AtomicBool::new(true);
    let (address, asked) = engine(move |line| {
        let is_taken = half_made.load(Ordering::Relaxed);
        let labels = json!({ "towline.deploy": "0a1b2c3d" });
        match line {
            line if line.starts_with("DELETE") => {
                half_made.store(false, Ordering::Relaxed);
                (204, String::new())
            }
            line if line.contains("/create") && is_taken => {
                (409, json!({ "message": "is already in use" }).to_string())
            }
            line if line.contains("/create") => (201, json!({ "Id": "whole" }).to_string()),
            line if line.contains("/whole/") => (
                200,
                json!({ "Id": "whole", "Image": "sha256:2" }).to_string(),
            ),
            _ => {
                let name = "/web--new-0a1b2c3d";
                let shown = json!({ "Id": "half", "Name": name, "Config": { "Labels": labels } });
                (200, shown.to_string())
            }
        }
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let request = CreateRequest {
        body: json!({}),
        connect: Vec::new(),
        disconnect: None,
    };
    let with = Drive {
        engine: Cow::Owned(engine),
        service: None,
        create: vec![(request, "sha256:2".to_owned())],
        recorded: None,
        launcher: &Launcher::own(),
        entry: journal_entry(""),
        clock: StepClock::default(),
    };
    let action = deploy().next().unwrap();
    let acted = act(&with, &deploy(), &action, &|_| ()).await.unwrap();
    let id = "whole".to_owned();
    assert_eq!(acted.event, Event::Created { id });
    let asked = asked.lock().unwrap();
    let removed = asked.iter().find(|line| line.starts_with("DELETE"));
    assert!(
        removed.is_some_and(|line| line.contains("/half?")),
        "{asked:?}"
    );
}
