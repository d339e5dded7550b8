//! What is to be tried again, and what takes its place.

use super::*;

impl Host {
    /// Has intent `seq` tried once more though it has ended, as after an interruption.
    fn again(&mut self, seq: u64) {
        let intent = self.intents.iter().find(|intent| intent.seq == seq);
        let id = &intent.unwrap().id;
        self.standings.get_mut(id).unwrap().again = true;
    }
}

#[test]
fn what_is_to_be_tried_again_is_chosen_while_it_is_the_newest() {
    let mut host = Host::new("");
    host.receive([manual(1)]).work(Outcome::RolledBack);
    assert_eq!(host.choose().apply, None);
    host.again(1);
    let selection = host.choose();
    assert_eq!(
        (selection.apply, selection.settled.len()),
        (Some(manual(1)), 0)
    );
    host.receive([manual(2)]);
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply.unwrap().seq, 2);
    assert_eq!(selection.settled, [], "it has its outcome already");
    assert_eq!(host.choose().apply, None, "nothing leads back");
}

#[test]
fn what_is_to_be_tried_again_supersedes_what_came_before_it() {
    let mut host = Host::new("");
    host.receive([manual(2)]).work(Outcome::RolledBack);
    host.again(2);
    let selection = host.receive([manual(1)]).choose();
    assert_eq!(selection.apply.unwrap().seq, 2);
    assert_eq!(selection.settled[0].outcome, Outcome::Superseded);
}

#[test]
fn what_is_stale_expired_or_refused_meanwhile_is_not_tried_again_and_nothing_more_is_told() {
    let mut stale = Host::new("");
    stale.receive([of_run(1, 10, 1)]).work(Outcome::RolledBack);
    stale.again(1);
    let mut seen = stale.seen.clone().unwrap();
    seen.note(&run(11, 1));
    stale.seen = Some(seen);
    let mut expired = Host::new("");
    expired.receive([manual(1)]).work(Outcome::RolledBack);
    expired.again(1);
    expired.intents[0].expires_at = Some(Timestamp::UNIX_EPOCH);
    let mut refused = Host::new("");
    refused.receive([manual(1)]).work(Outcome::RolledBack);
    refused.again(1);
    refused.service = service("manual = false");
    for host in [stale, expired, refused] {
        let selection = host.choose();
        assert_eq!((selection.apply, selection.settled), (None, vec![]));
    }
}
