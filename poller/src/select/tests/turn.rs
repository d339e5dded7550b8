//! What an intent waits for that several services want, and what ends it.

use super::*;

/// How things stand with the service `web` of the tests, called `db` here.
struct Db {
    host: Host,
    is_unfinished: bool,
}

impl Db {
    fn new() -> Self {
        let mut host = Host::new("");
        host.service.name = "db".parse().unwrap();
        host.receive((1..=3).map(manual));
        Self {
            host,
            is_unfinished: false,
        }
    }

    /// One with which intent 2 stands so.
    fn at(outcome: Outcome) -> Self {
        let mut db = Self::new();
        db.host.stands(&manual(2).id, outcome);
        db
    }

    /// One that tries intent 2, the newest, once more.
    fn again() -> Self {
        let mut db = Self::at(Outcome::RolledBack);
        db.host.intents.pop();
        db.host.standings.get_mut(&manual(2).id).unwrap().again = true;
        db
    }

    /// Intent 3 was chosen, and stands so.
    fn then(mut self, outcome: Outcome) -> Self {
        self.host.stands(&manual(3).id, outcome);
        let channel = self.host.service.rule.channel.clone();
        let seen = Seen {
            newest: Mark { epoch: 7, seq: 3 },
            ..Seen::default()
        };
        self.host.seen = Some(seen.on(&channel));
        self
    }

    fn before(&self) -> Before<'_> {
        Before {
            situation: self.host.situation(),
            is_unfinished: self.is_unfinished,
        }
    }

    /// What becomes of intent 2 behind this one.
    fn turn(&self) -> Turn {
        turn(&manual(2), &[self.before()])
    }
}

fn later() -> Turn {
    Turn::Later(vec!["db".parse().unwrap()])
}

fn never(outcome: Outcome) -> Turn {
    let before = "db".parse().unwrap();
    Turn::Never { before, outcome }
}

#[test]
fn an_intent_waits_until_the_service_before_has_taken_it() {
    assert_eq!(Db::new().turn(), later());
    for outcome in [Outcome::Waiting, Outcome::Applying] {
        assert_eq!(Db::at(outcome).turn(), later());
    }
    for outcome in [Outcome::Succeeded, Outcome::Unchanged] {
        assert_eq!(Db::at(outcome).turn(), Turn::Now);
    }
}

#[test]
fn an_intent_ends_with_the_service_before_whatever_way_that_has_failed() {
    for outcome in [
        Outcome::RolledBack,
        Outcome::FailedUntouched,
        Outcome::NeedsOperator,
        Outcome::Quarantined,
        Outcome::Refused,
        Outcome::Expired,
        Outcome::Superseded,
        Outcome::Stale,
    ] {
        let mut db = Db::at(outcome);
        db.host.intents.retain(|intent| intent.seq == 2);
        assert_eq!(db.turn(), never(outcome));
    }
}

#[test]
fn what_is_tried_again_or_not_at_its_end_is_waited_for() {
    assert_eq!(Db::again().turn(), later());
    let mut unfinished = Db::at(Outcome::Succeeded);
    unfinished.is_unfinished = true;
    assert_eq!(unfinished.turn(), later());
}

#[test]
fn a_service_that_the_intent_is_not_for_is_not_waited_for() {
    let mut db = Db::new();
    db.is_unfinished = true;
    let mut of_web = manual(2);
    of_web.service = Some("web".parse().unwrap());
    assert_eq!(turn(&of_web, &[db.before()]), Turn::Now);
    assert_eq!(turn(&manual(2), &[]), Turn::Now);
}

#[test]
fn where_the_service_before_went_on_to_a_newer_intent_that_one_counts() {
    let after = |outcome| Db::at(Outcome::Superseded).then(outcome).turn();
    assert_eq!(after(Outcome::Succeeded), Turn::Now);
    assert_eq!(after(Outcome::Waiting), later());
    assert_eq!(after(Outcome::RolledBack), never(Outcome::RolledBack));
    // Taken back on purpose meanwhile.
    assert_eq!(after(Outcome::Superseded), never(Outcome::Superseded));
    let stale = Db::at(Outcome::Stale).then(Outcome::Unchanged);
    assert_eq!(stale.turn(), Turn::Now);
}

#[test]
fn what_was_to_be_tried_again_and_is_not_any_more_is_not_waited_for() {
    let mut overtaken = Db::again();
    overtaken.host.receive([manual(3)]);
    assert_eq!(
        overtaken.turn(),
        later(),
        "it will be taken to the newer one"
    );
    assert_eq!(overtaken.then(Outcome::Succeeded).turn(), Turn::Now);
    let mut taken_back = Db::again();
    taken_back.host.hold = Some(Hold {
        channel: manual(2).channel,
        place: Mark { epoch: 7, seq: 2 },
        since: Timestamp::UNIX_EPOCH,
        why: "taken back".to_owned(),
    });
    assert_eq!(taken_back.turn(), never(Outcome::RolledBack));
}

#[test]
fn of_several_before_all_must_have_taken_it_and_the_first_that_failed_is_told() {
    let (good, open) = (Db::at(Outcome::Succeeded), Db::new());
    let mut bad = Db::at(Outcome::RolledBack);
    bad.host.service.name = "cache".parse().unwrap();
    let worse = Db::at(Outcome::NeedsOperator);
    let of = |all: &[&Db]| {
        let before: Vec<_> = all.iter().map(|db| db.before()).collect();
        turn(&manual(2), &before)
    };
    assert_eq!(of(&[&good, &good]), Turn::Now);
    assert_eq!(of(&[&good, &open]), later());
    let told = Turn::Never {
        before: "cache".parse().unwrap(),
        outcome: Outcome::RolledBack,
    };
    assert_eq!(of(&[&open, &bad, &worse]), told);
}

#[test]
fn who_is_waited_for_and_who_is_in_the_way_is_said() {
    let names: Vec<_> = ["cache", "db"].map(|name| name.parse().unwrap()).into();
    assert_eq!(
        waits_for(&names[..1]),
        "waits for cache, which comes before it"
    );
    assert_eq!(
        waits_for(&names),
        "waits for cache and db, which come before it"
    );
    assert_eq!(
        in_the_way(&names[1], Outcome::RolledBack),
        "db, which comes before it, was rolled back"
    );
}
