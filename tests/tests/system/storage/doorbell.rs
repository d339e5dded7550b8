//! What a doorbell costs, and that it outlives the hub's memory.

use anyhow::Result;
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    doorbell::Doorbell,
    relay::{WEBHOOK_SECRET, token},
};

use super::{mailbox, relay, run, settled};

#[test]
fn a_hub_that_was_dropped_from_memory_keeps_its_doorbells_and_who_listens() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let mut bell = Doorbell::greet(&relay, &pi, &json!({ "octo-org/asleep": "0.0" }))?;
    bell.is_quiet()?;
    for number in 1..=2 {
        relay.evict_hub()?;
        bell.is_quiet()?;
        assert_eq!(
            run("octo-org/asleep", number)?
                .send(&relay.url, WEBHOOK_SECRET)?
                .status,
            202
        );
        assert_eq!(bell.ring()?, ("octo-org/asleep".to_owned(), number));
        mailbox(&relay, "octo-org/asleep", number)?;
        settled(&relay)?;
        relay.reset_counts()?;
    }
    Ok(())
}

#[test]
fn a_connection_costs_one_hub_request_and_pings_and_rings_none() -> Result<()> {
    let relay = relay()?;
    let pi = token(Role::Host, "pi", &["octo-org/*"])?;
    let mut bell = Doorbell::greet(&relay, &pi, &json!({ "octo-org/cheap": "0.0" }))?;
    for _ in 0..3 {
        bell.is_quiet()?;
    }
    assert_eq!(relay.counts()?["hub_requests"], 1);
    run("octo-org/cheap", 1)?.send(&relay.url, WEBHOOK_SECRET)?;
    bell.ring()?;
    let counts = relay.counts()?;
    assert_eq!(counts["hub_requests"], 2, "{counts}");
    Ok(())
}
