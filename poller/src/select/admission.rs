//! Whether a version that failed here may be tried by an intent.

use towline_protocol::Intent;

use super::place;
use crate::{store::Quarantined, version::VersionId};

/// Whether an intent may try a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    /// Nothing is against it.
    Free,
    /// Its image's name leads to what failed, which was another commit: perhaps its own image has not been pushed yet.
    Later(&'a Quarantined),
    /// It came before the version failed, or is the intent that it failed with.
    Never(&'a Quarantined),
}

/// Whether `intent`, which has turned out to mean `version`, may try it.
///
/// A newer intent may if it names the image's digest itself or is for the commit that failed: somebody wants just this one.
pub fn admission<'a>(
    quarantine: &'a [Quarantined],
    intent: &Intent,
    version: &VersionId,
) -> Admission<'a> {
    let Some(failed) = quarantine.iter().find(|one| one.version == *version) else {
        return Admission::Free;
    };
    // Another channel's numbers say nothing: the service has moved since.
    if failed.channel == intent.channel && place(intent) <= failed.place {
        return Admission::Never(failed);
    }
    let named = intent.image.as_ref();
    let named = named.and_then(|image| image.digest.clone());
    let is_wanted = named.map(VersionId::Digest).as_ref() == Some(version);
    match (&failed.sha, &intent.revision.sha) {
        (Some(before), Some(now)) if before != now && !is_wanted => Admission::Later(failed),
        _ => Admission::Free,
    }
}

#[cfg(test)]
mod tests {
    use towline_protocol::{Channel, Image, Mark};

    use super::*;
    use crate::testing::{SHA, digest, intent};

    /// The first digest's failure with intent 5, as the commit of all the tests' intents.
    fn failed() -> Vec<Quarantined> {
        let one = Quarantined {
            version: digest('1').into(),
            sha: Some(SHA.parse().unwrap()),
            intent: Some(intent(7, 5).id),
            channel: "octo-org/web".parse().unwrap(),
            place: Mark { epoch: 7, seq: 5 },
            since: jiff::Timestamp::UNIX_EPOCH,
            why: "it answered 500".to_owned(),
            on_purpose: false,
        };
        vec![one]
    }

    fn of_another_commit(seq: u64) -> Intent {
        let mut other = intent(7, seq);
        other.revision.sha = Some("0".repeat(40).parse().unwrap());
        other
    }

    #[test]
    fn the_intent_that_failed_and_those_before_it_never_try_that_digest_again() {
        let quarantine = failed();
        for asked in [intent(7, 5), intent(7, 4), of_another_commit(3)] {
            assert_eq!(
                admission(&quarantine, &asked, &digest('1').into()),
                Admission::Never(&quarantine[0])
            );
            assert_eq!(
                admission(&quarantine, &asked, &digest('2').into()),
                Admission::Free
            );
        }
    }

    #[test]
    fn a_newer_intent_for_the_same_commit_tries_it_again() {
        assert_eq!(
            admission(&failed(), &intent(7, 6), &digest('1').into()),
            Admission::Free
        );
        assert_eq!(
            admission(&failed(), &intent(8, 1), &digest('1').into()),
            Admission::Free
        );
    }

    #[test]
    fn a_newer_intent_for_another_commit_waits_for_its_own_image_unless_it_names_the_digest() {
        let quarantine = failed();
        let mut asked = of_another_commit(6);
        assert_eq!(
            admission(&quarantine, &asked, &digest('1').into()),
            Admission::Later(&quarantine[0])
        );
        asked.image = Some(Image {
            reference: None,
            digest: Some(digest('1')),
        });
        assert_eq!(
            admission(&quarantine, &asked, &digest('1').into()),
            Admission::Free
        );
    }

    #[test]
    fn without_a_commit_on_either_side_or_on_another_channel_a_newer_intent_is_free() {
        let mut without = failed();
        without[0].sha = None;
        assert_eq!(
            admission(&without, &of_another_commit(6), &digest('1').into()),
            Admission::Free
        );
        let mut asked = of_another_commit(6);
        asked.revision.sha = None;
        assert_eq!(
            admission(&failed(), &asked, &digest('1').into()),
            Admission::Free
        );
        let mut moved = intent(7, 1);
        moved.channel = "octo-org/site".parse::<Channel>().unwrap();
        assert_eq!(
            admission(&failed(), &moved, &digest('1').into()),
            Admission::Free
        );
    }
}
