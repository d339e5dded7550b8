//! What Compose calls a project that has no name. Pure.

use std::path::Path;

/// The name that Compose makes of the folder that a project's file is in; empty when the folder has nothing to make one of.
pub fn project_name(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name);
    let folder = folder.unwrap_or_default().to_string_lossy().to_lowercase();
    let is_kept = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    let kept: String = folder.chars().filter(is_kept).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_called_by_its_folder() {
        for (file, name) in [
            ("/srv/stack/compose.yml", "stack"),
            ("/srv/My.Dir_-X/compose.yml", "mydir_-x"),
            ("/srv/__a/compose.yml", "a"),
            ("/srv/___/compose.yml", ""),
            ("/compose.yml", ""),
        ] {
            assert_eq!(project_name(Path::new(file)), name, "{file}");
        }
    }
}
