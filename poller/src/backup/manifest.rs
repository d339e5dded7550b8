//! What an archive says of itself: its first entry, `towline.json`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use towline_protocol::{ServiceName, Sha};

/// The manifest's name in the archive.
pub(super) const ENTRY: &str = "towline.json";

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The longest manifest that is read, in bytes.
pub(super) const MAX: u64 = 1 << 20;

/// What a backup is of. Members may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the archive.
    pub format: u32,
    /// The service.
    pub service: ServiceName,
    /// The deploy that it was made before.
    pub deploy: String,
    /// When.
    pub at: Timestamp,
    /// The commit that the data belong to, where it is known.
    pub sha: Option<Sha>,
    /// What is in it.
    pub paths: Vec<Stored>,
    /// The version of towline that made it.
    pub towline: String,
}

/// A path that is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// As the host's file names it.
    pub named: PathBuf,
    /// Where that was, without symbolic links; in the archive it is stored below this, without the leading slash.
    pub real: PathBuf,
}
