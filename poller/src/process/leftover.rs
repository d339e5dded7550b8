//! What an earlier process of ours has started and not seen the end of.

use std::time::Duration;

use super::{Identity, session::Session};

/// What was found of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing: all of it had ended.
    Gone,
    /// Something, which was ended.
    Ended,
    /// Something that could not be ended: the kernel does not let go of it, or it is not ours to end.
    Stays,
}

/// Ends what is left of a program that an earlier process of ours has started, if it is still that one: TERM, and KILL
/// after `grace`. The program itself may be gone, and what it has started be there.
pub async fn end_leftover(identity: &Identity, grace: Duration) -> Leftover {
    let session = Session(identity.pid);
    if !identity.counts() || !session.lives() {
        return Leftover::Gone;
    }
    match session.end(grace).await {
        true => Leftover::Ended,
        false => Leftover::Stays,
    }
}
