//! A service behind nginx that is replaced start-first while clients ask all the time: relay, binary and engine together.

use std::{thread, time::Duration};

use anyhow::Result;
use serde_json::json;
use towline_protocol::Role;
use towline_tests::{
    docker::{inspect, push},
    github::Delivery,
    host::Host,
    nginx::Behind,
    relay::token,
    steady::{Clients, Pace},
};

use crate::{
    relay,
    whole_way::{PATIENCE, queued, reported},
};

/// For how long is asked on after the end of a deploy.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A service of this name behind nginx, and its host.
fn scene(name: &str) -> Result<(Behind, Host)> {
    let behind = Behind::nginx(name)?;
    let lines = "strategy = \"start-first\"\ndrain = \"3s\"";
    let section = behind.section(&format!("octo-org/{name}"), lines);
    let token = token(Role::Host, name, &["octo-org/*"])?;
    let host = Host::new(&relay()?.url, &token, &section)?;
    Ok((behind, host))
}

#[test]
fn under_two_hundred_requests_a_second_through_nginx_a_replacement_loses_none() -> Result<()> {
    let (behind, host) = scene("unnoticed")?;
    let clients = Clients::start(behind.address, Pace::BUSY);
    clients.wait_for(PATIENCE, |page| page == Some("toy v1"))?;
    push("unnoticed", "v2", "ok")?;
    let delivery = Delivery::run(2, &format!("{:040x}", 2))?.of("octo-org/unnoticed", 801);
    let intent = queued(&delivery)?;
    let (status, said) = host.once()?;
    assert_eq!(status, Some(0), "{said}");
    clients.wait_for(PATIENCE, |page| page == Some("toy v2"))?;
    thread::sleep(AFTERWARDS);
    let seen = clients.stop();
    assert!(seen.failed.is_empty(), "{:?}\n{said}", seen.failed);
    assert!(seen.good.len() > 400, "{} were asked", seen.good.len());
    let report = reported(&intent, "unnoticed", "web")?;
    assert_eq!(report["outcome"], json!("succeeded"), "{report}");
    assert_eq!(behind.containers()?, [behind.name.as_str()]);
    Ok(())
}

#[test]
fn a_version_that_fails_beside_the_old_one_is_never_seen_through_nginx() -> Result<()> {
    let (behind, host) = scene("unseen")?;
    let old = inspect(&behind.name)?["Id"].clone();
    let clients = Clients::start(behind.address, Pace::BUSY);
    clients.wait_for(PATIENCE, |page| page == Some("toy v1"))?;
    push("unseen", "v2", "500")?;
    let delivery = Delivery::run(2, &format!("{:040x}", 2))?.of("octo-org/unseen", 802);
    let intent = queued(&delivery)?;
    let (status, said) = host.once()?;
    assert_ne!(status, Some(0), "{said}");
    let seen = clients.stop();
    assert!(seen.failed.is_empty(), "{:?}\n{said}", seen.failed);
    let report = reported(&intent, "unseen", "web")?;
    assert_eq!(report["outcome"], json!("failed_untouched"), "{report}");
    assert_eq!(inspect(&behind.name)?["Id"], old);
    assert_eq!(behind.containers()?, [behind.name.as_str()]);
    Ok(())
}
