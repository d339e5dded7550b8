//! What of a repository deploys a service: `on`, and the keys that narrow it down.
//!
//! A key that nothing in `on` heeds is a mistake: it would keep nothing out that it was written against.

use toml::de::DeValue;
use towline_protocol::Glob;

use super::{
    read::{Found, Reader, Table, Told},
    values,
};

/// What of a repository deploys a service; with nothing of it, manual intents only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The workflow runs that count.
    pub runs: Option<RunRule>,
    /// The pushes that count.
    pub pushes: Option<PushRule>,
    /// The published images that count.
    pub packages: Option<PackageRule>,
    /// The releases that count.
    pub releases: Option<ReleaseRule>,
    /// The deployments asked of GitHub that count.
    pub deployments: Option<DeploymentRule>,
}

/// The workflow runs that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRule {
    /// The workflow's file name (`ci.yml`) or its path in the repository (`.github/workflows/ci.yml`).
    pub workflow: String,
    /// The branches, at least one.
    pub branches: Vec<Glob>,
}

/// The pushes that count: at least one branch or tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRule {
    /// The branches.
    pub branches: Vec<Glob>,
    /// The tags.
    pub tags: Vec<Glob>,
}

/// The published images that count: those of the service's own image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRule {
    /// The image's tags, at least one.
    pub tags: Vec<Glob>,
}

/// The releases that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRule {
    /// The git tags; empty is any.
    pub tags: Vec<Glob>,
    /// Whether pre-releases count.
    pub prerelease: bool,
}

/// The deployments asked of GitHub that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRule {
    /// The environments, at least one.
    pub environments: Vec<Glob>,
    /// The branches; empty is any, and a bare commit.
    pub branches: Vec<Glob>,
}

/// A word of `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Workflow,
    Push,
    Package,
    Release,
    Deployment,
}

/// The keys as they are in the file: there, wrong, or missing.
pub(super) struct Keys {
    on: Maybe<Vec<On>>,
    workflow: Maybe<String>,
    branch: Maybe<Vec<Glob>>,
    tag: Maybe<Vec<Glob>>,
    environment: Maybe<Vec<Glob>>,
    prerelease: Maybe<bool>,
}

/// A key that may be there, be wrong, or be missing.
type Maybe<T> = Result<Option<Found<T>>, Told>;

impl Events {
    /// Whether nothing of a repository counts.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl On {
    const ALL: [Self; 5] = [
        Self::Workflow,
        Self::Push,
        Self::Package,
        Self::Release,
        Self::Deployment,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Push => "push",
            Self::Package => "package",
            Self::Release => "release",
            Self::Deployment => "deployment",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|on| on.name() == name)
    }

    /// Some of them in quotes, for people.
    pub(super) fn listed(some: &[Self]) -> String {
        let names: Vec<_> = some.iter().map(|on| format!("{:?}", on.name())).collect();
        match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, before)) => format!("{} or {last}", before.join(", ")),
            None => String::new(),
        }
    }

    pub(super) fn all() -> String {
        Self::listed(&Self::ALL)
    }
}

/// Whether `on` names published images; `None` where it cannot be read.
pub(super) fn names_images(table: &Table<'_, '_>) -> Option<bool> {
    let mut entries = table.entries();
    match entries.find(|(key, ..)| *key == "on") {
        Some((_, _, raw)) => Some(values::on(raw.get_ref()).ok()?.contains(&On::Package)),
        None => Some(false),
    }
}

impl Keys {
    pub(super) fn read(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Self {
        Self {
            on: table.get(reader, "on", values::on),
            workflow: table.get(reader, "workflow", values::workflow),
            branch: table.get(reader, "branch", values::branches),
            tag: table.get(reader, "tag", values::tags),
            environment: table.get(reader, "environment", values::environments),
            prerelease: table.get(reader, "prerelease", |value: &DeValue<'_>| {
                values::boolean(value)
            }),
        }
    }

