//! Another project that was made from the same file: with another name, Compose does not see its containers, and brings a second set
//! up beside them, which wants the same ports and begins with empty volumes of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    Container, Project,
    labels::{FILES, FOLDER, ONEOFF, PROJECT},
};
use crate::docker::{Docker, EngineError};

/// Why a project called `name` is not brought up for the first time, in words: `now` are its containers, and where it has none
/// another project has some that were made from its file, and from no other.
///
/// # Errors
/// See [`EngineError`].
pub async fn twin(
    engine: &Docker,
    project: &Project,
    name: &str,
    now: &[Container],
) -> Result<Option<String>, EngineError> {
    if !now.is_empty() {
        return Ok(None);
    }
    let file = real(&project.home);
    let is_twins = |listed: &Value| {
        let labels = listed.get("Labels").unwrap_or(&Value::Null);
        twins_name(labels, &file).is_some_and(|other| other != name)
    };
    let shown = engine.containers_where(is_twins).await?;
    let labels = |shown: &Value| shown.pointer("/Config/Labels").cloned();
    let others = shown.iter().filter_map(labels);
    let mut others: Vec<_> = others
        .filter_map(|labels| twins_name(&labels, &file).map(str::to_owned))
        .collect();
    others.sort_unstable();
    Ok(others
        .first()
        .map(|other| words(&project.home, name, other)))
}

/// The project of a container with these labels, if it was made from this one file.
fn twins_name<'l>(labels: &'l Value, file: &Path) -> Option<&'l str> {
    let label = |name: &str| labels.get(name)?.as_str();
    // A single run of one service takes no ports, and goes by itself.
    let other = label(PROJECT).filter(|_| label(ONEOFF) != Some("True"))?;
    let folder = Path::new(label(FOLDER).unwrap_or("/"));
    let made_from = folder.join(label(FILES)?);
    (real(&made_from) == file).then_some(other)
}

/// Where a path leads to; the path itself where that cannot be seen.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn words(file: &Path, name: &str, other: &str) -> String {
    let file = file.display();
    format!(
        "{file}: the project {other} was brought up from this file, and {name} has no container: it would come up as a second \
         one beside it, with empty volumes of its own. Set project = \"{other}\" under compose; or, to have both, bring {name} up \
         once by hand, with the env_file, profiles and services that it is to have"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_project_is_known_by_the_one_file_that_it_was_made_from() {
        let of = |files: &str, once: &str| {
            let labels = json!({ PROJECT: "old", FILES: files, FOLDER: "/srv/none", ONEOFF: once });
            twins_name(&labels, Path::new("/srv/none/compose.yml")).map(str::to_owned)
        };
        let old = Some("old".to_owned());
        assert_eq!(of("/srv/none/compose.yml", "False"), old);
        assert_eq!(of("compose.yml", "False"), old);
        assert_eq!(of("/srv/none/compose.yml", "True"), None);
        assert_eq!(of("/srv/none/compose.yml,/srv/none/dev.yml", "False"), None);
        assert_eq!(of("/srv/other/compose.yml", "False"), None);
        assert_eq!(
            twins_name(&json!({ PROJECT: "old" }), Path::new("/srv")),
            None
        );
    }
}
