//! Deliveries that never arrived, and the relay that asks a stand-in for GitHub's API for them.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    github::Delivery,
    github_api::{GitHubApi, TOKEN},
    relay::{Face, Relay, WEBHOOK_SECRET, token},
    wait::until,
};

const MISSED: &str = "*/5 * * * *";

const PAGE: usize = 20;

const AGO: Duration = Duration::from_secs(120);

/// A relay and the API that it asks. One test at a time, each with a hook of its own.
struct World {
    api: GitHubApi,
    relay: Relay,
}

impl World {
    fn start(hooks: &str) -> Result<Self> {
        Self::of_pages(hooks, PAGE)
    }

    /// One whose API has at most `page` attempts in a page.
    fn of_pages(hooks: &str, page: usize) -> Result<Self> {
        let api = GitHubApi::start(page)?;
        let secrets = json!({
            "WEBHOOK_SECRET": WEBHOOK_SECRET, "TOKEN_KEY": towline_tests::relay::token_key(), "GITHUB_TOKEN": TOKEN,
        });
        let gate = json!({ "sources": ["workflow_run", "push"], "branches": ["main", "next"] });
        let vars = json!({ "HOOKS": hooks, "GITHUB_API_URL": api.url, "gate": gate });
        let relay = Relay::with(Face::Counted, &secrets, &vars)?;
        api.deliver_to(&relay.url);
        Ok(Self { api, relay })
    }

    fn look(&self) -> Result<()> {
        self.relay.scheduled(MISSED)
    }

    fn logs(&self, what: &str) -> Result<()> {
        until(what, Duration::from_secs(5), || {
            Ok(self.relay.output().contains(what).then_some(()))
        })
    }

    /// How many intents a channel has.
    fn intents(&self, channel: &str) -> Result<usize> {
        let host = token(Role::Host, "pi", &["*"])?;
        let path = format!("/v1/intents?channel={channel}@0.0&fresh=1");
        let polled = self.relay.get(&path, &host)?.json()?;
        let intents = polled["channels"][channel]["intents"]
            .as_array()
            .map(Vec::len);
        Ok(intents.unwrap_or(0))
    }
}

fn world() -> Result<MutexGuard<'static, World>> {
    static WORLD: LazyLock<Result<Mutex<World>>> = LazyLock::new(|| {
        let hooks = "octo-org/lost/1, octo-org/again/2, octo-org/pages/3, octo-org/down/4, octo-org/ping/5, orgs/octo-org/6, octo-org/pushes/7";
        Ok(Mutex::new(World::start(hooks)?))
    });
    let world = WORLD.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    world.api.recover();
    Ok(world)
}

/// A run of that repository, with a GUID of its own.
fn run(channel: &str, number: u64) -> Result<Delivery> {
    let id = channel.bytes().map(u64::from).sum();
    let mut run = Delivery::run(number, &format!("{number:040x}"))?.of(channel, id);
    run.guid = format!("{channel} {number}");
    Ok(run)
}

#[test]
fn a_delivery_that_never_arrived_is_asked_for_once_and_arrives() -> Result<()> {
    let world = world()?;
    let hook = "octo-org/lost/1";
    world.api.attempt(hook, &run("octo-org/lost", 1)?, AGO, 200);
    world.api.attempt(hook, &run("octo-org/lost", 2)?, AGO, 502);
    world.api.attempt(hook, &run("octo-org/lost", 3)?, AGO, 401);
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["octo-org/lost 2"]);
    assert_eq!(world.intents("octo-org/lost")?, 1);
    world.look()?;
    assert_eq!(world.api.asked_for(hook).len(), 1, "it has arrived");
    Ok(())
}

/// A push to a branch.
fn push(channel: &str, branch: &str, number: u64) -> Result<Delivery> {
    let mut push = Delivery::fixture("push")?.of(channel, 7);
    push.body["ref"] = json!(format!("refs/heads/{branch}"));
    push.body["after"] = json!(format!("{number:040x}"));
    push.guid = format!("{branch} {number}");
    Ok(push)
}

#[test]
fn a_push_that_never_arrived_is_asked_for_unless_a_later_one_of_its_branch_has_arrived()
-> Result<()> {
    let world = world()?;
    let (hook, channel) = ("octo-org/pushes/7", "octo-org/pushes");
    let listed = [
        ("main", 1, 502),
        ("next", 2, 502),
        ("main", 3, 202),
        ("next", 4, 200),
        ("unlisted", 5, 202),
    ];
    for (branch, number, status) in listed {
        let ago = AGO + Duration::from_secs(60 - number);
        let push = push(channel, branch, number)?;
        world.api.attempt(hook, &push, ago, status);
    }
    world.look()?;
    world.logs("hook octo-org/pushes/7: delivery main 1 never arrived, and is not asked for")?;
    assert_eq!(world.api.asked_for(hook), ["next 2"]);
    assert_eq!(world.intents(channel)?, 1);
    world.look()?;
    assert_eq!(world.api.asked_for(hook).len(), 1, "it has arrived");
    Ok(())
}

