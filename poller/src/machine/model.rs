//! A small engine to run the machine against: containers with names, restart policies and run states, and tags.

use std::collections::BTreeMap;

use serde_json::Value;
use towline_protocol::Gate;

use super::{Action, Event, TagMove};

/// One container of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) running: bool,
    pub(super) policy: String,
    pub(super) image: &'static str,
}

/// The model's engine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Engine {
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) tags: BTreeMap<String, String>,
    /// Whether the new version passes the gate.
    pub(super) passes: bool,
    pub(super) canonical: Vec<String>,
    made: usize,
}

impl Engine {
    pub(super) fn new(passes: bool, canonical: Vec<String>) -> Self {
        Self {
            containers: BTreeMap::new(),
            tags: BTreeMap::new(),
            passes,
            canonical,
            made: 0,
        }
    }

    /// Makes the call, as an engine does that is asked once or again.
    pub(super) fn act(&mut self, action: &Action) -> Event {
        match action {
            Action::MoveTag(TagMove { reference, to, .. }) => {
                self.tags.insert(reference.clone(), to.clone());
                Event::Done
            }
            Action::MoveTagBack(tag) => {
                if self.tags.get(&tag.reference) == Some(&tag.to) {
                    self.tags.remove(&tag.reference);
                    self.tags
                        .extend(tag.from.clone().map(|from| (tag.reference.clone(), from)));
                }
                Event::Done
            }
            Action::Create { name, .. } => self.create(name),
            Action::Find { name } => Event::Found {
                id: self.named(name),
            },
            Action::SetPolicy { id, policy } => {
                let name = policy
                    .get("Name")
                    .and_then(Value::as_str)
                    .unwrap()
                    .to_owned();
                self.with(id, |container| container.policy = name)
            }
            Action::Stop { id } => self.with(id, |container| container.running = false),
            Action::Start { id } => self.with(id, |container| container.running = true),
            Action::Rename { id, to } => match self.named(to) {
                Some(holder) if holder != *id => Event::Failed {
                    why: format!("{to} is taken"),
                },
                _ => self.with(id, |container| container.name.clone_from(to)),
            },
            Action::Gate { ids } => {
                let up = ids.iter().all(|id| {
                    self.containers
                        .get(id)
                        .is_some_and(|container| container.running)
                });
                if up && self.passes {
                    Event::Passed {
                        gate: Gate::Healthy,
                    }
                } else {
                    Event::Failed {
                        why: "unfit".into(),
                    }
                }
            }
            Action::Verify { .. } => {
                let up = |name: &String| {
                    self.named(name)
                        .is_some_and(|id| self.containers[&id].running)
                };
                if self.canonical.iter().all(up) {
                    Event::Done
                } else {
                    Event::Failed { why: "down".into() }
                }
            }
            Action::SaveLog { id } => self.with(id, |_| ()),
            Action::Remove { id } => match self.containers.remove(id) {
                Some(_) => Event::Done,
                None => Event::Gone { why: id.clone() },
            },
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<String> {
        self.containers
            .iter()
            .find(|(_, container)| container.name == name)
            .map(|(id, _)| id.clone())
    }

    fn create(&mut self, name: &str) -> Event {
        if self.named(name).is_some() {
            return Event::Failed {
                why: format!("{name} is taken"),
            };
        }
        self.made += 1;
        let id = format!("new{}", self.made);
        let container = Container {
            name: name.to_owned(),
            running: false,
            policy: "no".to_owned(),
            image: "new",
        };
        self.containers.insert(id.clone(), container);
        Event::Created { id }
    }

    fn with(&mut self, id: &str, change: impl FnOnce(&mut Container)) -> Event {
        match self.containers.get_mut(id) {
            Some(container) => {
                change(container);
                Event::Done
            }
            None => Event::Gone {
                why: format!("no such container: {id}"),
            },
        }
    }
}
