//! The `TOWLINE_*` variables: what commands and Compose projects are told of a deploy.

use towline_protocol::{Channel, IntentId, ServiceName};

use super::{Revision, Sequence, Version, Which};

/// The longest branch that is passed on, in bytes.
const MAX_BRANCH: usize = 250;

/// What a deploy is for, beyond what the sequence itself knows.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// The intent's channel, if it is known still.
    pub channel: Option<&'a Channel>,
    /// The intent.
    pub intent: &'a IntentId,
    /// The attempt at it, from 1.
    pub attempt: u32,
}

impl Sequence {
    /// The variables of a program that is called as `step` on the way to `version`. What is not known is not there.
    pub fn variables(
        &self,
        about: About<'_>,
        step: &str,
        version: Version,
    ) -> Vec<(String, String)> {
        let (this, other) = match version {
            Version::New => (&self.before.new, &self.before.old),
            Version::Old => (&self.before.old, &self.before.new),
        };
        let sha = |revision: &Revision| revision.sha.as_ref().map(ToString::to_string);
        let failed = sha(other).filter(|_| version == Version::Old);
        let short = this.sha.as_ref().map(|sha| sha.short().to_owned());
        let all = [
            ("SERVICE", Some(about.service.to_string())),
            ("CHANNEL", about.channel.map(ToString::to_string)),
            ("INTENT", Some(about.intent.to_string())),
            ("ATTEMPT", Some(about.attempt.to_string())),
            ("DEPLOY", Some(self.deploy.clone())),
            ("STEP", Some(step.to_owned())),
            ("SHA", sha(this)),
            ("SHORT_SHA", short),
            ("BRANCH", branch(this)),
            ("TAG", this.tag.as_ref().map(ToString::to_string)),
            (
                "RUN_NUMBER",
                this.run_number.map(|number| number.to_string()),
            ),
            ("PREVIOUS_SHA", sha(other)),
            ("FAILED_SHA", failed),
        ];
        known(all)
    }
}

/// The variables of a Compose project of this revision. What is not known is not there.
pub fn compose_variables(revision: &Revision) -> Vec<(String, String)> {
    known([
        ("SHA", revision.sha.as_ref().map(ToString::to_string)),
        ("TAG", revision.tag.as_ref().map(ToString::to_string)),
    ])
}

/// Those of them that are known, by their whole names.
pub(crate) fn known<const N: usize>(all: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    let known = all.into_iter();
    let known = known.filter_map(|(name, value)| Some((format!("TOWLINE_{name}"), value?)));
    known.collect()
}

/// The branch, if it has only characters that mean nothing to a shell, a path's steps or an option.
fn branch(revision: &Revision) -> Option<String> {
    let branch = revision.branch.as_ref()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-+@#".contains(&byte);
    let begins_well =
        branch.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    let is_plain = begins_well
        && branch.len() <= MAX_BRANCH
        && !branch.contains("..")
        && branch.bytes().all(plain);
    is_plain.then(|| branch.clone())
}

impl Which {
    /// As the host's file and `TOWLINE_STEP` name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Run => "run",
            Self::RollBack => "rollback",
            Self::Start => "start",
        }
    }
}
