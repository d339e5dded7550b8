//! A Compose project in a git checkout, deployed as one: relay, binary, git, Compose, engine and registry together.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use towline_protocol::Role;
use towline_tests::{
    checkout::Checkout,
    docker::{containers, docker, inspect, push},
    git_server::GitServer,
    github::Delivery,
    host::Host,
    http::page,
    place::{free_port, sandbox},
    relay::token,
};

use crate::{
    relay,
    whole_way::{PATIENCE, queued, reported},
};

/// A project that runs as its first commit says, and the host's file for it.
struct Stack {
    name: &'static str,
    repository_id: u64,
    port: u16,
    code: Checkout,
    _server: GitServer,
    host: Host,
}

impl Stack {
    fn new(name: &'static str, repository_id: u64) -> Result<Self> {
        let port = free_port()?;
        let code = Checkout::new(&[("compose.yml", &text(name, port, "one", "")?)])?;
        let pi = token(Role::Host, name, &["octo-org/*"])?;
        let section = format!(
            "[service.stack]\nrepository = \"octo-org/{name}\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             stable_for = \"1s\"\ngit = {{ path = {:?} }}\ncompose = {{ file = \"compose.yml\" }}\n\
             health = [{{ http = \"http://127.0.0.1:{port}/\", contains = \"toy\", within = \"20s\" }}]\n",
            code.path("checkout").display().to_string(),
        );
        let stack = Self {
            name,
            repository_id,
            port,
            _server: code.over_http()?,
            host: Host::new(&relay()?.url, &pi, &section)?,
            code,
        };
        let first = stack.code.head()?;
        push(name, &first, "ok")?;
        stack.by_hand(&first)?;
        assert_eq!(stack.page()?, format!("toy {first} one"));
        Ok(stack)
    }

    /// `docker compose up`, as its user did it before there was Towline.
    fn by_hand(&self, sha: &str) -> Result<()> {
        let mut up = Command::new("docker");
        up.args(["compose", "up", "--detach", "--quiet-pull"]);
        up.current_dir(self.code.path("checkout"));
        let output = up.env("TOWLINE_SHA", sha).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker compose up: {said}");
        Ok(())
    }

    /// Commits this greeting, with these further services, pushes an image of the commit that behaves by `mode`, and tells
    /// that CI has succeeded in run `number`. Returns the commit, the exit status of `towline once` and the report.
    fn release(
        &self,
        number: u64,
        (greeting, more, mode): (&str, &str, &str),
    ) -> Result<(String, Option<i32>, Value)> {
        let file = text(self.name, self.port, greeting, more)?;
        let sha = self.code.commit(greeting, &[("compose.yml", &file)])?;
        push(self.name, &sha, mode)?;
        let repository = format!("octo-org/{}", self.name);
        let intent = queued(&Delivery::run(number, &sha)?.of(&repository, self.repository_id))?;
        let (status, said) = self.host.once()?;
        let report = reported(&intent, self.name, "stack").with_context(|| said)?;
        Ok((sha, status, report))
    }

    fn page(&self) -> Result<String> {
        page(&format!("http://127.0.0.1:{}/", self.port), PATIENCE)
    }

    /// The names and images of its containers.
    fn containers(&self) -> Result<Vec<(String, Value)>> {
        let names = containers(&format!("com.docker.compose.project={}", self.name))?;
        let images = names.into_iter().map(|name| {
            let image = inspect(&name)?["Image"].clone();
            Ok((name, image))
        });
        images.collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = docker(&["compose", "--project-name", self.name, "down"]);
    }
}

/// The project's file.
fn text(name: &str, port: u16, greeting: &str, more: &str) -> Result<String> {
    let image = format!(
        "{}/{name}:${{TOWLINE_SHA:?}}",
        sandbox("TOWLINE_TEST_REGISTRY")?
    );
    let more = more.replace("IMAGE", &image);
    Ok(format!(
        "name: {name}\nservices:\n  web:\n    image: \"{image}\"\n    ports: [\"127.0.0.1:{port}:8080\"]\n    \
         environment: {{GREETING: {greeting}}}\n{more}"
    ))
}

#[test]
fn a_commit_brings_its_file_and_its_image_and_a_broken_one_takes_neither_along() -> Result<()> {
    let stack = Stack::new("stacked", 751)?;
    let (well, status, report) = stack.release(2, ("two", "", "ok"))?;
    assert_eq!(
        (status, report["outcome"].as_str()),
        (Some(0), Some("succeeded")),
        "{report}"
    );
    assert_eq!(stack.page()?, format!("toy {well} two"));
    let before = stack.containers()?;
    assert_eq!((stack.code.head()?, before.len()), (well.clone(), 1));

    let more = "  extra:\n    image: \"IMAGE\"\n";
    let (broken, status, report) = stack.release(3, ("three", more, "exit"))?;
    assert_eq!(
        (status, report["outcome"].as_str()),
        (Some(3), Some("rolled_back")),
        "{report}"
    );
    let last_words = report["log_tail"].as_str().unwrap_or_default();
    assert!(
        last_words.contains(&format!("toy {broken} starts in mode exit")),
        "{report}"
    );
    assert_eq!(stack.page()?, format!("toy {well} two"));
    assert_eq!(stack.code.head()?, well);
    assert_eq!(
        stack.containers()?,
        before,
        "the same set of the same images"
    );
    Ok(())
}

#[test]
fn a_project_is_taken_back_with_its_checkout_but_not_over_changes_that_somebody_has_made()
-> Result<()> {
    let stack = Stack::new("restacked", 757)?;
    let (earlier, status, report) = stack.release(2, ("two", "", "ok"))?;
    assert_eq!(status, Some(0), "{report}");
    let before = stack.containers()?;
    let (left, status, report) = stack.release(3, ("three", "", "ok"))?;
    assert_eq!(status, Some(0), "{report}");
    assert_eq!(stack.page()?, format!("toy {left} three"));

    let back = stack.host.call(&["rollback", "stack"])?;
    let said = String::from_utf8_lossy(&back.stderr);
    assert_eq!(back.status.code(), Some(0), "{said}");
    assert_eq!(stack.page()?, format!("toy {earlier} two"));
    assert_eq!(stack.code.head()?, earlier);
    let images = |all: Vec<(String, Value)>| all.into_iter().map(|(_, image)| image).collect();
    let [then, now]: [Vec<Value>; 2] = [before, stack.containers()?].map(images);
    assert_eq!(now, then);
    let before = stack.containers()?;
    fs::write(
        stack.code.path("checkout").join("compose.yml"),
        "services: {}",
    )?;
    let refused = stack.host.call(&["rollback", "stack", "--to", &left])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("nothing was touched") && said.contains("compose.yml"),
        "{said}"
    );
    assert_eq!(stack.containers()?, before);
    Ok(())
}
