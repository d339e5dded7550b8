//! What is made, under which name, and what is kept of it.

use std::os::unix::{fs::symlink, net::UnixListener};

use super::*;

#[tokio::test]
async fn a_backup_is_one_private_file_that_says_what_it_is_of() {
    let scene = Scene::with_a("one");
    let made = scene.create().await.unwrap();
    assert_eq!(
        made.archive,
        scene.at("state/backups/web").join(name(1).as_str())
    );
    assert_eq!((made.entries, &made.notes[..]), (2, &[][..]));
    assert_eq!(mode(&made.archive), 0o600);
    assert_eq!(mode(&scene.at("state/backups/web")), 0o700);
    assert_eq!(mode(&scene.at("state/backups")), 0o700);
    let [kept] = &scene.shelf().list().unwrap()[..] else {
        panic!("not one backup");
    };
    let manifest = kept.manifest.as_ref().unwrap();
    assert_eq!((&kept.name, kept.bytes), (&name(1), made.bytes));
    assert_eq!(manifest.service.as_str(), "web");
    assert_eq!(manifest.sha, occasion().sha);
    assert_eq!(manifest.paths[0].named, scene.at("data"));
}

#[tokio::test]
async fn an_interrupted_try_is_thrown_away_and_a_finished_one_stays() {
    let scene = Scene::with_a("one");
    let folder = scene.shelf().folder();
    fs::create_dir_all(&folder).unwrap();
    let part = folder.join(format!(".{}.part", name(1)));
    fs::write(&part, "half").unwrap();
    let made = scene.create().await.unwrap();
    assert!(!part.exists());
    fs::write(scene.data("a"), "two").unwrap();
    assert_eq!(scene.create().await.unwrap(), made);
    let other = Occasion {
        deploy: "ffffffff".to_owned(),
        ..occasion()
    };
    let taken = scene.shelf().create(&name(1), &other, &scene.paths()).await;
    assert!(taken.unwrap_err().to_string().contains(DEPLOY));
}

#[tokio::test]
async fn what_is_no_file_folder_or_link_is_passed_over_and_told() {
    let scene = Scene::with_a("one");
    let _socket = UnixListener::bind(scene.data("socket")).unwrap();
    let made = scene.create().await.unwrap();
    assert_eq!(made.entries, 2);
    assert!(
        made.notes[0].ends_with("data/socket is not in the backup: it is a socket"),
        "{:?}",
        made.notes
    );
}

#[tokio::test]
async fn one_that_was_cut_off_takes_no_place_from_one_that_is_whole() {
    let scene = Scene::with_a("one");
    let shelf = scene.shelf();
    for second in [1, 2, 3] {
        let made = shelf
            .create(&name(second), &occasion(), &scene.paths())
            .await;
        made.unwrap();
    }
    for cut in [2, 3] {
        let archive = fs::File::options()
            .write(true)
            .open(shelf.archive(&name(cut)));
        archive.unwrap().set_len(100).unwrap();
    }
    assert_eq!(shelf.prune(1, None).unwrap(), []);
    let made = shelf.create(&name(4), &occasion(), &scene.paths()).await;
    made.unwrap();
    assert_eq!(shelf.prune(1, None).unwrap(), [name(3), name(2), name(1)]);
}

#[tokio::test]
async fn only_the_newest_are_kept_and_nothing_that_is_not_ours_is_removed() {
    let scene = Scene::with_a("one");
    let shelf = scene.shelf();
    assert_eq!(shelf.prune(2, None).unwrap(), []);
    for second in [3, 1, 4, 2] {
        let made = shelf
            .create(&name(second), &occasion(), &scene.paths())
            .await;
        made.unwrap();
    }
    fs::write(shelf.folder().join("20200101T000000Z-mine.tar.gz"), "").unwrap();
    fs::create_dir(shelf.folder().join("20200101T000000Z.tar.gz")).unwrap();
    let held = name(1);
    assert_eq!(shelf.prune(2, Some(&held)).unwrap(), [name(2)]);
    assert_eq!(shelf.prune(2, None).unwrap(), [held]);
    assert_eq!(shelf.names().unwrap(), [name(4), name(3)]);
    assert_eq!(names_in(&shelf.folder()).len(), 4);
}

#[tokio::test]
async fn a_path_that_is_a_link_stands_for_what_it_leads_to() {
    let scene = Scene::with_a("one");
    symlink("data", scene.at("current")).unwrap();
    let paths = [scene.at("current")];
    scene.create_of(&paths).await.unwrap();
    fs::write(scene.data("a"), "two").unwrap();
    scene.restore_to(&paths, Replaced::Removed).await.unwrap();
    assert_eq!(fs::read_to_string(scene.data("a")).unwrap(), "one");
    assert!(scene.at("current").is_symlink());
}

#[test]
fn what_goes_away_or_becomes_a_link_meanwhile_is_passed_over_and_told() {
    let scene = Scene::with_a("one");
    for name in ["b", "c"] {
        fs::write(scene.data(name), "one").unwrap();
    }
    fs::create_dir(scene.data("d")).unwrap();
    let halt = AtomicBool::new(false);
    let mut seen = Vec::new();
    let place = place::Place::of(&scene.at("data")).unwrap();
    let walked = walk::walk(&place, &halt, &mut |path, meta, _| {
        if path == scene.data("a") {
            fs::remove_file(scene.data("b")).unwrap();
            fs::remove_dir(scene.data("d")).unwrap();
            symlink("/etc", scene.data("d")).unwrap();
        }
        seen.push((path.file_name().unwrap().to_owned(), meta.is_some()));
        Ok(())
    });
    walked.unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, is_there)| (name.to_str().unwrap(), *is_there))
        .collect();
    assert_eq!(
        seen,
        [
            ("data", true),
            ("a", true),
            ("b", false),
            ("c", true),
            ("d", true)
        ]
    );
}

#[test]
fn a_backup_that_nobody_waits_for_is_given_up_and_leaves_nothing() {
    let scene = Scene::with_a("one");
    let halt = AtomicBool::new(true);
    let given_up = create::create(&scene.shelf(), &name(1), &occasion(), &scene.paths(), &halt);
    assert!(matches!(given_up, Err(BackupError::Halted)));
    assert_eq!(names_in(&scene.shelf().folder()), [""; 0]);
}

#[test]
fn sizes_are_told_in_units_that_people_use() {
    for (bytes, told) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        (1 << 40, "1.0 TiB"),
        (u64::MAX, "16777216.0 TiB"),
    ] {
        assert_eq!(size(bytes), told);
    }
}
