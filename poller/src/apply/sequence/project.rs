//! The Compose project of a service, before anything is touched: what the new version's file asks for, its images, and what
//! runs now.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    time::{Duration, Instant},
};

use towline_protocol::{Digest, Intent, Outcome};

use super::{
    super::Progress,
    Host,
    checkout::Tree,
    halt::{Halt, refuse},
    hooks::unknown_service,
    known::Known,
    prepare::Way,
    scratch::Scratch,
    stack::members,
};
use crate::{
    compose::{
        Asked, Cli, Container, ImageTrouble, Placed, Project, Pulled, Resolved, asked, containers,
        digests, foresee, had_ended, half_made, keep_pulled, keep_running, lacks_healthcheck,
        missing_images, pull, pull_kept, pull_missing, resolve_old, taken, twin, unchanged,
        unknown_profile,
    },
    docker::{Docker, Layers},
    health,
    redact::Secrets,
    sequence::{Before, Brought, OldContainer, compose_variables},
    settings::{Compose, Parts, Service},
    store::KeptRevision,
    version::VersionId,
};

/// How soon a project is looked at again that somebody is at.
const AGAIN: Duration = Duration::from_secs(60);

/// What is worked with.
pub(super) struct Planning<'a> {
    pub(super) host: Host<'a>,
    pub(super) engine: &'a Docker,
    pub(super) service: &'a Service,
    /// The deploy's name.
    pub(super) deploy: &'a str,
    pub(super) parts: &'a Parts,
    pub(super) compose: &'a Compose,
    /// The state directory.
    pub(super) state: &'a Path,
    /// Whether the checkout is at the commit already.
    pub(super) is_there: bool,
    /// What is known from earlier deploys, where it matters.
    pub(super) known: Option<&'a Known>,
}

/// What was found of the project, with nothing against it.
pub(super) struct Found {
    /// What the file means for the new version.
    pub(super) resolved: Resolved,
    /// Its containers.
    pub(super) now: Vec<Container>,
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
    /// Finds out what is to be known of the project, and has its images here, or looks what there is of them. Returns the
    /// digest, if it is one.
    pub(super) async fn plan(
        &self,
        intent: &Intent,
        before: &mut Before,
        way: &mut Way<'_>,
    ) -> Result<Option<Digest>, Halt> {
        let found = self.find(before).await?;
        let project = project(self.parts, self.compose);
        if let Some(profile) = found.resolved.unknown_profile(&project) {
            return refuse(unknown_profile(&project, profile));
        }
        if let Some(why) = unknown_service(&self.service.hooks, &found.resolved) {
            return refuse(why);
        }
        let wanted = asked(&found.resolved, intent.image.as_ref());
        let wanted = wanted.or_else(refuse)?;
        let begun = Instant::now();
        let known = digests(self.engine, wanted).await;
        way.took("resolve", begun);
        let known = known.map_err(|error| Halt::from(ImageTrouble::from(Box::new(error))))?;
        let digests = of_services(&found.resolved, &known);
        let commit = before.new.sha.as_ref().filter(|_| self.parts.git.is_some());
        before.new_version = VersionId::of_images(commit, &digests);
        let pulled = self.images(&found, &known, way).await?;
        self.settle(before, &found, &pulled, way).await?;
        Ok(only(digests.into_values()))
    }

    /// The same for going back to a version that is kept: with its images, whatever the registry has by their names now.
    pub(super) async fn plan_back(
        &self,
        to: &KeptRevision,
        before: &mut Before,
        way: &mut Way<'_>,
    ) -> Result<Option<Digest>, Halt> {
        let found = self.find(before).await?;
        let begun = Instant::now();
        let pulled = self.kept(&found, to, way).await;
        way.took("pull", begun);
        let pulled = pulled?;
        self.settle(before, &found, &pulled, way).await?;
        let digests: Option<Vec<_>> = pulled.into_iter().map(|one| one.digest).collect();
        Ok(digests.and_then(|all| only(all.into_iter())))
    }

    /// What the file means, and its containers; refused where they cannot be touched.
    async fn find(&self, before: &Before) -> Result<Found, Halt> {
        cli(self.host, self.engine).version().await?;
        let resolved = self.resolved(before).await?;
        if let Some(why) = taken(self.engine, &resolved).await? {
            return refuse(why);
        }
        let now = containers(self.engine, &resolved.name).await?;
        let project = project(self.parts, self.compose);
        // One that a deploy of ours has brought up before and somebody has taken down is no mistake in the host's file.
        if self.placed_as(&resolved.name).is_none()
            && let Some(why) = twin(self.engine, &project, &resolved.name, &now).await?
        {
            return refuse(why);
        }
        if let Some(message) = half_made(&now) {
            let pause = AGAIN;
            return Err(Halt::Wait { pause, message });
        }
        Ok(Found { resolved, now })
    }

