//! What a program sees of variables: nothing of towline's own, little by itself, and what its order names.
//!
//! Pure.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Where bare names are looked up.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A user, as the system's database of users knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// `None` where the database does not know the number that we run as.
    pub(super) name: Option<String>,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

impl User {
    /// One that the database does not know.
    pub(super) fn unknown() -> Self {
        Self {
            name: None,
            home: "/".into(),
            shell: "/bin/sh".into(),
        }
    }
}

/// The whole environment of a program of this user; `extra` goes before what is there by itself.
pub(super) fn environment(user: &User, extra: &[(String, String)]) -> BTreeMap<String, OsString> {
    let or = |path: &Path, other: &str| match path.as_os_str().is_empty() {
        true => other.into(),
        false => path.into(),
    };
    let mut variables = BTreeMap::from([
        ("PATH".to_owned(), PATH.into()),
        ("LANG".to_owned(), "C.UTF-8".into()),
        ("HOME".to_owned(), or(&user.home, "/")),
        ("SHELL".to_owned(), or(&user.shell, "/bin/sh")),
    ]);
    if let Some(name) = &user.name {
        variables.insert("USER".to_owned(), name.into());
        variables.insert("LOGNAME".to_owned(), name.into());
    }
    let extra = extra.iter().cloned();
    variables.extend(extra.map(|(name, value)| (name, value.into())));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(user: &User, extra: &[(&str, &str)]) -> BTreeMap<String, OsString> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        environment(user, &extra.iter().map(own).collect::<Vec<_>>())
    }

    #[test]
    fn a_known_user_has_its_name_home_and_shell() {
        let octocat = User {
            name: Some("octocat".to_owned()),
            home: "/home/octocat".into(),
            shell: "".into(),
        };
        let seen = names(&octocat, &[("TOWLINE_SHA", "abc"), ("HOME", "/srv")]);
        let wanted = [
            ("HOME", "/srv"),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", "octocat"),
            ("PATH", PATH),
            ("SHELL", "/bin/sh"),
            ("TOWLINE_SHA", "abc"),
            ("USER", "octocat"),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(seen, BTreeMap::from(wanted));
    }

    #[test]
    fn a_number_without_a_name_gets_none() {
        let seen = names(&User::unknown(), &[]);
        let seen: Vec<_> = seen.keys().map(String::as_str).collect();
        assert_eq!(seen, ["HOME", "LANG", "PATH", "SHELL"]);
    }
}
