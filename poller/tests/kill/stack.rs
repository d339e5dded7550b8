//! A Compose project whose poller is killed, alone or in a checkout with data, and all that can be seen of it.

use std::{fs, ops::Deref};

use crate::{
    composed::Composed,
    images::{Images, V2},
    project::SHA,
    remote::Remote,
    scene::docker,
    seen,
};

/// Where the project comes from.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// Its file lies on the host.
    Host,
    /// It is in a checkout of this remote. Each version moves the data, which are backed up before.
    Git(&'a Remote),
}

/// A project on v1, and a poller that is offered a v2.
pub(crate) struct Stack<'a> {
    composed: Composed,
    /// The reference of the image that gets new versions.
    image: String,
    pub(crate) origin: Origin<'a>,
}

impl Deref for Stack<'_> {
    type Target = Composed;

    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl<'a> Stack<'a> {
    /// Everything is called `name`.
    pub(crate) fn new(name: String, v2: V2, origin: Origin<'a>) -> Self {
        const API: &str = ", services = [\"api\"]";
        const IN_GIT: &str =
            "git = { path = \"DIR/app\" }\nbackup = { paths = [\"DIR/data\"], restore = true }\n";
        let (file, keys) = match origin {
            Origin::Host => ("compose.yml", ""),
            Origin::Git(_) => ("app/compose.yml", IN_GIT),
        };
        let keys = format!("stable_for = \"1s\"\n{keys}");
        let stack = Self {
            composed: Composed::new(&name, file, API, &keys),
            image: Images::get().released(v2, &name),
            origin,
        };
        match origin {
            Origin::Host => stack.lies_on_the_host(),
            Origin::Git(remote) => stack.lies_in(remote),
        }
        stack.by_hand(&["up", "--detach", "--pull", "never"]);
        stack.ask(1, stack.sha(v2));
        stack
    }

    fn lies_on_the_host(&self) {
        let image = &self.image;
        self.write(&format!(
            "services:\n  api:\n    image: {image}\n  other:\n    image: {image}\n"
        ));
    }

    fn lies_in(&self, remote: &Remote) {
        remote.clone_to(&self.file("app"));
        let images = format!("IMAGE={}\nOTHER={}\n", self.image, Images::get().v1_alone());
        fs::write(self.file("app/.env"), images).unwrap();
        fs::create_dir(self.file("data")).unwrap();
        fs::write(self.file("data/db"), "v1\n").unwrap();
    }

    /// The commit of a version that does this.
    fn sha(&self, v2: V2) -> &str {
        match (self.origin, v2) {
            (Origin::Host, _) => SHA,
            (Origin::Git(remote), V2::Good) => &remote.good,
            (Origin::Git(remote), V2::Bad) => &remote.bad,
        }
    }

    /// All that can be seen, a line each, with the names of the project and its image taken out, so that hosts can be compared: its
    /// containers, its network, the version that the image's reference leads to; checkout, data, and what lies around.
    pub(crate) fn world(&self) -> Vec<String> {
        let containers = self.containers().into_iter();
        let mut world: Vec<_> = containers
            .map(|one| format!("{} {} {}", one.name, one.image, one.runs))
            .collect();
        let label = self.label();
        let networks = ["network", "ls", "--filter", &label, "--format", "{{.Name}}"];
        world.push(docker(&networks));
        world.push(docker(&[
            "image",
            "inspect",
            "--format",
            "{{.Id}}",
            &self.image,
        ]));
        if let Origin::Git(_) = self.origin {
            world.extend(seen::checkout(&self.file("app")));
            world.push(fs::read_to_string(self.file("data/db")).unwrap());
            for folder in [self.file(""), self.file("data"), self.state()] {
                world.extend(seen::names(&folder));
            }
            world.extend(seen::running(&[&self.file(""), &self.state()]));
        }
        let world = world.into_iter();
        world.map(|line| line.replace(&self.name, "NAME")).collect()
    }

    /// The ids of its containers.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.containers().into_iter().map(|one| one.id).collect()
    }

    /// The id of the container that was not to be touched.
    pub(crate) fn other(&self) -> String {
        let mut containers = self.containers().into_iter();
        containers.find(|one| one.service == "other").unwrap().id
    }

    /// Whether the commit that is in place, its label on the container and the data are of one version.
    pub(crate) fn is_of_one_version(&self, story: &str) {
        let Origin::Git(remote) = self.origin else {
            return;
        };
        let head = &seen::checkout(&self.file("app"))[0];
        let (version, moved) = match remote.name(head) {
            "v1" => ("v1", "v1\n"),
            "v2" => ("v2", "v1\nv2\n"),
            other => (other, ""),
        };
        let label = "{{index .Config.Labels \"commit\"}}";
        let api = format!("{}-api-1", self.name);
        let labelled = docker(&["inspect", "--format", label, &api]);
        let data = fs::read_to_string(self.file("data/db")).unwrap();
        assert_eq!(
            (labelled.as_str(), data.as_str()),
            (version, moved),
            "{story}"
        );
        self.is_compose_s();
    }
}
