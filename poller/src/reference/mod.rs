//! Image references and the templates that become one.
//!
//! Here: the grammar of `github.com/distribution/reference`, with its normal form (`nginx` is
//! `docker.io/library/nginx:latest`), and templates in `template`. Not here: what a registry answers (`docker`)
//! and which reference a service gets (`plan`).

use std::{fmt, str::FromStr};

use thiserror::Error;
use towline_protocol::{Digest, GitTag};

mod kept;
mod template;

pub use kept::{KEPT_DIGITS, kept_tag};
pub use template::{Placeholder, RenderError, Template, TemplateError};

/// The registry of a reference that names none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The longest registry and repository together (distribution/reference, `RepositoryNameTotalLengthMax`).
const MAX_NAME: usize = 255;

/// An image in a registry: always with a registry and a repository, and with a tag, a digest or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<GitTag>,
    digest: Option<Digest>,
}

/// Why some text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("image reference {text:?} is not valid: {rule}")]
pub struct ReferenceError {
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is valid.
    pub rule: &'static str,
}

impl Reference {
    /// The registry, for instance `docker.io` or `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, for instance `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository, for instance `docker.io/library/nginx`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag; `None` only beside a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_ref().map(GitTag::as_str)
    }

    /// The digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository and tag at `digest`.
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self {
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    /// The same repository at `digest` and nothing else: what is pulled.
    pub fn at_digest(&self, digest: &Digest) -> Self {
        Self {
            tag: None,
            ..self.with_digest(digest)
        }
    }

    /// The same repository at `tag` and no digest.
    pub fn at_tag(&self, tag: GitTag) -> Self {
        Self {
            tag: Some(tag),
            digest: None,
            ..self.clone()
        }
    }

    /// Whether both name the same repository of the same registry.
    pub fn same_repository(&self, other: &Self) -> bool {
        self.registry == other.registry && self.repository == other.repository
    }

    /// The short form by which Docker's own commands and `RepoDigests` call a repository: without `docker.io/` and
    /// `library/`, unless that would read as another registry or as an image's id.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let short = self
            .repository
            .strip_prefix("library/")
            .filter(|rest| !rest.contains('/'))
            .unwrap_or(&self.repository);
        let read: Option<Self> = short.parse().ok();
        match read.filter(|read| read.same_repository(self)) {
            Some(_) => short.to_owned(),
            None => self.name(),
        }
    }

    /// The familiar name with the tag, as the engine lists local tags.
    pub fn familiar(&self) -> String {
        format!(
            "{}:{}",
            self.familiar_name(),
            self.tag().unwrap_or_default()
        )
    }

    fn suffix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.suffix(f)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fail = |rule| ReferenceError {
            text: text.chars().take(80).collect(),
            rule,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let digest = digest
            .map(str::parse::<Digest>)
            .transpose()
            .map_err(|error| fail(error.rule))?;
        let (name, tag) = split_tag(rest);
        let tag = tag
            .map(str::parse::<GitTag>)
            .transpose()
            .map_err(|error| fail(error.rule))?;
        if is_image_id(name) && tag.is_none() && digest.is_none() {
            return Err(fail(
                "64 hex digits are an image id; use registry/repository:tag",
            ));
        }
        let (registry, repository) = split_registry(name);
        let whole = registry.len() + 1 + repository.len();
        if !is_registry(registry) {
            return Err(fail(
                "the registry must be a host name with an optional :port",
            ));
        }
        if !repository.split('/').all(is_path_part) {
            return Err(fail(
                "use registry/repository:tag; the repository in lower case, parts joined by one of . _ __ -",
            ));
        }
        let repository = normal_repository(registry, repository);
        if whole > MAX_NAME || registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(fail(
                "registry and repository may have at most 255 characters together",
            ));
        }
        let tag = match (tag, &digest) {
            (None, None) => "latest".parse().ok(),
            (tag, _) => tag,
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// A colon behind the last slash starts the tag; one before it belongs to the registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// What stands before the first slash is a registry only when it looks like a host
/// (distribution/reference, `splitDockerDomain`).
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn normal_repository(registry: &str, repository: &str) -> String {
    if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    }
}

