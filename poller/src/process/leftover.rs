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

/// The programs of earlier processes of ours that this one could not end.
#[derive(Debug, Default)]
pub struct Leftovers {
    stay: Vec<Identity>,
}

impl Leftovers {
    /// As [`end_leftover`], the first time. What stays then is only looked at from then on: whoever asks again and again
    /// waits once, and everything else that it has to do goes on.
    pub async fn end(&mut self, identity: &Identity, grace: Duration) -> Leftover {
        if self.stay.contains(identity) {
            return match is_there(identity) {
                true => Leftover::Stays,
                false => Leftover::Gone,
            };
        }
        let left = end_leftover(identity, grace).await;
        if left == Leftover::Stays {
            self.stay.push(identity.clone());
        }
        left
    }
}

/// Ends what is left of a program that an earlier process of ours has started, if it is still that one: TERM, and KILL
/// after `grace`. The program itself may be gone, and what it has started be there.
pub async fn end_leftover(identity: &Identity, grace: Duration) -> Leftover {
    if !is_there(identity) {
        return Leftover::Gone;
    }
    match Session(identity.pid).end(grace).await {
        true => Leftover::Ended,
        false => Leftover::Stays,
    }
}

fn is_there(identity: &Identity) -> bool {
    identity.counts() && Session(identity.pid).lives()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_not_be_ended_is_only_looked_at_from_then_on() {
        let sleep = std::process::Command::new("setsid")
            .args(["sleep", "600"])
            .spawn();
        let mut sleep = sleep.unwrap();
        let pid = i32::try_from(sleep.id()).unwrap();
        while !Session(pid).lives() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let identity = Identity::of(pid).unwrap();
        let mut leftovers = Leftovers {
            stay: vec![identity.clone()],
        };
        for _ in 0..2 {
            let left = leftovers.end(&identity, Duration::ZERO).await;
            assert_eq!(left, Leftover::Stays);
        }
        assert!(sleep.try_wait().unwrap().is_none(), "it was ended again");
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_eq!(
            leftovers.end(&identity, Duration::ZERO).await,
            Leftover::Gone
        );
    }

    #[tokio::test]
    async fn what_could_not_be_ended_and_has_ended_since_is_gone() {
        let gone = Identity {
            pid: i32::MAX,
            started: 0,
            boot: "another".to_owned(),
        };
        let mut leftovers = Leftovers {
            stay: vec![gone.clone()],
        };
        assert_eq!(leftovers.end(&gone, Duration::ZERO).await, Leftover::Gone);
    }
}
