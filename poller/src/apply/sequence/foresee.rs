//! What a deploy of a service made of parts would do, found out without doing any of it: no record, no fetch into the checkout, no pull, no check
//! of its health. It goes the way of the preparations ([`super::prepare`]), so that what would be refused is refused in the same
//! words.

use towline_protocol::{Outcome, Side};

use super::{
    super::{Foreseen, Job},
    Host,
    ground::Ground,
    halt::Halt,
    known::{Known, revision},
    prepare::{Ready, Seen, Way},
    programs,
};
use crate::{
    backup::Shelf,
    compose::Pulled,
    git,
    sequence::Sequence,
    settings::Parts,
    store::{Store, StoreError},
    version::VersionId,
};

/// What is known of a deploy that would begin.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The deploy at its beginning. Its old version is taken to pass its checks.
    pub sequence: Sequence,
    /// What is known of the commit and the checkout, of a service that has one.
    pub fetch: Option<git::Foreseen>,
    /// The images of a Compose project; `None` without one, or while its commit is not here. One that `is_new` is not here, and
    /// has its digest in place of its id.
    pub images: Option<Vec<Pulled>>,
    /// How many bytes the backup would take at most; `None` without one.
    pub backup: Option<u64>,
}

/// Finds out what applying `job` would do. `store` is only read; `shelf` is where its backups would be.
///
/// # Errors
/// When the state cannot be read.
pub async fn foresee(
    host: Host<'_>,
    store: &Store,
    shelf: &Shelf,
    job: &Job<'_>,
    parts: &Parts,
) -> Result<Foreseen<Ahead>, StoreError> {
    let (name, intent) = (&job.service.name, &job.intent.id);
    let known = Known::of(store, name, store.barred(name, intent)?)?;
    let with = Ready {
        host,
        job,
        parts,
        known: &known,
        shelf,
        state: store.dir(),
    };
    Ok(match ahead(&with).await {
        Ok(ahead) => Foreseen::Begins(Box::new(ahead)),
        Err(halt) => halt.without(&Ground::of(parts).secrets).foreseen(),
    })
}

async fn ahead(with: &Ready<'_>) -> Result<Ahead, Halt> {
    let new = revision(with.job.intent);
    let new_version = new.sha.clone().map(VersionId::Commit);
    let mut before = with.known.before(with.job.service, new, new_version);
    let mut seen = Seen::default();
    let mut way = Way::Plan(&mut seen);
    let digest = with.look_through(&mut before, &mut way).await?;
    let from = with.known.from(&before);
    let to = Side {
        sha: before.new.sha.clone(),
        digest,
    };
    let deploy = with.job.deploy.clone();
    let mut sequence = Sequence::new(deploy, with.parts.clone(), before, from, to);
    programs::fit_way_back(with.host, &mut sequence).await;
    let Seen {
        fetch,
        images,
        backup,
    } = seen;
    Ok(Ahead {
        sequence,
        fetch,
        images,
        backup,
    })
}

impl Halt {
    /// What a deploy that halts so would come to, and why.
    fn foreseen<A>(self) -> Foreseen<A> {
        match self {
            Self::Over(outcome, message) => Foreseen::Ends(outcome, message),
            Self::InPlace(_, message) => Foreseen::Ends(Outcome::Unchanged, message),
            Self::Unfit(message) => Foreseen::Ends(Outcome::FailedUntouched, message),
            Self::Later(error) => Foreseen::Ends(Outcome::Waiting, error.to_string()),
            Self::NoImage(trouble, message) if !trouble.may_pass() => {
                Foreseen::Ends(Outcome::FailedUntouched, message)
            }
            Self::Held(message)
            | Self::NoCommit(message)
            | Self::Wait { message, .. }
            | Self::NoImage(_, message) => Foreseen::Ends(Outcome::Waiting, message),
        }
    }
}
