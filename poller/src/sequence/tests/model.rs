//! A small host to run the machine against: a checkout, tags, containers, what `run` has installed, data and backups, a
//! service that something starts and stops, a clock, and restarts.

use std::collections::{BTreeMap, BTreeSet};

use towline_protocol::Gate;

use super::super::{Action, Event, Which};
use crate::{machine::TagMove, uptime::Uptime};

/// How long the gate waits for a version that does not answer, in ms.
pub(super) const PATIENCE: u64 = 60_000;

/// What a service shows that runs: each is the number of the version that it is from, or nothing that fits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) tree: Option<u32>,
    pub(super) installed: Option<u32>,
}

/// A container of the Compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) image: String,
    /// What it was made from.
    pub(super) tree: Option<u32>,
    pub(super) running: bool,
    pub(super) starts: u32,
}

/// What the service has written: in which version's form, and how often it was started on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) form: u32,
    pub(super) rows: u32,
}

/// The model's host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host {
    /// The checkout's commit, or a mixture.
    pub(super) tree: Option<u32>,
    /// Whether a git that was ended in the middle has left its lock.
    pub(super) locked: bool,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) containers: Vec<Container>,
    /// What `run` has brought, or something in between.
    pub(super) installed: Option<u32>,
    pub(super) data: Data,
    pub(super) backups: BTreeMap<String, Data>,
    /// What runs; of a service that has no `start`, whatever is there.
    pub(super) served: Option<Shown>,
    /// How often the service was stopped, and started.
    pub(super) stops: u32,
    pub(super) starts: u32,
    pub(super) restores: u32,
    /// Versions that pass the gate.
    pub(super) fit: BTreeSet<u32>,
    /// Versions that end right after a start.
    pub(super) broken: BTreeSet<u32>,
    /// Versions whose `run` fails in the middle.
    pub(super) failing: BTreeSet<u32>,
    /// The versions that the deploy is between.
    pub(super) old: u32,
    pub(super) new: u32,
    /// Milliseconds since the system's start, and which start it is.
    pub(super) clock: u64,
    pub(super) boot: u32,
    /// How the service is made.
    pub(super) has_start: bool,
    pub(super) has_git: bool,
    pub(super) is_compose: bool,
    /// Whether what `run` has done goes with the checkout.
    pub(super) installs_in_tree: bool,
    /// Whether the system starts the service by itself.
    pub(super) enabled: bool,
    /// What a command is still at whose caller has died.
    pub(super) leftover: Option<Action>,
}

impl Host {
    /// Does it, as a host does that is asked once or again.
    pub(super) fn act(&mut self, action: &Action) -> Event {
        self.clock += 100;
        match action {
            Action::Command { which, .. } => return self.command(*which),
            Action::BackUp { name } => drop(self.backups.entry(name.clone()).or_insert(self.data)),
            Action::CheckOut { .. } => self.tree = Some(self.new),
            Action::CheckOutOld { interrupted, .. } if self.locked && !interrupted => {
                return failed("index.lock exists");
            }
            Action::CheckOutOld { .. } => {
                self.tree = Some(self.old);
                self.locked = false;
            }
            Action::MoveTag(TagMove { reference, to, .. }) => {
                self.tags.insert(reference.clone(), to.clone());
            }
            Action::MoveTagBack(tag) => self.move_tag_back(tag),
            Action::Up | Action::UpOld => self.up(usize::MAX),
            Action::SaveLog => {}
            Action::StopContainers => {
                for container in &mut self.containers {
                    container.running = false;
                }
            }
            Action::Restore { name } => match self.backups.get(name) {
                Some(data) => {
                    self.data = *data;
                    self.restores += 1;
                }
                None => return failed("no such backup"),
            },
            Action::Look => {
                if !self.has_start && !self.is_compose {
                    // What shows at once is used at once.
                    self.migrate();
                }
                return self.look();
            }
            Action::Gate { spent } => return self.gate(u64::try_from(spent.as_millis()).unwrap()),
            Action::Verify => {
                if !self.is_well() || !self.runs_images_of(self.old) {
                    return failed("it does not answer");
                }
            }
        }
        Event::Done
    }

    /// Begins with it, and is ended in the middle.
    pub(super) fn act_in_part(&mut self, action: &Action) {
        match action {
            Action::CheckOut { .. } | Action::CheckOutOld { .. } => {
                self.tree = None;
                self.locked = true;
            }
            Action::Up | Action::UpOld => self.up(1),
            Action::Command {
                which: Which::Run, ..
            } => self.run(None),
            Action::Command {
                which: Which::RollBack,
                ..
            } => self.installed = None,
            Action::Command { .. }
            | Action::BackUp { .. }
            | Action::MoveTag(_)
            | Action::MoveTagBack(_)
            | Action::SaveLog
            | Action::StopContainers
            | Action::Restore { .. }
            | Action::Look
            | Action::Gate { .. }
            | Action::Verify => {}
        }
    }

