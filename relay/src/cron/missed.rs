//! Looks at the hooks' recent deliveries and asks GitHub for those that never arrived.

use std::collections::{BTreeMap, BTreeSet};

use worker::{Env, console_error, console_log};

use crate::{
    error::Fault,
    gate::Gate,
    github::{Api, Trouble},
    hub::ask::{self, Ask},
    missed::{self, Hook, Look, Missed},
    now_ms, settings, var,
};

/// After how many attempts one run reads no further: a hundred are about 30 KB of JSON, and the free plan gives a run
/// 10 ms of CPU time (Cloudflare, "Workers limits").
const ATTEMPTS_A_RUN: usize = 300;

/// How many pages are read in one run. With what is asked for and what is told to the hub, less than the 50 requests
/// that the free plan lets a run send.
const PAGES_A_RUN: usize = 10;

/// How many deliveries are asked for, or read whole, in one run.
const ASKED_A_RUN: usize = 15;

/// What one run may still do.
struct Run {
    api: Api,
    gate: Gate,
    attempts: usize,
    pages: usize,
    asks: usize,
    /// What attempts were found to be about, by their numbers.
    about: BTreeMap<u64, Option<String>>,
}

/// Whether a lost delivery may be asked for.
enum Overtaken {
    No,
    Yes,
    /// There is more to compare than one run may.
    Unknown,
}

/// One run. Without `GITHUB_TOKEN` and `HOOKS` it does nothing.
pub(super) async fn look(env: &Env) -> Result<(), Fault> {
    let vars = |name: &str| var(env, name);
    let Some(github) = settings::github::github(&vars)? else {
        return Ok(());
    };
    let gate = settings::gate(&vars)?;
    let names = github.hooks.iter().map(ToString::to_string).collect();
    let json = ask::ask(env, &Ask::Looks(names)).await?;
    let mut looks: BTreeMap<String, Look> = ask::answer(&json)?;
    // It limits the token, not the hook.
    if looks.values().any(|look| look.is_paused(now_ms())) {
        return Ok(());
    }
    let mut run = Run {
        api: Api::new(&github),
        gate,
        attempts: ATTEMPTS_A_RUN,
        pages: PAGES_A_RUN,
        asks: ASKED_A_RUN,
        about: BTreeMap::new(),
    };
    for hook in missed::turns(github.hooks, &looks) {
        if !run.may_read() {
            break;
        }
        let mut look = looks.remove(&hook.to_string()).unwrap_or_default();
        let read = run.look(&hook, &mut look).await;
        let ended = match read {
            Ok(()) if look.next(now_ms(), &BTreeSet::new()).is_none() => Ok(()),
            Ok(()) => {
                remember(env, &hook, &look).await?;
                run.ask_again(&hook, &mut look).await
            }
            Err(trouble) => Err(trouble),
        };
        let stop = tell(&hook, &mut look, ended);
        remember(env, &hook, &look).await?;
        if stop {
            break;
        }
    }
    Ok(())
}

/// Has the hub remember what is known of a hook: at once, because a run may be ended at any time.
async fn remember(env: &Env, hook: &Hook, look: &Look) -> Result<(), Fault> {
    let looked = BTreeMap::from([(hook.to_string(), look.clone())]);
    ask::ask(env, &Ask::Looked(looked)).await.map(drop)
}

/// Says in the log what went wrong with a hook; whether GitHub wants to be left alone.
fn tell(hook: &Hook, look: &mut Look, ended: Result<(), Trouble>) -> bool {
    match ended {
        Ok(()) => false,
        Err(Trouble::Later(until_ms)) => {
            look.paused_until_ms = until_ms;
            let seconds = until_ms.saturating_sub(now_ms()) / 1000;
            console_log!("hook {hook}: GitHub limits requests; it is asked again in {seconds} s");
            true
        }
        Err(Trouble::Gone(what) | Trouble::Failed(what)) => {
            console_error!("hook {hook}: its deliveries cannot be looked at: {what}");
            false
        }
    }
}

