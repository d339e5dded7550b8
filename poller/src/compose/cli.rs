//! `docker compose`, run by [`process`]: its version, and what it makes of a file. Not here: bringing services up (`up`).

use std::{path::Path, time::Duration};

use serde_json::Value;

use super::{ComposeError, Project, Resolved, Variables, project_name, unset};
use crate::{
    docker::Docker,
    process::{self, Ended, GRACE, How, Launcher, Order, ProcessError, Refusal},
};

/// The oldest Compose that will do, as numbers and in words: older ones were never tried.
const NEEDED: ((u64, u64), &str) = ((2, 20), "2.20");
/// How long Compose may think about a file.
const THINKING: Duration = Duration::from_secs(60);
/// Variables of our own that Docker's command line is given, beside those whose names begin so.
const PASSED: [&str; 2] = ["PATH", "HOME"];
const PASSED_BEGINNING: &str = "DOCKER_";
/// Those of them that say which engine: ours is said anew.
const WHICH_ENGINE: [&str; 2] = ["DOCKER_HOST", "DOCKER_CONTEXT"];
/// What Compose says of a file of variables that it cannot read: one of a project, or one of a service of it.
const NO_VARIABLES: [&str; 4] = [
    "failed to read ",
    "unterminated quoted value",
    "unexpected character \"",
    "Invalid template:",
];

/// Docker's command line with its plugin Compose, for one engine.
#[derive(Clone, Debug)]
pub struct Cli {
    pub(super) launcher: Launcher,
    environment: Vec<(String, String)>,
}

impl Cli {
    /// For `engine`, with what Docker's command line needs of `own`, the variables of this process.
    pub fn new(
        launcher: Launcher,
        own: impl IntoIterator<Item = (String, String)>,
        engine: &Docker,
    ) -> Self {
        let is_passed = |name: &str| {
            let is_dockers = name.starts_with(PASSED_BEGINNING) && !WHICH_ENGINE.contains(&name);
            PASSED.contains(&name) || is_dockers
        };
        let own = own.into_iter().filter(|(name, _)| is_passed(name));
        let mut environment: Vec<_> = own.collect();
        environment.push(("DOCKER_HOST".to_owned(), engine.address()));
        Self {
            launcher,
            environment,
        }
    }

    /// The version of Compose, which is new enough and says what Towline has to know.
    ///
    /// # Errors
    /// When there is none that will do.
    pub async fn version(&self) -> Result<String, ComposeError> {
        let asked = self
            .ask("docker", &["compose", "version", "--short"], None)
            .await;
        let said = match asked {
            Ok((ended, _)) if ended.how == How::Exited(0) => text(&ended.stdout),
            Ok((ended, _)) => return Err(self.missing(first_line(&ended.tail)).await),
            Err(ProcessError::Refused(refused @ Refusal::NotInPath { .. })) => {
                return Err(self.missing(&refused.to_string()).await);
            }
            Err(error) => return Err(error.into()),
        };
        let found = said.trim().trim_start_matches('v').to_owned();
        match numbers(&found) {
            None => Err(ComposeError::Unexpected(format!("the version {found:?}"))),
            Some(numbers) if numbers < NEEDED.0 => Err(ComposeError::TooOld {
                found,
                needed: NEEDED.1,
            }),
            Some(_) => Ok(found),
        }
    }

    async fn missing(&self, said: &str) -> ComposeError {
        let one = self
            .ask("docker-compose", &["version", "--short"], None)
            .await;
        let standalone = one.ok().map(|(ended, _)| text(&ended.stdout));
        let standalone = standalone.filter(|said| !said.trim().is_empty());
        let hint = match standalone.as_deref().map(str::trim) {
            Some(v1) if v1.starts_with("1.") => format!(
                "; there is docker-compose {v1}, whose time is over: install the plugin, and `docker compose up -d` the \
                 project once by hand"
            ),
            Some(other) => format!(
                "; there is docker-compose {other}, which has to be Docker's plugin (`docker compose`)"
            ),
            None => "; install Docker's plugin, for instance the package docker-compose-plugin or docker-compose-v2"
                .to_owned(),
        };
        ComposeError::Missing(format!("`docker compose version` says: {said}{hint}"))
    }

