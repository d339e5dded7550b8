//! References with placeholders, as the host's file has them: `ghcr.io/octo-org/web:sha-{short_sha}`.
//!
//! Placeholders stand in the tag only, so that no intent can choose the repository, and a value reaches a tag only
//! after it matches its type.

use std::fmt;

use thiserror::Error;
use towline_protocol::{GitTag, Revision};

use super::{Reference, ReferenceError};

/// A reference whose tag may have placeholders: `{sha}`, `{short_sha}`, `{branch}`, `{tag}`, `{run_number}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    base: Reference,
    tag: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Placeholder),
}

/// A name in braces, for which an intent has the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{sha}`: the commit.
    Sha,
    /// `{short_sha}`: its first 7 digits.
    ShortSha,
    /// `{branch}`.
    Branch,
    /// `{tag}`: the git tag.
    Tag,
    /// `{run_number}`: of the workflow run.
    RunNumber,
}

/// Why some text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A name in braces that stands for nothing.
    #[error(
        "{{{0}}} is not known: use {{sha}}, {{short_sha}}, {{branch}}, {{tag}} or {{run_number}}"
    )]
    Unknown(String),
    /// A brace without its partner.
    #[error("a brace is not closed, or was never opened")]
    Brace,
    /// A placeholder before the tag.
    #[error("placeholders may stand in the tag only, so that no intent can choose the repository")]
    OutsideTag,
    /// Not a reference, whatever the placeholders stand for.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Why a template gives no reference for a revision.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// The revision does not have what a placeholder needs.
    #[error("the image {template} needs {{{placeholder}}}, which this intent does not have")]
    Missing {
        /// The template.
        template: String,
        /// The placeholder's name.
        placeholder: &'static str,
    },
    /// The values together are no tag, for instance a branch with a slash.
    #[error(
        "the image {template} would get the tag {tag:?}, which is not valid: use [A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}"
    )]
    Tag {
        /// The template.
        template: String,
        /// What the tag would have been, cut to 160 characters.
        tag: String,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let Some(open) = text.find('{') else {
            return if text.contains('}') {
                Err(TemplateError::Brace)
            } else {
                Self::fixed(text)
            };
        };
        let head = text.get(..open).unwrap_or_default();
        let colon = match head.rfind([':', '/', '@']) {
            Some(at) if head.as_bytes().get(at) == Some(&b':') => at,
            _ => return Err(TemplateError::OutsideTag),
        };
        let tag = parts(text.get(colon + 1..).unwrap_or_default())?;
        let base: Reference = head.get(..colon).unwrap_or_default().parse()?;
        let template = Self {
            text: text.to_owned(),
            base,
            tag,
        };
        match template.tag_with(|placeholder| Some(placeholder.sample().to_owned())) {
            Ok(_) => Ok(template),
            Err(RenderError::Missing { .. }) => Err(TemplateError::Brace),
            Err(RenderError::Tag { .. }) => Err(TemplateError::Reference(ReferenceError {
                text: text.chars().take(80).collect(),
                rule: "a tag is [A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
            })),
        }
    }

    fn fixed(text: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            text: text.to_owned(),
            base: text.parse()?,
            tag: Vec::new(),
        })
    }

    /// Registry and repository, the same for every intent.
    pub fn name(&self) -> String {
        self.base.name()
    }

    /// The placeholders in the tag, in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.tag.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(placeholder) => Some(*placeholder),
        })
    }

    /// The reference for `revision`, and `run_number` where a workflow run is behind it.
    ///
    /// # Errors
    /// See [`RenderError`].
    pub fn render(
        &self,
        revision: &Revision,
        run_number: Option<u64>,
    ) -> Result<Reference, RenderError> {
        if self.tag.is_empty() {
            return Ok(self.base.clone());
        }
        let tag = self.tag_with(|placeholder| placeholder.of(revision, run_number))?;
        Ok(self.base.at_tag(tag))
    }

    fn tag_with(
        &self,
        value: impl Fn(Placeholder) -> Option<String>,
    ) -> Result<GitTag, RenderError> {
        let mut tag = String::new();
        for part in &self.tag {
            match part {
                Part::Text(text) => tag.push_str(text),
                Part::Value(placeholder) => {
                    tag.push_str(&value(*placeholder).ok_or_else(|| RenderError::Missing {
                        template: self.text.clone(),
                        placeholder: placeholder.name(),
                    })?)
                }
            }
        }
        let shown = tag.chars().take(160).collect();
        tag.parse().map_err(|_| RenderError::Tag {
            template: self.text.clone(),
            tag: shown,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parts(mut text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    while let Some((before, rest)) = text.split_once('{') {
        let (name, after) = rest.split_once('}').ok_or(TemplateError::Brace)?;
        if before.contains('}') {
            return Err(TemplateError::Brace);
        }
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Value(Placeholder::named(name)?));
        text = after;
    }
    if text.contains('}') {
        return Err(TemplateError::Brace);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(parts)
}

impl Placeholder {
    const ALL: [Self; 5] = [
        Self::Sha,
        Self::ShortSha,
        Self::Branch,
        Self::Tag,
        Self::RunNumber,
    ];

    fn named(name: &str) -> Result<Self, TemplateError> {
        let found = Self::ALL
            .into_iter()
            .find(|placeholder| placeholder.name() == name);
        found.ok_or_else(|| TemplateError::Unknown(name.chars().take(40).collect()))
    }

    /// What stands between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha => "sha",
            Self::ShortSha => "short_sha",
            Self::Branch => "branch",
            Self::Tag => "tag",
            Self::RunNumber => "run_number",
        }
    }

    /// The longest value that is always there, to try a template with.
    fn sample(self) -> &'static str {
        match self {
            Self::Sha => "0000000000000000000000000000000000000000",
            Self::ShortSha => "0000000",
            Self::Branch | Self::Tag => "x",
            Self::RunNumber => "1",
        }
    }

    fn of(self, revision: &Revision, run_number: Option<u64>) -> Option<String> {
        match self {
            Self::Sha => revision.sha.as_ref().map(ToString::to_string),
            Self::ShortSha => revision.sha.as_ref().map(|sha| sha.short().to_owned()),
            Self::Branch => revision.branch.clone(),
            Self::Tag => revision.tag.as_ref().map(ToString::to_string),
            Self::RunNumber => run_number.map(|number| number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn revision(branch: &str) -> Revision {
        Revision {
            sha: Some("3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap()),
            branch: Some(branch.to_owned()),
            tag: None,
        }
    }

    fn rendered(template: &str, branch: &str) -> Result<String, RenderError> {
        Template::parse(template)
            .unwrap()
            .render(&revision(branch), Some(163))
            .map(|reference| reference.to_string())
    }

    #[test]
    fn placeholders_become_the_revisions_values() {
        for (template, reference) in [
            (
                "ghcr.io/octo-org/web:sha-{short_sha}",
                "ghcr.io/octo-org/web:sha-3484a3f",
            ),
            (
                "127.0.0.1:5000/web:{branch}-{run_number}",
                "127.0.0.1:5000/web:main-163",
            ),
            (
                "web:{sha}",
                "docker.io/library/web:3484a3fb816e0859fd6e1cea078d76385ff50625",
            ),
            ("web", "docker.io/library/web:latest"),
        ] {
            assert_eq!(rendered(template, "main").unwrap(), reference);
        }
    }

    #[test]
    fn a_placeholder_outside_of_the_tag_is_refused() {
        for bad in [
            "{branch}/web:v1",
            "ghcr.io/{branch}",
            "ghcr.io/web@{sha}",
            "ghcr.io/{tag}/web:{sha}",
            "{sha}",
        ] {
            assert_eq!(
                Template::parse(bad),
                Err(TemplateError::OutsideTag),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_wrong_name_or_brace_says_what_is_known() {
        let error = Template::parse("web:{commit}").unwrap_err().to_string();
        assert!(
            error.contains("{commit}") && error.contains("{short_sha}"),
            "{error}"
        );
        for bad in ["web:{sha", "web:sha}", "web:{sha}}", "web:}{sha}"] {
            assert_eq!(Template::parse(bad), Err(TemplateError::Brace), "{bad}");
        }
        for bad in [
            "Web:{sha}",
            "web:-{sha}",
            "web:{sha} ",
            "web:{sha}@sha256:0",
        ] {
            assert!(
                matches!(Template::parse(bad), Err(TemplateError::Reference(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_branch_that_is_no_tag_gives_no_reference() {
        for branch in ["feature/x", "", "a b", "$(id)", "-x", &"x".repeat(200)] {
            assert!(
                matches!(
                    rendered("web:{branch}", branch),
                    Err(RenderError::Tag { .. })
                ),
                "{branch}"
            );
        }
    }

    #[test]
    fn what_the_intent_does_not_have_is_named() {
        let error = Template::parse("web:{tag}")
            .unwrap()
            .render(&revision("main"), None)
            .unwrap_err();
        assert!(error.to_string().contains("{tag}"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_the_branch_the_repository_stays(branch in ".{0,40}") {
            if let Ok(reference) = Template::parse("ghcr.io/octo-org/web:b-{branch}").unwrap().render(&revision(&branch), None) {
                prop_assert_eq!(reference.name(), "ghcr.io/octo-org/web");
                prop_assert_eq!(reference.digest(), None);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z{}:/@.]{0,40}") {
            let _ = Template::parse(&text);
        }
    }
}
