//! What `towline check` says of the login for a service's registry: whose it is and where it comes from, never what
//! it is. A credential helper is asked, since only its answer shows that it works.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::credentials::{ChosenBy, Keyring};

/// The line for `registry`, or what is wrong with its login.
pub(super) async fn about(keyring: &Keyring, registry: &str) -> Result<String, String> {
    let login = keyring
        .login(registry)
        .await
        .map_err(|error| error.to_string())?;
    let Some((path, by)) = keyring.source() else {
        return Ok(format!(
            "{registry}, without a login: no file of logins is known"
        ));
    };
    let said = match login {
        Some(login) => format!("{registry}, as {} by {}", login.proof, login.origin),
        // Docker's own file is there only after a `docker login`.
        None if !path.exists() => {
            return Ok(format!(
                "{registry}, without a login: {} is not there",
                path.display()
            ));
        }
        None => format!(
            "{registry}, without a login: {} has none for it",
            path.display()
        ),
    };
    let notes = [elsewhere(by), open_to_all(path)];
    Ok(notes
        .into_iter()
        .flatten()
        .fold(said, |said, note| said + "; " + &note))
}

/// What this command finds in its own environment a service may not find.
fn elsewhere(by: ChosenBy) -> Option<String> {
    match by {
        ChosenBy::Variable(name @ ("HOME" | "DOCKER_CONFIG")) => Some(format!(
            "found by ${name}, which a system service may not have: set registry_auth_file for it"
        )),
        ChosenBy::HostsFile | ChosenBy::Variable(_) => None,
    }
}

/// That a file with logins is not kept to its owner.
pub(super) fn open_to_all(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    let path = path.display();
    (meta.is_file() && meta.permissions().mode() & 0o004 != 0)
        .then(|| format!("WARNING: every user of this machine can read it; run: chmod 600 {path}"))
}
