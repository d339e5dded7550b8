//! Looks at the hooks' recent deliveries and asks GitHub for those that never arrived.

use std::collections::BTreeMap;

use worker::{Env, console_error, console_log};

use crate::{
    error::Fault,
    gate::Gate,
    github::{Api, Trouble},
    hub::ask::{self, Ask},
    missed::{self, Hook, Look},
    now_ms, settings, var,
};

/// How many pages are read in one run: they are large, and the free plan gives a run 10 ms of CPU time
/// (Cloudflare, "Workers limits").
const PAGES_A_RUN: usize = 10;

/// How many deliveries are asked for in one run: with the pages and the hub, what the free plan lets a
/// run send.
const ASKED_A_RUN: usize = 30;

/// What one run may still do.
struct Run {
    api: Api,
    gate: Gate,
    pages: usize,
    asks: usize,
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
        pages: PAGES_A_RUN,
        asks: ASKED_A_RUN,
    };
    let mut done = BTreeMap::new();
    for hook in missed::turns(github.hooks, &looks) {
        if run.pages == 0 {
            break;
        }
        let mut look = looks.remove(&hook.to_string()).unwrap_or_default();
        let ended = run.hook(&hook, &mut look).await;
        let stop = tell(&hook, &mut look, ended);
        done.insert(hook.to_string(), look);
        if stop {
            break;
        }
    }
    ask::ask(env, &Ask::Looked(done)).await.map(drop)
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
    async fn hook(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        look.turn_ms = now_ms();
        let read = self.read(hook, look).await;
        for lost in look.expire(now_ms()) {
            console_error!(
                "hook {hook}: delivery {} has not arrived in three days, though it was asked for {} times",
                lost.guid,
                lost.asked
            );
        }
        read?;
        self.ask_again(hook, look).await
    }

    /// Reads what is new, as much as may be read; what breaks off is gone on with in the next run.
    async fn read(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        let mut scan = std::mem::take(look).scan(now_ms());
        let mut ended = Ok(());
        while let Some(cursor) = scan.next_page()
            && self.pages > 0
        {
            self.pages = self.pages.saturating_sub(1);
            match self.api.deliveries(hook, cursor).await {
                Ok(page) => scan.read(page, &self.gate),
                Err(Trouble::Gone(_)) if cursor.is_some() => scan.begin_anew(now_ms()),
                Err(trouble) => {
                    ended = Err(trouble);
                    break;
                }
            }
        }
        let (rest, overtaken) = scan.end();
        *look = rest;
        for lost in overtaken {
            console_error!(
                "hook {hook}: delivery {} never arrived, and is not asked for, because a later {} has arrived; if it \
                 was for another branch, redeliver it at GitHub",
                lost.guid,
                lost.stream.unwrap_or_default()
            );
        }
        ended
    }

    async fn ask_again(&mut self, hook: &Hook, look: &mut Look) -> Result<(), Trouble> {
        for one in look.due(now_ms(), self.asks) {
            self.asks = self.asks.saturating_sub(1);
            let (guid, times) = (&one.guid, one.asked.saturating_add(1));
            match self.api.redeliver(hook, one.attempt).await {
                Ok(()) => {
                    console_log!(
                        "hook {hook}: delivery {guid} never arrived: asked for it, {times} times now"
                    );
                    look.asked(guid, now_ms());
                }
                Err(Trouble::Gone(what)) => {
                    console_error!("hook {hook}: delivery {guid} cannot be had any more: {what}");
                    look.give_up(guid);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }
}