impl Run {
    fn may_read(&self) -> bool {
        self.pages > 0 && self.attempts > 0
    }

    async fn look(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        look.turn_ms = now_ms();
        let read = self.read(hook, look).await;
        for lost in look.expire(now_ms()) {
            console_error!(
                "hook {hook}: delivery {} has not arrived in three days, though it was asked for {} times",
                lost.guid,
                lost.asked
            );
        }
        read
    }

    /// Reads what is new, as much as may be read; what breaks off is gone on with in the next run.
    async fn read(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        let mut scan = std::mem::take(look).scan(now_ms());
        let mut ended = Ok(());
        while let Some(cursor) = scan.next_page()
            && self.may_read()
        {
            self.pages = self.pages.saturating_sub(1);
            match self.api.deliveries(hook, cursor).await {
                Ok(page) => {
                    self.attempts = self.attempts.saturating_sub(page.deliveries.len());
                    scan.read(page, &self.gate);
                }
                Err(Trouble::Gone(_)) if cursor.is_some() => scan.begin_anew(now_ms()),
                Err(trouble) => {
                    ended = Err(trouble);
                    break;
                }
            }
        }
        *look = scan.end();
        ended
    }

    async fn ask_again(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        let mut asked = BTreeSet::new();
        while self.asks > 0
            && let Some(one) = look.next(now_ms(), &asked)
        {
            match self.overtaken(hook, look, &one).await? {
                Overtaken::No if self.asks > 0 => {}
                Overtaken::Yes => {
                    look.give_up(&one);
                    continue;
                }
                Overtaken::No | Overtaken::Unknown => break,
            }
            self.asks = self.asks.saturating_sub(1);
            let (guid, times) = (&one.guid, one.asked.saturating_add(1));
            match self.api.redeliver(hook, one.attempt).await {
                Ok(()) => {
                    console_log!(
                        "hook {hook}: delivery {guid} never arrived: asked for it, {times} times now"
                    );
                    look.asked(guid, now_ms());
                    asked.insert(one.stream.clone());
                }
                Err(Trouble::Gone(what)) => {
                    console_error!("hook {hook}: delivery {guid} cannot be had any more: {what}");
                    look.give_up(&one);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }

    /// Whether a later delivery about the same has arrived. What was found to be about something else is not read again.
    async fn overtaken(
        &mut self,
        hook: &Hook,
        look: &mut Look,
        lost: &Missed,
    ) -> Result<Overtaken, Trouble> {
        let rivals = lost.rivals();
        if rivals.is_empty() {
            return Ok(Overtaken::No);
        }
        let Some(subject) = self.about(hook, lost.attempt).await? else {
            return Ok(Overtaken::No);
        };
        for rival in rivals {
            if self.asks == 0 {
                return Ok(Overtaken::Unknown);
            }
            if self.about(hook, rival).await?.as_ref() == Some(&subject) {
                console_error!(
                    "hook {hook}: delivery {} never arrived, and is not asked for, because a later one of {subject} has \
                     arrived, which it would undo; to deploy it nevertheless, redeliver it at GitHub",
                    lost.guid
                );
                return Ok(Overtaken::Yes);
            }
            look.unlike(&lost.guid, rival);
        }
        Ok(Overtaken::No)
    }

    /// What an attempt is about, if it can still be had.
    async fn about(&mut self, hook: &Hook, attempt: u64) -> Result<Option<String>, Trouble> {
        if let Some(about) = self.about.get(&attempt) {
            return Ok(about.clone());
        }
        self.asks = self.asks.saturating_sub(1);
        let about = match self.api.delivery(hook, attempt).await {
            Ok(body) => missed::about(&body, &self.gate),
            Err(Trouble::Gone(_)) => None,
            Err(trouble) => return Err(trouble),
        };
        self.about.insert(attempt, about.clone());
        Ok(about)
    }
}
