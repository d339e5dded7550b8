//! What a play begins from: the containers to replace, what they are replaced by, and who else is on the host.

use proptest::prelude::*;
use serde_json::Value;
use towline_protocol::Side;

use super::{
    super::{self as machine, Deploy, Expected, Member, TagMove},
    model::{Container, Engine, policy},
};

/// The containers to replace, and the versions that they are replaced by, one deploy after another and from the
/// beginning again.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) olds: Vec<Old>,
    pub(super) tagged: bool,
    pub(super) versions: Vec<Version>,
    /// Whether the old version does not come up any more once it was stopped.
    pub(super) fragile: bool,
    /// Whether the process dies whenever it is in the gate.
    pub(super) deadly: bool,
    /// Whether a container of nobody's has the name that the first replacement is to have at first.
    pub(super) lookalike: bool,
    pub(super) strategy: machine::Strategy,
    /// How many are replaced at a time, if they are not one set.
    pub(super) parallel: Option<usize>,
    /// Whether each shares a namespace of the one before it.
    pub(super) chained: bool,
    /// Whether those that have passed keep the new version when others fail.
    pub(super) pauses: bool,
}

/// A container to replace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) runs: bool,
    /// The name of its restart policy.
    pub(super) policy: &'static str,
}

/// A version to deploy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Version {
    Fit,
    /// It runs and never passes the gate.
    Unfit,
    EndsAtOnce,
    /// It passes the gate, and does not come up a second time.
    Frail,
}

impl Scene {
    /// One running container with a restart policy and a tag, and a version that passes the gate or does not.
    pub(super) fn one(passes: bool) -> Self {
        let version = if passes { Version::Fit } else { Version::Unfit };
        Self {
            olds: vec![Old {
                runs: true,
                policy: "always",
            }],
            tagged: true,
            versions: vec![version],
            fragile: false,
            deadly: false,
            lookalike: false,
            strategy: machine::Strategy::StopFirst,
            parallel: None,
            chained: false,
            pauses: false,
        }
    }

    /// Three that share a namespace, one of the other, and run.
    pub(super) fn chain(passes: bool) -> Self {
        let one = Self::one(passes);
        Self {
            olds: [one.olds.clone(), one.olds.clone(), one.olds.clone()].concat(),
            ..one
        }
        .chained()
    }

    /// The same with each sharing a namespace of the one before it, where one can run only while that one does.
    fn chained(mut self) -> Self {
        let mut lends = true;
        for old in &mut self.olds {
            old.runs &= lends;
            lends = old.runs;
        }
        Self {
            strategy: machine::Strategy::StopFirst,
            parallel: None,
            chained: true,
            ..self
        }
    }

    /// The same, by start-first.
    pub(super) fn start_first(passes: bool) -> Self {
        Self {
            strategy: machine::Strategy::StartFirst,
            ..Self::one(passes)
        }
    }

    /// The engine before the first deploy.
    pub(super) fn engine(&self) -> Engine {
        let mut engine = Engine::new();
        engine.fit.insert("old".to_owned());
        engine.chained = self.chained;
        engine.side_by_side = self.strategy == machine::Strategy::StartFirst;
        if self.fragile {
            engine.broken.insert("old".to_owned());
        }
        for (at, old) in self.olds.iter().enumerate() {
            let lender = at.checked_sub(1).filter(|_| self.chained);
            let lender = lender.map(|before| format!("old{before}"));
            let inside = lender.clone().filter(|_| old.runs);
            let container = Container {
                port: Some(at),
                inside: inside.map(|lender| (lender, 1)),
                lender,
                ..Container::of(&name(at), "old", old.policy, old.runs)
            };
            engine.containers.insert(format!("old{at}"), container);
        }
        if self.tagged {
            engine.tags.insert(tag(0), "old".to_owned());
        }
        let other = Container::of("db", "other", "always", true);
        engine.containers.insert("other".to_owned(), other);
        if self.lookalike {
            let name = format!("{}--new-{}", name(0), deploy_name(0));
            let other = Container::of(&name, "other", "no", false);
            engine.containers.insert("lookalike".to_owned(), other);
        }
        engine
    }

