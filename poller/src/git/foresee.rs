//! What fetching a commit and putting a checkout at it would come to, as far as that can be known without fetching: the
//! remote is asked what it has, and what is here is looked at. Writes nothing.

use towline_protocol::Sha;

use super::{
    Checkout, GitError, Wanted,
    call::Call,
    fetch::Search,
    keep,
    look::look_at,
    open::{open, usable},
    ready::{ready, undisturbed},
    remote::Remote,
    run::{Place, Tools},
};

/// What is known of a commit before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Where the checkout is.
    pub at: Checkout,
    /// The remote's address, without a login.
    pub remote: String,
    /// Files with changes that `discard_changes` throws away, as far as they are known.
    pub lost: Vec<String>,
    /// Whether the commit is here already. Files in the way of one that is not are not known yet.
    pub is_here: bool,
    /// Whether it is known that it is on one of the branches, or that its tag is enough. One that is not fetched may be
    /// anywhere.
    pub is_on_branch: bool,
}

/// Looks whether the commit could be had, and the checkout be put at it.
///
/// # Errors
/// What a deploy would have against it, as far as that shows, in the same words.
pub async fn foresee(
    tools: &mut Tools<'_>,
    place: &Place<'_>,
    wanted: &Wanted<'_>,
) -> Result<Foreseen, GitError> {
    let repository = open(tools, place).await?;
    usable(tools, place).await?;
    let remote = Remote::of(tools, place).await?;
    let advertised = remote.list(tools, place, wanted).await?;
    let search = Search {
        place,
        remote: &remote,
        wanted,
        shallow: repository.shallow,
    };
    let tag = search.tag(&advertised)?;
    let is_here = keep::is_here(tools, place, wanted.sha).await?;
    let is_on_branch = if wanted.branches.is_empty() && tag.is_some() {
        true
    } else {
        search.on_any(tools, &advertised.heads, is_here).await?
    };
    let look = if is_here {
        ready(tools, place, wanted.sha).await?
    } else {
        let look = look_at(tools, place, &repository).await?;
        undisturbed(place, &look)?;
        look
    };
    Ok(Foreseen {
        at: look.at,
        lost: look.changes,
        remote: remote.shown,
        is_here,
        is_on_branch,
    })
}

impl Search<'_> {
    /// Whether the commit is known to be on one of the branches as the remote has them now; an error when it is known to be
    /// on none.
    async fn on_any(
        &self,
        tools: &mut Tools<'_>,
        heads: &[(String, String)],
        is_here: bool,
    ) -> Result<bool, GitError> {
        if heads.is_empty() {
            return Err(self.no_branch());
        }
        let sha = self.wanted.sha.as_str();
        if heads.iter().any(|(_, tip)| tip == sha) {
            return Ok(true);
        }
        let mut all_known = is_here && !self.shallow;
        for (_, tip) in heads {
            let tip: Sha = match tip.parse() {
                Ok(tip) if is_here && keep::is_here(tools, self.place, &tip).await? => tip,
                Ok(_) | Err(_) => {
                    all_known = false;
                    continue;
                }
            };
            let is_before = Call::new(&["merge-base", "--is-ancestor", sha, tip.as_str()]);
            if tools.holds(self.place, &is_before).await? {
                return Ok(true);
            }
        }
        if all_known {
            return Err(self.not_on_branch());
        }
        Ok(false)
    }
}
