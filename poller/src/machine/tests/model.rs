//! A small engine to run the machine against: containers with names, restart policies, run states, ports and volumes,
//! tags, a clock, and restarts that stop what has no restart policy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use towline_protocol::Gate;

use super::super::{Action, Event, Expected, TagMove};
use crate::uptime::Uptime;

/// How long the gate waits for a version that does not answer, in ms.
pub(super) const PATIENCE: u64 = 60_000;
/// How long a good version needs in the gate, in ms.
const GATE: u64 = 3_000;
/// How long nobody goes to the old version any more, in ms.
const DRAIN: u64 = 2_000;

/// One container of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) running: bool,
    /// Whether it still runs, but a stop is under way.
    pub(super) stopping: bool,
    pub(super) policy: String,
    pub(super) image: String,
    /// Those with the same port cannot run at the same time.
    pub(super) port: Option<usize>,
    pub(super) volumes: BTreeSet<String>,
    /// The deploy that made it.
    pub(super) deploy: Option<String>,
    /// The container whose namespace it shares.
    pub(super) lender: Option<String>,
    /// Which container's, and which start of it, it is in since its own start.
    pub(super) inside: Option<(String, u32)>,
    /// Whether somebody stopped it on purpose; the engine keeps that across its own restarts.
    pub(super) stopped: bool,
    pub(super) starts: u32,
    /// Whether it is found by the names of the one that it is to replace.
    pub(super) joined: bool,
    /// Whether it has passed the gate.
    pub(super) gated: bool,
}

impl Container {
    pub(super) fn of(name: &str, image: &str, policy: &str, running: bool) -> Self {
        Self {
            name: name.to_owned(),
            running,
            stopping: false,
            policy: policy.to_owned(),
            image: image.to_owned(),
            port: None,
            volumes: BTreeSet::new(),
            deploy: None,
            lender: None,
            inside: None,
            stopped: !running,
            starts: u32::from(running),
            joined: false,
            gated: false,
        }
    }

    pub(super) fn armed(&self) -> bool {
        self.policy != "no"
    }

    fn stop(&mut self) {
        self.stopped |= self.running;
        self.running = false;
        self.stopping = false;
    }
}

