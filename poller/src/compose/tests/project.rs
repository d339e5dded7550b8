//! Where a project's files are read.

use std::path::{Path, PathBuf};

use crate::{compose::Project, settings::Compose};

pub(super) fn part(file: &str, env_file: Option<&str>) -> Compose {
    Compose {
        file: file.into(),
        project: None,
        services: Vec::new(),
        profiles: Vec::new(),
        env_file: env_file.map(PathBuf::from),
    }
}

#[test]
fn without_a_checkout_files_are_where_they_are_named() {
    let project = Project::new(&part("/srv/s/compose.yml", Some("/etc/s.env")), None);
    assert_eq!(project.file, Path::new("/srv/s/compose.yml"));
    assert_eq!(project.home, project.file);
    assert_eq!(project.env_file.as_deref(), Some(Path::new("/etc/s.env")));
}

#[test]
fn a_scratch_copy_has_all_that_is_in_the_checkout_and_nothing_else() {
    let (checkout, scratch) = (Path::new("/srv/s"), Path::new("/tmp/copy"));
    for file in ["deploy/compose.yml", "/srv/s/deploy/compose.yml"] {
        let project = Project::in_scratch(&part(file, Some("prod.env")), checkout, scratch);
        assert_eq!(project.file, Path::new("/tmp/copy/deploy/compose.yml"));
        assert_eq!(project.home, Path::new("/srv/s/deploy/compose.yml"));
        assert_eq!(
            project.env_file.as_deref(),
            Some(Path::new("/tmp/copy/prod.env"))
        );
    }
    let outside = part("/opt/compose.yml", Some("/etc/s.env"));
    let project = Project::in_scratch(&outside, checkout, scratch);
    assert_eq!(project.file, Path::new("/opt/compose.yml"));
    assert_eq!(project.env_file.as_deref(), Some(Path::new("/etc/s.env")));
}
