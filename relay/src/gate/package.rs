//! Whether a published container image becomes an intent.

use towline_protocol::{
    Channel, Digest, GitTag, Image, NameError, PackageSource, Revision, Sha, Source,
};

use super::{
    Candidate, Decision, Gate, MAX_NAME, Reason, SourceKind, bounded, check_action, cut, git_tag,
    login, shown,
};
use crate::event::{Package, PackageEvent, PackageVersion, Repository};

impl Gate {
    /// Decides on a `registry_package` event.
    ///
    /// # Errors
    /// When the repository's name is not one that GitHub gives: the body is not such an event.
    pub fn package(&self, event: &PackageEvent) -> Result<Decision, NameError> {
        let name = event
            .repository
            .as_ref()
            .map(|repository| &repository.full_name);
        let channel = name.map(|name| Channel::of_repository(name)).transpose()?;
        Ok(self.judge_package(event, channel).into())
    }

    fn judge_package(
        &self,
        event: &PackageEvent,
        channel: Option<Channel>,
    ) -> Result<Candidate, Reason> {
        let package = &event.registry_package;
        self.check_source(SourceKind::RegistryPackage)?;
        check_action(&event.action, SourceKind::RegistryPackage)?;
        let (repository, channel) = match (&event.repository, channel) {
            (Some(repository), Some(channel)) => (repository, channel),
            _ => return Err(Reason::NoRepository),
        };
        self.check_repository(&channel)?;
        let version = package
            .package_version
            .as_ref()
            .filter(|_| package.is_image());
        let version = version.ok_or_else(|| Reason::PackageType(cut(package.kind())))?;
        let tag = version.tag().filter(|tag| !tag.is_empty());
        let tag = git_tag(tag.ok_or(Reason::NoTag)?)?;
        let digest = version.version.as_deref().unwrap_or_default();
        let digest: Digest = digest.parse().map_err(|_| Reason::NoDigest(cut(digest)))?;
        let reference = reference(package, version, &tag);
        let reference = reference.ok_or_else(|| Reason::NoReference(cut(&package.name)))?;
        let source = Source::RegistryPackage(PackageSource {
            repository_id: repository.id,
            repository: repository.full_name.clone(),
            package: bounded(&package.name, "the package's name")?,
            tag: tag.to_string(),
            actor: login(&event.sender),
            url: shown(&package.html_url),
        });
        let revision = Revision {
            sha: version.commit(repository),
            ..Revision::default()
        };
        // Two repositories may publish the same image under the same tag.
        let (id, name) = (repository.id, &package.name);
        let key = format!("package:{id}:{name}:{digest}:{tag}");
        let image = Image {
            reference: Some(reference),
            digest: Some(digest),
        };
        Ok(Candidate {
            image: Some(image),
            ..self.candidate(key, channel, source, revision)
        })
    }
}

impl Package {
    /// GitHub says it in one of three places, not always in all.
    fn is_image(&self) -> bool {
        let registry = self
            .registry
            .as_ref()
            .and_then(|registry| registry.kind.as_deref());
        let kinds = [
            self.package_type.as_deref(),
            self.ecosystem.as_deref(),
            registry,
        ];
        kinds.into_iter().flatten().any(|kind| {
            kind.eq_ignore_ascii_case("container") || kind.eq_ignore_ascii_case("docker")
        })
    }

    fn kind(&self) -> &str {
        let kind = self.package_type.as_deref().or(self.ecosystem.as_deref());
        kind.unwrap_or("unknown")
    }
}

impl PackageVersion {
    fn tag(&self) -> Option<&str> {
        self.container_metadata
            .as_ref()?
            .tag
            .as_ref()?
            .name
            .as_deref()
    }

    /// The commit that the image was built from, where it can be known.
    fn commit(&self, repository: &Repository) -> Option<Sha> {
        let target = self
            .target_commitish
            .as_deref()
            .and_then(|text| text.parse().ok());
        target.or_else(|| self.labelled_commit(repository))
    }

    /// The commit in the image's labels (OCI image specification, "Annotations"), unless they are those of an image
    /// that it was built upon.
    fn labelled_commit(&self, repository: &Repository) -> Option<Sha> {
        let labels = self.container_metadata.as_ref()?.labels.as_ref()?;
        let labels = labels.all_labels.as_ref()?;
        let label = |name: &str| labels.get(name)?.as_deref();
        let source = label("org.opencontainers.image.source")?.to_ascii_lowercase();
        let path = format!("/{}", repository.full_name.to_ascii_lowercase());
        let source = source.strip_suffix(".git").unwrap_or(&source);
        let own = source.ends_with(&path);
        let revision = label("org.opencontainers.image.revision").filter(|_| own)?;
        revision.parse().ok()
    }
}

/// `ghcr.io/OWNER/NAME:TAG`, as GitHub says it, else put together; in lower case, as registries want it.
fn reference(package: &Package, version: &PackageVersion, tag: &GitTag) -> Option<String> {
    let url = version
        .package_url
        .as_deref()
        .and_then(|url| url.rsplit_once(':'));
    let given = url.filter(|(_, of)| *of == tag.as_str());
    let given = given.map(|(name, _)| name.to_ascii_lowercase());
    let owner = package
        .owner
        .as_ref()
        .and_then(|owner| owner.login.as_deref());
    let built = owner.map(|owner| format!("ghcr.io/{owner}/{}", package.name).to_ascii_lowercase());
    let name = given.filter(|name| is_image_name(name));
    let name = name.or(built.filter(|name| is_image_name(name)))?;
    Some(format!("{name}:{tag}"))
}

/// `HOST[:PORT]/PATH` (distribution's grammar of references, a little wider: what a host names is compared whole).
fn is_image_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let mut bytes = part.bytes();
        let ends = part
            .bytes()
            .last()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        ends && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    let Some((host, path)) = name.split_once('/') else {
        return false;
    };
    let host = host.split_once(':').map_or(host, |(host, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            host
        } else {
            ""
        }
    });
    name.len() <= MAX_NAME && host.contains('.') && is_part(host) && path.split('/').all(is_part)
}