    fn command(&mut self, which: Which) -> Event {
        match which {
            Which::Stop => {
                self.stops += u32::from(self.served.is_some());
                self.served = None;
            }
            Which::Run if self.failing.contains(&self.new) => {
                self.run(None);
                return failed("exit status 1");
            }
            Which::Run => self.run(Some(self.new)),
            Which::RollBack => self.installed = Some(self.old),
            Which::Start => self.start(),
        }
        Event::Done
    }

    /// The new version takes the data over.
    fn migrate(&mut self) {
        self.data.form = self.new;
    }

    /// What `run` leaves, which migrates the data first.
    fn run(&mut self, installed: Option<u32>) {
        self.migrate();
        if self.installs_in_tree {
            return;
        }
        self.installed = installed;
    }

    fn shown(&self) -> Shown {
        Shown {
            tree: self.tree,
            installed: self.installed,
        }
    }

    /// What runs. What has no `start` of its own shows what is there.
    pub(super) fn serves(&self) -> Option<Shown> {
        if self.has_start {
            self.served
        } else {
            Some(self.shown())
        }
    }

    /// Starts the service, if it does not run.
    pub(super) fn start(&mut self) {
        if self.served.is_some() {
            return;
        }
        let shown = self.shown();
        let ends = |version: Option<u32>| version.is_some_and(|it| self.broken.contains(&it));
        if !ends(shown.tree) && !ends(shown.installed) {
            self.served = Some(shown);
            self.starts += 1;
            self.data.rows += 1;
            if shown.installed == Some(self.new) || shown.tree == Some(self.new) {
                self.migrate();
            }
        }
    }

    /// Makes the first containers anew that are not as the tags and the checkout have them.
    fn up(&mut self, most: usize) {
        let tags: Vec<String> = self.tags.values().cloned().collect();
        let mut is_new = false;
        for (container, image) in self.containers.iter_mut().zip(tags).take(most) {
            let is_same = container.image == image && container.tree == self.tree;
            if is_same && container.running {
                continue;
            }
            container.image = image;
            container.tree = self.tree;
            let version = version_of(&container.image);
            container.running = !self.broken.contains(&version);
            container.starts += 1;
            is_new = true;
            if version == self.new {
                self.data.form = self.new;
            }
        }
        if is_new {
            self.starts += 1;
            self.data.rows += 1;
        }
    }

    fn move_tag_back(&mut self, tag: &TagMove) {
        if self.tags.get(&tag.reference) == Some(&tag.to) {
            let from = tag.from.clone().unwrap();
            self.tags.insert(tag.reference.clone(), from);
        }
    }

    fn look(&self) -> Event {
        if self.has_git && self.tree != Some(self.new) {
            return failed("the checkout is at another commit");
        }
        if !self.runs_images_of(self.new) {
            return failed("its containers do not run");
        }
        let starts = self.containers.iter();
        let boot = self.boot.to_string();
        Event::Looked {
            starts: starts.map(|one| format!("start {}", one.starts)).collect(),
            now: Some(Uptime {
                boot,
                ms: self.clock,
            }),
        }
    }

    fn gate(&mut self, spent: u64) -> Event {
        if self.is_well() {
            self.clock += 3_000;
            return Event::Passed {
                gate: Gate::Healthy,
            };
        }
        self.clock += PATIENCE.saturating_sub(spent);
        failed("it answered 500")
    }

    /// Whether it passes its checks.
    pub(super) fn is_well(&self) -> bool {
        let fits = |version: Option<u32>| version.is_some_and(|it| self.fit.contains(&it));
        if self.is_compose {
            let mut all = self.containers.iter();
            return all
                .all(|one| one.running && fits(one.tree) && fits(Some(version_of(&one.image))));
        }
        let shown = self.serves();
        shown.is_some_and(|shown| fits(shown.tree) && fits(shown.installed))
    }

    /// Whether every container is of this version.
    pub(super) fn runs_images_of(&self, version: u32) -> bool {
        let mut all = self.containers.iter();
        all.all(|one| one.running && one.image == image_of(version))
    }

    /// The machine is started again, and with it what starts by itself.
    pub(super) fn reboot(&mut self) {
        self.boot += 1;
        self.clock = 500;
        self.leftover = None;
        let restarts = |one: &mut Container| {
            one.starts += u32::from(one.running);
        };
        self.containers.iter_mut().for_each(restarts);
        self.served = None;
        if self.enabled && self.has_start {
            self.start();
        }
    }

    /// What was left running comes to its end.
    pub(super) fn settle(&mut self) {
        if let Some(action) = self.leftover.take() {
            self.act(&action);
        }
    }
}

pub(super) fn failed(why: &str) -> Event {
    Event::Failed {
        why: why.to_owned(),
    }
}

pub(super) fn image_of(version: u32) -> String {
    format!("image {version}")
}

fn version_of(image: &str) -> u32 {
    image.trim_start_matches("image ").parse().unwrap()
}
