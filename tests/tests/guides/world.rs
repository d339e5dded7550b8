//! Where a page is done: a mount namespace in which what it writes is gone afterwards, a relay, and what stands for the
//! machines of a reader.
//!
//! Stand-ins: `sudo` and `sudoedit`, of which root has no need; `systemctl` and `journalctl`, since systemd is not the first
//! process here, of which the first writes down what it was asked; and other names for what is on the internet.

use std::{
    fs,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use towline_protocol::Role;
use towline_tests::{
    child::Process,
    guide::{Block, blocks, hosts_file},
    place, program,
    relay::{Face, Relay, token, token_key},
};

/// A page takes the ports and names of containers that it says.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Longer than any page takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

const SUDO: &str = r#"#!/bin/sh
if [ "$1" = -u ]; then
  user=$2; shift 2
  exec env HOME="$(getent passwd "$user" | cut -d: -f6)" setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"
fi
exec "$@"
"#;

const SYSTEMCTL: &str = "#!/bin/sh\necho \"$*\" >>/srv/systemctl\n";

const NOTHING: &str = "#!/bin/sh\n";

/// The folders that pages write to are as they were, and what is written is kept elsewhere.
const ALONE: &str = r#"set -euo pipefail
for folder in etc srv home var/lib usr/local; do
  mkdir -p "$WORLD/written/$folder" "$WORLD/layer/$folder"
  mount -t overlay -o "lowerdir=/$folder,upperdir=$WORLD/written/$folder,workdir=$WORLD/layer/$folder" overlay "/$folder"
done
for user in app pi; do
  getent passwd $user >/dev/null || useradd --create-home --shell /bin/sh $user
done
install -m 755 "$WORLD"/bin/* /usr/local/bin/
install -m 666 /dev/null /srv/systemctl
install -d -m 700 /etc/towline ~/.towline
install -m 600 "$WORLD/token" /etc/towline/token
install -m 600 "$WORLD/towline.toml" /etc/towline/towline.toml
install -m 600 "$WORLD/token-key" ~/.towline/token-key
asked() { TOWLINE_RELAY=$RELAY TOWLINE_TOKEN=$OPERATOR towline deploy "$@"; }
cd "$PROJECT"
"#;

/// A page, the relay that it speaks of, and what else its words lead to here.
pub(crate) struct World {
    page: String,
    blocks: Vec<Block>,
    relay: Relay,
    folder: TempDir,
    names: Vec<(String, String)>,
    services: String,
    /// What is done before the block that has these words.
    between: Vec<(String, String)>,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    /// The world of the page at this path.
    pub(crate) fn of(page: &str) -> Result<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets =
            json!({ "WEBHOOK_SECRET": "a webhook secret of the tests", "TOKEN_KEY": token_key() });
        let relay = Relay::with(Face::Deployed, &secrets, &json!({}))?;
        let mut world = Self {
            page: page.to_owned(),
            blocks: blocks(page)?,
            relay,
            folder: TempDir::with_prefix("towline-page-")?,
            names: Vec::new(),
            services: String::new(),
            between: Vec::new(),
            _alone: alone,
        };
        world.means("ghcr.io", &place::sandbox("TOWLINE_TEST_REGISTRY")?);
        for address in ["YOUR-ACCOUNT", "octo-org"] {
            let url = world.relay.url.clone();
            world.means(&format!("https://towline.{address}.workers.dev"), &url);
        }
        Ok(world)
    }

    /// What the page calls `name` is `here`.
    pub(crate) fn means(&mut self, name: &str, here: &str) {
        self.names.push((name.to_owned(), here.to_owned()));
    }

    /// The host's file has these services, where the page does not tell of any.
    pub(crate) fn serves(&mut self, services: &str) {
        self.services = services.to_owned();
    }

    /// Does `script` before the block that has these words.
    pub(crate) fn before(&mut self, words: &str, script: &str) {
        self.between.push((words.to_owned(), script.to_owned()));
    }

    fn here(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, here)| {
            text.replace(name, here)
        })
    }

    /// Does `first`, then what the page says from its beginning to its end, then `last`, all by one shell in the project's
    /// folder that ends at the first mistake; returns what was printed. `asked` is `towline deploy` by an operator.
    pub(crate) fn done(&self, first: &str, last: &str) -> Result<String> {
        self.furnish()?;
        let mut script = format!("{ALONE}{first}\nset -x\n");
        for block in self.run_blocks() {
            let between = self.between.iter();
            let here = between.filter(|(words, _)| block.text.contains(words));
            script.extend(here.map(|(_, text)| format!("{text}\n")));
            script.push_str(&self.typed(block)?);
        }
        script.push_str(last);
        fs::write(self.folder.path().join("script"), script)?;
        let mut shell = self.shell()?;
        let ended = shell.ended(PATIENCE)?;
        let said = shell.output();
        ensure!(ended.success(), "{}: {ended}\n{said}", self.page);
        Ok(said)
    }

    fn run_blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| block.is_run)
    }

    /// What is done with a block: a shell's is typed; a file whose first line is a comment with its path is written there.
    fn typed(&self, block: &Block) -> Result<String> {
        let text = self.here(&block.text);
        let first = text.lines().next().unwrap_or_default();
        match block.language.as_str() {
            "sh" => Ok(format!(": {}: line {}\n{text}", self.page, block.line)),
            "yaml" => {
                let path = first
                    .strip_prefix("# /")
                    .context("no path in the first line")?;
                Ok(format!(
                    "install -D -m 644 /dev/stdin /{path} <<'END'\n{text}END\n"
                ))
            }
            _ => Ok(String::new()),
        }
    }

    fn furnish(&self) -> Result<()> {
        let at = |name: &str| self.folder.path().join(name);
        for folder in ["bin", "home"] {
            fs::create_dir_all(at(folder))?;
        }
        program::copy(&place::towline()?, &at("bin/towline"))?;
        let programs = [
            ("sudo", SUDO),
            ("systemctl", SYSTEMCTL),
            ("sudoedit", NOTHING),
            ("journalctl", NOTHING),
        ];
        for (name, text) in programs {
            program::write(&at("bin").join(name), text)?;
        }
        fs::write(at("token"), token(Role::Host, "pi", &["*"])?)?;
        fs::write(at("token-key"), token_key())?;
        Ok(fs::write(at("towline.toml"), self.file())?)
    }

    /// The page's file of the host, at the relay that is here.
    fn file(&self) -> String {
        let file = self.here(&hosts_file(self.run_blocks())) + &self.services;
        if file.contains("[relay]") {
            return file;
        }
        let url = &self.relay.url;
        format!("[relay]\nurl = {url:?}\ntoken_file = \"token\"\n{file}")
    }

    fn shell(&self) -> Result<Process> {
        let folder = self.folder.path();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--", "bash"])
            .arg(folder.join("script"))
            .stdin(Stdio::null())
            .env("HOME", folder.join("home"))
            .env("WORLD", folder)
            .env("PROJECT", place::root().canonicalize()?)
            .env("RELAY", &self.relay.url)
            .env("REGISTRY", place::sandbox("TOWLINE_TEST_REGISTRY")?)
            .env("OPERATOR", token(Role::Operator, "ops", &["*"])?);
        Process::start(&self.page, &mut command)
    }
}
