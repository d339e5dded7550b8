//! Compose's hash of a container that shares a namespace of another service's (`network_mode: service:X`): that one's id is in
//! it, so that it is another one as soon as X is replaced. Not here: when that is (`apply`).

use serde_json::{Map, Value, json};

use super::{
    Cli, ComposeError,
    cli::{in_compose_words, unquoted},
    labels::{DEPENDS_ON, ENV_FILES, FILES, FOLDER, HASH, PROJECT, SERVICE},
};
use crate::{
    process::{How, Order},
    spec::CreateRequest,
};

/// The namespaces as an engine and as Compose's file call them.
const SHARED: [(&str, &str); 3] = [
    ("NetworkMode", "network_mode"),
    ("IpcMode", "ipc"),
    ("PidMode", "pid"),
];

/// What becomes of the hash that a container was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It stays: the container is not Compose's, or nobody's id is in it.
    Stays,
    /// Compose will ask for this one.
    Becomes(String),
    /// It was not what Compose makes of the project now.
    Unknown,
}

/// A container of Compose's, by its labels.
struct Labelled<'a> {
    labels: &'a Map<String, Value>,
    hash: &'a str,
}

impl Cli {
    /// What becomes of the hash of the container that `request` makes, when those that it shares namespaces with are
    /// `replaced` by others; pairs of ids. The project's files are read where its labels say that they are.
    ///
    /// # Errors
    /// When Compose cannot be asked, or refuses the project.
    pub async fn followed(
        &self,
        request: &CreateRequest,
        replaced: &[(&str, &str)],
    ) -> Result<Followed, ComposeError> {
        let old = shared(&request.body);
        let Some(of) = Labelled::read(&request.body).filter(|_| !old.is_empty()) else {
            return Ok(Followed::Stays);
        };
        if self.hash_of(&of, Map::new()).await? == of.hash {
            return Ok(Followed::Stays);
        }
        if self.hash_of(&of, old).await? != of.hash {
            return Ok(Followed::Unknown);
        }
        let new = shared(&request.clone().sharing(replaced).body);
        self.hash_of(&of, new).await.map(Followed::Becomes)
    }

    /// Compose's hash of the service, with these in the place of what its file says of namespaces.
    async fn hash_of(
        &self,
        of: &Labelled<'_>,
        mut shared: Map<String, Value>,
    ) -> Result<String, ComposeError> {
        let service = of.text(SERVICE);
        if !shared.is_empty() {
            // Sharing one makes the service depend on the other, which is in the hash too.
            shared.insert("depends_on".to_owned(), of.depends_on());
        }
        let file = json!({ "services": { service: shared } });
        let order = self.order("docker", of.arguments(), "/".as_ref(), &[]);
        let stdin = Some(file.to_string().into_bytes());
        let (ended, lines) = self.answer(&Order { stdin, ..order }).await?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let hash = said
            .lines()
            .find_map(|line| line.trim().strip_prefix(service)?.strip_prefix(' '));
        match (ended.how, hash) {
            (How::Exited(0), Some(hash)) => Ok(hash.trim().to_owned()),
            (How::Exited(_) | How::Signalled(_) | How::TimedOut, _) => Err(no_hash(&lines)),
        }
    }
}

/// What is told of Compose where it gives no hash, by what it said.
fn no_hash(lines: &[String]) -> ComposeError {
    let words = in_compose_words(lines);
    ComposeError::Unexpected(format!("config --hash: {}", unquoted(&words)))
}

/// What a create request shares with containers, as a Compose file says it.
fn shared(body: &Value) -> Map<String, Value> {
    let shares = SHARED.into_iter().filter_map(|(field, key)| {
        let mode = body.get("HostConfig")?.get(field)?;
        let is_shared = mode.as_str()?.starts_with("container:");
        is_shared.then(|| (key.to_owned(), mode.clone()))
    });
    shares.collect()
}

