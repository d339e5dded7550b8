//! What is told while a deploy goes on, a line a step.

use std::fmt;

use towline_protocol::{Digest, Gate, Sha};

use crate::docker::Layers;

/// Something that is told while a deploy goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The image is being pulled: not a step yet, and told again and again.
    Pulling(Layers),
    /// The image is here, whole and as asked for.
    Pulled {
        /// Its digest.
        digest: Digest,
        /// What came; nothing when the image was here already.
        layers: Layers,
    },
    /// The commit is here.
    Fetched {
        /// Which.
        sha: Sha,
    },
    /// A step of a service made of parts is done, in words.
    Did(String),
    /// The new container stands beside the old one.
    Created,
    /// The old container has stopped.
    Stopped,
    /// The new container has the name.
    Swapped,
    /// The new container was started.
    Started,
    /// The new container, which serves beside the old one, is found by the names of that one too.
    Joined,
    /// Clients had the time to go over to the new container.
    Drained,
    /// The new version passed a check for the first time, or again after it had failed it.
    Passed {
        /// Which.
        check: String,
    },
    /// The new version passed the gate: there is no way back from here.
    Healthy {
        /// How sure the gate was.
        gate: Gate,
    },
    /// The new version has the restart policy, and the old container was given up.
    Committed,
    /// The new version failed.
    RollingBack {
        /// Why.
        why: String,
    },
    /// The new container does not run any more.
    StoppedNew,
    /// The old container was started again.
    StartedOld,
    /// The old version is back.
    RolledBack,
}

impl Progress {
    /// Whether it is what goes on just now, and no step that is done.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Pulling(_))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pulling(layers) => write!(f, "pulling: {layers}"),
            Self::Pulled { digest, layers } if layers.count() == 0 => {
                write!(f, "pulled {digest}: it was here already")
            }
            Self::Pulled { digest, layers } => write!(f, "pulled {digest}: {}", layers.sum()),
            Self::Fetched { sha } => write!(f, "fetched {}", sha.short()),
            Self::Did(what) => f.write_str(what),
            Self::Created => f.write_str("created the new container"),
            Self::Stopped => f.write_str("stopped the old container"),
            Self::Swapped => f.write_str("swapped: the new container has the name"),
            Self::Started => f.write_str("started the new container"),
            Self::Joined => f.write_str("the new container serves beside the old one"),
            Self::Drained => f.write_str("left the old container its time to drain"),
            Self::Passed { check } => write!(f, "passed {check}"),
            Self::Healthy {
                gate: Gate::Healthy,
            } => f.write_str("healthy"),
            Self::Healthy { gate: Gate::Weak } => {
                f.write_str("nothing has failed (weak: no health check says more)")
            }
            Self::Committed => f.write_str("committed"),
            Self::RollingBack { why } => write!(f, "rolling back: {why}"),
            Self::StoppedNew => f.write_str("the new container does not run any more"),
            Self::StartedOld => f.write_str("started the old container again"),
            Self::RolledBack => f.write_str("rolled back: the old version is in place again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_pull_says_how_far_it_is_and_in_the_end_what_came() {
        let mut layers = Layers::default();
        layers.note(
            Some("a"),
            Some("Downloading"),
            Some(500_000),
            Some(2_000_000),
        );
        layers.note(Some("b"), Some("Already exists"), None, None);
        let pulling = Progress::Pulling(layers.clone());
        assert!(pulling.is_passing());
        assert_eq!(pulling.to_string(), "pulling: 1/2 layers, 0.5/2.0 MB");
        layers.note(Some("a"), Some("Pull complete"), None, None);
        let digest = testing::digest('a');
        let pulled = Progress::Pulled {
            digest: digest.clone(),
            layers,
        };
        assert_eq!(
            pulled.to_string(),
            format!("pulled {digest}: 2 layers, 2.0 MB")
        );
        let layers = Layers::default();
        let here = Progress::Pulled { digest, layers };
        assert!(here.to_string().ends_with("here already"), "{here}");
    }
}
