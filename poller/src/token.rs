//! The host's token: where it is read from, and how one is made.
//!
//! A token or a key is never an argument of the command line, which every user of the machine can read.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use thiserror::Error;
use towline_protocol::{
    Claims, Role, Secret, TokenError, TokenKey,
    token::{MAX_TOKEN_BYTES, ShortKey},
};

/// The environment variable that may hold the token.
pub const TOKEN_VARIABLE: &str = "TOWLINE_TOKEN";

/// The environment variable that may hold the key that tokens are made with.
pub const KEY_VARIABLE: &str = "TOKEN_KEY";

/// systemd's folder for a service's credentials (systemd.exec, section "Credentials").
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// This host's token.
#[derive(Clone, Debug)]
pub struct HostToken {
    /// The token.
    pub secret: Secret,
    /// What it says of this host; only the relay can tell whether it is true.
    pub claims: Claims,
    /// Something about how it is kept that the operator should change.
    pub warning: Option<String>,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum NoToken {
    /// There is none.
    #[error(
        "no token: set `token_file` under [relay], or ${TOKEN_VARIABLE}, or the systemd credential `token`"
    )]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the token in {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why: part of the message, and therefore not its source as well.
        why: io::Error,
    },
    /// There is no operator's.
    #[error(
        "no token: name a file that holds an operator's with --token-file, or set ${TOKEN_VARIABLE}; make one with: towline token --role operator"
    )]
    NoOperators,
    /// There is nothing in it.
    #[error("{origin} is empty; make a token with: towline token")]
    Empty {
        /// The file or variable.
        origin: String,
    },
    /// What is there is not a token.
    #[error("what is in {origin} is not a token: {error}")]
    Malformed {
        /// The file or variable.
        origin: String,
        /// Why.
        error: TokenError,
    },
    /// It is a token for somebody else.
    #[error(
        "the token in {origin} is for the role {role}, this needs the role {wanted}: towline token --role {wanted}"
    )]
    Role {
        /// The file or variable.
        origin: String,
        /// Whose it is.
        role: Role,
        /// Whose it should be.
        wanted: Role,
    },
}

/// Reads the token from `token_file`, `$CREDENTIALS_DIRECTORY/token` or `$TOWLINE_TOKEN`, in this order.
///
/// # Errors
/// When there is none or it is not a host's; a `token_file` that cannot be read is an error whatever else there is.
pub fn read(
    token_file: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<HostToken, NoToken> {
    let credential = variable(CREDENTIALS_VARIABLE)
        .map(|folder| Path::new(&folder).join("token"))
        .filter(|path| path.exists());
    let file = token_file.map(Path::to_owned).or(credential);
    let found = found(file.as_deref(), variable)?.ok_or(NoToken::Missing)?;
    let claims = found.claims(Role::Host)?;
    Ok(HostToken {
        secret: found.secret,
        claims,
        warning: found.warning,
    })
}

/// An operator's token.
#[derive(Clone, Debug)]
pub struct OperatorToken {
    /// The token.
    pub secret: Secret,
    /// What it says of itself; `None` for a ticket, which only the relay can read.
    pub claims: Option<Claims>,
    /// Something about how it is kept that the operator should change.
    pub warning: Option<String>,
}

/// Reads an operator's token from `token_file`, else from `$TOWLINE_TOKEN`; with `or_ticket`, a ticket too.
///
/// # Errors
/// When there is none or it is for something else.
pub fn operator(
    token_file: Option<&Path>,
    or_ticket: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<OperatorToken, NoToken> {
    let found = found(token_file, variable)?.ok_or(NoToken::NoOperators)?;
    let claims = match found.claims(Role::Operator) {
        Err(NoToken::Malformed { .. }) if or_ticket => None,
        claims => Some(claims?),
    };
    Ok(OperatorToken {
        secret: found.secret,
        claims,
        warning: found.warning,
    })
}

/// What is in a file or variable, which is not nothing.
struct Found {
    origin: String,
    secret: Secret,
    warning: Option<String>,
}

impl Found {
    fn claims(&self, role: Role) -> Result<Claims, NoToken> {
        let origin = self.origin.clone();
        let text = self.secret.expose_str().unwrap_or_default();
        match Claims::unverified(text) {
            Ok(claims) if claims.role == role => Ok(claims),
            Ok(claims) => Err(NoToken::Role {
                origin,
                role: claims.role,
                wanted: role,
            }),
            Err(error) => Err(NoToken::Malformed { origin, error }),
        }
    }
}

fn found(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Found>, NoToken> {
    let (origin, text, warning) = match (file, variable(TOKEN_VARIABLE)) {
        (Some(path), _) => {
            let (text, warning) = read_file(path).map_err(|why| NoToken::Unreadable {
                path: path.to_owned(),
                why,
            })?;
            (path.display().to_string(), text, warning)
        }
        (None, Some(value)) => (
            format!("${TOKEN_VARIABLE}"),
            value.to_string_lossy().into_owned(),
            None,
        ),
        (None, None) => return Ok(None),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(NoToken::Empty { origin });
    }
    let secret = Secret::new(text);
    Ok(Some(Found {
        origin,
        secret,
        warning,
    }))
}

fn read_file(path: &Path) -> io::Result<(String, Option<String>)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let warning = (mode & 0o004 != 0).then(|| {
        format!(
            "every user of this machine can read the token in {}; run: chmod 600 {0}",
            path.display()
        )
    });
    let mut text = String::new();
    file.take(MAX_TOKEN_BYTES as u64 + 2)
        .read_to_string(&mut text)?;
    Ok((text, warning))
}

/// Why no token can be made.
#[derive(Debug, Error)]
pub enum NoKey {
    /// There is no key.
    #[error(
        "no key: set ${KEY_VARIABLE} to the relay's TOKEN_KEY, or name a file that holds it with --key-file"
    )]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the key in {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why: part of the message, and therefore not its source as well.
        why: io::Error,
    },
    /// It is too short.
    #[error("{origin}: {why}")]
    Short {
        /// The file or variable.
        origin: String,
        /// What it should be.
        why: ShortKey,
    },
}

