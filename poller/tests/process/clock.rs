//! Clocks that are years off, the hub's and the host's.

use super::*;

#[test]
fn a_clock_that_is_years_off_applies_nothing_that_may_be_too_late_and_says_so() {
    let years = SignedDuration::from_hours(3 * 365 * 24);
    let hour = SignedDuration::from_hours(1);
    let told = |made: Timestamp| {
        let mut intent = manual(1);
        intent["created_at"] = made.to_string().into();
        intent["expires_at"] = (made + hour).to_string().into();
        let relay = Relay::start();
        relay.change(|state| state.intents = news(&[intent]));
        let (status, log) = Host::new(relay.port, "").once();
        assert!(!log.contains("picked up"), "{log}");
        (status, log, relay.outcomes())
    };
    let expired = ("web".to_owned(), "expired".to_owned());
    let (status, log, outcomes) = told(Timestamp::now() - years);
    assert_eq!((status, outcomes), (0, vec![expired]), "{log}");
    assert!(log.contains("this host's clock says"), "{log}");
    let (status, log, outcomes) = told(Timestamp::now() + years);
    let waiting = ("web".to_owned(), "waiting".to_owned());
    assert_eq!((status, outcomes), (1, vec![waiting]), "{log}");
    assert!(log.contains("waits until the clock is right"), "{log}");
}

#[test]
fn a_hub_that_is_years_ahead_of_the_hosts_clock_is_not_believed() {
    let relay = Relay::start();
    let (status, kind, body) = news(&[manual(1)]);
    let years = SignedDuration::from_hours(3 * 365 * 24);
    let epoch = (Timestamp::now() + years).as_millisecond();
    let body = body.replace("\"epoch\":7", &format!("\"epoch\":{epoch}"));
    relay.change(|state| state.intents = (status, kind, body));
    let (_, log) = Host::new(relay.port, "").once();
    assert!(log.contains("is this host's clock right"), "{log}");
    assert!(!log.contains("picked up"), "{log}");
    assert_eq!(relay.outcomes(), []);
}
