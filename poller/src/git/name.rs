//! What git lets a branch or a remote be called (`git check-ref-format`). Whatever is not is never given to git.

/// Whether a branch may be called so. One whose name begins with `-` could be taken for an option.
pub(super) fn is_branch(text: &str) -> bool {
    let no_char = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let no_part = ["..", "@{", "//"];
    let component = |part: &str| !part.starts_with('.') && !part.ends_with(".lock");
    !(text.is_empty()
        || text == "@"
        || text == "HEAD"
        || text.starts_with(['-', '/'])
        || text.ends_with(['/', '.'])
        || text.contains(no_char)
        || no_part.iter().any(|part| text.contains(part)))
        && text.split('/').all(component)
}

/// Whether a remote may be called so: its name becomes a part of its branches' names here.
pub(super) fn is_remote(text: &str) -> bool {
    is_branch(text)
}

/// Whether the folder of a submodule's objects may be called so (git, `check_submodule_name`).
pub(super) fn is_submodule(text: &str) -> bool {
    let plain = |part: &str| part != "..";
    !text.is_empty() && !text.starts_with(['/', '-']) && text.split(['/', '\\']).all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_called_what_git_lets_them_be_called() {
        for name in [
            "main",
            "release/2026.11",
            "fix-1",
            "what's+new",
            "ünïcode",
            "a@b",
        ] {
            assert!(is_branch(name), "{name:?}");
        }
    }

    #[test]
    fn what_git_could_take_for_something_else_is_no_branch() {
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "@",
            "HEAD",
            "a@{1}",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "a\nb",
            "a\0b",
        ] {
            assert!(!is_branch(name), "{name:?}");
        }
    }

    #[test]
    fn a_submodules_objects_stay_below_the_checkouts() {
        assert!(is_submodule("lib") && is_submodule("vendor/lib"));
        for name in ["", "../lib", "a/../../b", "a\\..\\b", "..", "/lib", "-lib"] {
            assert!(!is_submodule(name), "{name:?}");
        }
    }
}
