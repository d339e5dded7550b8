//! What is refused, with words that say what to do, and touches nothing.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use tar::{EntryType, Header};

use super::*;

/// Restores an archive that is `bytes`; the data must be as before.
async fn refused(scene: &Scene, bytes: &[u8]) -> String {
    let archive = scene.shelf().archive(&name(1));
    fs::create_dir_all(scene.shelf().folder()).unwrap();
    fs::write(&archive, bytes).unwrap();
    let before = picture(&scene.at("data"));
    let error = scene.restore(Replaced::Removed).await.unwrap_err();
    assert_eq!(picture(&scene.at("data")), before, "{error}");
    assert_eq!(scene.beside(), ["data", "state"], "{error}");
    error.to_string()
}

/// An archive made by hand: what a manifest says, and entries with type, path, target and content.
fn archive(scene: &Scene, service: &str, entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
    let manifest = Manifest {
        format: 1,
        service: service.parse().unwrap(),
        deploy: DEPLOY.to_owned(),
        at: occasion().at,
        sha: None,
        paths: vec![Stored {
            named: scene.at("data"),
            real: scene.at("data"),
        }],
        towline: "0.1.0".to_owned(),
    };
    raw(&serde_json::to_string(&manifest).unwrap(), entries)
}

fn raw(manifest: &str, entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let all = [(EntryType::Regular, "towline.json", "", manifest)];
    for (kind, path, target, content) in all.iter().chain(entries) {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        // Past the crate's own checks.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn an_archive_that_is_cut_or_changed_anywhere_is_refused() {
    let scene = Scene::with_a(&"one ".repeat(500));
    let made = scene.create().await.unwrap();
    let good = fs::read(&made.archive).unwrap();
    fs::write(scene.data("a"), "two").unwrap();
    for cut in [0, 1, 20, good.len() / 2, good.len() - 9, good.len() - 1] {
        let told = refused(&scene, &good[..cut]).await;
        assert!(
            told.contains("damaged") && told.contains("nothing was changed"),
            "{cut}: {told}"
        );
    }
    for at in [12, good.len() / 2, good.len() - 6] {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        let told = refused(&scene, &bad).await;
        assert!(told.contains("damaged"), "{at}: {told}");
    }
}

#[tokio::test]
async fn an_archive_without_its_end_is_listed_as_that_and_a_whole_one_as_good() {
    let scene = Scene::with_a("one");
    // Large enough for a manifest before the cut.
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fs::write(scene.data("b"), noise).unwrap();
    let made = scene.create().await.unwrap();
    let listed = || scene.shelf().list().unwrap().remove(0).manifest;
    assert!(listed().is_ok());
    let good = fs::read(&made.archive).unwrap();
    for cut in [0, 3, good.len() / 2, good.len() - 1000, good.len() - 1] {
        fs::write(&made.archive, &good[..cut]).unwrap();
        let told = listed().unwrap_err().to_string();
        assert!(told.contains("damaged"), "{cut}: {told}");
    }
    let mut zeros = good.clone();
    zeros[good.len() / 2..].fill(0);
    fs::write(&made.archive, zeros).unwrap();
    let told = listed().unwrap_err().to_string();
    assert!(told.contains("its end is missing"), "{told}");
}

#[tokio::test]
async fn an_archive_that_leads_elsewhere_is_refused() {
    use EntryType::{Directory, Fifo, Link, Regular, Symlink};
    let scene = Scene::with_a("one");
    let data = scene.at("data").to_str().unwrap()[1..].to_owned();
    let inner = |name: &str| format!("{data}/{name}");
    let top = (Directory, data.as_str(), "", "");
    let absolute = format!("/{data}");
    let (up, link, through) = (inner("../x"), inner("link"), inner("link/x"));
    let (lost, same, pipe) = (inner("no/x"), inner("same"), inner("pipe"));
    let outside = format!("{data}-else/x");
    for (entries, told) in [
        (
            vec![(Directory, absolute.as_str(), "", "")],
            "is no path of a backup",
        ),
        (
            vec![top, (Regular, up.as_str(), "", "x")],
            "is no path of a backup",
        ),
        (
            vec![top, (Regular, "etc/passwd", "", "x")],
            "belongs to none of its paths",
        ),
        (
            vec![top, (Regular, outside.as_str(), "", "x")],
            "belongs to none of its paths",
        ),
        (
            vec![
                top,
                (Symlink, link.as_str(), "/etc", ""),
                (Regular, through.as_str(), "", "x"),
            ],
            "is not in its place",
        ),
        (
            vec![top, (Regular, lost.as_str(), "", "x")],
            "is not in its place",
        ),
        (
            vec![(Regular, link.as_str(), "", "x")],
            "is not in its place",
        ),
        (vec![top, top], "is not in its place"),
        (
            vec![top, (Link, same.as_str(), "etc/passwd", "")],
            "belongs to none of its paths",
        ),
        (
            vec![top, (Link, same.as_str(), "/etc/passwd", "")],
            "is no path of a backup",
        ),
        (
            vec![
                top,
                (Symlink, link.as_str(), "/etc", ""),
                (Link, same.as_str(), inner("link/passwd").as_str(), ""),
            ],
            "a link leads elsewhere",
        ),
        (
            vec![top, (Fifo, pipe.as_str(), "", "")],
            "is neither file, folder nor link",
        ),
        (
            vec![
                top,
                (Regular, link.as_str(), "", "x"),
                (Regular, link.as_str(), "", "y"),
            ],
            "File exists",
        ),
        (vec![], "not all of its paths are in it"),
    ] {
        let error = refused(&scene, &archive(&scene, "web", &entries)).await;
        assert!(error.contains(told), "{entries:?}: {error}");
    }
}

#[tokio::test]
async fn an_archive_of_something_else_is_refused() {
    let scene = Scene::with_a("one");
    let told = refused(&scene, &archive(&scene, "other", &[])).await;
    assert!(told.contains("not all of its paths"), "{told}");
    let data = scene.at("data").to_str().unwrap()[1..].to_owned();
    let top = (EntryType::Directory, data.as_str(), "", "");
    let told = refused(&scene, &archive(&scene, "other", &[top])).await;
    assert!(told.contains("it is one of other"), "{told}");
    let told = refused(&scene, &raw(r#"{"format":2}"#, &[])).await;
    assert!(
        told.contains("a newer towline has written it (format 2)"),
        "{told}"
    );
    let told = refused(&scene, &raw("hello", &[])).await;
    assert!(told.contains("does not begin with what it is of"), "{told}");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&[0; 1024]).unwrap();
    let told = refused(&scene, &gzip.finish().unwrap()).await;
    assert!(told.contains("it is empty"), "{told}");
}

#[tokio::test]
async fn a_backup_of_a_path_that_is_not_named_any_more_or_is_elsewhere_now_is_refused() {
    let scene = Scene::with_a("one");
    scene.create().await.unwrap();
    let error = scene
        .restore_to(&[scene.at("more")], Replaced::Removed)
        .await;
    assert!(error.unwrap_err().to_string().contains("do not name"));
    fs::rename(scene.at("data"), scene.at("moved")).unwrap();
    std::os::unix::fs::symlink("moved", scene.at("data")).unwrap();
    let error = scene.restore(Replaced::Removed).await.unwrap_err();
    assert!(error.to_string().contains("is elsewhere now"), "{error}");
}

#[tokio::test]
async fn a_backup_that_is_not_there_is_told_with_how_to_find_others() {
    let error = Scene::new().restore(Replaced::Kept).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("towline backups web lists what there is"),
        "{error}"
    );
}

#[tokio::test]
async fn paths_that_are_not_there_overlap_or_hold_the_state_are_refused() {
    let scene = Scene::with_a("one");
    for (paths, told) in [
        (vec![scene.at("nothing")], "is not there"),
        (
            vec![scene.at("data"), scene.data("a")],
            "which is backed up as well",
        ),
        (
            vec![scene.data("a"), scene.at("data")],
            "which is backed up as well",
        ),
        (vec![scene.at("state")], "towline's own state is in"),
        (vec![scene.at("")], "towline's own state is in"),
        (vec![PathBuf::from("/")], "cannot be backed up"),
    ] {
        for done in [
            scene.shelf().ready(&paths, false).await.map(drop),
            scene.create_of(&paths).await.map(drop),
        ] {
            let error = done.unwrap_err().to_string();
            assert!(error.contains(told), "{paths:?}: {error}");
        }
    }
    assert_eq!(names_in(&scene.shelf().folder()), [""; 0]);
}

#[tokio::test]
async fn what_is_neither_file_nor_folder_is_told_as_that() {
    let scene = Scene::with_a("one");
    let told = async |path: &str| {
        let paths = [PathBuf::from(path)];
        scene
            .shelf()
            .ready(&paths, false)
            .await
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        told("/dev/null").await,
        "/dev/null cannot be backed up: it is neither a file nor a folder"
    );
    fs::write(scene.at("state/backups"), "mine").unwrap();
    let refused = scene
        .shelf()
        .ready(&scene.paths(), false)
        .await
        .unwrap_err();
    let refused = refused.to_string();
    let told = format!(
        "cannot keep backups in {}: ",
        scene.at("state/backups").display()
    );
    assert!(refused.starts_with(&told), "{refused}");
}

#[tokio::test]
async fn a_disk_without_room_is_refused_with_both_figures() {
    let scene = Scene::new();
    let big = fs::File::create(scene.data("big")).unwrap();
    big.set_len(1 << 50).unwrap_or_default();
    // A hole takes no room.
    scene.shelf().ready(&scene.paths(), false).await.unwrap();
    let mut disks = create::Disks::default();
    disks.add(&scene.at("state"), 1 << 60).unwrap();
    let told = disks.have_room().unwrap_err().to_string();
    assert!(
        told.contains(" free and ") && told.contains("1101004.8 TiB are needed"),
        "{told}"
    );
}

#[test]
fn room_for_the_archive_and_for_what_is_restored_is_counted_together_on_one_disk() {
    let scene = Scene::new();
    let disk = rustix::fs::statvfs(scene.at("state")).unwrap();
    let most = disk.f_bavail * disk.f_frsize / 3 * 2;
    let mut disks = create::Disks::default();
    disks.add(&scene.at("state"), most).unwrap();
    disks.have_room().unwrap();
    disks.add(&scene.at("data"), most).unwrap();
    let told = disks.have_room().unwrap_err().to_string();
    assert!(told.contains(" free and "), "{told}");
}

#[tokio::test]
async fn what_is_mounted_cannot_be_replaced() {
    let scene = Scene::new();
    let error = scene
        .shelf()
        .ready(&["/proc".into()], true)
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("/proc cannot be replaced as a whole, because something is mounted at /proc"),
        "{told}"
    );
}

#[test]
fn a_disk_that_is_full_in_the_middle_is_told_as_the_archives() {
    let scene = Scene::new();
    fs::write(scene.data("big"), vec![b'x'; 1 << 20]).unwrap();
    let places = place::places(&scene.paths(), &scene.at("state")).unwrap();
    let manifest = Manifest {
        format: 1,
        service: "web".parse().unwrap(),
        deploy: DEPLOY.to_owned(),
        at: occasion().at,
        sha: None,
        paths: Vec::new(),
        towline: String::new(),
    };
    let full = Path::new("/dev/full");
    let file = fs::OpenOptions::new().write(true).open(full).unwrap();
    let halt = AtomicBool::new(false);
    let packed = pack::pack(file, full, &manifest, &places, &halt);
    let told = packed.map(drop).unwrap_err().to_string();
    assert!(
        told.starts_with("cannot write /dev/full: No space left on device"),
        "{told}"
    );
}
