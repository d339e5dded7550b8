//! A runner for the `run:` steps of a workflow's job, as far as GitHub's own does it: each step is a script of its own,
//! whose environment is the workflow's, the job's and the step's, and whose outputs the next steps see.
//! (GitHub, "Workflow syntax for GitHub Actions" and "Workflow commands for GitHub Actions".)

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use saphyr::{LoadableYamlNode, Yaml};
use tempfile::TempDir;

/// The value of each expression, for instance `inputs.image`; one that is not there is empty, as at GitHub.
pub type Values = BTreeMap<String, String>;

/// A job's steps, in order.
pub struct Job {
    steps: Vec<Step>,
}

/// One step.
pub struct Step {
    id: String,
    /// The environment, its values as they are written.
    env: Vec<(String, String)>,
    /// The script.
    pub run: String,
}

/// What a run of a job has left.
pub struct Ran {
    /// Whether each step ended well.
    pub well: bool,
    /// What the steps have printed.
    pub log: String,
    /// The job's summary.
    pub summary: String,
}

impl Job {
    /// The job `name` of a workflow; every step must be a `run` by bash.
    ///
    /// # Errors
    /// When it is not that.
    pub fn parse(workflow: &str, name: &str) -> Result<Self> {
        let documents = Yaml::load_from_str(workflow)?;
        let workflow = documents.first().context("the workflow is empty")?;
        let shell = at(workflow, &["defaults", "run", "shell"]).and_then(Yaml::as_str);
        ensure!(shell == Some("bash"), "the steps' shell is {shell:?}");
        let job = at(workflow, &["jobs", name]).context("no such job")?;
        let steps = at(job, &["steps"]).and_then(Yaml::as_sequence);
        let steps = steps.context("a job without steps")?;
        let step = |step: &Yaml<'_>| {
            let levels = [env(workflow)?, env(job)?, env(step)?];
            Ok(Step {
                id: text(step, "id").unwrap_or_default(),
                env: levels.concat(),
                run: text(step, "run").context("a step without `run`")?,
            })
        };
        let steps: Result<_> = steps.iter().map(step).collect();
        Ok(Self { steps: steps? })
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Runs the steps up to the first that fails. `more` is added to each one's environment.
    ///
    /// # Errors
    /// When a step cannot be started.
    pub fn run(&self, values: &Values, more: &[(&str, &str)]) -> Result<Ran> {
        let folder = TempDir::with_prefix("towline-job-")?;
        let summary = folder.path().join("summary");
        fs::write(&summary, "")?;
        let (mut values, mut log, mut well) = (values.clone(), String::new(), true);
        for step in &self.steps {
            let output = step.command(folder.path(), &values, more)?.output()?;
            log += &String::from_utf8_lossy(&output.stdout);
            log += &String::from_utf8_lossy(&output.stderr);
            well = output.status.success();
            if !well {
                break;
            }
            step.outputs(folder.path(), &mut values)?;
        }
        let summary = fs::read_to_string(summary)?;
        Ok(Ran { well, log, summary })
    }
}

impl Step {
    fn command(&self, folder: &Path, values: &Values, more: &[(&str, &str)]) -> Result<Command> {
        let script = folder.join("script.sh");
        fs::write(&script, &self.run)?;
        fs::write(folder.join("output"), "")?;
        let mut command = Command::new("bash");
        // As GitHub calls it where a workflow names the shell.
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(script);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUNNER_TEMP", folder)
            .env("GITHUB_OUTPUT", folder.join("output"))
            .env("GITHUB_STEP_SUMMARY", folder.join("summary"));
        for (name, value) in &self.env {
            command.env(name, filled_in(value, values)?);
        }
        command.envs(more.iter().copied()).stdin(Stdio::null());
        Ok(command)
    }

    fn outputs(&self, folder: &Path, values: &mut Values) -> Result<()> {
        for line in fs::read_to_string(folder.join("output"))?.lines() {
            let (name, value) = line.split_once('=').context("an output is NAME=VALUE")?;
            let key = format!("steps.{}.outputs.{name}", self.id);
            values.insert(key, value.to_owned());
        }
        Ok(())
    }
}

fn at<'a, 'b>(of: &'a Yaml<'b>, keys: &[&str]) -> Option<&'a Yaml<'b>> {
    let down = |of: &'a Yaml<'b>, key: &&str| of.as_mapping_get(key);
    keys.iter().try_fold(of, down)
}

fn text(of: &Yaml<'_>, key: &str) -> Option<String> {
    Some(at(of, &[key])?.as_str()?.to_owned())
}

fn env(level: &Yaml<'_>) -> Result<Vec<(String, String)>> {
    let env = at(level, &["env"]).and_then(Yaml::as_mapping);
    let pair = |(name, value): (&Yaml<'_>, &Yaml<'_>)| {
        let pair = name.as_str().zip(value.as_str());
        let (name, value) = pair.with_context(|| format!("no text: {name:?}: {value:?}"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    env.into_iter().flatten().map(pair).collect()
}

/// A value with its expressions worked out.
fn filled_in(text: &str, values: &Values) -> Result<String> {
    let mut rest = text;
    let mut filled = String::new();
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((expression, behind)) = after.split_once("}}") else {
            bail!("an expression without an end: {text}");
        };
        filled += before;
        filled += values.get(expression.trim()).map_or("", String::as_str);
        rest = behind;
    }
    Ok(filled + rest)
}
