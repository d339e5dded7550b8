//! Four services, told.

use super::*;

const GOOD: [How; 4] = [How::Good; 4];
/// The database's try ends otherwise.
const BAD_DB: [How; 4] = [How::Good, How::Bad, How::Good, How::Good];
const BUSY_DB: [How; 4] = [How::Good, How::PutsOff, How::Good, How::Good];

impl World {
    /// One to which this has happened.
    fn after(turns: &[Turn]) -> Self {
        let mut world = Self::new(None);
        for turn in turns {
            world.take(turn);
        }
        world
    }

    fn declined(&mut self, service: &str) -> String {
        let (intent, _) = self.newest(service).unwrap();
        let service = self.poller().service(&name(service)).unwrap();
        let declined = self.poller().check_turn(&service, &intent);
        declined.unwrap_err().to_string()
    }
}

fn work(hows: [How; 4]) -> Turn {
    Turn::Work {
        hows,
        rounds: 1,
        is_late: true,
    }
}

#[test]
fn a_failure_ends_all_that_comes_after_it_and_each_report_says_why() {
    let mut world = World::after(&[Turn::Run("main"), work(BAD_DB)]);
    let stopped = Some(Outcome::FailedUntouched);
    let good = Some(Outcome::Succeeded);
    let ended = [good, Some(Outcome::RolledBack), stopped, stopped];
    assert_eq!(world.outcomes(1), ended);
    let of_db = world.said("db");
    assert!(
        of_db.ends_with("; api and web, which come after it, are not applied either"),
        "{of_db}"
    );
    for service in ["api", "web"] {
        let told = format!(
            "{service}: not begun: db, which comes before it, was rolled back; `towline retry db`, \
             then `towline retry {service}`, or the next intent"
        );
        assert_eq!(world.said(service), told);
        let quarantine = world.poller().store.quarantine(&name(service));
        assert_eq!(quarantine.unwrap(), []);
    }
    world.take(&Turn::Run("main"));
    world.take(&work(GOOD));
    assert_eq!(world.outcomes(2), [good; 4], "a new one is for all of them");
}

#[test]
fn what_a_failure_has_stopped_is_tried_again_one_after_the_other() {
    let mut world = World::after(&[Turn::Run("main"), work(BAD_DB)]);
    let told = "api is not tried again: db, which comes before it, was rolled back; run `towline retry db` first";
    assert_eq!(world.declined("api"), told);
    world.take(&Turn::Retry("db"));
    world.take(&work(GOOD));
    let of_db = world.said("db");
    assert!(
        of_db.ends_with("; api and web were stopped by its failure before: `towline retry api` and so on, in this order"),
        "{of_db}"
    );
    assert!(
        world
            .declined("web")
            .ends_with("run `towline retry api` first")
    );
    for service in ["api", "web"] {
        world.take(&Turn::Retry(service));
        world.take(&work(GOOD));
    }
    assert_eq!(world.outcomes(1), [Some(Outcome::Succeeded); 4]);
}

#[test]
fn who_waits_says_for_whom_and_goes_on_after_a_restart() {
    let mut world = World::after(&[Turn::Run("main"), work(BUSY_DB)]);
    let waits = "waits for db and api, which come before it";
    let poller = world.poller();
    let (settings, host) = (&poller.settings, &poller.host);
    let status = crate::status::Status::recorded(&poller.store, settings, host, Timestamp::now());
    let status = status.unwrap();
    let web = status.services.iter().find(|one| one.name == name("web"));
    let pending = web.unwrap().pending.as_ref().unwrap();
    assert_eq!(pending.why, waits);
    assert_eq!(pending.state, crate::status::PendingState::Waiting);
    let spooled = poller.store.spooled(99).unwrap();
    let told = spooled
        .iter()
        .find(|one| one.report.message.contains(waits));
    let told = &told.unwrap().report;
    assert_eq!(
        (told.outcome, &told.service),
        (Some(Outcome::Waiting), &Some(name("web")))
    );
    assert_eq!(
        world.declined("web"),
        format!("web {waits}, and goes on by itself when that has ended well")
    );
    world.take(&Turn::Restart);
    assert_eq!(world.outcomes(1)[2..], [None, None]);
    world.take(&work(GOOD));
    assert_eq!(world.outcomes(1), [Some(Outcome::Succeeded); 4]);
}

#[test]
fn an_intent_for_one_service_alone_waits_for_none_and_a_newer_one_for_the_one_before_counts() {
    let mut world = World::after(&[Turn::Asked(Some("web")), work(BAD_DB)]);
    assert_eq!(world.outcomes(1)[3], Some(Outcome::Succeeded));
    world.take(&Turn::Run("main"));
    world.take(&work(BUSY_DB));
    world.take(&Turn::Run("hot"));
    world.take(&work(GOOD));
    let good = Some(Outcome::Succeeded);
    assert_eq!(
        world.outcomes(2),
        [good, Some(Outcome::Superseded), good, good]
    );
    assert_eq!(world.outcomes(3)[1], good);
}

#[test]
fn what_waits_ends_when_the_service_before_is_taken_back_on_purpose() {
    const BUSY_API: [How; 4] = [How::Good, How::Good, How::Waits, How::Good];
    let mut world = World::after(&[Turn::Run("main"), work(BUSY_API), Turn::Back("db")]);
    world.take(&work(GOOD));
    let stopped = Some(Outcome::FailedUntouched);
    assert_eq!(
        world.outcomes(1)[1..],
        [Some(Outcome::RolledBack), stopped, stopped]
    );
}
