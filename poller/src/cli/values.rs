//! The command line's values: what is valid, and what to say otherwise. Pure, but for what a path leads to.

use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;
use towline_protocol::{Channel, Glob, Image, Role};

use crate::{history, lock::Length, reference::Reference};

/// A folder, which need not be there yet.
pub(super) fn folder(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.is_file() {
        true => Err("it is a file, and no folder"),
        false => Ok(path),
    }
}

/// What a token is for.
pub(super) fn role(text: &str) -> Result<Role, &'static str> {
    match text {
        "host" => Ok(Role::Host),
        "operator" => Ok(Role::Operator),
        _ => Err("use host or operator"),
    }
}

/// A channel, or many. One that no repository and no manual channel can be called is a mistake: the token
/// would be good for nothing.
pub(super) fn channel_glob(text: &str) -> Result<Glob, String> {
    let example = text.replace('*', "x");
    match example.parse::<Channel>() {
        Ok(_) => Ok(Glob::new(text)),
        Err(_) => Err(
            "no channel is called so; use a repository in lower case such as octo-org/web, \
             octo-org/* for all of an owner, or * for all"
                .to_owned(),
        ),
    }
}

/// What a version that is kept is known by, or the beginning of that: a digest or a commit.
pub(super) fn version(text: &str) -> Result<String, &'static str> {
    let kinds = ["images:sha256:", "sha256:", "commit:"];
    let bare = kinds.iter().find_map(|kind| text.strip_prefix(kind));
    let hex = bare.unwrap_or(text);
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if (1..=64).contains(&hex.len()) && hex.bytes().all(is_hex) {
        Ok(text.to_owned())
    } else {
        Err(
            "use a digest such as sha256:6f0e..., a commit such as 3484a3f..., or the beginning of one",
        )
    }
}

/// An image: a digest, or a reference with a tag, a digest or both.
pub(super) fn image(text: &str) -> Result<Image, String> {
    if text.starts_with("sha256:") {
        let digest = text
            .parse()
            .map_err(|_| "use sha256: and 64 lower-case hex digits")?;
        return Ok(Image {
            reference: None,
            digest: Some(digest),
        });
    }
    let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
    Ok(Image {
        digest: reference.digest().cloned(),
        reference: Some(text.to_owned()),
    })
}

/// How long an intent counts, as the relay wants it.
pub(super) fn expires_in(text: &str) -> Result<String, &'static str> {
    let split = text.len().saturating_sub(1);
    let valid = text.split_at_checked(split).is_some_and(|(number, unit)| {
        let number = number.parse::<u32>().is_ok_and(|number| number > 0);
        number && ["s", "m", "h", "d"].contains(&unit)
    });
    if valid {
        Ok(text.to_owned())
    } else {
        Err("use a number and a unit, such as 90s, 30m, 24h or 7d")
    }
}

/// A token's generation.
pub(super) fn generation(text: &str) -> Result<u32, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("use a whole number, 1 for the first token of this name")
}

/// How many ends of deploys.
pub(super) fn limit(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=history::MOST).contains(number));
    number.ok_or_else(|| format!("use a whole number from 1 to {}", history::MOST))
}

/// How long a service is held off, in whole seconds.
pub(super) fn length(text: &str) -> Result<Length, String> {
    let duration = interval(text)?;
    Length::try_from(duration.as_secs()).map_err(|error| error.to_string())
}

/// How often the relay is asked, or for how long.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let wanted =
        || r#"use a duration such as "30s" or "5m", at least 1s and at most 24h"#.to_owned();
    let duration: SignedDuration = text.parse().map_err(|_| wanted())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| (1..=24 * 60 * 60).contains(&duration.as_secs()))
        .ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_can_be_or_a_glob_of_such_is_taken() {
        for good in [
            "octo-org/web",
            "octo-org/.github",
            "octo-org/*",
            "octo-org/web-*",
            "*/web",
            "*",
            "octo-*",
            "lamps",
        ] {
            assert_eq!(channel_glob(good), Ok(Glob::new(good)));
        }
    }

    #[test]
    fn a_version_is_asked_for_by_a_digest_or_a_commit_or_the_beginning_of_one() {
        let whole = format!("images:sha256:{}", "0".repeat(64));
        for good in ["3", "3484a3f", "sha256:6f0e", "commit:3484a3f", &whole] {
            assert_eq!(version(good), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "sha256:",
            "main",
            "v1.2",
            "3484A3F",
            "branch:3484",
            "--help",
        ] {
            assert!(version(bad).unwrap_err().contains("a commit"), "{bad}");
        }
    }

    #[test]
    fn a_channel_that_no_repository_can_have_is_refused_with_what_would_do() {
        for bad in [
            "",
            "Octo-Org/web",
            "octo org/web",
            "octo-org/",
            "/web",
            "octo-org/web/main",
            "https://github.com/octo-org/web",
            "octo-org/web@main",
            "octo-org/w\u{e9}b",
            "octo-org//*",
        ] {
            let error = channel_glob(bad).unwrap_err();
            assert!(error.contains("octo-org/*"), "{bad}: {error}");
        }
    }
}
