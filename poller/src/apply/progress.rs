//! What is told while a deploy goes on, a line a step.

use std::fmt;

use towline_protocol::{Digest, Gate};

/// A milestone of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The image is here, whole and as asked for.
    Pulled {
        /// Its digest.
        digest: Digest,
    },
    /// The new container stands beside the old one.
    Created,
    /// The new container has the name and was started.
    Swapped,
    /// The new version passed the gate: there is no way back from here.
    Healthy {
        /// How sure the gate was.
        gate: Gate,
    },
    /// The new version failed.
    RollingBack {
        /// Why.
        why: String,
    },
    /// The old version is back.
    RolledBack,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pulled { digest } => write!(f, "pulled {digest}"),
            Self::Created => f.write_str("created the new container"),
            Self::Swapped => f.write_str("swapped: the new container has started"),
            Self::Healthy {
                gate: Gate::Healthy,
            } => f.write_str("healthy"),
            Self::Healthy { gate: Gate::Weak } => {
                f.write_str("running (weak: there is nothing to check)")
            }
            Self::RollingBack { why } => write!(f, "rolling back: {why}"),
            Self::RolledBack => f.write_str("rolled back: the old version serves again"),
        }
    }
}