    /// The images of the digests that are known.
    async fn images(
        &self,
        found: &Found,
        known: &[Asked],
        way: &mut Way<'_>,
    ) -> Result<Vec<Pulled>, Halt> {
        let Found { resolved, now } = found;
        let begun = Instant::now();
        let pulled = match way {
            Way::Deploy { tell, .. } => {
                let mut pulling = |layers: &Layers| tell(Progress::Pulling(layers.clone()));
                let pulled = pull(self.engine, known, now, &mut pulling).await;
                let missing = match &pulled {
                    Ok(_) => pull_missing(self.engine, resolved, &mut pulling).await,
                    Err(_) => Ok(Vec::new()),
                };
                pulled.and_then(|pulled| Ok([pulled, missing?].concat()))
            }
            Way::Plan(seen) => {
                let mut all = foresee(self.engine, known, now).await?;
                let missing = missing_images(self.engine, resolved).await?;
                all.extend(foresee(self.engine, &missing, &[]).await?);
                seen.images = Some(all.clone());
                Ok(all)
            }
        };
        way.took("pull", begun);
        Ok(pulled?)
    }

    /// The images of a version that is kept.
    async fn kept(
        &self,
        found: &Found,
        to: &KeptRevision,
        way: &mut Way<'_>,
    ) -> Result<Vec<Pulled>, ImageTrouble> {
        let mut pulling = |layers: &Layers| way.tell(Progress::Pulling(layers.clone()));
        let resolved = &found.resolved;
        let mut pulled = pull_kept(self.engine, resolved, &to.images, &mut pulling).await?;
        pulled.extend(pull_missing(self.engine, resolved, &mut pulling).await?);
        Ok(pulled)
    }

    /// Ends it when there is nothing to do, or nothing would lead back; else keeps the images, and takes down what there is.
    async fn settle(
        &self,
        before: &mut Before,
        found: &Found,
        pulled: &[Pulled],
        way: &Way<'_>,
    ) -> Result<(), Halt> {
        let Found { resolved, now } = found;
        let (name, wanted) = (&resolved.name, &resolved.wanted);
        let placed = self.placed_as(name);
        self.note_strayed(before, found).await?;
        if self.is_there && unchanged(resolved, now, &ids(pulled)) && had_ended(placed, wanted, now)
        {
            let message = format!("the project {name} has all that it should already");
            let must_run = |service: &str| placed.is_some_and(|placed| placed.must_run(service));
            let placed = Placed::of(name, wanted, now, must_run);
            return Err(Halt::InPlace(placed, message));
        }
        self.has_healthcheck(resolved, pulled, way).await?;
        if now.iter().any(|one| one.runs) {
            self.leads_back(before).await?;
        }
        if way.is_deploy() {
            let name = &self.service.name;
            keep_pulled(self.engine, name, pulled).await?;
            keep_running(self.engine, name, now, &resolved.wanted).await?;
        }
        self.note(before, found, pulled).await?;
        before.was_healthy = match way {
            Way::Deploy { .. } => self.is_well(before, found).await?,
            Way::Plan(_) => true,
        };
        Ok(())
    }

    /// Whether there is the healthcheck that the host's file asks for; what was pulled for nothing only takes room.
    async fn has_healthcheck(
        &self,
        resolved: &Resolved,
        pulled: &[Pulled],
        way: &Way<'_>,
    ) -> Result<(), Halt> {
        if !health::asks_for_own(&self.service.health) {
            return Ok(());
        }
        let lacking = lacks_healthcheck(self.engine, resolved, &ids(pulled)).await?;
        let Some(why) = lacking else { return Ok(()) };
        for image in pulled.iter().filter(|one| one.is_new && way.is_deploy()) {
            self.engine.remove_unnamed(&image.id).await.ok();
        }
        refuse(why)
    }

    /// What the last deploy has left in place of the project of this name.
    pub(super) fn placed_as(&self, name: &str) -> Option<&Placed> {
        let placed = self.known?.placed();
        placed.filter(|placed| placed.project == name)
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

    /// Takes down what there was.
    async fn note(
        &self,
        before: &mut Before,
        found: &Found,
        pulled: &[Pulled],
    ) -> Result<(), Halt> {
        let Found { resolved, now } = found;
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
        before.old_version = self.running(&before.old, now, &resolved.wanted).await?;
        Ok(())
    }

    /// How well what runs is.
    async fn is_well(&self, before: &Before, found: &Found) -> Result<bool, Halt> {
        // What is wrong with them is not told.
        let secrets = Secrets::default();
        let members = members(before, &found.now, &found.resolved.wanted, &secrets);
        let checks = &self.service.health;
        Ok(!members.is_empty() && health::is_well_set(self.engine, &members, checks).await?)
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
        let scratch = Scratch::new(self.state, self.deploy, self.parts.user.as_deref())
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

/// The digests of the services that are to have containers.
fn of_services(resolved: &Resolved, known: &[Asked]) -> BTreeMap<String, Digest> {
    let each = known.iter().flat_map(|one| {
        let services = one.image.services.iter();
        services.map(|service| (service.clone(), one.digest.clone()))
    });
    has_containers(resolved, each.collect())
}

/// The only digest there is.
fn only(mut digests: impl Iterator<Item = Digest>) -> Option<Digest> {
    let one = digests.next()?;
    digests.all(|other| other == one).then_some(one)
}

/// Without the services that are to have no container.
fn has_containers<T>(resolved: &Resolved, mut of: BTreeMap<String, T>) -> BTreeMap<String, T> {
    of.retain(|service, _| {
        let service = resolved.services.get(service);
        service.is_some_and(|service| service.replicas > 0)
    });
    of
}

/// The images' ids by service.
fn ids(pulled: &[Pulled]) -> BTreeMap<String, String> {
    let each = pulled.iter().flat_map(|one| {
        let services = one.services.iter();
        services.map(|service| (service.clone(), one.id.clone()))
    });
    each.collect()
}
