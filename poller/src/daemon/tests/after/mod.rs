//! Services of one intent that come after one another: stories of four, and a search for an order of things in which one is
//! begun too soon, is begun twice or waits for ever.

mod plays;
mod stories;

use std::{cell::RefCell, collections::BTreeSet};

use jiff::Timestamp;
use towline_protocol::IntentId;

use super::{order::poller_of, *};
use crate::{
    daemon::deploy::next_try,
    settings::Service,
    store::OnPurpose,
    testing::{Broken, Property, digest, run},
};

const SERVICES: [&str; 4] = ["cache", "db", "api", "web"];

/// `main` is for all four, `hot` for `db` alone and `release` for `web` and `cache`.
fn settings() -> Settings {
    let service = |name: &str, branches: &str, after: &str| {
        format!(
            "[service.{name}]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = {branches}\n\
             docker = {{ container = \"{name}\" }}\n{after}\n"
        )
    };
    let services = [
        service("cache", "[\"main\", \"release\"]", ""),
        service("db", "[\"main\", \"hot\"]", ""),
        service("api", "\"main\"", "after = [\"db\", \"cache\"]"),
        service("web", "[\"main\", \"release\"]", "after = \"api\""),
    ];
    let relay = "[relay]\nurl = \"https://towline.example.workers.dev\"\n";
    let text = format!("{relay}{}", services.concat());
    Settings::parse(&text, "towline.toml").unwrap()
}

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    /// A run on this branch has succeeded.
    Run(&'static str),
    /// Somebody asks for a deploy of this service, or of all.
    Asked(Option<&'static str>),
    /// So many rounds of work, in which the tries of each service end so; at once, or when all pauses are over.
    Work {
        hows: [How; 4],
        rounds: usize,
        is_late: bool,
    },
    Restart,
    Retry(&'static str),
    Resolve(&'static str),
    /// Taken back on purpose.
    Back(&'static str),
}

/// How a try ends that is begun.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Good,
    Bad,
    Interrupted,
    HostFails,
    NeedsOperator,
    Waits,
    PutsOff,
}

/// A mistake in what is around the real functions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mutant {
    SkipsTheTurn,
    CallsNobody,
    ForgetsOutcomes,
}

/// A host with four services, and what was seen of it.
struct World {
    poller: Option<Poller>,
    dir: TempDir,
    mutant: Option<Mutant>,
    relay: Vec<Intent>,
    /// How each try has ended.
    ended: BTreeMap<(ServiceName, IntentId, u32), Outcome>,
    /// The number of the intent that each service has last really tried, and how that ended.
    last: BTreeMap<ServiceName, (u64, Outcome)>,
    /// What was really tried and was the version's own fault.
    failed: BTreeSet<(ServiceName, IntentId)>,
    broken: RefCell<Broken>,
}

fn name(service: &str) -> ServiceName {
    service.parse().unwrap()
}

impl World {
    fn new(mutant: Option<Mutant>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            poller: Some(poller_of(&dir, settings())),
            dir,
            mutant,
            relay: Vec::new(),
            ended: BTreeMap::new(),
            last: BTreeMap::new(),
            failed: BTreeSet::new(),
            broken: RefCell::default(),
        }
    }

    fn poller(&mut self) -> &mut Poller {
        self.poller.as_mut().unwrap()
    }

    fn take(&mut self, turn: &Turn) {
        match *turn {
            Turn::Run(branch) => self.run_on(branch),
            Turn::Asked(service) => self.asked_for(service),
            Turn::Work {
                hows,
                rounds,
                is_late,
            } => {
                for _ in 0..rounds {
                    self.work(hows, is_late);
                }
            }
            Turn::Restart => {
                self.poller = None;
                self.poller = Some(poller_of(&self.dir, settings()));
            }
            Turn::Retry(service) => self.retry(service),
            Turn::Resolve(service) => self.resolve(service),
            Turn::Back(service) => self.back(service),
        }
        self.look();
    }

    fn run_on(&mut self, branch: &str) {
        let number = self.relay.len() as u64 + 1;
        let mut intent = testing::intent(7, number);
        intent.source = Source::WorkflowRun(run(number, 1));
        intent.revision.branch = Some(branch.to_owned());
        self.arrives(intent);
    }

    fn asked_for(&mut self, service: Option<&str>) {
        let mut intent = manual(self.relay.len() as u64 + 1);
        intent.service = service.map(name);
        self.arrives(intent);
    }

    fn arrives(&mut self, intent: Intent) {
        self.relay.push(intent);
        let shown = self.relay.clone();
        self.poller().take_in(answer(7, &shown), false).unwrap();
    }

    /// One round of work, as the loop does it.
    fn work(&mut self, hows: [How; 4], is_late: bool) {
        if self.mutant == Some(Mutant::ForgetsOutcomes) {
            self.poller().store.tamper("DELETE FROM standing");
        }
        if self.mutant == Some(Mutant::SkipsTheTurn) {
            self.poller().settings = without_order();
        }
        let pause = Duration::from_secs(if is_late { 3600 } else { 0 });
        let now = Instant::now() + pause;
        let services: Vec<Service> = settings().in_order().into_iter().cloned().collect();
        for service in services {
            if !self.poller().todo.take(&service.name, now) {
                continue;
            }
            let judged = self.poller().judge(&service).unwrap();
            self.look();
            let Some((intent, standing)) = judged else {
                continue;
            };
            let todo = &mut self.poller().todo;
            if !todo.is_put_off(&service.name, &intent.id, now) {
                let at = SERVICES.iter().position(|one| name(one) == service.name);
                self.check_begin(&service, &intent);
                self.end(&service, &intent, standing.as_ref(), hows[at.unwrap()]);
                self.look();
            }
        }
    }

    fn how_ended(&self, service: &ServiceName, id: &IntentId) -> Option<Outcome> {
        let tries = self.ended.iter();
        let mut tries = tries.filter(|((one, of, _), _)| one == service && of == id);
        tries.next_back().map(|(_, outcome)| *outcome)
    }

    fn end(&mut self, service: &Service, intent: &Intent, standing: Option<&Standing>, how: How) {
        let ends = |fault, outcome| Applied {
            fault,
            version: Some(digest(char::from(b'0' + (intent.seq % 10) as u8)).into()),
            ..applied(outcome)
        };
        let ended = match how {
            How::Good => ends(Fault::Host, Outcome::Succeeded),
            How::Bad => ends(Fault::Version, Outcome::RolledBack),
            How::Interrupted => ends(Fault::Interruption, Outcome::RolledBack),
            How::HostFails => ends(Fault::Host, Outcome::FailedUntouched),
            How::NeedsOperator => ends(Fault::Host, Outcome::NeedsOperator),
            How::Waits => ends(Fault::Host, Outcome::Waiting),
            How::PutsOff => Applied {
                pause: Some(Duration::from_secs(300)),
                ..ends(Fault::Host, Outcome::Waiting)
            },
        };
        if ended.outcome.is_terminal() {
            let last = (intent.seq, ended.outcome);
            self.last.insert(service.name.clone(), last);
        }
        if ended.fault == Fault::Version {
            self.failed
                .insert((service.name.clone(), intent.id.clone()));
        }
        let entry = JournalEntry {
            service: service.name.clone(),
            intent: intent.id.clone(),
            attempt: next_try(standing),
            ..entry()
        };
        let calls_nobody = self.mutant == Some(Mutant::CallsNobody);
        let poller = self.poller();
        if calls_nobody {
            poller.settings = without_order();
        }
        let now = Timestamp::now();
        poller
            .end(&entry, Some(service), standing, now, ended)
            .unwrap();
        poller.settings = settings();
    }

    /// The newest that was chosen for this service.
    fn newest(&mut self, service: &str) -> Option<(Intent, Option<Standing>)> {
        let settings = settings();
        let mut services = settings.services.iter();
        let service = services.find(|one| one.name == name(service)).unwrap();
        let mut known = self.poller().store.known(service).unwrap();
        let newest = known.seen.as_ref()?.newest_of(&known.intents)?.clone();
        let standing = known.standings.remove(&newest.id);
        Some((newest, standing))
    }

    /// As `towline retry` does with what has failed.
    fn retry(&mut self, service: &str) {
        let Some((intent, Some(standing))) = self.newest(service) else {
            return;
        };
        let has_failed = matches!(
            standing.outcome,
            Outcome::RolledBack | Outcome::FailedUntouched | Outcome::Quarantined
        );
        let service = name(service);
        let of_file = self.poller().service(&service).unwrap();
        let declined = self.poller().check_turn(&of_file, &intent);
        if has_failed && declined.is_ok() {
            self.poller().store.try_again(&service, &intent.id).unwrap();
            self.poller().todo.again(&service, Instant::now());
        }
    }

    fn resolve(&mut self, service: &str) {
        let poller = self.poller();
        poller.store.resolve(&name(service)).unwrap();
        poller.todo.again(&name(service), Instant::now());
    }

    /// As `towline rollback` does where something was deployed.
    fn back(&mut self, service: &str) {
        let service = name(service);
        let running = self.poller().store.running(&service).unwrap();
        let Some(id) = running.and_then(|running| running.intent) else {
            return;
        };
        let mut standings = self.poller().store.standings(&service).unwrap();
        let entry = JournalEntry {
            service: service.clone(),
            attempt: standings.remove(&id).unwrap().attempt + 1,
            on_purpose: Some(OnPurpose {
                channel: "octo-org/web".parse().unwrap(),
                known: Mark {
                    epoch: 7,
                    seq: self.relay.len() as u64,
                },
                brought: None,
                is_reported: true,
                left: None,
            }),
            intent: id,
            ..entry()
        };
        let (now, back) = (Timestamp::now(), applied(Outcome::Succeeded));
        self.last.insert(service, (0, Outcome::RolledBack));
        self.poller().end(&entry, None, None, now, back).unwrap();
    }

    /// What has ended has ended, and only what has failed by itself is in quarantine.
    fn look(&mut self) {
        for service in SERVICES.map(name) {
            let store = &self.poller().store;
            let standings = store.standings(&service).unwrap();
            let quarantine = store.quarantine(&service).unwrap();
            for (id, standing) in standings {
                let (outcome, attempt) = (standing.outcome, standing.attempt);
                if !outcome.is_terminal() {
                    continue;
                }
                let key = (service.clone(), id, attempt);
                let before = self.ended.insert(key.clone(), outcome);
                if before.is_some_and(|before| before != outcome) {
                    let how = format!("{key:?} ended as {before:?} and {outcome:?}");
                    self.breaks(Property::InOrder, how);
                }
            }
            for one in quarantine {
                let key = (service.clone(), one.intent.unwrap());
                if !self.failed.contains(&key) {
                    self.breaks(Property::NoLoop, format!("{key:?} is in quarantine"));
                }
            }
        }
    }

    fn breaks(&self, property: Property, how: String) {
        self.broken.borrow_mut().entry(property).or_insert(how);
    }

    /// How the newest try of the intent with this number stands with each of the services.
    fn outcomes(&mut self, seq: usize) -> [Option<Outcome>; 4] {
        let id = self.relay[seq - 1].id.clone();
        SERVICES.map(|service| {
            let standings = self.poller().store.standings(&name(service)).unwrap();
            standings.get(&id).map(|standing| standing.outcome)
        })
    }

    /// The last thing that was said of this service.
    fn said(&mut self, service: &str) -> String {
        let past = self
            .poller()
            .store
            .history(Some(&name(service)), 1)
            .unwrap();
        past[0].report.message.clone()
    }
}

/// The same services without an order.
fn without_order() -> Settings {
    let mut settings = settings();
    for service in &mut settings.services {
        service.after.clear();
    }
    settings
}