fn is_image_id(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `domain`: an IPv6 address in brackets, or labels of letters, digits and inner hyphens; then an optional port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            return !address.is_empty()
                && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_host_label)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `path-component`: runs of lower-case letters and digits, joined by `.`, `_`, `__` or hyphens.
fn is_path_part(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut before = false;
    for c in part.chars() {
        match c {
            '.' | '_' | '-' if before => separator.push(c),
            _ if u8::try_from(c).is_ok_and(alphanumeric) => {
                let joined = matches!(separator.as_str(), "" | "." | "_" | "__")
                    || separator.bytes().all(|b| b == b'-');
                if !joined {
                    return false;
                }
                separator.clear();
                before = true;
            }
            _ => return false,
        }
    }
    before && separator.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parsed(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn a_short_reference_means_what_docker_means_by_it() {
        for (short, long) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("octo-org/web", "docker.io/octo-org/web:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("localhost/web", "localhost/web:latest"),
            ("127.0.0.1:5000/web:v1", "127.0.0.1:5000/web:v1"),
            ("[::1]:5000/web", "[::1]:5000/web:latest"),
            ("Registry/web", "Registry/web:latest"),
            ("ghcr.io/octo-org/a/b/c:x", "ghcr.io/octo-org/a/b/c:x"),
            ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest"),
        ] {
            assert_eq!(parsed(short).to_string(), long);
        }
    }

    #[test]
    fn a_digest_stands_alone_or_behind_a_tag() {
        let alone = parsed(&format!("ghcr.io/octo-org/web@{DIGEST}"));
        assert_eq!(
            (alone.tag(), alone.digest().map(Digest::as_str)),
            (None, Some(DIGEST))
        );
        let both = parsed(&format!("ghcr.io/octo-org/web:v1@{DIGEST}"));
        assert_eq!(both.tag(), Some("v1"));
        assert_eq!(both.at_digest(both.digest().unwrap()), alone);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for bad in [
            "",
            ":tag",
            "/web",
            "web/",
            "web:",
            "web@",
            "web@sha256:abc",
            "Web",
            "we b",
            "web:ta/g:",
            "ghcr.io/Octo/web",
            "ghcr.io//web",
            "-web",
            "web-",
            "a..b",
            "a___b",
            "a._b",
            "ghcr.io:port/web",
            "-x.io/web",
            "[::1/web",
            "wéb",
            "https://ghcr.io/octo-org/web",
            &"0".repeat(64),
            &"x".repeat(256),
            &format!("web:{}", "x".repeat(129)),
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_familiar_name_is_how_repo_digests_call_it() {
        assert_eq!(parsed("nginx").familiar_name(), "nginx");
        assert_eq!(parsed("octo-org/web").familiar_name(), "octo-org/web");
        assert_eq!(
            parsed("ghcr.io/octo-org/web").familiar_name(),
            "ghcr.io/octo-org/web"
        );
    }

    #[test]
    fn a_short_name_that_would_mean_something_else_is_not_used() {
        let id = format!("docker.io/library/{}", "0".repeat(64));
        for long in ["docker.io/example.org/web", "docker.io/localhost/web", &id] {
            assert_eq!(parsed(&format!("{long}:v1")).familiar_name(), long);
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_reads_back_as_itself(
            registry in "([a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?\\.[a-z]{2,3}(:[0-9]{1,5})?/)?",
            repository in "[a-z0-9]{1,5}((_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,5}(\\.[a-z0-9]{1,3})?){0,3}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,20}"),
            digest in proptest::bool::ANY,
        ) {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = if digest { format!("@{DIGEST}") } else { String::new() };
            let reference: Reference = format!("{registry}{repository}{tag}{digest}").parse().unwrap();
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
            let familiar = reference.familiar_name().parse::<Reference>().unwrap();
            prop_assert!(familiar.same_repository(&reference));
        }

        #[test]
        fn no_text_makes_it_panic_and_what_is_taken_reads_back(text in ".{0,80}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
