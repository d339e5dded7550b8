//! Volumes, binds and what lies in them.

use serde_json::Value;
use towline_protocol::Outcome;

use super::{Pair, engine_knows, mounts};
use crate::scene::{Scene, docker};

#[tokio::test]
async fn a_volume_without_a_name_keeps_its_data_over_a_success_and_a_rollback() {
    let mut scene = Scene::new("volume").await;
    scene.release("v1", "ok", &["VOLUME /data"]);
    scene.run(&[]);
    let volume = |scene: &Scene| {
        scene.inspect()["Mounts"][0]["Name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let name = volume(&scene);
    docker(&[
        "cp",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        "volume:/data/kept",
    ]);
    for (version, mode, outcome) in [
        ("v2", "ok", Outcome::Succeeded),
        ("v3", "exit", Outcome::RolledBack),
    ] {
        scene.release(version, mode, &["VOLUME /data"]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, outcome, "{}", applied.message);
        assert_eq!(volume(&scene), name);
        let copy = tempfile::tempdir().unwrap();
        docker(&["cp", "volume:/data/kept", copy.path().to_str().unwrap()]);
    }
}

/// What is mounted, as the operator asked for it.
fn asked(container: &Value) -> Value {
    let host = &container["HostConfig"];
    let fields = ["Binds", "Mounts", "Tmpfs", "VolumesFrom", "VolumeDriver"];
    fields
        .into_iter()
        .map(|field| (field, host[field].clone()))
        .collect()
}

#[tokio::test]
async fn every_kind_of_mount_is_asked_for_in_the_same_words() {
    let mut pair = Pair::new("mounting").await;
    docker(&[
        "create",
        "--name",
        "donor-of-mounting",
        "--volume",
        "/theirs",
        &pair.scene.image("live"),
    ]);
    let mut rows: Vec<(&str, &[&str])> = vec![
        ("bind", &["--volume", "/tmp:/bind:ro"]),
        ("bind, shared", &["--volume", "/tmp:/bind:rslave"]),
        (
            "bind by the mounts API",
            &[
                "--mount",
                "type=bind,source=/tmp,target=/bind,readonly,bind-propagation=rprivate",
            ],
        ),
        (
            "named volume",
            &["--volume", "mounting-named:/named:ro,nocopy"],
        ),
        (
            "named volume by the mounts API",
            &[
                "--mount",
                "type=volume,source=mounting-named,target=/named,volume-nocopy,readonly",
            ],
        ),
        (
            "volume with options",
            &[
                "--mount",
                "type=volume,source=mounting-opts,target=/opts,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b",
            ],
        ),
        ("tmpfs", &["--tmpfs", "/scratch:size=1m,mode=1770"]),
        (
            "tmpfs by the mounts API",
            &[
                "--mount",
                "type=tmpfs,target=/scratch,tmpfs-size=1048576,tmpfs-mode=1770",
            ],
        ),
        (
            "another's volumes",
            &["--volumes-from", "donor-of-mounting:ro"],
        ),
    ];
    if engine_knows((1, 45)).await {
        rows.push((
            "part of a volume",
            &[
                "--mount",
                "type=volume,source=mounting-named,target=/part,volume-subpath=part",
            ],
        ));
        rows.push((
            "bind, not recursive",
            &[
                "--mount",
                "type=bind,source=/tmp,target=/bind,bind-recursive=disabled",
            ],
        ));
    }
    for (what, arguments) in rows {
        let before = pair.make(arguments);
        assert_ne!(asked(&before), asked(&pair.plain), "{what} does not show");
        for after in pair.replace_twice(what).await {
            assert_eq!(asked(&after), asked(&before), "{what}");
            assert_eq!(mounts(&after), mounts(&before), "{what}");
        }
    }
    docker(&["rm", "--volumes", "donor-of-mounting"]);
}

#[tokio::test]
async fn a_volume_that_the_new_image_declares_no_more_stays_and_a_new_one_is_made() {
    let mut scene = Scene::new("declared").await;
    scene.release("v1", "ok", &["VOLUME /old"]);
    scene.run(&[]);
    let before = mounts(&scene.inspect());
    scene.release("v2", "ok", &["VOLUME /new"]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let after = mounts(&scene.inspect());
    assert_eq!((after.len(), &after[1..]), (2, &before[..]), "{after:?}");
    assert!(after[0].starts_with("\"/new\""), "{after:?}");
}

#[tokio::test]
async fn borrowed_volumes_stay_the_lenders_and_own_ones_stay_too() {
    let mut scene = Scene::new("borrower").await;
    scene.release("v1", "ok", &["VOLUME /own"]);
    let image = scene.image("live");
    docker(&[
        "create", "--name", "lender", "--volume", "/theirs", "--volume", "/own", &image,
    ]);
    scene.run(&["--volumes-from", "lender", "--volume", "/mine"]);
    let before = scene.inspect();
    for version in ["v2", "v3"] {
        scene.release(version, "ok", &["VOLUME /own"]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert_eq!(mounts(&scene.inspect()), mounts(&before));
    }
    docker(&["rm", "--volumes", "lender"]);
}
