//! The Compose project of a service, before anything is touched: what the new version's file asks for, its images, and what
//! runs now.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    time::{Duration, Instant},
};

use towline_protocol::{Digest, Outcome, Sha};

use super::{
    super::{Job, Progress, StepClock},
    Host,
    checkout::Tree,
    prepare::{Halt, refuse},
    scratch::Scratch,
    stack::members,
};
use crate::{
    compose::{
        Cli, ComposeError, Container, ImageTrouble, Project, Pulled, Resolved, asked, containers,
        digests, half_made, keep_pulled, keep_running, pull, pull_missing, resolve_old, taken,
        unchanged,
    },
    docker::{Cause, Docker, EngineError},
    health,
    sequence::{Before, Brought, OldContainer, compose_variables},
    settings::{Compose, Parts},
    store::KeptImage,
    version::VersionId,
};

/// How soon a project is looked at again that somebody is at.
const AGAIN: Duration = Duration::from_secs(60);

/// What is worked with.
pub(super) struct Planning<'a> {
    pub(super) host: Host<'a>,
    pub(super) engine: &'a Docker,
    pub(super) job: &'a Job<'a>,
    pub(super) parts: &'a Parts,
    pub(super) compose: &'a Compose,
    /// The state directory.
    pub(super) state: &'a Path,
    /// Whether the checkout is at the commit already.
    pub(super) is_there: bool,
}

/// Docker's command line for the engine.
pub(super) fn cli(host: Host<'_>, engine: &Docker) -> Cli {
    let own = env::vars_os();
    let own = own.filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, value.into_string().ok()?))
    });
    Cli::new(host.launcher.clone(), own, engine)
}

/// The project as it lies on this host.
pub(super) fn project(parts: &Parts, compose: &Compose) -> Project {
    let checkout = parts.git.as_ref().map(|git| git.path.as_path());
    Project::new(compose, checkout)
}