    /// What Compose makes of the project. Nothing is touched; no engine is asked.
    ///
    /// # Errors
    /// When it cannot be understood, or is not deployed as it is.
    pub async fn resolve(
        &self,
        project: &Project,
        told: &Variables,
    ) -> Result<Resolved, ComposeError> {
        self.check_words().await?;
        let mut name = project.name.clone();
        let mut config = self.config(project, name.as_deref(), told).await?;
        let found = config.get("name").and_then(Value::as_str);
        // A scratch copy lies in another folder than the project.
        if name.is_none() && found == Some(&project_name(&project.file)) {
            let meant = project_name(&project.home);
            if found != Some(&meant) {
                config = self.config(project, Some(&meant), told).await?;
                name = Some(meant);
            }
        }
        let refused = |why| refused(&project.file, why);
        let resolved = Resolved::read(&config, &project.services).map_err(refused)?;
        self.hashed(project, name.as_deref(), told, resolved).await
    }

    /// Whether this Compose says of unset variables what we know.
    async fn check_words(&self) -> Result<(), ComposeError> {
        let arguments = [
            "compose",
            "--project-name",
            "towline-probe",
            "--file",
            "-",
            "config",
            "--quiet",
        ];
        let probe = Some(unset::PROBE.as_bytes().to_vec());
        let (_, lines) = self.ask("docker", &arguments, probe).await?;
        if unset::unset(&lines).contains(unset::PROBED) {
            return Ok(());
        }
        Err(ComposeError::Unexpected(format!(
            "it does not say in words that are known here that a variable is not set, so that none would be noticed; it \
             says: {}",
            lines.join(" ")
        )))
    }

    async fn config(
        &self,
        project: &Project,
        name: Option<&str>,
        told: &Variables,
    ) -> Result<Value, ComposeError> {
        let mut arguments = arguments(project, name, &[], false);
        arguments.extend(["config", "--format", "json"].map(str::to_owned));
        arguments.extend(project.services.iter().cloned());
        let (ended, lines) = self.read(project, arguments, told).await?;
        let names: Vec<_> = unset::unset(&lines).into_iter().collect();
        if !names.is_empty() {
            let file = project.file.clone();
            return Err(ComposeError::Unset { file, names });
        }
        serde_json::from_slice(&ended.stdout)
            .map_err(|error| ComposeError::Unexpected(format!("config --format json: {error}")))
    }

    /// Compose gives the hash of a service only while its profile is active.
    async fn hashed(
        &self,
        project: &Project,
        name: Option<&str>,
        told: &Variables,
        resolved: Resolved,
    ) -> Result<Resolved, ComposeError> {
        let profiles: Vec<_> = resolved
            .services
            .values()
            .flat_map(|service| service.profiles.clone())
            .collect();
        let names: Vec<_> = resolved.services.keys().map(String::as_str).collect();
        let mut arguments = arguments(project, name, &profiles, false);
        arguments.extend(["config".to_owned(), "--hash".to_owned(), names.join(",")]);
        let (ended, _) = self.read(project, arguments, told).await?;
        resolved
            .with_hashes(&text(&ended.stdout))
            .map_err(ComposeError::Unexpected)
    }

    /// Runs Compose on the project for an answer.
    async fn read(
        &self,
        project: &Project,
        arguments: Vec<String>,
        told: &Variables,
    ) -> Result<(Ended, Vec<String>), ComposeError> {
        let order = self.order("docker", arguments, folder(project), told);
        let (ended, lines) = self.answer(&order).await?;
        match ended.how {
            How::Exited(0) => Ok((ended, lines)),
            How::Exited(_) => {
                let words = in_compose_words(&lines);
                Err(refused(&project.file, unquoted(&words)))
            }
            how @ (How::Signalled(_) | How::TimedOut) => Err(refused(
                &project.file,
                format!("Compose {}", how.told("did not come to an end")),
            )),
        }
    }

