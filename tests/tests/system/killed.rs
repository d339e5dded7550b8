//! What is left when workerd dies in the middle of a burst of deliveries.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use towline_protocol::Role;
use towline_tests::{
    dev_server::DevServer,
    github::Delivery,
    http::{Answer, get},
    relay::{WEBHOOK_SECRET, token},
    wait::until,
};

const BURST: u64 = 200;
const SENDERS: usize = 4;
/// How many have been answered when workerd dies.
const ANSWERED: usize = 60;
const CHANNEL: &str = "octo-org/web";

fn run(number: u64) -> Result<Delivery> {
    Delivery::run(number, "3484a3fb816e0859fd6e1cea078d76385ff50625")
}

/// Sends all of a burst, and kills workerd in its middle, and wrangler with it; returns the answers by run.
fn burst_with_a_death(relay: DevServer) -> Result<BTreeMap<u64, Result<Answer>>> {
    let answers = Mutex::new(BTreeMap::new());
    let answered = AtomicUsize::new(0);
    let url = relay.url.clone();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS as u64)
            .map(|first| {
                let (url, answers, answered) = (&url, &answers, &answered);
                scope.spawn(move || -> Result<()> {
                    for number in (first + 1..=BURST).step_by(SENDERS) {
                        let answer = run(number)?.send(url, WEBHOOK_SECRET);
                        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                        answers.insert(number, answer);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(())
                })
            })
            .collect();
        until("the middle of the burst", Duration::from_secs(120), || {
            Ok((answered.load(Ordering::SeqCst) >= ANSWERED).then_some(()))
        })?;
        relay.kill_workerd()?;
        drop(relay);
        for sender in senders {
            let ended = sender.join();
            ended.map_err(|_| anyhow!("a sender panicked"))??;
        }
        anyhow::Ok(())
    })?;
    Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Everything that the hub gives to a poller which begins at its first number, in order.
fn everything(relay: &DevServer) -> Result<Vec<Value>> {
    let (mut seen, mut epoch, mut last) = (Vec::new(), 0, 0);
    loop {
        let news = ask(relay, &format!("{epoch}.{last}&fresh=1"))?;
        let intents = news["intents"].as_array().context("intents")?.clone();
        let Some(newest) = intents.last() else {
            return Ok(seen);
        };
        epoch = news["epoch"].as_u64().context("epoch")?;
        last = newest["seq"].as_u64().context("seq")?;
        seen.extend(intents);
    }
}

fn ask(relay: &DevServer, mark: &str) -> Result<Value> {
    let bearer = format!("Bearer {}", token(Role::Host, "pi", &["octo-org/*"])?);
    let url = format!("{}/v1/intents?channel={CHANNEL}@{mark}", relay.url);
    let answer = get(&url, &[("Authorization", &bearer)])?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(answer.json()?["channels"][CHANNEL].clone())
}

fn ids<'a>(intents: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let ids = intents.into_iter().filter_map(Value::as_str);
    ids.map(str::to_owned).collect()
}

#[test]
fn what_got_a_202_survives_the_death_of_workerd_and_what_got_none_can_be_redelivered() -> Result<()>
{
    let storage = tempfile::tempdir()?;
    let relay = DevServer::start(storage.path())?;
    let answers = burst_with_a_death(relay)?;

    let relay = DevServer::start(storage.path())?;
    let accepted: Vec<_> = answers
        .values()
        .flatten()
        .filter(|one| one.status == 202)
        .collect();
    let accepted = accepted
        .into_iter()
        .map(Answer::json)
        .collect::<Result<Vec<_>>>()?;
    let accepted = ids(accepted.iter().map(|answer| &answer["intent"]));
    assert!(accepted.len() >= ANSWERED.saturating_sub(SENDERS) && accepted.len() < BURST as usize);
    let kept = everything(&relay)?;
    let kept = ids(kept.iter().map(|intent| &intent["id"]));
    assert!(
        accepted.is_subset(&kept),
        "lost: {:?}",
        accepted.difference(&kept)
    );

    for (number, answer) in &answers {
        let again = run(*number)?.send(&relay.url, WEBHOOK_SECRET)?;
        let was_accepted = answer.as_ref().is_ok_and(|answer| answer.status == 202);
        let expected: &[u16] = if was_accepted { &[200] } else { &[200, 202] };
        assert!(
            expected.contains(&again.status),
            "run {number}: {}",
            again.body
        );
    }
    let all = everything(&relay)?;
    let numbers: Vec<_> = all.iter().map(|intent| intent["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=BURST).map(Some).collect::<Vec<_>>());
    assert_eq!(
        ids(all.iter().map(|intent| &intent["id"])).len(),
        BURST as usize
    );
    until("the mailbox", Duration::from_secs(30), || {
        Ok((ask(&relay, "0.0")?["head"] == BURST).then_some(()))
    })
}
