//! What names, paths and command lines of the host must look like, before a program is given them.
//!
//! None of these can be taken for an option: what begins with `-` is refused. Whether they are there is not known here
//! (`towline check` looks).

use std::path::{Component, PathBuf};

use toml::de::DeValue;

use super::{read::described, values::string};

/// A path from the root, without `..`, so that two names of one place are the same.
pub(super) fn absolute(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = plain(value)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!(
        "expected an absolute path such as \"/srv/app\", found {}",
        described(value)
    ))
}

/// The same, but not the root itself.
pub(super) fn below_root(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = absolute(value)?;
    if path.parent().is_some() {
        return Ok(path);
    }
    Err("expected a path below \"/\", found \"/\"".to_owned())
}

/// A path from the root, or from a checkout.
pub(super) fn plain(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let text = string(value)?;
    let path = PathBuf::from(text);
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if text.is_empty() {
        return Err("expected a path, found nothing".to_owned());
    }
    if text.contains('\0') || climbs {
        let found = described(value);
        return Err(format!("expected a path without \"..\", found {found}"));
    }
    let parts = path.components().filter(|part| *part != Component::CurDir);
    Ok(parts.collect())
}

/// A program and its arguments.
pub(super) fn argv(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let expected =
        "expected a list of a program and its arguments such as [\"./update.sh\", \"--quick\"]";
    let shell = "no shell reads it; where one is needed, name it: [\"sh\", \"-c\", \"...\"]";
    let found = described(value);
    let list = value
        .as_array()
        .ok_or_else(|| format!("{expected}, found {found}: {shell}"))?;
    let words: Option<Vec<&str>> = list.iter().map(|word| word.get_ref().as_str()).collect();
    let words = words.ok_or_else(|| format!("{expected}, each in quotes"))?;
    match words.first() {
        None => Err(format!("{expected}, found an empty list")),
        Some(&"") => Err(format!("{expected}, found a program without a name")),
        Some(_) if words.iter().any(|word| word.contains('\0')) => {
            Err(format!("{expected}, found a NUL byte"))
        }
        Some(_) => Ok(words.into_iter().map(str::to_owned).collect()),
    }
}

/// A user of this host, by name.
pub(super) fn user(value: &DeValue<'_>) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let expected = "expected a user's name such as \"pi\"";
    named(value, expected, 32, first, rest)
}

/// A git remote, by name.
pub(super) fn remote(value: &DeValue<'_>) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let expected =
        "expected the name of a remote of the checkout such as \"origin\", not an address";
    let name = named(value, expected, 100, first, rest)?;
    if name.contains("..") || name.ends_with('.') || name.ends_with(".lock") {
        return Err(format!("{expected}, found {}", described(value)));
    }
    Ok(name)
}

/// A Compose project (compose-spec, `name`).
pub(super) fn project(value: &DeValue<'_>) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let rest = move |b: u8| first(b) || b"_-".contains(&b);
    let expected = "expected a project's name, [a-z0-9][a-z0-9_-]*";
    named(value, expected, 200, first, rest)
}

/// A service of a Compose file.
pub(super) fn compose_service(value: &DeValue<'_>) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphanumeric() || b"_.".contains(&b);
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let expected = "expected the name of a service of the Compose file, [a-zA-Z0-9._-]+";
    named(value, expected, 200, first, rest)
}

/// A profile of a Compose file.
pub(super) fn profile(value: &DeValue<'_>) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphanumeric();
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let expected = "expected the name of a profile of the Compose file, [a-zA-Z0-9][a-zA-Z0-9_.-]*";
    named(value, expected, 200, first, rest)
}

/// Text of at most `most` bytes, the first of which is `first` and the others `rest`.
fn named(
    value: &DeValue<'_>,
    expected: &str,
    most: usize,
    first: impl Fn(u8) -> bool,
    rest: impl Fn(u8) -> bool,
) -> Result<String, String> {
    let found = || format!("{expected}, found {}", described(value));
    let text = value.as_str().ok_or_else(found)?;
    let mut bytes = text.bytes();
    let valid = bytes.next().is_some_and(first) && bytes.all(rest) && text.len() <= most;
    valid.then(|| text.to_owned()).ok_or_else(found)
}

/// Whether an environment variable may be called so.
pub(super) fn is_variable(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(word) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}
