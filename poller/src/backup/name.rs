//! What a backup is called: `20261121T221500Z-3484a3f.tar.gz`, its time in UTC and the revision that its data belong to,
//! so that names are in the order of their times.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use towline_protocol::Sha;

/// What every name ends with.
const END: &str = ".tar.gz";
/// The time in a name, to the second.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A backup's file name. Only valid text becomes one, so that it is never a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupName(String);

/// Why some text is no backup's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no backup's name: expected TIME-COMMIT.tar.gz or TIME.tar.gz, such as 20261121T221500Z-3484a3f.tar.gz"
)]
pub struct NoBackupName(String);

impl BackupName {
    /// The name of a backup made at `at`, of data that belong to the commit `sha`.
    pub fn new(at: Timestamp, sha: Option<&Sha>) -> Self {
        let time = at.strftime(TIME);
        Self(match sha {
            Some(sha) => format!("{time}-{}{END}", sha.short()),
            None => format!("{time}{END}"),
        })
    }

    /// The name of one made at `at`, or in the first second after it of which no backup is in `taken`: two deploys may
    /// follow one another within a second.
    pub fn free(taken: &[Self], at: Timestamp, sha: Option<&Sha>) -> Self {
        let seconds = (0..).take(taken.len().saturating_add(1));
        let later = seconds.filter_map(|more| at.checked_add(SignedDuration::from_secs(more)).ok());
        let mut names = later.map(|at| Self::new(at, sha));
        let is_free = |name: &Self| taken.iter().all(|other| other.at() != name.at());
        let free = names.find(is_free);
        free.unwrap_or_else(|| Self::new(at, sha))
    }

    /// When it was made, to the second.
    pub fn at(&self) -> Timestamp {
        time_of(&self.0).unwrap_or_default()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The time in a name that is valid.
fn time_of(text: &str) -> Option<Timestamp> {
    let stem = text.strip_suffix(END)?;
    let (time, revision) = match stem.split_once('-') {
        Some((time, revision)) => (time, Some(revision)),
        None => (stem, None),
    };
    let is_revision = |text: &str| text.len() == 7 && text.bytes().all(is_lower_hex);
    if time.len() != "20261121T221500Z".len() || !revision.is_none_or(is_revision) {
        return None;
    }
    let civil = DateTime::strptime(TIME, time).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

impl FromStr for BackupName {
    type Err = NoBackupName;

    fn from_str(text: &str) -> Result<Self, NoBackupName> {
        match time_of(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(NoBackupName(text.chars().take(80).collect())),
        }
    }
}

impl TryFrom<String> for BackupName {
    type Error = NoBackupName;

    fn try_from(text: String) -> Result<Self, NoBackupName> {
        text.parse()
    }
}

impl From<BackupName> for String {
    fn from(name: BackupName) -> Self {
        name.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_tells_time_and_revision_and_is_read_again() {
        let made = at("2026-11-21T22:15:00.9Z");
        let sha: Sha = "3484a3f0123456789abcdef0123456789abcdef0".parse().unwrap();
        let name = BackupName::new(made, Some(&sha));
        assert_eq!(name.as_str(), "20261121T221500Z-3484a3f.tar.gz");
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.at(), at("2026-11-21T22:15:00Z"));
        let unknown = BackupName::new(made, None);
        assert_eq!(unknown.as_str(), "20261121T221500Z.tar.gz");
        assert_eq!(unknown.as_str().parse(), Ok(unknown));
    }

    #[test]
    fn what_is_no_name_of_ours_is_refused() {
        for text in [
            "",
            ".tar.gz",
            "notes.tar.gz",
            "20261121T221500Z-3484a3f.tar",
            "20261121T221500Z-3484A3F.tar.gz",
            "20261121T221500Z-3484a3f1.tar.gz",
            "20261141T221500Z.tar.gz",
            "2026112T1221500Z.tar.gz",
            ".20261121T221500Z-3484a3f.tar.gz.part",
            "../20261121T221500Z-3484a3f.tar.gz",
            "20261121T221500Z-../../a.tar.gz",
        ] {
            assert!(text.parse::<BackupName>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_times() {
        let one = BackupName::new(at("2026-09-30T23:59:59Z"), None);
        let other = BackupName::new(at("2026-10-01T00:00:00Z"), None);
        assert!(one < other);
    }

    #[test]
    fn two_deploys_within_a_second_have_backups_of_two_names_in_their_order() {
        let (now, sha) = (at("2026-11-21T22:15:00.2Z"), "f".repeat(40).parse().ok());
        let mut taken = vec![BackupName::new(at("2026-11-21T22:15:02Z"), None)];
        for expected in ["221500Z-fffffff", "221501Z-fffffff", "221503Z-fffffff"] {
            let name = BackupName::free(&taken, now, sha.as_ref());
            assert_eq!(name.as_str(), format!("20261121T{expected}.tar.gz"));
            taken.push(name);
        }
    }
}
