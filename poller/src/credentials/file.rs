//! The file that `docker login` writes, and the helpers that it names.
//!
//! The crate `docker_credential` knows the format and the helpers' protocol. What it does not say is told apart here:
//! which helper was asked, and whether it is missing or has failed. No error repeats the file's content.

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::Path,
};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde_json::{Map, Value, json};
use towline_protocol::Secret;

use super::{Login, LoginError, Proof};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The names of Docker Hub: the one that Docker's own tools write, and the one that people write.
const DOCKER_HUB: [&str; 2] = ["https://index.docker.io/v1/", "docker.io"];
/// What a helper says when it has no login (docker-credential-helpers, `errCredentialsNotFoundMessage`).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// How much of a helper's words is repeated, in characters.
const WORDS: usize = 200;

/// The login for `registry` in the file at `path`; a file that is not there is an error when it `must_exist`.
pub(super) fn login(
    path: &Path,
    must_exist: bool,
    registry: &str,
) -> Result<Option<Login>, LoginError> {
    let Some(config) = read(path, must_exist)? else {
        return Ok(None);
    };
    let servers = match registry {
        "docker.io" => &DOCKER_HUB[..],
        _ => &[registry],
    };
    for server in servers {
        for lookup in lookups(&config, server) {
            if let Some(login) = ask(path, &lookup, server)? {
                return Ok(Some(login));
            }
        }
    }
    Ok(None)
}

fn read(path: &Path, must_exist: bool) -> Result<Option<Map<String, Value>>, LoginError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(None),
        Err(error) => {
            let (path, why) = (path.to_owned(), error.to_string());
            return Err(LoginError::Unreadable { path, why });
        }
    }
    let malformed = |what: String| LoginError::Malformed {
        path: path.to_owned(),
        what,
    };
    match serde_json::from_slice(&text) {
        Ok(Value::Object(config)) => Ok(Some(config)),
        Ok(_) => Err(malformed("it is not a JSON object".to_owned())),
        Err(error) => Err(malformed(format!("no JSON at line {}", error.line()))),
    }
}

/// One place to look for a login: a part of the file, and the helper that it leads to, if any.
struct Lookup {
    config: Value,
    helper: Option<String>,
}

/// First what the file says of this very registry, then the store for all of them: a plain login beside a store was
/// written on purpose.
fn lookups(config: &Map<String, Value>, server: &str) -> Vec<Lookup> {
    let text = |value: Option<&Value>| {
        let text = value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let helpers = config.get("credHelpers").cloned().unwrap_or(Value::Null);
    let store = text(config.get("credsStore"));
    let own = Lookup {
        helper: text(helpers.get(server)),
        config: json!({ "auths": config.get("auths"), "credHelpers": helpers }),
    };
    let store = store.map(|store| Lookup {
        config: json!({ "credsStore": store }),
        helper: Some(store),
    });
    [Some(own), store].into_iter().flatten().collect()
}

fn ask(path: &Path, lookup: &Lookup, server: &str) -> Result<Option<Login>, LoginError> {
    let text = lookup.config.to_string();
    let proof = match get_credential_from_reader(text.as_bytes(), server) {
        Ok(DockerCredential::UsernamePassword(user, password)) if password.is_empty() => {
            // What `docker logout` leaves behind, or a helper that has nothing.
            drop(user);
            return Ok(None);
        }
        Ok(DockerCredential::UsernamePassword(user, password)) => Proof::Password {
            user,
            password: Secret::new(password),
        },
        Ok(DockerCredential::IdentityToken(token)) => Proof::IdentityToken(Secret::new(token)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => return Ok(None),
        Err(error) => return explain(path, lookup, server, error),
    };
    let helper = lookup.helper.as_deref().map(program);
    Ok(Some(Login {
        server: server.to_owned(),
        proof,
        origin: match helper {
            Some(helper) => format!("{helper}, named in {}", path.display()),
            None => path.display().to_string(),
        },
    }))
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

fn explain(
    path: &Path,
    lookup: &Lookup,
    server: &str,
    error: CredentialRetrievalError,
) -> Result<Option<Login>, LoginError> {
    use CredentialRetrievalError as Error;
    let helper = lookup.helper.as_deref().map(program).unwrap_or_default();
    let failed = |said: &str| LoginError::Helper {
        helper: helper.clone(),
        server: server.to_owned(),
        said: said.to_owned(),
    };
    let malformed = |what: String| LoginError::Malformed {
        path: path.to_owned(),
        what,
    };
    Err(match error {
        Error::HelperFailure { stdout, .. } if stdout.trim() == NOT_FOUND => return Ok(None),
        Error::HelperFailure { stdout, stderr, .. } => failed(&words(&stdout, &stderr)),
        Error::HelperCommunicationError if is_installed(&helper) => {
            failed("it could not be run, or did not listen")
        }
        Error::HelperCommunicationError => LoginError::NoHelper {
            path: path.to_owned(),
            helper,
        },
        Error::MalformedHelperResponse => failed("its answer is not what helpers say"),
        Error::CredentialDecodingError => {
            malformed(format!("`auth` of {server} is not base64 of USER:PASSWORD"))
        }
        Error::CredentialMismatchError => malformed(format!(
            "`auth` of {server} and its `username` and `password` differ"
        )),
        Error::ConfigNotFound | Error::ConfigReadError | Error::NoCredentialConfigured => {
            malformed("`auths` or `credHelpers` has another form".to_owned())
        }
    })
}

/// The first line of what a failed helper said. Something that looks like its usual answer would be a secret.
fn words(stdout: &str, stderr: &str) -> String {
    let mut lines = [stdout, stderr]
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim);
    let line = lines.find(|line| !line.is_empty());
    match line {
        Some(line) if !line.contains(['{', '}', '"']) => line.chars().take(WORDS).collect(),
        Some(_) | None => "it ended with an error".to_owned(),
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