    async fn ask(
        &self,
        program: &str,
        arguments: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<(Ended, Vec<String>), ProcessError> {
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        let order = self.order(program, arguments, Path::new("/"), &[]);
        self.answer(&Order { stdin, ..order }).await
    }

    /// What a program answered, and what it said beside.
    pub(super) async fn answer(&self, order: &Order) -> Result<(Ended, Vec<String>), ProcessError> {
        let mut lines = Vec::new();
        let mut line = |line: &str| lines.push(line.to_owned());
        let ended = process::run(&self.launcher, order, &mut |_| Ok(()), &mut line).await?;
        Ok((ended, lines))
    }

    pub(super) fn order(
        &self,
        program: &str,
        arguments: Vec<String>,
        dir: &Path,
        told: &Variables,
    ) -> Order {
        let mut argv = vec![program.to_owned()];
        argv.extend(arguments);
        let mut env = self.environment.clone();
        env.extend_from_slice(told);
        Order {
            argv,
            user: None,
            dir: dir.to_owned(),
            env,
            timeout: THINKING,
            grace: GRACE,
            capture: true,
            stdin: None,
            dies_with_us: false,
        }
    }
}

/// The arguments that say which project; with pins a second file comes from standard input.
pub(super) fn arguments(
    project: &Project,
    name: Option<&str>,
    more_profiles: &[String],
    pins: bool,
) -> Vec<String> {
    let mut all = vec!["compose".to_owned()];
    let mut say = |option: &str, value: String| all.extend([option.to_owned(), value]);
    if let Some(name) = name {
        say("--project-name", name.to_owned());
    }
    if pins {
        say("--project-directory", folder(project).display().to_string());
    }
    say("--file", project.file.display().to_string());
    if pins {
        say("--file", "-".to_owned());
    }
    if let Some(file) = &project.env_file {
        say("--env-file", file.display().to_string());
    }
    for profile in project.profiles.iter().chain(more_profiles) {
        say("--profile", profile.clone());
    }
    all
}

pub(super) fn folder(project: &Project) -> &Path {
    project.file.parent().unwrap_or_else(|| Path::new("/"))
}

fn refused(file: &Path, why: String) -> ComposeError {
    let file = file.to_owned();
    ComposeError::Refused { file, why }
}

/// What Compose says against a project, without its warnings.
pub(super) fn in_compose_words(lines: &[String]) -> String {
    let is_error = |line: &&String| !line.contains("level=warning") && !line.trim().is_empty();
    let errors: Vec<_> = lines
        .iter()
        .filter(is_error)
        .map(|line| line.trim())
        .collect();
    errors.join("; ")
}

/// Compose's words without what it quotes of a file of variables that it cannot read, and all behind that: a value that was
/// read in part is a secret which nobody knows.
pub(super) fn unquoted(words: &str) -> String {
    let marks = NO_VARIABLES.iter().filter_map(|mark| words.find(mark));
    let quote = marks.min().and_then(|mark| {
        let quote = words.get(mark..)?.find(['"', '\'', '`'])?;
        words.get(..mark + quote)
    });
    match quote {
        Some(before) => {
            let before = before.trim_end();
            format!("{before} (the rest is not told, since it may hold a secret)")
        }
        None => words.to_owned(),
    }
}

fn first_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `2.26.1-4` as 2 and 26.
fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split(['.', '-', '+']);
    let mut next = || parts.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_of_variables_that_cannot_be_read_nothing_is_quoted() {
        let untold = "(the rest is not told, since it may hold a secret)";
        for (said, told) in [
            (
                "failed to read /a/.env: line 2: unterminated quoted value \"hunter22; more",
                "failed to read /a/.env: line 2: unterminated quoted value",
            ),
            (
                "failed to read /a/.env: line 2: unterminated quoted value 'hunter22",
                "failed to read /a/.env: line 2: unterminated quoted value",
            ),
            (
                "line 2: unexpected character \"!\" in variable name \"hunter22!secondline\"",
                "line 2: unexpected character",
            ),
            (
                "failed to read /a/.env: Invalid template: \"hunt${er22\"",
                "failed to read /a/.env: Invalid template:",
            ),
        ] {
            assert_eq!(unquoted(said), format!("{told} {untold}"));
        }
        for said in [
            "failed to read /a/.env: line 2: key cannot contain a space",
            "service \"web\" refers to undefined network back",
        ] {
            assert_eq!(unquoted(said), said);
        }
    }
}
