//! The images of all hosts: pushed once, and held by tags so that no host's tidying takes them from another's deploy.

use std::sync::OnceLock;

use crate::scene::{Scene, docker, required};

/// How the version to deploy behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum V2 {
    /// It serves.
    Good,
    /// It ends at once.
    Bad,
}

/// A v1 and all kinds of v2, by digest.
pub(crate) struct Images {
    v1: String,
    good: String,
    bad: String,
    picky: String,
}

impl Images {
    pub(crate) fn get() -> &'static Self {
        static IMAGES: OnceLock<Images> = OnceLock::new();
        IMAGES.get_or_init(Self::push)
    }

    fn push() -> Self {
        let scene = scene();
        let held = |version: &str, mode: &str, hold: &str, instructions: &[&str]| {
            let digest = scene.push(version, mode, instructions);
            let name = by_digest(&digest);
            docker(&["pull", "--quiet", &name]);
            docker(&["tag", &name, &format!("held-for-kill:{hold}")]);
            digest
        };
        held("idle", "idle", "idle", &[]);
        Self {
            v1: held("v1", "ok", "v1", &[]),
            good: held("v2", "ok", "good", &[]),
            bad: held("v2", "exit", "bad", &[]),
            picky: held("v2", "ok", "picky", &["ENV TOY_MOVES=1"]),
        }
    }

    pub(crate) fn digest(&self, v2: V2) -> &str {
        match v2 {
            V2::Good => &self.good,
            V2::Bad => &self.bad,
        }
    }

    /// A reference that leads to an image which does nothing, and gets no new versions.
    pub(crate) fn idle() -> &'static str {
        Self::get();
        "held-for-kill:idle"
    }

    /// The digest of a v2 that ends at once where there is no variable TOY_DATA, and else serves.
    pub(crate) fn picky(&self) -> &str {
        &self.picky
    }

    /// The reference of a host of its own, which leads to this v2 in the registry, and to v1 on the engine.
    pub(crate) fn released(&self, v2: V2, host: &str) -> String {
        let image = format!("{}/kill:{host}", required("TOWLINE_TEST_REGISTRY"));
        docker(&["tag", &by_digest(self.digest(v2)), &image]);
        docker(&["push", "--quiet", &image]);
        self.tagged_v1(host)
    }

    /// A reference that leads to v1 in the registry and on the engine, for what gets no new versions.
    pub(crate) fn v1_alone(&self) -> &str {
        static ALONE: OnceLock<String> = OnceLock::new();
        ALONE.get_or_init(|| {
            let image = self.tagged_v1("alone");
            docker(&["push", "--quiet", &image]);
            image
        })
    }

    /// Tags v1 for a host of its own, as the reference that its container is made with.
    pub(crate) fn tagged_v1(&self, host: &str) -> String {
        let image = format!("{}/kill:{host}", required("TOWLINE_TEST_REGISTRY"));
        docker(&["tag", &by_digest(&self.v1), &image]);
        image
    }
}

/// Pushes a good v2 that no engine has; returns its digest.
pub(crate) fn push_unpulled() -> String {
    // The space makes the layer another one, and means nothing to the toy.
    scene().push("v2", "ok ", &[])
}

fn scene() -> Scene {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(Scene::new("kill"))
}

fn by_digest(digest: &str) -> String {
    format!("{}/kill@{digest}", required("TOWLINE_TEST_REGISTRY"))
}
