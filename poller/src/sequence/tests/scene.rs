//! What a play begins from: how the service is made, and the versions that are deployed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use towline_protocol::{Sha, Side};

use super::{
    super::{Before, Checkout, OldContainer, Revision, Sequence},
    model::{Container, Data, Host, Shown, image_of},
};
use crate::{
    machine::TagMove,
    settings::{Backup, Command, Compose, Git, OnInterrupt, Parts},
};

/// A service of parts, and the versions that it is taken to, one deploy after another and from the beginning again.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) git: bool,
    /// How many containers its Compose project has; 0 without one.
    pub(super) containers: usize,
    pub(super) command: Option<Commands>,
    /// Whether its data are backed up, and put back.
    pub(super) backup: Option<bool>,
    /// Whether the system starts the service by itself.
    pub(super) enabled: bool,
    pub(super) versions: Vec<Kind>,
    /// Whether the old version does not come up any more once it was stopped.
    pub(super) fragile: bool,
    /// Whether the process dies whenever it is in the gate.
    pub(super) deadly: bool,
}

/// Which commands there are beside `run`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commands {
    pub(super) stops: bool,
    pub(super) starts: bool,
    pub(super) rolls_back: bool,
    pub(super) on_interrupt: OnInterrupt,
}

/// A version to deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fit,
    /// It runs and never passes the gate.
    Unfit,
    EndsAtOnce,
    /// Its `run` fails in the middle.
    FailsToInstall,
}

/// A deploy of commands with everything: `stop`, `start`, `rollback`, a checkout and a backup that is put back.
pub(super) fn a_service(kind: Kind) -> Scene {
    Scene {
        git: true,
        containers: 0,
        command: Some(Commands {
            stops: true,
            starts: true,
            rolls_back: true,
            on_interrupt: OnInterrupt::Rollback,
        }),
        backup: Some(true),
        enabled: true,
        versions: vec![kind],
        fragile: false,
        deadly: false,
    }
}

/// A Compose project of two containers, from a checkout, with a backup that is put back.
pub(super) fn a_project(kind: Kind) -> Scene {
    Scene {
        containers: 2,
        command: None,
        ..a_service(kind)
    }
}

/// A command that nothing leads back from.
pub(super) fn a_mere_command(kind: Kind) -> Scene {
    Scene {
        git: false,
        backup: None,
        ..with_commands(a_service(kind), |commands| Commands {
            rolls_back: false,
            on_interrupt: OnInterrupt::Ask,
            ..commands
        })
    }
}

/// The scene with its commands changed.
pub(super) fn with_commands(scene: Scene, change: impl FnOnce(Commands) -> Commands) -> Scene {
    Scene {
        command: scene.command.map(change),
        ..scene
    }
}

impl Scene {
    /// The host before the first deploy, with version 0.
    pub(super) fn host(&self) -> Host {
        let has_start = self.command.is_some_and(|commands| commands.starts);
        let served = Shown {
            tree: Some(0),
            installed: Some(0),
        };
        let container = Container {
            image: image_of(0),
            tree: Some(0),
            running: true,
            starts: 1,
        };
        Host {
            tree: Some(0),
            locked: false,
            tags: (0..self.containers)
                .map(|at| (tag(at), image_of(0)))
                .collect(),
            containers: vec![container; self.containers],
            installed: Some(0),
            data: Data { form: 0, rows: 1 },
            backups: BTreeMap::new(),
            served: has_start.then_some(served),
            stops: 0,
            starts: 0,
            restores: 0,
            fit: BTreeSet::from([0]),
            broken: self.fragile.then_some(0).into_iter().collect(),
            failing: BTreeSet::new(),
            old: 0,
            new: 0,
            clock: 1_000,
            boot: 1,
            has_start,
            has_git: self.git,
            is_compose: self.containers > 0,
            installs_in_tree: self.installs_in_tree(),
            enabled: self.enabled,
            leftover: None,
        }
    }

    /// The deploy of this number, from what `host` has.
    pub(super) fn deploy(&self, host: &mut Host, number: usize) -> Sequence {
        let new = u32::try_from(number + 1).unwrap();
        match self.versions[number % self.versions.len()] {
            Kind::Fit => drop(host.fit.insert(new)),
            Kind::Unfit => {}
            Kind::EndsAtOnce => drop(host.broken.insert(new)),
            Kind::FailsToInstall => drop(host.failing.insert(new)),
        }
        host.old = self.version(host);
        host.new = new;
        let deploy = format!("{new:08x}");
        let side = Side::default();
        let before = self.before(host, &deploy);
        Sequence::new(deploy, self.parts(), before, side.clone(), side)
    }

    /// The version that is in place.
    fn version(&self, host: &Host) -> u32 {
        if !self.git && self.containers > 0 {
            let image = host.tags.values().next().unwrap();
            return image.trim_start_matches("image ").parse().unwrap();
        }
        let version = if self.git { host.tree } else { host.installed };
        version.unwrap()
    }

