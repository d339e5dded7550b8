//! A Compose project whose poller is killed: two services, of which one gets new versions, and data that both of them show.

use std::{
    fs,
    net::TcpListener,
    ops::Deref,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{
    composed::Composed,
    scene::{image, release},
};

/// What is known of the version that is deployed.
pub(crate) const SHA: &str = "2222222222222222222222222222222222222222";

/// A project on v1 of its own, and a poller that has not run yet.
pub(crate) struct Project {
    composed: Composed,
    port: u16,
}

impl Deref for Project {
    type Target = Composed;

    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Project {
    /// Brought up by hand from the images `@-web:live` and `@-side:live`, whose address `@` stands for. The service has more
    /// keys in the host's file, in which `DIR` is the project's folder.
    pub(crate) fn new(name: &str, keys: &str) -> Self {
        Self::of(name, "ok", keys)
    }

    /// The same, where v1 of `web` does this.
    pub(crate) fn of(name: &str, mode: &str, keys: &str) -> Self {
        let keys = format!("stable_for = \"3s\"\n{keys}");
        let project = Self {
            composed: Composed::new(name, "compose.yml", "", &keys),
            port: free_port(),
        };
        fs::create_dir(project.file("data")).unwrap();
        fs::write(project.data(), "first\n").unwrap();
        project.names("@-web:live");
        for (part, mode) in [("web", mode), ("side", "ok")] {
            release(&format!("{name}-{part}"), "v1", mode, &[]);
        }
        project.by_hand(&["up", "--detach", "--quiet-pull"]);
        project
    }

    /// The project's file, in which the service `web` has this image.
    fn text(port: u16, web: &str) -> String {
        let toy = |image: &str, port: u16| {
            format!(
                "{{image: \"{image}\", restart: always, ports: [\"127.0.0.1:{port}:8080\"], \
                 volumes: [\"./data:/data\"], environment: {{TOY_DATA: /data/log}}}}"
            )
        };
        let (web, side) = (toy(web, port), toy("@-side:live", port + 1));
        format!("services:\n  web: {web}\n  side: {side}\n")
    }

    /// From now on the file has this image for `web`.
    pub(crate) fn names(&self, web: &str) {
        let own = image(&self.name, "").trim_end_matches(':').to_owned();
        self.write(&Self::text(self.port, web).replace('@', &own));
    }

    /// The file of data that both services show.
    pub(crate) fn data(&self) -> PathBuf {
        self.file("data/log")
    }

    /// Pushes a v2 of `web` that does this, and lets the relay hold an intent for it.
    pub(crate) fn offer_v2(&self, mode: &str) {
        release(&format!("{}-web", self.name), "v2", mode, &[]);
        self.ask(1, SHA);
    }

    /// What `web` and `side` answer, in this order.
    pub(crate) fn answers(&self) -> [Option<String>; 2] {
        [self.port, self.port + 1].map(|port| get(port, ""))
    }

    /// Has `web` add a line to the data.
    pub(crate) fn visit(&self) {
        get(self.port, "visit");
    }

    /// How the last attempt has ended, as the relay was told, and its message; what is to be seen is that, and nothing is left
    /// over.
    pub(crate) fn truth(&self, story: &str) -> (String, String) {
        let (outcome, message) = self.told();
        let version = if outcome == "succeeded" { "v2" } else { "v1" };
        let [web, side] = self.answers();
        assert!(
            web.unwrap_or_default()
                .starts_with(&format!("toy {version} ")),
            "{story}: {message}"
        );
        assert!(
            side.unwrap_or_default().starts_with("toy v1 "),
            "{story}: {message}"
        );
        let names: Vec<_> = self
            .containers()
            .into_iter()
            .map(|one| one.service)
            .collect();
        assert_eq!(names, ["side", "web"], "{story}: {message}");
        (outcome, message)
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let asked = ureq::get(format!("http://127.0.0.1:{port}/{path}")).call();
    asked.ok()?.body_mut().read_to_string().ok()
}

/// The first of two ports that are free.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(23_000);
    loop {
        let port = NEXT.fetch_add(2, Ordering::Relaxed);
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}
