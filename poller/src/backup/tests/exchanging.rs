//! A restoring that was interrupted: whenever it was, the data are the old or the new, whole, and the next try ends it.

use std::os::unix::fs::DirBuilderExt;

use super::{
    exchange::{Site, Way},
    place::Place,
    *,
};

/// Old data at `data`, and a stage beside with new data in it.
fn staged(scene: &Scene) -> (Site, place::Folder) {
    let place = Place::of(&scene.at("data")).unwrap();
    let (site, is_done) = Site::settled(place, DEPLOY).unwrap();
    assert!(!is_done);
    let (stage, new) = site.stage().unwrap();
    fs::create_dir(&new).unwrap();
    fs::write(new.join("a"), "new").unwrap();
    (site, stage)
}

fn a(scene: &Scene) -> String {
    fs::read_to_string(scene.data("a")).unwrap()
}

fn settled(scene: &Scene, deploy: &str) -> bool {
    let stored = Stored {
        named: scene.at("data"),
        real: scene.at("data"),
    };
    Site::settled(Place::at(stored).unwrap(), deploy).unwrap().1
}

const STAGE: &str = ".data.restoring-0a1b2c3d";
const ASIDE: &str = "data.before-restore-0a1b2c3d";

#[test]
fn either_way_of_exchanging_leaves_the_old_data_aside() {
    for way in [Way::AtOnce, Way::TwoSteps] {
        let scene = Scene::with_a("old");
        let (site, stage) = staged(&scene);
        site.exchange(&stage, way).unwrap();
        assert_eq!(a(&scene), "new", "{way:?}");
        assert_eq!(
            fs::read_to_string(scene.at(ASIDE).join("a")).unwrap(),
            "old"
        );
        assert_eq!(scene.beside(), ["data", ASIDE, "state"]);
        assert!(settled(&scene, DEPLOY), "{way:?}");
    }
}

#[test]
fn a_stage_that_was_not_complete_is_removed() {
    let scene = Scene::with_a("old");
    let _ = staged(&scene);
    assert!(!settled(&scene, DEPLOY));
    assert_eq!(
        (a(&scene).as_str(), scene.beside()),
        ("old", vec!["data".to_owned(), "state".to_owned()])
    );
}

#[test]
fn data_that_were_exchanged_are_known_even_before_the_old_ones_have_their_name() {
    for deploy in [DEPLOY, "ffffffff"] {
        let scene = Scene::with_a("old");
        let _ = staged(&scene);
        let stage = scene.at(STAGE);
        let inode = fs::metadata(stage.join("new")).unwrap().ino();
        fs::write(stage.join("inode"), inode.to_string()).unwrap();
        fs::rename(scene.at("data"), scene.at("middle")).unwrap();
        fs::rename(stage.join("new"), scene.at("data")).unwrap();
        fs::rename(scene.at("middle"), stage.join("new")).unwrap();
        assert_eq!(settled(&scene, deploy), deploy == DEPLOY);
        assert_eq!(a(&scene), "new");
        assert_eq!(
            fs::read_to_string(scene.at(ASIDE).join("a")).unwrap(),
            "old"
        );
        assert!(!stage.exists());
    }
}

#[test]
fn data_that_were_marked_and_not_exchanged_yet_are_thrown_away() {
    let scene = Scene::with_a("old");
    let _ = staged(&scene);
    let stage = scene.at(STAGE);
    let inode = fs::metadata(stage.join("new")).unwrap().ino();
    fs::write(stage.join("inode"), inode.to_string()).unwrap();
    assert!(!settled(&scene, DEPLOY));
    assert_eq!(a(&scene), "old");
    assert!(!stage.exists() && !scene.at(ASIDE).exists());
}

#[test]
fn between_two_steps_the_old_data_come_back() {
    let scene = Scene::with_a("old");
    let _ = staged(&scene);
    fs::rename(scene.at("data"), scene.at(ASIDE)).unwrap();
    assert!(!settled(&scene, DEPLOY));
    assert_eq!(a(&scene), "old");
    assert_eq!(scene.beside(), ["data", "state"]);
}

#[tokio::test]
async fn a_second_try_restores_what_the_first_had_not_come_to() {
    let scene = Scene::with_a("one");
    fs::DirBuilder::new()
        .mode(0o755)
        .create(scene.at("more"))
        .unwrap();
    fs::write(scene.at("more/b"), "one").unwrap();
    let paths = [scene.at("data"), scene.at("more")];
    scene.create_of(&paths).await.unwrap();
    for file in ["data/a", "more/b"] {
        fs::write(scene.at(file), "two").unwrap();
    }
    // The first path as it is when a try has ended right after it.
    let (site, stage) = staged(&scene);
    site.exchange(&stage, Way::AtOnce).unwrap();
    scene.restore_to(&paths, Replaced::Removed).await.unwrap();
    assert_eq!(a(&scene), "new", "it was exchanged already");
    assert_eq!(fs::read_to_string(scene.at("more/b")).unwrap(), "one");
    assert_eq!(scene.beside(), ["data", "more", "state"]);
}

#[test]
fn what_somebody_else_has_put_beside_the_data_is_neither_read_nor_waited_for() {
    let scene = Scene::with_a("old");
    let theirs = scene.at(".data.restoring-theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(scene.at(".data.restoring-file"), "").unwrap();
    // A pipe as the mark, which nobody ever writes to, there and in a folder that could be one of ours.
    let ours = scene.at(STAGE);
    fs::create_dir(&ours).unwrap();
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o700)).unwrap();
    for stage in [&theirs, &ours] {
        let made = std::process::Command::new("mkfifo")
            .arg(stage.join("inode"))
            .status();
        assert!(made.unwrap().success());
    }
    assert!(!settled(&scene, DEPLOY));
    assert_eq!(
        scene.beside(),
        [
            ".data.restoring-file",
            ".data.restoring-theirs",
            "data",
            "state"
        ]
    );
    assert_eq!(a(&scene), "old");
}
