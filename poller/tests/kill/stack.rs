//! A Compose project whose poller is killed, and all that can be seen of it.

use std::{fs, ops::Deref};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    images::{Images, V2},
    poller::Poller,
    relay::manual,
    scene::{docker, required},
};

/// A project on v1, and a poller that is offered a v2.
pub(crate) struct Stack {
    name: String,
    /// The reference of its image.
    image: String,
    poller: Poller,
    folder: TempDir,
}

impl Deref for Stack {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl Stack {
    /// Everything is called `name`.
    pub(crate) fn new(name: String, v2: V2) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yml");
        let image = Images::get().released(v2, &name);
        let project = format!(
            "name: {name}\nservices:\n  api:\n    image: {image}\n  other:\n    image: {image}\n"
        );
        fs::write(&file, project).unwrap();
        let service = format!(
            "[service.app]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\nstable_for = \"1s\"\n\
             compose = {{ file = {file:?}, services = [\"api\"] }}\n"
        );
        let stack = Self {
            name,
            image,
            poller: Poller::new(&service, required("DOCKER_HOST")),
            folder,
        };
        stack.compose(&["up", "--detach", "--pull", "never"]);
        let mut intent = manual(1);
        intent["service"] = json!("app");
        intent.as_object_mut().unwrap().remove("image");
        stack.offer(&[intent]);
        stack
    }

    fn compose(&self, arguments: &[&str]) -> String {
        let file = self.folder.path().join("compose.yml");
        let file = ["compose", "--file", file.to_str().unwrap()];
        docker(&[&file, arguments].concat())
    }

    /// A line for each container: its name, its image and whether it runs; one for each network; the version that the image's
    /// reference leads to.
    pub(crate) fn world(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &label]);
        let show = "{{.Name}} {{.Image}} {{.State.Running}}";
        let mut inspect = vec!["inspect", "--format", show];
        inspect.extend(ids.lines());
        let mut world: Vec<_> = docker(&inspect).lines().map(str::to_owned).collect();
        world.sort();
        let networks = ["network", "ls", "--filter", &label, "--format", "{{.Name}}"];
        world.push(docker(&networks));
        world.push(self.tagged());
        world
    }

    /// The id of the image that the reference leads to.
    pub(crate) fn tagged(&self) -> String {
        docker(&["image", "inspect", "--format", "{{.Id}}", &self.image])
    }

    /// What is to be seen, with the names of the project and its image taken out, so that hosts can be compared.
    pub(crate) fn seen(&self) -> Vec<String> {
        let lines = self.world().into_iter();
        lines.map(|line| line.replace(&self.name, "NAME")).collect()
    }

    /// The id of the container that was not to be touched.
    pub(crate) fn other(&self) -> String {
        self.compose(&["ps", "--quiet", "other"])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.compose(&["down", "--timeout", "1", "--volumes"]);
    }
}