    /// The deploy of this number, of what `engine` has under the canonical names; `None` if it has not all of them.
    pub(super) fn deploy(&self, engine: &mut Engine, number: usize) -> Option<Deploy> {
        let version = self.versions[number % self.versions.len()];
        let image = format!("v{}", number + 1);
        match version {
            Version::Fit => drop(engine.fit.insert(image.clone())),
            Version::Unfit => {}
            Version::EndsAtOnce => drop(engine.broken.insert(image.clone())),
            Version::Frail => {
                engine.fit.insert(image.clone());
                engine.frail.insert(image.clone());
            }
        }
        engine.wanted.clone_from(&image);
        engine.deploy = deploy_name(number);
        let members: Option<Vec<Member>> = (0..self.olds.len())
            .map(|at| self.member(engine, at, &image))
            .collect();
        let members = members?;
        if self.chained && members.windows(2).any(|pair| pair[1].runs && !pair[0].runs) {
            // It could not be started again.
            return None;
        }
        let expected = |member: &Member| Expected {
            id: member.old.clone(),
            name: member.name.clone(),
        };
        engine.olds = members.iter().map(expected).collect();
        let sides = (Side::default(), Side::default());
        let deploy = Deploy::new(deploy_name(number), members, sides.0, sides.1);
        let deploy = deploy.with_strategy(self.strategy);
        let deploy = match self.parallel {
            Some(parallel) => deploy.rolling(parallel),
            None if self.chained => deploy.accompanied(),
            None => deploy,
        };
        Some(match self.pauses {
            true => deploy.pausing(),
            false => deploy,
        })
    }

    fn member(&self, engine: &Engine, at: usize, image: &str) -> Option<Member> {
        let old = engine.named(&name(at))?;
        let container = &engine.containers[&old];
        let tag = TagMove {
            reference: tag(at),
            from: engine.tags.get(&tag(at)).cloned(),
            to: image.to_owned(),
        };
        Some(Member {
            name: name(at),
            policy: policy(&container.policy),
            runs: container.running,
            was_healthy: true,
            was_restarting: false,
            tag: self.tagged.then_some(tag),
            old,
        })
    }
}

impl Old {
    pub(super) fn armed(self) -> bool {
        self.policy != "no"
    }
}

fn name(at: usize) -> String {
    format!("web{at}")
}

fn tag(at: usize) -> String {
    format!("img{at}")
}

fn deploy_name(number: usize) -> String {
    format!("{:08x}", 0x0a1b_2c3d + number)
}

/// Whether the policy of an inspected container is the one that is kept.
pub(super) fn is_policy(shown: &str, kept: &Value) -> bool {
    kept["Name"] == shown
}

fn an_old() -> impl Strategy<Value = Old> {
    let policies = vec!["no", "always", "unless-stopped", "on-failure"];
    let policy = proptest::sample::select(policies);
    (any::<bool>(), policy).prop_map(|(runs, policy)| Old { runs, policy })
}

/// Some containers, and a version that passes the gate or does not.
pub(super) fn a_scene() -> impl Strategy<Value = Scene> {
    (
        proptest::collection::vec(an_old(), 1..4),
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(vec![
            machine::Strategy::StopFirst,
            machine::Strategy::StartFirst,
        ]),
        proptest::option::weighted(0.3, 1usize..3),
        proptest::bool::weighted(0.3),
        any::<bool>(),
    )
        .prop_map(
            |(olds, tagged, passes, strategy, parallel, is_chained, pauses)| {
                let scene = Scene {
                    olds,
                    tagged,
                    strategy,
                    parallel,
                    pauses,
                    ..Scene::one(passes)
                };
                match is_chained {
                    true => scene.chained(),
                    false => scene,
                }
            },
        )
}

/// A scene with everything in it that makes deploys difficult, now and then.
pub(super) fn a_hard_scene() -> impl Strategy<Value = Scene> {
    let version = prop_oneof![
        3 => Just(Version::Fit),
        1 => Just(Version::Unfit),
        1 => Just(Version::EndsAtOnce),
        2 => Just(Version::Frail),
    ];
    let seldom = || proptest::bool::weighted(0.1);
    let versions = proptest::collection::vec(version, 1..4);
    (a_scene(), versions, seldom(), seldom(), seldom()).prop_map(
        |(scene, versions, fragile, deadly, lookalike)| Scene {
            versions,
            fragile,
            deadly,
            lookalike,
            ..scene
        },
    )
}
