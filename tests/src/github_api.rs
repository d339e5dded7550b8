//! A stand-in for GitHub's REST API over HTTP on loopback: a hook's attempts to deliver, one of them whole, and
//! asking for another one, which is then made.
//!
//! The real one cannot be made to lose deliveries for a test. Paths, fields and headers follow GitHub's REST
//! API documentation, "Webhooks", "Using pagination" and "Rate limits".

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    github::Delivery,
    relay::WEBHOOK_SECRET,
    server::{Asked, Reply, Server},
};

/// What it wants to see: `GITHUB_TOKEN`.
pub const TOKEN: &str = "github_pat_of_the_tests";

/// A running API. Dropping it ends it.
pub struct GitHubApi {
    /// `GITHUB_API_URL`.
    pub url: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

#[derive(Default)]
struct State {
    attempts: Vec<Attempt>,
    relay: String,
    page: usize,
    /// What every request gets instead of its answer.
    trouble: Option<Reply>,
    /// What the relay is said to have answered to another attempt, which is then not made.
    unreachable: Option<u16>,
    requests: Vec<String>,
    asked_for: Vec<String>,
}

struct Attempt {
    hook: String,
    id: u64,
    at: Timestamp,
    redelivery: bool,
    status: u16,
    delivery: Delivery,
}

impl GitHubApi {
    /// Starts one whose pages have at most `page` attempts.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(page: usize) -> Result<Self> {
        let state = State {
            page,
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let served = state.clone();
        let server = Server::start(move |asked| answer(&served, asked))?;
        Ok(Self {
            url: server.url.clone(),
            state,
            _server: server,
        })
    }

    /// Where deliveries go.
    pub fn deliver_to(&self, relay: &str) {
        self.state().relay = relay.to_owned();
    }

    /// Lists an attempt of a while ago that the relay answered by `status`; 0 is not at all.
    pub fn attempt(&self, hook: &str, delivery: &Delivery, ago: Duration, status: u16) {
        let mut state = self.state();
        let at = Timestamp::now() - ago;
        state.add(hook, delivery.clone(), at, status, false);
    }

    /// Answers every request by this until [`Self::recover`].
    pub fn trouble(&self, status: u16, headers: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.state().trouble = Some(Reply {
            headers: headers.iter().map(owned).collect(),
            ..Reply::json(status, json!({ "message": "as the test said" }))
        });
    }

    /// Makes no further attempt, and lists those that are asked for with this status.
    pub fn lose(&self, status: u16) {
        self.state().unreachable = Some(status);
    }

    /// Ends [`Self::trouble`] and [`Self::lose`].
    pub fn recover(&self) {
        let mut state = self.state();
        (state.trouble, state.unreachable) = (None, None);
    }

    /// The GUIDs that were asked for again on a hook, in their order.
    pub fn asked_for(&self, hook: &str) -> Vec<String> {
        let state = self.state();
        let asked = state.asked_for.iter();
        let asked = asked.filter_map(|asked| asked.strip_prefix(&format!("{hook} ")));
        asked.map(str::to_owned).collect()
    }

    /// All requests that came, as `METHOD PATH?QUERY`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn add(
        &mut self,
        hook: &str,
        delivery: Delivery,
        at: Timestamp,
        status: u16,
        redelivery: bool,
    ) {
        // As large as GitHub's have become: beyond what JavaScript's numbers can tell apart.
        let id = 9_007_199_254_740_993 + self.attempts.len() as u64;
        self.attempts.push(Attempt {
            hook: hook.to_owned(),
            id,
            at,
            redelivery,
            status,
            delivery,
        });
    }

    fn find(&self, hook: &str, attempt: &str) -> Option<&Attempt> {
        let mut attempts = self.attempts.iter();
        attempts.find(|one| one.hook == hook && one.id.to_string() == attempt)
    }