/// Reads the key from `file`, else from `$TOKEN_KEY`. One line's end after it does not count.
///
/// # Errors
/// See [`NoKey`].
pub fn key(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<TokenKey, NoKey> {
    let bytes = match (file, variable(KEY_VARIABLE)) {
        (Some(path), _) => std::fs::read(path).map_err(|why| NoKey::Unreadable {
            path: path.to_owned(),
            why,
        })?,
        (None, Some(value)) => value.into_encoded_bytes(),
        (None, None) => return Err(NoKey::Missing),
    };
    let origin = file.map_or_else(
        || format!("${KEY_VARIABLE}"),
        |path| path.display().to_string(),
    );
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    TokenKey::new(Secret::new(line)).map_err(|why| NoKey::Short { origin, why })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use towline_protocol::Glob;

    use super::*;

    fn minted(role: Role) -> String {
        let key = TokenKey::new(Secret::new("k".repeat(32))).unwrap();
        let token = key.mint(&Claims {
            role,
            name: "pi".parse().unwrap(),
            channels: vec![Glob::new("octo-org/*")],
            generation: 1,
            iat: 1_795_186_000,
        });
        token.expose_str().unwrap().to_owned()
    }

    fn file(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn no_variable(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_file_comes_before_the_credential_and_that_before_the_variable() {
        let (_kept, path) = file(0o600, &format!("{}\n", minted(Role::Host)));
        let (folder, _) = file(0o600, "not a token");
        let both = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(folder.path().into()),
            _ => Some(minted(Role::Host).into()),
        };
        let token = read(Some(&path), both).unwrap();
        assert_eq!(token.secret, Secret::new(minted(Role::Host)));
        assert_eq!((token.claims.name.as_str(), token.warning), ("pi", None));
        assert!(matches!(read(None, both), Err(NoToken::Malformed { .. })));
        let variable = |name: &str| (name == TOKEN_VARIABLE).then(|| minted(Role::Host).into());
        assert!(read(None, variable).is_ok());
    }

    #[test]
    fn a_token_that_everybody_can_read_is_told() {
        let (_kept, path) = file(0o644, &minted(Role::Host));
        let warning = read(Some(&path), no_variable).unwrap().warning.unwrap();
        assert!(warning.contains("chmod 600"), "{warning}");
    }

    #[test]
    fn no_token_an_unreadable_one_and_somebody_elses_are_refused() {
        assert!(matches!(read(None, no_variable), Err(NoToken::Missing)));
        let absent = Path::new("/nonexistent/token");
        let set = |_: &str| Some(OsString::from(minted(Role::Host)));
        assert!(matches!(
            read(Some(absent), set),
            Err(NoToken::Unreadable { .. })
        ));
        let (_kept, path) = file(0o600, &minted(Role::Operator));
        assert!(matches!(
            read(Some(&path), no_variable),
            Err(NoToken::Role { .. })
        ));
        let (_kept, path) = file(0o600, &"x".repeat(10_000));
        assert!(matches!(
            read(Some(&path), no_variable),
            Err(NoToken::Malformed { .. })
        ));
    }

    #[test]
    fn no_error_repeats_what_is_in_the_file() {
        let (_kept, path) = file(0o600, "hunter2");
        let error = read(Some(&path), no_variable).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_from_a_file_has_no_line_end_and_a_short_one_is_refused() {
        let (_kept, path) = file(0o600, &format!("{}\n", "k".repeat(32)));
        assert!(
            key(Some(&path), no_variable)
                .unwrap()
                .verify(&minted(Role::Host))
                .is_ok()
        );
        assert!(matches!(key(None, no_variable), Err(NoKey::Missing)));
        assert!(matches!(
            key(None, |_| Some("short".into())),
            Err(NoKey::Short { .. })
        ));
    }
}