    fn before(&self, host: &Host, deploy: &str) -> Before {
        let revision = |version| Revision {
            sha: Some(sha(version)),
            ..Revision::default()
        };
        let moves = host.tags.iter().map(|(reference, from)| TagMove {
            reference: reference.clone(),
            from: Some(from.clone()),
            to: image_of(host.new),
        });
        let olds = host.containers.iter().enumerate();
        let olds = olds.map(|(at, one)| OldContainer {
            id: format!("old{at}"),
            service: tag(at),
            image: one.image.clone(),
            ran: one.running,
        });
        Before {
            old: revision(host.old),
            new: revision(host.new),
            checkout: self.git.then(|| Checkout {
                commit: sha(host.old),
                branch: None,
            }),
            tags: moves.collect(),
            containers: olds.collect(),
            backup: self.backup.map(|_| format!("{deploy}.tar.gz")),
            was_healthy: true,
            ..Before::default()
        }
    }

    pub(super) fn parts(&self) -> Parts {
        Parts {
            git: self.git.then(|| Git {
                path: "/srv/app".into(),
                remote: "origin".to_owned(),
                credential_file: None,
                discard_changes: false,
            }),
            compose: (self.containers > 0).then(|| Compose {
                file: "/srv/compose.yaml".into(),
                project: None,
                services: Vec::new(),
                profiles: Vec::new(),
                env_file: None,
            }),
            command: self.command.map(command),
            backup: self.backup.map(|restore| Backup {
                paths: vec!["/srv/data".into()],
                keep: 5,
                restore,
            }),
            user: None,
        }
    }

    /// Whether what `run` has done goes with the checkout.
    fn installs_in_tree(&self) -> bool {
        let rolls_back = self.command.is_some_and(|commands| commands.rolls_back);
        self.command.is_none() || (self.git && !rolls_back)
    }

    /// Whether the old version can be had again after `run`.
    pub(super) fn leads_back(&self) -> bool {
        let rolls_back = self.command.is_none_or(|commands| commands.rolls_back);
        self.git || self.containers > 0 || rolls_back
    }

    pub(super) fn reruns(&self) -> bool {
        let commands = self.command.as_ref();
        commands.is_some_and(|commands| commands.on_interrupt == OnInterrupt::Rerun)
    }

    pub(super) fn stops(&self) -> bool {
        self.command.is_some_and(|commands| commands.stops)
    }
}

fn command(commands: Commands) -> Command {
    let argv = |word: &str| vec![format!("./{word}")];
    Command {
        run: argv("update"),
        rollback: commands.rolls_back.then(|| argv("downgrade")),
        stop: commands.stops.then(|| argv("stop")),
        start: commands.starts.then(|| argv("start")),
        dir: None,
        timeout: Duration::from_secs(300),
        env: BTreeMap::new(),
        on_interrupt: commands.on_interrupt,
    }
}

fn tag(at: usize) -> String {
    format!("web{at}:latest")
}

fn sha(version: u32) -> Sha {
    format!("{version:040x}").parse().unwrap()
}

fn commands() -> impl Strategy<Value = Commands> {
    let on_interrupt = proptest::sample::select(vec![
        OnInterrupt::Rerun,
        OnInterrupt::Rollback,
        OnInterrupt::Ask,
    ]);
    let stops = prop_oneof![
        2 => Just((true, true)),
        1 => Just((false, false)),
    ];
    (stops, any::<bool>(), on_interrupt).prop_map(|((stops, starts), rolls_back, on_interrupt)| {
        Commands {
            stops,
            starts,
            rolls_back,
            on_interrupt,
        }
    })
}

/// Any service of parts that a host's file may have.
pub(super) fn a_scene() -> impl Strategy<Value = Scene> {
    let what = prop_oneof![
        1 => Just((true, 0)),
        2 => (1usize..3).prop_map(|containers| (false, containers)),
        2 => (1usize..3).prop_map(|containers| (true, containers)),
        6 => any::<bool>().prop_map(|git| (git, 0)),
    ];
    let version = prop_oneof![
        3 => Just(Kind::Fit),
        2 => Just(Kind::Unfit),
        1 => Just(Kind::EndsAtOnce),
        1 => Just(Kind::FailsToInstall),
    ];
    let versions = proptest::collection::vec(version, 1..4);
    let seldom = || proptest::bool::weighted(0.1);
    let backup = proptest::option::of(any::<bool>());
    (
        what,
        commands(),
        any::<bool>(),
        backup,
        any::<bool>(),
        versions,
        seldom(),
        seldom(),
    )
        .prop_map(
            |(
                (git, containers),
                commands,
                with_commands,
                backup,
                enabled,
                versions,
                fragile,
                deadly,
            )| {
                let needs_one = !git && containers == 0;
                let has_one = containers == 0 && (with_commands || needs_one);
                let way_back = git || commands.rolls_back;
                let on_interrupt = match commands.on_interrupt {
                    OnInterrupt::Rollback if !way_back => OnInterrupt::Ask,
                    other @ (OnInterrupt::Rollback | OnInterrupt::Rerun | OnInterrupt::Ask) => {
                        other
                    }
                };
                Scene {
                    git,
                    containers,
                    command: has_one.then_some(Commands {
                        on_interrupt,
                        ..commands
                    }),
                    backup,
                    enabled,
                    versions,
                    fragile,
                    deadly,
                }
            },
        )
}
