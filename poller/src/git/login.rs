//! The login of `credential_file`, and the way by which only git, and only for the remote's own host, gets it.
//!
//! Towline reads the file, so that it may be root's alone. Git asks a credential helper of fixed words for the login, which takes it
//! from its environment: it is on no command line. Other helpers are not asked for that host, so that none of them stores it.
//!
//! The service's user, whom that git runs as, can see the login while it does, and says by the checkout's settings where the
//! remote is. Hence the file names the host of each login: which one is given, and to whom, is not the user's to say.

use std::{fs::File, io::Read, path::Path};

use http::Uri;
use percent_encoding::percent_decode_str;
use towline_protocol::Secret;

use super::GitError;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// The variables that the helper takes the login from.
const USER: &str = "TOWLINE_GIT_USER";
const PASSWORD: &str = "TOWLINE_GIT_PASSWORD";
/// A shell reads this: it has no text of anybody's in it. Git puts what it wants behind it, `get` for the login.
const HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$TOWLINE_GIT_USER" "$TOWLINE_GIT_PASSWORD"; }; f"#;

/// What the file has, in words.
const HOW: &str = "a line https://USER:TOKEN@HOST, such as https://x-access-token:TOKEN@github.com";

/// A login for one host.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// `https://HOST[:PORT]`.
    origin: String,
    user: String,
    password: Secret,
}

impl Login {
    /// Settings of git that have it ask for this login.
    pub(super) fn settings(&self) -> [String; 2] {
        let origin = &self.origin;
        [
            format!("credential.{origin}.helper="),
            format!("credential.{origin}.helper={HELPER}"),
        ]
    }

    /// What the helper takes it from.
    pub(super) fn env(&self) -> [(String, String); 2] {
        [
            (USER.to_owned(), self.user.clone()),
            (
                PASSWORD.to_owned(),
                self.password.expose_str().unwrap_or_default().to_owned(),
            ),
        ]
    }

    /// The login for the remote at `url` in the file at `path`.
    pub(super) fn read(path: &Path, url: &str) -> Result<Self, GitError> {
        let trouble = |why: String| GitError::Login {
            path: path.to_owned(),
            why,
        };
        let origin = origin(url).map_err(trouble)?;
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|error| trouble(format!("cannot read the login for the remote: {error}")))?;
        let (user, password) = find(&text, &origin).map_err(trouble)?;
        Ok(Self {
            origin,
            user,
            password: Secret::new(password),
        })
    }
}

/// Scheme, host and port of an address that a login may be sent to.
fn origin(url: &str) -> Result<String, String> {
    let unfit = || {
        "a login is sent over https:// only, and the remote's address is of another kind; \
         remove `credential_file`, or change the remote's address"
            .to_owned()
    };
    let uri: Uri = url.parse().map_err(|_| unfit())?;
    let host = uri.host().ok_or_else(unfit)?;
    let loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let scheme = match uri.scheme_str() {
        Some("https") => "https",
        // What does not leave this machine cannot be overheard.
        Some("http") if loopback => "http",
        Some(_) | None => return Err(unfit()),
    };
    Ok(match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// The login for `origin`, of its line: the file has lines of addresses as `git credential-store` keeps them.
fn find(text: &str, origin: &str) -> Result<(String, String), String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let found = match lines.as_slice() {
        [] => Err(format!("it is empty; expected {HOW}")),
        lines if lines.iter().any(|line| line.contains("://")) => {
            let mut logins = lines.iter().filter_map(|line| stored(line));
            let login = logins.find(|(its, ..)| its.eq_ignore_ascii_case(origin));
            let login = login.map(|(_, user, password)| (user, password));
            login.ok_or_else(|| format!("it has no login for {origin}"))
        }
        [token] if !token.contains(char::is_whitespace) => Err(format!(
            "it has a token, and not the host that this is for; expected {HOW}"
        )),
        _ => Err(format!("expected {HOW}")),
    };
    found.and_then(|(user, password)| {
        let plain = |text: &str| !text.contains(char::is_control);
        if plain(&user) && plain(&password) {
            Ok((user, password))
        } else {
            Err("the login has a control character in it".to_owned())
        }
    })
}

/// Origin, user and password of a line `https://USER:PASSWORD@HOST[/PATH]`.
fn stored(line: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = line.split_once("://")?;
    let (authority, _path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, host) = authority.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    Some((
        format!("{scheme}://{host}"),
        decoded(user)?,
        decoded(password)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = "https://github.com";

    fn pair(user: &str, password: &str) -> Result<(String, String), String> {
        Ok((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn a_token_alone_is_nobodys_since_the_remote_is_the_users_to_say() {
        assert_eq!(
            find("abc123\n", GITHUB).unwrap_err(),
            "it has a token, and not the host that this is for; expected a line https://USER:TOKEN@HOST, such as \
             https://x-access-token:TOKEN@github.com"
        );
    }

    #[test]
    fn a_file_of_gits_own_store_is_read_by_host() {
        let text =
            "https://octocat:one@gitlab.example\nhttps://octo%40cat:two%2F@github.com/octo-org\n";
        assert_eq!(find(text, GITHUB), pair("octo@cat", "two/"));
        assert_eq!(
            find("https://octocat:one@host:8443", "https://host:8443"),
            pair("octocat", "one")
        );
    }

    #[test]
    fn a_login_of_another_host_is_none() {
        let text = "https://octocat:one@github.com.example\nhttp://octocat:two@github.com\n";
        assert_eq!(
            find(text, GITHUB).unwrap_err(),
            "it has no login for https://github.com"
        );
    }

    #[test]
    fn what_is_neither_is_refused_without_being_repeated() {
        for text in [
            "",
            "\n \n",
            "one two",
            "one\ntwo",
            "https://x:a%0Ab@github.com",
        ] {
            let why = find(text, GITHUB).unwrap_err();
            assert!(!why.contains("one") && why.len() > 20, "{why}");
        }
    }

    #[test]
    fn a_login_leaves_over_https_only_or_not_this_machine() {
        assert_eq!(
            origin("https://github.com/octo-org/web.git").unwrap(),
            GITHUB
        );
        assert_eq!(
            origin("https://octocat@github.com:8443/x").unwrap(),
            "https://github.com:8443"
        );
        assert_eq!(
            origin("http://127.0.0.1:8080/x").unwrap(),
            "http://127.0.0.1:8080"
        );
        for url in [
            "http://github.com/x",
            "git@github.com:octo-org/web.git",
            "ssh://git@github.com/x",
            "/srv/web.git",
            "file:///srv/web.git",
            "http://127.0.0.1.example/x",
        ] {
            assert!(origin(url).is_err(), "{url}");
        }
    }
}