    /// What deploys a service of a repository. `workflow` and `branch` are needed: without them any green workflow on
    /// any branch would.
    pub(super) fn events(
        self,
        table: &Table<'_, '_>,
        reader: &mut Reader<'_>,
    ) -> Result<Events, Told> {
        let on = self.on?.map_or(vec![On::Workflow], |found| found.value);
        let has = |word| on.contains(&word);
        let tag_is_there = !matches!(self.tag, Ok(None));
        let mut heeded = Heeded {
            table,
            reader,
            on: &on,
        };
        let workflow = heeded.value(
            "workflow",
            self.workflow,
            &[On::Workflow],
            "the file name of the workflow that must succeed, such as \"ci.yml\"",
            has(On::Workflow),
        );
        let branches = heeded.value(
            "branch",
            self.branch,
            &[On::Workflow, On::Push, On::Deployment],
            "the branch that is deployed, such as \"main\"",
            has(On::Workflow) || (has(On::Push) && !tag_is_there),
        );
        let tags = heeded.value(
            "tag",
            self.tag,
            &[On::Push, On::Package, On::Release],
            "the image's tag that is deployed, such as \"v*\"",
            has(On::Package),
        );
        let environments = heeded.value(
            "environment",
            self.environment,
            &[On::Deployment],
            "the environment that the deployment must be for, such as \"production\"",
            has(On::Deployment),
        );
        let prerelease = heeded.value("prerelease", self.prerelease, &[On::Release], "", false);
        let workflow = workflow?;
        let (branches, tags) = (branches?.unwrap_or_default(), tags?.unwrap_or_default());
        let (environments, prerelease) = (environments?.unwrap_or_default(), prerelease?);
        Ok(Events {
            runs: workflow.map(|workflow| RunRule {
                workflow,
                branches: branches.clone(),
            }),
            pushes: has(On::Push).then(|| PushRule {
                branches: branches.clone(),
                tags: tags.clone(),
            }),
            packages: has(On::Package).then(|| PackageRule { tags: tags.clone() }),
            releases: has(On::Release).then(|| ReleaseRule {
                tags: tags.clone(),
                prerelease: prerelease.unwrap_or_default(),
            }),
            deployments: has(On::Deployment).then_some(DeploymentRule {
                environments,
                branches,
            }),
        })
    }

    /// Tells every key that is there, with what is wrong about it: `message`.
    pub(super) fn refuse(
        self,
        table: &Table<'_, '_>,
        reader: &mut Reader<'_>,
        message: &str,
    ) -> Result<(), Told> {
        fn place<T>(key: &'static str, found: Maybe<T>) -> Maybe<&'static str> {
            Ok(found?.map(|found| found.map(|_| key)))
        }
        let keys = [
            place("on", self.on)?,
            place("workflow", self.workflow)?,
            place("branch", self.branch)?,
            place("tag", self.tag)?,
            place("environment", self.environment)?,
            place("prerelease", self.prerelease)?,
        ];
        let told = keys
            .into_iter()
            .flatten()
            .map(|key| reader.tell(&key.span, table.path_of(key.value), message));
        told.last().map_or(Ok(()), Err)
    }
}

/// Where the keys stand, and what they are held against.
struct Heeded<'p, 'a, 'i, 't> {
    table: &'p Table<'a, 'i>,
    reader: &'p mut Reader<'t>,
    on: &'p [On],
}

impl Heeded<'_, '_, '_, '_> {
    /// The value of a key that counts for the words `by`; a mistake where none of them is in `on`, and where the key is
    /// needed and missing.
    fn value<T>(
        &mut self,
        key: &'static str,
        found: Maybe<T>,
        by: &[On],
        expected: &str,
        needed: bool,
    ) -> Result<Option<T>, Told> {
        let heeded = by.iter().any(|word| self.on.contains(word));
        match found? {
            Some(found) if heeded => Ok(Some(found.value)),
            Some(found) => {
                let message = format!("counts only with `on` = {}", On::listed(by));
                Err(self
                    .reader
                    .tell(&found.span, self.table.path_of(key), message))
            }
            None if needed => Err(self.table.missing(self.reader, key, expected)),
            None => Ok(None),
        }
    }
}