    /// A page of a hook's attempts, the newest first; the cursor is the number of attempts before it.
    fn list(&self, hook: &str, query: &str, url: &str) -> Reply {
        let parameter = |wanted: &str| {
            let mut all = form_urlencoded::parse(query.as_bytes());
            let found = all.find(|(name, _)| name == wanted);
            found.and_then(|(_, value)| value.trim_start_matches("v1_").parse::<usize>().ok())
        };
        let per_page = parameter("per_page").unwrap_or(30).min(100).min(self.page);
        let from = parameter("cursor").unwrap_or(0);
        let mut attempts: Vec<_> = self
            .attempts
            .iter()
            .filter(|one| one.hook == hook)
            .collect();
        attempts.sort_by_key(|one| std::cmp::Reverse((one.at, one.id)));
        let page: Vec<_> = attempts
            .iter()
            .skip(from)
            .take(per_page)
            .map(|one| one.listed())
            .collect();
        let mut reply = Reply::json(200, json!(page));
        if from + per_page < attempts.len() {
            let next = format!(
                "<{url}?per_page={per_page}&cursor=v1_{}>; rel=\"next\"",
                from + per_page
            );
            reply.headers.push(("Link".to_owned(), next));
        }
        reply
    }
}

impl Attempt {
    fn listed(&self) -> Value {
        let status = if (200..300).contains(&self.status) {
            "OK"
        } else {
            "failed"
        };
        json!({
            "id": self.id, "guid": self.delivery.guid, "delivered_at": self.at, "redelivery": self.redelivery,
            "duration": 0.27, "status": status, "status_code": self.status, "event": self.delivery.event,
            "action": self.delivery.body["action"], "installation_id": null, "repository_id": 1_296_269,
            "throttled_at": null,
        })
    }

    /// With what was sent, and what the relay answers with such a status.
    fn whole(&self) -> Value {
        let answered = match self.status {
            202 => r#"{"status":"queued"}"#,
            200 => r#"{"status":"ignored"}"#,
            _ => "Bad gateway",
        };
        let mut whole = self.listed();
        whole["request"] = json!({ "headers": {}, "payload": self.delivery.body });
        whole["response"] = json!({ "headers": {}, "payload": answered });
        whole
    }
}

fn answer(state: &Mutex<State>, asked: &Asked) -> Reply {
    let Asked {
        method,
        path,
        query,
        authorization,
    } = asked;
    let trouble = {
        let mut state = lock(state);
        state.requests.push(format!("{method} {path}?{query}"));
        state.trouble.clone()
    };
    if let Some(trouble) = trouble {
        return trouble;
    }
    if *authorization != format!("Bearer {TOKEN}") {
        return Reply::json(401, json!({ "message": "Bad credentials" }));
    }
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["repos", owner, name, "hooks", id, "deliveries"]) => lock(state).list(
            &format!("{owner}/{name}/{id}"),
            query,
            &format!("https://api.github.com{path}"),
        ),
        ("GET", ["repos", owner, name, "hooks", id, "deliveries", attempt]) => {
            let state = lock(state);
            let found = state.find(&format!("{owner}/{name}/{id}"), attempt);
            found.map_or_else(unknown, |attempt| Reply::json(200, attempt.whole()))
        }
        (
            "POST",
            [
                "repos",
                owner,
                name,
                "hooks",
                id,
                "deliveries",
                attempt,
                "attempts",
            ],
        ) => again(state, &format!("{owner}/{name}/{id}"), attempt),
        _ => unknown(),
    }
}

fn unknown() -> Reply {
    Reply::json(404, json!({ "message": "Not Found" }))
}

fn again(state: &Mutex<State>, hook: &str, attempt: &str) -> Reply {
    let (delivery, relay, lost) = {
        let mut state = lock(state);
        let found = state.find(hook, attempt);
        let Some(delivery) = found.map(|one| one.delivery.clone()) else {
            return unknown();
        };
        state.asked_for.push(format!("{hook} {}", delivery.guid));
        (delivery, state.relay.clone(), state.unreachable)
    };
    let status = lost.unwrap_or_else(|| {
        let answer = delivery.send(&relay, WEBHOOK_SECRET);
        answer.map_or(0, |answer| answer.status)
    });
    lock(state).add(hook, delivery, Timestamp::now(), status, true);
    Reply::json(202, json!({}))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
