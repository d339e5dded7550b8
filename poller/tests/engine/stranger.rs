//! What no deploy may touch.

use std::process::Command;

use serde_json::Value;

use crate::scene::{Scene, docker, inspect};

/// A container that no service names, and a volume that it shares with one.
pub(crate) struct Stranger {
    name: String,
    pub(crate) volume: String,
    before: Value,
}

impl Stranger {
    /// Made from the image that the service is made from.
    pub(crate) fn new(scene: &Scene) -> Self {
        let (name, volume) = (
            format!("{}-stranger", scene.name),
            format!("{}-data", scene.name),
        );
        let (mount, image) = (format!("{volume}:/data"), scene.image("live"));
        docker(&[
            "run", "--detach", "--name", &name, "--volume", &mount, &image,
        ]);
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        docker(&["cp", kept, &format!("{name}:/data/kept")]);
        let before = inspect(&name);
        Self {
            name,
            volume,
            before,
        }
    }

    /// Neither it nor the volume's content was changed.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(inspect(&self.name), self.before);
        docker(&["cp", &format!("{}:/data/kept", self.name), "-"]);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        for arguments in [
            ["rm", "--force", &self.name],
            ["volume", "rm", &self.volume],
        ] {
            Command::new("docker").args(arguments).output().ok();
        }
    }
}
