//! Projects on the real Compose v2: what is refused before anything is touched, bringing up, and every way back.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use tempfile::TempDir;
use towline::{
    compose::{
        Asked, Cli, ComposeError, Container, Patience, Project, Pulled, Resolved, Up, Variables,
        asked, containers, digests, pull, pull_missing, tag_back, tag_forth,
    },
    docker::Docker,
    process::Launcher,
    settings::Compose,
};
use towline_tests::program;

use crate::scene::{docker, image, release, required};

mod back;
mod by_hand;
mod deployed;
mod images;
mod killed;
mod missing;
mod refused;
mod standing;
mod taken_back;
mod up;

/// A project of a test's own, called as the test says, with what it made until the test's end.
pub(crate) struct Stack {
    pub(crate) name: &'static str,
    pub(crate) part: Compose,
    pub(crate) engine: Docker,
    pub(crate) cli: Cli,
    folder: TempDir,
}

/// The binary that starts programs.
pub(crate) fn launcher() -> Launcher {
    Launcher(env!("CARGO_BIN_EXE_towline").into())
}

impl Stack {
    /// A project in a folder of that name, with this file; `@` in it stands for the registry and the project's name.
    pub(crate) async fn new(name: &'static str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(name)).unwrap();
        let engine = Docker::connect(Some(&required("DOCKER_HOST")))
            .await
            .unwrap();
        let part = Compose {
            file: folder.path().join(name).join("compose.yml"),
            project: None,
            services: Vec::new(),
            profiles: Vec::new(),
            env_file: None,
        };
        let cli = Cli::new(launcher(), env::vars(), &engine);
        let stack = Self {
            name,
            part,
            engine,
            cli,
            folder,
        };
        stack.write("compose.yml", text);
        stack
    }

    /// A file beside the project's.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(self.name).join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let own = image(self.name, "").trim_end_matches(':').to_owned();
        fs::write(self.path(file), text.replace('@', &own)).unwrap();
    }

    /// Pushes a version of `@-PART`, and lets `live` lead to it in the registry.
    pub(crate) fn release(&self, part: &str, version: &str) -> String {
        release(&self.repository(part), version, "ok", &[])
    }

    pub(crate) fn repository(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    pub(crate) fn wants(mut self, services: &[&str]) -> Self {
        self.part.services = services.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn project(&self) -> Project {
        Project::new(&self.part, None)
    }

    pub(crate) async fn resolve(&self, told: &Variables) -> Result<Resolved, ComposeError> {
        self.cli.resolve(&self.project(), told).await
    }

    /// What it is resolved to, with all of its images on the engine.
    pub(crate) async fn prepared(&self, told: &Variables) -> (Resolved, Vec<Pulled>) {
        let resolved = self.resolve(told).await.unwrap();
        let asked: Vec<Asked> = digests(&self.engine, asked(&resolved, None).unwrap())
            .await
            .unwrap();
        let before = self.containers().await;
        let mut pulled = pull(&self.engine, &asked, &before, &mut |_| ())
            .await
            .unwrap();
        pulled.extend(
            pull_missing(&self.engine, &resolved, &mut |_| ())
                .await
                .unwrap(),
        );
        (resolved, pulled)
    }

    /// Moves the file's tags to what was pulled.
    pub(crate) async fn tag(&self, pulled: &[Pulled]) {
        for tag in pulled.iter().filter_map(|pulled| pulled.tag.as_ref()) {
            tag_forth(&self.engine, tag).await.unwrap();
        }
    }

    /// And back to where they were.
    pub(crate) async fn untag(&self, pulled: &[Pulled]) {
        for tag in pulled.iter().filter_map(|pulled| pulled.tag.as_ref()) {
            tag_back(&self.engine, tag).await.unwrap();
        }
    }

    /// Brings these services up; returns what Compose said.
    pub(crate) async fn up(
        &self,
        services: &[String],
        told: &Variables,
        pins: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, ComposeError> {
        let up = Up {
            project: &self.project(),
            name: self.name,
            services,
            told,
            pins,
            scale: &BTreeMap::new(),
            stop_timeout: None,
            patience: Patience::AFTER_ANOTHER,
        };
        let mut lines = Vec::new();
        let mut line = |line: &str| lines.push(line.to_owned());
        self.cli
            .up(&self.engine, &up, &mut |_| Ok(()), &mut line)
            .await?;
        Ok(lines)
    }

    /// A whole deploy of what the file and the registry have now, which ends well.
    pub(crate) async fn deploy(&self, told: &Variables) -> (Resolved, Vec<Pulled>) {
        let (resolved, pulled) = self.prepared(told).await;
        self.tag(&pulled).await;
        self.up(&resolved.wanted, told, &BTreeMap::new())
            .await
            .unwrap();
        (resolved, pulled)
    }

    pub(crate) async fn containers(&self) -> Vec<Container> {
        containers(&self.engine, self.name).await.unwrap()
    }

    /// The project's container of this service, which is the only one.
    pub(crate) async fn only(&self, service: &str) -> Container {
        let mut its = self.containers().await;
        its.retain(|one| one.service == service);
        assert_eq!(its.len(), 1, "{service}: {its:?}");
        its.remove(0)
    }

    /// `docker compose` as a user runs it.
    pub(crate) fn by_hand(&self, arguments: &[&str]) -> String {
        let file = self.part.file.to_str().unwrap();
        docker(&[&["compose", "--file", file], arguments].concat())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.name);
        for (list, remove) in [
            (&["ps", "-aq"][..], &["rm", "--force", "--volumes"][..]),
            (&["network", "ls", "-q"], &["network", "rm"]),
            (&["volume", "ls", "-q"], &["volume", "rm"]),
        ] {
            let ids = docker(&[list, &["--filter", &label]].concat());
            let ids: Vec<_> = ids.lines().collect();
            if !ids.is_empty() {
                docker(&[remove, &ids].concat());
            }
        }
    }
}

/// What a project is told of a version that is known by this commit.
pub(crate) fn told(sha: &str) -> [(String, String); 1] {
    [("TOWLINE_SHA".to_owned(), sha.to_owned())]
}

/// The id of a local image.
pub(crate) fn image_id(reference: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Id}}", reference])
}

/// A folder with one executable file.
pub(crate) fn program(name: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    program::write(&folder.path().join(name), script).unwrap();
    folder
}