/// The model's engine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Engine {
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) volumes: BTreeSet<String>,
    /// Images that pass the gate.
    pub(super) fit: BTreeSet<String>,
    /// Images that end right after a start.
    pub(super) broken: BTreeSet<String>,
    /// Images that end right after a second start.
    pub(super) frail: BTreeSet<String>,
    /// Whether each container to replace shares a namespace of the one before it.
    pub(super) chained: bool,
    /// The image that a replacement is made from.
    pub(super) wanted: String,
    /// Whether containers of the same port can run at the same time after all: nothing is published.
    pub(super) side_by_side: bool,
    /// The containers that the deploy is to replace, in the order of their ports.
    pub(super) olds: Vec<Expected>,
    pub(super) deploy: String,
    /// Milliseconds since the system's start, and which start it is.
    pub(super) clock: u64,
    pub(super) boot: u32,
    made: usize,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            containers: BTreeMap::new(),
            tags: BTreeMap::new(),
            volumes: BTreeSet::from(["precious".to_owned()]),
            fit: BTreeSet::new(),
            broken: BTreeSet::new(),
            frail: BTreeSet::new(),
            chained: false,
            wanted: String::new(),
            side_by_side: false,
            olds: Vec::new(),
            deploy: String::new(),
            clock: 1_000,
            boot: 1,
            made: 0,
        }
    }

    /// Makes the call, as an engine does that is asked once or again.
    pub(super) fn act(&mut self, action: &Action) -> Event {
        self.clock += 100;
        match action {
            Action::MoveTag(TagMove { reference, to, .. }) => {
                self.tags.insert(reference.clone(), to.clone());
                Event::Done
            }
            Action::MoveTagBack(tag) => self.move_tag_back(tag),
            Action::Create { member, name } => self.create(name, *member),
            Action::Find { name } => Event::Found {
                id: self
                    .named(name)
                    .filter(|id| self.containers[id].deploy.as_ref() == Some(&self.deploy)),
            },
            Action::SetPolicy { id, policy } => {
                let name = policy["Name"].as_str().unwrap().to_owned();
                self.with(id, |container| container.policy = name)
            }
            Action::Stop { id } => self.with(id, Container::stop),
            Action::Start { id } => self.start(id),
            Action::Rename { id, to } => match self.named(to) {
                Some(holder) if holder != *id => failed(&format!("{to} is taken")),
                _ => self.with(id, |container| container.name.clone_from(to)),
            },
            Action::Look { containers } => self.look(containers),
            Action::Gate { ids, spent, .. } => {
                self.gate(ids, u64::try_from(spent.as_millis()).unwrap())
            }
            Action::Switch {
                old,
                parked,
                new,
                name,
            } => self.switch([(old, parked), (new, name)]),
            Action::Join { id, .. } => self.with(id, |container| container.joined = true),
            Action::Drain { .. } => {
                self.clock += DRAIN;
                Event::Done
            }
            Action::Verify { members } => {
                let expected: Vec<_> = members.iter().map(|at| self.olds[*at].clone()).collect();
                let seen = self.look(&expected);
                let up = matches!(seen, Event::Looked { .. });
                if up { Event::Done } else { seen }
            }
            Action::SaveLog { id } => self.with(id, |_| ()),
            Action::Remove { id } => match self.containers.get(id) {
                Some(container) if container.running => failed("it runs"),
                Some(_) => {
                    self.containers.remove(id);
                    Event::Done
                }
                None => gone(id),
            },
        }
    }

    /// Makes the call, of which nobody hears; a stop takes its time.
    pub(super) fn act_unheard(&mut self, action: &Action) {
        if let Action::Stop { id } = action {
            self.with(id, |container| container.stopping = container.running);
        } else {
            self.act(action);
        }
    }

    /// What was under way comes to its end. The engine starts nothing again that was stopped on purpose.
    pub(super) fn settle(&mut self) {
        let all = self.containers.values_mut();
        all.filter(|container| container.stopping)
            .for_each(Container::stop);
    }

    /// The engine's process is started again, and with it what has a restart policy.
    pub(super) fn restart(&mut self) {
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        for container in self.containers.values_mut() {
            container.running = false;
            container.stopping = false;
        }
        for id in ids {
            let container = &self.containers[&id];
            let by_itself = match container.policy.as_str() {
                "always" => true,
                "unless-stopped" => !container.stopped,
                _ => false,
            };
            if by_itself {
                self.start(&id);
            }
        }
    }

    /// The whole machine is started again.
    pub(super) fn reboot(&mut self) {
        self.boot += 1;
        self.clock = 500;
        self.restart();
    }

    pub(super) fn named(&self, name: &str) -> Option<String> {
        let found = self
            .containers
            .iter()
            .find(|(_, container)| container.name == name);
        found.map(|(id, _)| id.clone())
    }

    /// One after the other; a new container that is gone is a failure.
    fn switch(&mut self, [(old, parked), (new, name)]: [(&String, &String); 2]) -> Event {
        let rename = |id: &String, to: &String| Action::Rename {
            id: id.clone(),
            to: to.clone(),
        };
        let parked = self.act(&rename(old, parked));
        if parked != Event::Done {
            return parked;
        }
        let named = self.act(&rename(new, name));
        if let Event::Gone { why } = named {
            return Event::Failed { why };
        }
        named
    }

    fn move_tag_back(&mut self, tag: &TagMove) -> Event {
        if self.tags.get(&tag.reference) == Some(&tag.to) {
            self.tags.remove(&tag.reference);
            let from = tag.from.clone().map(|from| (tag.reference.clone(), from));
            self.tags.extend(from);
        }
        Event::Done
    }

    fn create(&mut self, name: &str, port: usize) -> Event {
        if self.named(name).is_some() {
            return failed(&format!("{name} is taken"));
        }
        self.made += 1;
        let id = format!("new{}", self.made);
        let container = Container {
            port: Some(port),
            lender: self.made_before(port),
            volumes: self.volumes.clone(),
            deploy: Some(self.deploy.clone()),
            stopped: false,
            ..Container::of(name, &self.wanted, "no", false)
        };
        self.containers.insert(id.clone(), container);
        Event::Created { id }
    }

    /// The container that this deploy has made for the one before, which shares with it.
    fn made_before(&self, port: usize) -> Option<String> {
        let before = port.checked_sub(1).filter(|_| self.chained)?;
        let is_it =
            |one: &Container| one.port == Some(before) && one.deploy.as_ref() == Some(&self.deploy);
        let mut all = self.containers.iter();
        all.find(|(_, one)| is_it(one)).map(|(id, _)| id.clone())
    }

    pub(super) fn start(&mut self, id: &str) -> Event {
        let port = self.containers.get(id).and_then(|container| container.port);
        let holds = |(other, container): (&String, &Container)| {
            other != id && container.running && port.is_some() && container.port == port
        };
        if !self.side_by_side && self.containers.iter().any(holds) {
            return failed("the port is taken");
        }
        let lender = self.containers.get(id).and_then(|one| one.lender.clone());
        let inside = lender.map(|lender| {
            let lends = self.containers.get(&lender).filter(|one| one.running);
            lends.map(|lends| (lender, lends.starts))
        });
        if inside == Some(None) {
            return failed("it cannot join a container that does not run");
        }
        let (broken, frail) = (&self.broken, &self.frail);
        let ends = self.containers.get(id).is_some_and(|container| {
            let again = !container.running && container.starts > 0;
            broken.contains(&container.image) || (again && frail.contains(&container.image))
        });
        self.with(id, |container| {
            if !container.running {
                container.starts += 1;
                container.inside = inside.flatten();
            }
            container.running = !ends;
            container.stopped = false;
        })
    }

    fn look(&mut self, containers: &[Expected]) -> Event {
        let mut starts = Vec::new();
        for Expected { id, name } in containers {
            let stopping = self.containers.get_mut(id).filter(|one| one.stopping);
            stopping.into_iter().for_each(Container::stop);
            match self.containers.get(id) {
                None => return gone(id),
                Some(shown) if shown.name != *name => {
                    let why = format!("{id} was renamed");
                    return Event::Gone { why };
                }
                Some(shown) if !shown.running => return failed("it does not run"),
                Some(shown) => starts.push(format!("start {}", shown.starts)),
            }
        }
        let boot = self.boot.to_string();
        let now = Some(Uptime {
            boot,
            ms: self.clock,
        });
        Event::Looked { starts, now }
    }

    fn gate(&mut self, ids: &[String], spent: u64) -> Event {
        let up = |id: &String| {
            self.containers
                .get(id)
                .filter(|container| container.running)
        };
        let all: Option<Vec<_>> = ids.iter().map(up).collect();
        let Some(all) = all else {
            return failed("it ended");
        };
        if all
            .iter()
            .all(|container| self.fit.contains(&container.image))
        {
            self.clock += GATE;
            for id in ids {
                self.with(id, |container| container.gated = true);
            }
            let gate = Gate::Healthy;
            Event::Passed { gate }
        } else {
            self.clock += PATIENCE.saturating_sub(spent);
            failed("unfit")
        }
    }

    fn with(&mut self, id: &str, change: impl FnOnce(&mut Container)) -> Event {
        match self.containers.get_mut(id) {
            Some(container) => {
                change(container);
                Event::Done
            }
            None => gone(id),
        }
    }
}

pub(super) fn failed(why: &str) -> Event {
    Event::Failed {
        why: why.to_owned(),
    }
}

fn gone(id: &str) -> Event {
    Event::Gone {
        why: format!("no such container: {id}"),
    }
}

/// A policy as the engine shows it.
pub(super) fn policy(name: &str) -> Value {
    serde_json::json!({ "Name": name })
}