#[test]
fn two_lost_pushes_of_a_branch_both_arrive_in_their_order() -> Result<()> {
    let (hook, channel) = ("octo-org/later/8", "octo-org/later");
    let world = World::start(hook)?;
    for (number, ago) in [(1, 31 * 60), (2, 11 * 60)] {
        let push = push(channel, "main", number)?;
        world
            .api
            .attempt(hook, &push, Duration::from_secs(ago), 502);
    }
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["main 1"]);
    // The first attempts are longer ago than this look goes back.
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["main 1", "main 2"]);
    assert_eq!(world.intents(channel)?, 2);
    Ok(())
}

#[test]
fn what_did_not_arrive_again_is_not_asked_for_at_once() -> Result<()> {
    let world = world()?;
    let hook = "octo-org/again/2";
    world.api.lose(0);
    world.api.attempt(hook, &run("octo-org/again", 1)?, AGO, 0);
    world.look()?;
    world.look()?;
    assert_eq!(world.api.asked_for(hook).len(), 1);
    assert_eq!(world.intents("octo-org/again")?, 0);
    Ok(())
}

#[test]
fn every_page_is_looked_at_and_each_lost_delivery_found() -> Result<()> {
    let world = world()?;
    let hook = "octo-org/pages/3";
    for number in 1..=50 {
        let status = if [1, 25, 50].contains(&number) {
            503
        } else {
            200
        };
        let ago = AGO + Duration::from_secs(50 - number);
        world
            .api
            .attempt(hook, &run("octo-org/pages", number)?, ago, status);
    }
    world.look()?;
    let found = [1, 25, 50].map(|number| format!("octo-org/pages {number}"));
    assert_eq!(world.api.asked_for(hook), found, "the oldest first");
    assert_eq!(world.intents("octo-org/pages")?, 3);
    Ok(())
}

#[test]
fn a_run_reads_three_hundred_attempts_and_the_next_one_goes_on_there() -> Result<()> {
    let hook = "octo-org/busy/1";
    let world = World::of_pages(hook, 100)?;
    for number in 1..=450 {
        let status = if number == 1 { 503 } else { 200 };
        let ago = AGO + Duration::from_secs(450 - number);
        let run = run("octo-org/busy", number)?;
        world.api.attempt(hook, &run, ago, status);
    }
    world.look()?;
    assert_eq!(world.api.requests().len(), 3, "pages of a hundred");
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["octo-org/busy 1"]);
    assert_eq!(
        world.api.requests().len(),
        6,
        "two pages more, and a request"
    );
    Ok(())
}

#[test]
fn an_api_that_is_down_or_refuses_the_token_is_told_and_asked_again_in_the_next_run() -> Result<()>
{
    let world = world()?;
    let hook = "octo-org/down/4";
    world.api.attempt(hook, &run("octo-org/down", 1)?, AGO, 502);
    world.api.trouble(500, &[]);
    world.look()?;
    world.logs("GitHub answers 500")?;
    world.api.trouble(401, &[]);
    world.look()?;
    world.logs("hook octo-org/down/4: its deliveries cannot be looked at: GitHub answers 401: GITHUB_TOKEN")?;
    assert!(world.api.asked_for(hook).is_empty());
    let other = run("octo-org/beside", 1)?.send(&world.relay.url, WEBHOOK_SECRET)?;
    assert_eq!(other.status, 202, "deliveries are taken meanwhile");
    world.api.recover();
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["octo-org/down 1"]);
    assert!(!world.relay.output().contains(TOKEN));
    Ok(())
}

#[test]
fn an_event_that_makes_no_intents_is_not_asked_for() -> Result<()> {
    let world = world()?;
    for fixture in ["ping", "release.published"] {
        world
            .api
            .attempt("octo-org/ping/5", &Delivery::fixture(fixture)?, AGO, 502);
    }
    world.look()?;
    assert!(world.api.asked_for("octo-org/ping/5").is_empty());
    Ok(())
}

#[test]
fn a_run_costs_a_hub_request_and_one_for_each_hook_and_no_kv() -> Result<()> {
    let world = World::start("octo-org/web/1 octo-org/web/2")?;
    world.look()?;
    let counts = world.relay.counts()?;
    let of = |name: &str| -> &Value { &counts[name] };
    assert_eq!(
        (of("hub_requests"), of("kv_reads"), of("kv_writes")),
        (&json!(3), &json!(0), &json!(0))
    );
    Ok(())
}

#[test]
fn a_limit_of_githubs_is_heeded_for_as_long_as_it_says_and_its_absence_told() -> Result<()> {
    let hook = "octo-org/web/7";
    let world = World::start(hook)?;
    world.api.attempt(hook, &run("octo-org/web", 1)?, AGO, 502);
    world.api.trouble(429, &[("Retry-After", "600")]);
    world.look()?;
    world.api.recover();
    let asked = world.api.requests().len();
    world.look()?;
    world.relay.ahead(Duration::from_secs(590))?;
    world.look()?;
    assert_eq!(world.api.requests().len(), asked, "it was asked too early");
    world.relay.ahead(Duration::from_secs(602))?;
    world.look()?;
    assert_eq!(world.api.asked_for(hook), ["octo-org/web 1"]);
    let World { api, relay } = world;
    drop(api);
    relay.scheduled(MISSED)?;
    until("a line in the log", Duration::from_secs(5), || {
        let said = "hook octo-org/web/7: its deliveries cannot be looked at";
        Ok(relay.output().contains(said).then_some(()))
    })
}
