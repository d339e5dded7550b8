//! What was backed up is there again as it was.

use std::{
    ffi::OsStr,
    fs::{File, Permissions, hard_link, set_permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::{ffi::OsStrExt, fs::symlink},
    time::{Duration, SystemTime},
};

use super::*;

/// One of everything that a backup keeps.
fn fill(scene: &Scene) {
    let deep = ["d"; 60].join("/") + "/" + &"n".repeat(200);
    fs::create_dir_all(scene.data(&deep)).unwrap();
    fs::write(scene.data(&deep).join("deep"), "deep").unwrap();
    fs::create_dir(scene.data("empty")).unwrap();
    fs::write(
        scene.at("data").join(OsStr::from_bytes(b"not\xffutf-8")),
        "odd",
    )
    .unwrap();
    fs::write(scene.data("private"), "secret").unwrap();
    set_permissions(scene.data("private"), Permissions::from_mode(0o4711)).unwrap();
    hard_link(scene.data("private"), scene.data("twin")).unwrap();
    symlink("../outside//./x", scene.data("link")).unwrap();
    symlink("/".to_owned() + &"l".repeat(180), scene.data("long link")).unwrap();
    let mut sparse = File::create(scene.data("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(32 << 20)).unwrap();
    sparse.write_all(b"end").unwrap();
    sparse.set_len(48 << 20).unwrap();
    set_permissions(scene.data("empty"), Permissions::from_mode(0o555)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = fs::FileTimes::new().set_modified(then);
    for name in ["private", "empty", "d"] {
        File::open(scene.data(name))
            .unwrap()
            .set_times(times)
            .unwrap();
    }
}

#[tokio::test]
async fn everything_is_there_again_with_modes_times_and_links() {
    let scene = Scene::new();
    fill(&scene);
    let before = picture(&scene.at("data"));
    scene.create().await.unwrap();
    fs::write(scene.data("private"), "changed").unwrap();
    fs::write(scene.data("added"), "new").unwrap();
    fs::remove_dir(scene.data("empty")).unwrap();
    let restored = scene.restore(Replaced::Removed).await.unwrap();
    assert_eq!(picture(&scene.at("data")), before);
    assert_eq!(
        (restored.paths, restored.aside),
        (scene.paths(), Vec::new())
    );
    assert_eq!(scene.beside(), ["data", "state"]);
    let inode = |name| fs::metadata(scene.data(name)).unwrap().ino();
    assert_eq!(inode("private"), inode("twin"));
    let sparse = fs::metadata(scene.data("sparse")).unwrap();
    assert!(
        sparse.blocks() * 512 < 1 << 20,
        "{} blocks",
        sparse.blocks()
    );
}

#[tokio::test]
async fn any_tar_unpacks_a_backup_as_the_guide_says() {
    let scene = Scene::new();
    fill(&scene);
    let before = picture(&scene.at("data"));
    let made = scene.create().await.unwrap();
    let elsewhere = scene.at("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let data = scene.at("data");
    let data = data.strip_prefix("/").unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xzpf")
        .arg(made.archive)
        .args(["--numeric-owner", "-C"])
        .arg(&elsewhere)
        .arg(data);
    let done = tar.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(picture(&elsewhere.join(data)), before);
    assert!(!elsewhere.join("towline.json").exists());
}

#[tokio::test]
async fn owners_are_restored_where_towline_is_root() {
    let scene = Scene::with_a("one");
    if std::os::unix::fs::chown(scene.data("a"), Some(4242), Some(2_500_000)).is_err() {
        return;
    }
    scene.create().await.unwrap();
    fs::remove_file(scene.data("a")).unwrap();
    scene.restore(Replaced::Removed).await.unwrap();
    let meta = fs::metadata(scene.data("a")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (4242, 2_500_000));
}

#[tokio::test]
async fn a_single_file_is_restored_also_when_it_is_gone() {
    let scene = Scene::new();
    let paths = [scene.at("app.db")];
    fs::write(&paths[0], "rows").unwrap();
    scene.create_of(&paths).await.unwrap();
    fs::write(&paths[0], "broken").unwrap();
    scene.restore_to(&paths, Replaced::Removed).await.unwrap();
    assert_eq!(fs::read_to_string(&paths[0]).unwrap(), "rows");
    fs::remove_file(&paths[0]).unwrap();
    scene.restore_to(&paths, Replaced::Removed).await.unwrap();
    assert_eq!(fs::read_to_string(&paths[0]).unwrap(), "rows");
    assert_eq!(scene.beside(), ["app.db", "data", "state"]);
}

#[tokio::test]
async fn what_was_there_is_kept_beside_when_that_is_asked_for() {
    let scene = Scene::with_a("one");
    scene.create().await.unwrap();
    fs::write(scene.data("a"), "two").unwrap();
    let restored = scene.restore(Replaced::Kept).await.unwrap();
    let aside = scene.at("data.before-restore-0a1b2c3d");
    assert_eq!(restored.aside, std::slice::from_ref(&aside));
    assert_eq!(fs::read_to_string(aside.join("a")).unwrap(), "two");
    assert_eq!(fs::read_to_string(scene.data("a")).unwrap(), "one");
}

#[tokio::test]
async fn a_second_restoring_within_one_second_restores_and_keeps_what_the_first_one_was_followed_by()
 {
    let scene = Scene::with_a("one");
    scene.create().await.unwrap();
    for (written, aside) in [
        ("two", "data.before-restore-0a1b2c3d"),
        ("three", "data.before-restore-0a1b2c3d-2"),
        ("four", "data.before-restore-0a1b2c3d-3"),
    ] {
        fs::write(scene.data("a"), written).unwrap();
        let restored = scene.restore(Replaced::Kept).await.unwrap();
        assert_eq!(restored.aside, [scene.at(aside)]);
        assert_eq!(fs::read_to_string(scene.data("a")).unwrap(), "one");
        let kept = fs::read_to_string(scene.at(aside).join("a"));
        assert_eq!(kept.unwrap(), written);
    }
}

#[tokio::test]
async fn several_paths_are_restored_together() {
    let scene = Scene::with_a("one");
    fs::create_dir(scene.at("more")).unwrap();
    fs::write(scene.at("more/b"), "one").unwrap();
    let paths = [scene.at("more"), scene.at("data")];
    scene.create_of(&paths).await.unwrap();
    fs::write(scene.data("a"), "two").unwrap();
    fs::remove_dir_all(scene.at("more")).unwrap();
    scene.restore_to(&paths, Replaced::Removed).await.unwrap();
    assert_eq!(fs::read_to_string(scene.data("a")).unwrap(), "one");
    assert_eq!(fs::read_to_string(scene.at("more/b")).unwrap(), "one");
    assert_eq!(scene.beside(), ["data", "more", "state"]);
}

#[test]
fn a_restore_that_stops_half_way_says_which_data_are_back() {
    let full = BackupError::Io {
        what: "replace",
        path: "/srv/more".into(),
        why: std::io::Error::other("no space left"),
    };
    let told = restore::half(vec!["/srv/data".into()], full).to_string();
    assert!(
        told.starts_with("half done: /srv/data is from the backup already"),
        "{told}"
    );
    assert!(
        told.contains("cannot replace /srv/more: no space left"),
        "{told}"
    );
}