impl Planning<'_> {
    /// Finds out what is to be known of the project, and has its images here. Returns the digest, if it is one.
    pub(super) async fn plan(
        &self,
        before: &mut Before,
        clock: &mut StepClock,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Option<Digest>, Halt> {
        cli(self.host, self.engine).version().await?;
        let resolved = self.resolved(before).await?;
        if let Some(why) = taken(self.engine, &resolved).await? {
            return refuse(why);
        }
        let now = containers(self.engine, &resolved.name).await?;
        if let Some(message) = half_made(&now) {
            let pause = AGAIN;
            return Err(Halt::Wait { pause, message });
        }
        let wanted = asked(&resolved, self.job.intent.image.as_ref());
        let wanted = wanted.or_else(refuse)?;
        let begun = Instant::now();
        let known = digests(self.engine, wanted).await;
        clock.add("resolve", begun.elapsed());
        let known = known.map_err(|error| Halt::from(ImageTrouble::from(Box::new(error))))?;
        let of_service = known.iter().flat_map(|one| {
            let services = one.image.services.iter();
            services.map(|service| (service.clone(), one.digest.clone()))
        });
        let of_service: BTreeMap<String, Digest> = of_service.collect();
        let commit = before.new.sha.as_ref().filter(|_| self.parts.git.is_some());
        before.new_version = VersionId::of_images(commit, &of_service);
        let begun = Instant::now();
        let pulled = self.pulled(&resolved, &known, &now, tell).await;
        clock.add("pull", begun.elapsed());
        let pulled = pulled?;
        if self.is_there && unchanged(&resolved, &now, &ids(&pulled)) {
            let message = format!(
                "the project {} has all that it should already",
                resolved.name
            );
            return Err(Halt::Over(Outcome::Unchanged, message));
        }
        if now.iter().any(|one| one.runs) {
            self.leads_back(before).await?;
        }
        keep_pulled(self.engine, &self.job.service.name, &pulled).await?;
        self.note(before, &resolved, &now, &pulled).await?;
        let mut each = of_service.into_values();
        let one = each.next();
        Ok(one.filter(|one| each.all(|other| other == *one)))
    }

    /// Whether what runs could be brought up again.
    async fn leads_back(&self, before: &Before) -> Result<(), Halt> {
        let cli = cli(self.host, self.engine);
        let project = project(self.parts, self.compose);
        let [old, new] = [&before.old, &before.new].map(compose_variables);
        let back = resolve_old(&cli, &project, &old, &new).await;
        match back.map_err(Halt::from) {
            Ok(_) => Ok(()),
            Err(Halt::Over(outcome, why)) => {
                let why = format!("the version that runs could not be brought up again: {why}");
                Err(Halt::Over(outcome, why))
            }
            Err(other) => Err(other),
        }
    }

    async fn pulled(
        &self,
        resolved: &Resolved,
        known: &[crate::compose::Asked],
        now: &[Container],
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Pulled>, Halt> {
        let mut pulling = |layers: &_| tell(Progress::Pulling(Clone::clone(layers)));
        let mut pulled = pull(self.engine, known, now, &mut pulling).await?;
        pulled.extend(pull_missing(self.engine, resolved, &mut pulling).await?);
        Ok(pulled)
    }

    /// Takes down what was there, and how well it was.
    async fn note(
        &self,
        before: &mut Before,
        resolved: &Resolved,
        now: &[Container],
        pulled: &[Pulled],
    ) -> Result<(), Halt> {
        before.tags = pulled.iter().filter_map(|one| one.tag.clone()).collect();
        let services: Vec<String> = resolved.services.keys().cloned().collect();
        let its = now.iter().filter(|one| services.contains(&one.service));
        before.containers = its.map(old).collect();
        before.project = Some(Brought {
            name: resolved.name.clone(),
            wanted: resolved.wanted.clone(),
            services,
            images: has_containers(resolved, ids(pulled)),
        });
        let name = &self.job.service.name;
        let kept = keep_running(self.engine, name, now, &resolved.wanted).await?;
        let commit = before.old.sha.as_ref();
        let commit = commit.filter(|_| self.parts.git.is_some());
        before.old_version = of_running(commit, now, &resolved.wanted, &kept);
        let members = members(before, now, &resolved.wanted);
        let checks = &self.job.service.health;
        let is_well =
            !members.is_empty() && health::is_well_set(self.engine, &members, checks).await?;
        before.was_healthy = is_well;
        Ok(())
    }

    /// What Compose makes of the file of the new version.
    async fn resolved(&self, before: &Before) -> Result<Resolved, Halt> {
        let cli = cli(self.host, self.engine);
        let told = compose_variables(&before.new);
        let (Some(git), Some(sha), false) = (&self.parts.git, &before.new.sha, self.is_there)
        else {
            let project = project(self.parts, self.compose);
            return Ok(cli.resolve(&project, &told).await?);
        };
        let scratch = Scratch::new(self.state, &self.job.deploy, self.parts.user.as_deref())
            .map_err(|why| Halt::Over(Outcome::FailedUntouched, why))?;
        if let Some(tree) = Tree::of(self.parts, self.host) {
            tree.copy(sha, scratch.path()).await?;
            scratch.add(&git.path, &tree.others().await?);
        }
        #[cfg(feature = "failpoints")]
        crate::failpoint::reach("copied");
        let project = Project::in_scratch(self.compose, &git.path, scratch.path());
        Ok(cli.resolve(&project, &told).await?)
    }
}

fn old(container: &Container) -> OldContainer {
    OldContainer {
        id: container.id.clone(),
        service: container.service.clone(),
        image: container.image.clone(),
        ran: container.runs,
    }
}

/// What the version that runs is known by; `None` where an image of it came from no registry.
fn of_running(
    commit: Option<&Sha>,
    now: &[Container],
    wanted: &[String],
    kept: &[KeptImage],
) -> Option<VersionId> {
    let its = now.iter().filter(|one| wanted.contains(&one.service));
    let each = its.map(|one| {
        let image = kept.iter().find(|kept| kept.id == one.image)?;
        Some((one.service.clone(), image.digest.clone()?))
    });
    let digests = each.collect::<Option<BTreeMap<_, _>>>()?;
    VersionId::of_images(commit, &digests)
}

/// Without the services that are to have no container.
fn has_containers(
    resolved: &Resolved,
    mut images: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    images.retain(|service, _| {
        let service = resolved.services.get(service);
        service.is_some_and(|service| service.replicas > 0)
    });
    images
}

/// The images' ids by service.
fn ids(pulled: &[Pulled]) -> BTreeMap<String, String> {
    let each = pulled.iter().flat_map(|one| {
        let services = one.services.iter();
        services.map(|service| (service.clone(), one.id.clone()))
    });
    each.collect()
}

impl From<ComposeError> for Halt {
    fn from(error: ComposeError) -> Self {
        let message = error.to_string();
        match error {
            ComposeError::Engine(error) => error.into(),
            ComposeError::Missing(_)
            | ComposeError::TooOld { .. }
            | ComposeError::Refused { .. }
            | ComposeError::Unset { .. } => Self::Over(Outcome::Refused, message),
            ComposeError::NotUp { .. } | ComposeError::Process(_) | ComposeError::Unexpected(_) => {
                Self::Over(Outcome::FailedUntouched, message)
            }
        }
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        match error {
            lost if lost.is_loss() => Self::Later(lost.into()),
            refused => Self::Over(Outcome::FailedUntouched, refused.to_string()),
        }
    }
}

impl From<ImageTrouble> for Halt {
    fn from(trouble: ImageTrouble) -> Self {
        match trouble {
            ImageTrouble::Engine(error) => error.into(),
            ImageTrouble::Registry(error) => {
                if let Cause::Engine(lost @ EngineError::Unreachable { .. }) = error.cause {
                    return Self::Later(lost.into());
                }
                Self::NoImage(error.trouble, error.to_string())
            }
            ImageTrouble::Unfit(why) => Self::Unfit(why),
            ImageTrouble::Refused(why) => Self::Over(Outcome::Refused, why),
        }
    }
}
