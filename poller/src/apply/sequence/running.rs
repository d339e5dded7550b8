//! What a Compose project runs before a deploy: by what that version is known, and whether somebody else has brought it up.

use std::collections::BTreeMap;

use towline_protocol::Sha;

use super::{
    halt::Halt,
    project::{Found, Planning, cli, project},
};
use crate::{
    compose::{Container, Running, containers, resolve_old, running},
    docker::EngineError,
    sequence::{Before, Revision, compose_variables},
    version::VersionId,
};

impl Planning<'_> {
    /// What the project runs now; `None` where an image of it came from no registry. `old` is what is known of it.
    pub(super) async fn current(&self, old: &Revision) -> Result<Option<VersionId>, Halt> {
        let cli = cli(self.host, self.engine);
        let project = project(self.parts, self.compose);
        let (resolved, _) = resolve_old(&cli, &project, &compose_variables(old), &[]).await?;
        let now = containers(self.engine, &resolved.name).await?;
        Ok(self.running(old, &now, &resolved.wanted).await?)
    }

    /// The same, by these containers of the services that are `wanted`.
    pub(super) async fn running(
        &self,
        old: &Revision,
        now: &[Container],
        wanted: &[String],
    ) -> Result<Option<VersionId>, EngineError> {
        let images = running(self.engine, now, wanted).await?;
        Ok(of_running(self.commit(old), now, wanted, &images))
    }

    /// Takes down that something else runs than what the last deploy has brought: only what is kept of that very version, and what
    /// is checked out, is known of it then.
    pub(super) async fn note_strayed(
        &self,
        before: &mut Before,
        found: &Found,
    ) -> Result<(), Halt> {
        let Found { resolved, now } = found;
        let (Some(known), Some(placed)) = (self.known, self.placed_as(&resolved.name)) else {
            return Ok(());
        };
        if !placed.has_strayed(now) {
            return Ok(());
        }
        before.old_version = self.running(&before.old, now, &resolved.wanted).await?;
        let version = before.old_version.as_ref();
        let told = version.and_then(|version| known.kept_as(version));
        let told = told.map(|kept| kept.revision.clone());
        before.old = told.unwrap_or(Revision {
            sha: self.commit(&before.old).cloned(),
            ..Revision::default()
        });
        Ok(())
    }

    /// The commit of a revision, as far as that is one of the project.
    fn commit<'r>(&self, revision: &'r Revision) -> Option<&'r Sha> {
        revision.sha.as_ref().filter(|_| self.parts.git.is_some())
    }
}

/// What the version that runs is known by; `None` where an image of it came from no registry.
fn of_running(
    commit: Option<&Sha>,
    now: &[Container],
    wanted: &[String],
    images: &[Running],
) -> Option<VersionId> {
    let its = now.iter().filter(|one| wanted.contains(&one.service));
    let each = its.map(|one| {
        // One image may be there from several repositories, by another digest in each.
        let is_its = |image: &&Running| image.id == one.image && image.reference == one.reference;
        let image = images.iter().find(is_its)?;
        Some((one.service.clone(), image.digest.clone()?))
    });
    let digests = each.collect::<Option<BTreeMap<_, _>>>()?;
    VersionId::of_images(commit, &digests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::digest;

    fn container(service: &str, reference: &str) -> Container {
        Container {
            id: service.to_owned(),
            name: format!("stack-{service}-1"),
            service: service.to_owned(),
            image: "sha256:1".to_owned(),
            reference: reference.to_owned(),
            hash: String::new(),
            runs: true,
            was_started: true,
            is_done: false,
            is_to_stay: false,
        }
    }

    fn image(reference: &str, digit: char) -> Running {
        Running {
            reference: reference.to_owned(),
            id: "sha256:1".to_owned(),
            digest: Some(digest(digit)),
        }
    }

    #[test]
    fn an_image_of_two_repositories_counts_for_each_service_by_the_digest_in_its_own() {
        let (api, web) = ("ghcr.io/octo-org/api:1", "ghcr.io/octo-org/web:1");
        let now = [container("api", api), container("web", web)];
        let wanted = ["api", "web"].map(str::to_owned);
        let images = [image(api, 'a'), image(web, 'b')];
        let asked_for = [("api", 'a'), ("web", 'b')];
        let asked_for = asked_for.map(|(service, digit)| (service.to_owned(), digest(digit)));
        let deployed = VersionId::of_images(None, &BTreeMap::from(asked_for));
        assert_eq!(of_running(None, &now, &wanted, &images), deployed);
        let [one, other] = images;
        assert_eq!(of_running(None, &now, &wanted, &[other, one]), deployed);
    }
}