impl<'a> Labelled<'a> {
    fn read(body: &'a Value) -> Option<Self> {
        let labels = body.get("Labels")?.as_object()?;
        let hash = labels.get(HASH)?.as_str()?;
        let all = [PROJECT, SERVICE, FILES, FOLDER];
        let is_whole = all.iter().all(|key| labels.contains_key(*key));
        is_whole.then_some(Self { labels, hash })
    }

    fn text(&self, key: &str) -> &'a str {
        let found = self.labels.get(key).and_then(Value::as_str);
        found.unwrap_or_default()
    }

    /// Its project, and a further file from standard input.
    fn arguments(&self) -> Vec<String> {
        let mut all = vec!["compose"];
        all.extend(["--project-name", self.text(PROJECT)]);
        all.extend(["--project-directory", self.text(FOLDER)]);
        for file in list(self.text(FILES)) {
            all.extend(["--file", file]);
        }
        all.extend(["--file", "-"]);
        for file in list(self.text(ENV_FILES)) {
            all.extend(["--env-file", file]);
        }
        all.extend(["--profile", "*", "config", "--hash", self.text(SERVICE)]);
        all.into_iter().map(str::to_owned).collect()
    }

    /// `vpn:service_started:true,db:service_healthy:false` as a file says it.
    fn depends_on(&self) -> Value {
        let each = list(self.text(DEPENDS_ON)).filter_map(|one| {
            let mut parts = one.split(':');
            let (name, condition) = (parts.next()?, parts.next()?);
            let restart = parts.next() == Some("true");
            let on = json!({ "condition": condition, "restart": restart, "required": true });
            Some((name.to_owned(), on))
        });
        Value::Object(each.collect())
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|one| !one.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_composes_tells_its_project_and_what_it_depends_on() {
        let body = json!({ "Labels": {
            HASH: "0a", PROJECT: "home", SERVICE: "app", FILES: "/a/compose.yml,/a/more.yml", FOLDER: "/a",
            ENV_FILES: "/a/one.env", DEPENDS_ON: "vpn:service_started:true,db:service_healthy:false",
        } });
        let of = Labelled::read(&body).unwrap();
        assert_eq!(
            of.arguments().join(" "),
            "compose --project-name home --project-directory /a --file /a/compose.yml --file /a/more.yml --file - \
             --env-file /a/one.env --profile * config --hash app"
        );
        assert_eq!(
            of.depends_on(),
            json!({
                "vpn": { "condition": "service_started", "restart": true, "required": true },
                "db": { "condition": "service_healthy", "restart": false, "required": true },
            })
        );
        assert!(Labelled::read(&json!({ "Labels": { HASH: "0a", PROJECT: "home" } })).is_none());
        assert!(Labelled::read(&json!({ "Labels": null })).is_none());
    }

    #[test]
    fn of_a_broken_file_of_variables_no_value_is_told() {
        let lines = [
            "time=\"x\" level=warning msg=\"The \\\"A\\\" variable is not set\"",
            "failed to read /a/.env: line 2: unterminated quoted value \"hunter22",
            "and more of it\"",
        ];
        let told = no_hash(&lines.map(str::to_owned)).to_string();
        assert!(
            told.contains(
                "config --hash: failed to read /a/.env: line 2: unterminated quoted value (the rest"
            ),
            "{told}"
        );
        assert!(
            !told.contains("hunter22") && !told.contains("more of it"),
            "{told}"
        );
    }

    #[test]
    fn only_what_is_shared_with_a_container_is_said_anew() {
        let body = json!({ "HostConfig": {
            "NetworkMode": "container:0a", "IpcMode": "shareable", "PidMode": "container:0b", "UTSMode": "host",
        } });
        let said = json!({ "network_mode": "container:0a", "pid": "container:0b" });
        assert_eq!(Value::Object(shared(&body)), said);
        assert!(shared(&json!({})).is_empty());
    }
}
