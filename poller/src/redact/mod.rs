//! Keeping known secrets out of logs and reports.
//!
//! Pure. Known are the values of a container's environment, or of a file of variables (`variables`), whose names look secret,
//! passwords in addresses, and what else is added. What is hidden is replaced by `***`. Not here: which texts are told; a secret
//! that only another file or a command line holds is not known.

use std::{fmt, ops::Range};

use serde_json::Value;
use variables::{Variable, variables};

mod variables;

/// What stands for a secret.
const HIDDEN: &str = "***";
/// Shorter values, in characters, are no secrets: `1` and `true` would take half of a log away.
const MIN_SECRET: usize = 6;
/// A variable whose name holds one of these has a secret.
const SECRET_NAMES: [&str; 8] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "SECRET",
    "CREDENTIAL",
    "PRIVATE",
    "APIKEY",
];
/// The same for a whole word of the name.
const SECRET_WORDS: [&str; 8] = ["KEY", "KEYS", "PASS", "PWD", "DSN", "AUTH", "SALT", "PAT"];
/// A variable whose name ends so holds a path.
const PATH_ENDS: [&str; 3] = ["_FILE", "_PATH", "_DIR"];

/// Texts that must not be told. `Debug` says only how many.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Adds the secrets in the environment of a container, as `GET /containers/{id}/json` shows it.
    pub fn add_environment(&mut self, container: &Value) {
        let variables = container.pointer("/Config/Env").and_then(Value::as_array);
        let variables = variables.into_iter().flatten().filter_map(Value::as_str);
        for (name, value) in variables.filter_map(|variable| variable.split_once('=')) {
            self.add_variable(name, value);
        }
    }

    /// Adds the secrets in the text of a file of variables, as Compose reads its `.env`: as they stand there, and as they are
    /// meant.
    pub fn add_env_file(&mut self, text: &str) {
        for Variable { name, raw, value } in variables(text) {
            self.add_variable(name, raw);
            self.add_variable(name, &value);
        }
    }

    fn add_variable(&mut self, name: &str, value: &str) {
        if is_secret(name, value) {
            self.add(value);
        }
        for part in user_info(value) {
            self.add(part);
        }
    }

    /// Adds a secret, as it is, as JSON would write it, and each of its lines by itself, since a log may indent them.
    pub fn add(&mut self, secret: &str) {
        let json = Value::from(secret.trim()).to_string();
        let escaped = json.get(1..json.len() - 1).unwrap_or_default();
        let lines = secret.lines().map(str::trim);
        for form in lines.chain([secret.trim(), escaped]) {
            let is_long = form.chars().nth(MIN_SECRET - 1).is_some();
            if is_long && form.chars().any(|c| c != '*') && !self.0.iter().any(|has| has == form) {
                self.0.push(form.to_owned());
            }
        }
    }

    /// Adds what `other` knows.
    pub fn add_all(&mut self, other: &Self) {
        let unknown = other.0.iter().filter(|secret| !self.0.contains(secret));
        let unknown: Vec<_> = unknown.cloned().collect();
        self.0.extend(unknown);
    }

    /// `text` without the secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // What stands for a secret may complete another one. A pass with a find shortens the text.
        loop {
            let spans = self.spans(&text);
            if spans.is_empty() {
                return text;
            }
            text = replaced(&text, spans);
        }
    }

    /// The same for a text whose beginning was cut off, maybe in the middle of a secret: the rest of that goes too.
    pub fn hide_in_tail(&self, text: &str) -> String {
        // A character that was cut in two is shown as one that stands for what cannot be read.
        let text = text.trim_start_matches(char::REPLACEMENT_CHARACTER);
        let rest = self.0.iter().filter_map(|secret| rest_of(secret, text));
        let mut spans = self.spans(text);
        spans.extend(rest.max().map(|end| 0..end));
        self.hide(&replaced(text, spans))
    }

    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let found = self.0.iter().flat_map(|secret| {
            let starts = text.match_indices(secret.as_str());
            starts.map(|(start, _)| start..start + secret.len())
        });
        found.collect()
    }
}

/// How long the longest end of `secret` is that `text` begins with, without the whole of it.
fn rest_of(secret: &str, text: &str) -> Option<usize> {
    let rests = secret
        .char_indices()
        .skip(1)
        .filter_map(|(at, _)| secret.get(at..));
    rests
        .into_iter()
        .find(|rest| text.starts_with(rest))
        .map(str::len)
}

/// `text` with one [`HIDDEN`] for each stretch of `spans`, which may overlap.
fn replaced(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_by_key(|span| span.start);
    let mut shown = String::new();
    let mut end = None;
    for span in spans {
        if end.is_none_or(|end| span.start > end) {
            shown.push_str(text.get(end.unwrap_or(0)..span.start).unwrap_or_default());
            shown.push_str(HIDDEN);
        }
        end = end.max(Some(span.end));
    }
    shown.push_str(text.get(end.unwrap_or(0)..).unwrap_or_default());
    shown
}

/// Whether a variable of this name has a secret in it. A path to one is none, by its name: base64 may begin with a
/// slash too.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_path = value.starts_with('/') && PATH_ENDS.iter().any(|end| name.ends_with(end));
    if is_path || ["PWD", "OLDPWD"].contains(&name.as_str()) {
        return false;
    }
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    name.ends_with("KEY")
        || SECRET_NAMES.iter().any(|part| name.contains(part))
        || words.any(|word| SECRET_WORDS.contains(&word))
}

/// The password in an address such as `postgres://user:password@host/`, with the user's name and by itself.
fn user_info(value: &str) -> Vec<&str> {
    let authority = value
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let Some((user, _)) = authority.and_then(|authority| authority.rsplit_once('@')) else {
        return Vec::new();
    };
    let password = user.split_once(':').map(|(_, password)| password);
    [Some(user), password].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn known(secrets: &[&str]) -> Secrets {
        let mut known = Secrets::default();
        for secret in secrets {
            known.add(secret);
        }
        known
    }

    fn of_environment(variables: &[&str]) -> Secrets {
        let mut known = Secrets::default();
        known.add_environment(&json!({ "Config": { "Env": variables } }));
        known
    }

    #[test]
    fn a_file_of_variables_is_read_as_compose_reads_it() {
        let mut known = Secrets::default();
        known.add_env_file(
            "# OLD_TOKEN=commented\nGREETING=welcome\nDB_PASSWORD=hunter22\nexport API_KEY=\"two words\" # why\n\
             MAIL_PASS='quo ted'\nTOKEN=cut-off # not this\nURL=postgres://app:in-address@db/app\nno variable\n",
        );
        assert_eq!(
            known.hide(
                "commented welcome hunter22 two words, quo ted, cut-off # not this, in-address"
            ),
            "commented welcome *** ***, ***, *** # not this, ***"
        );
    }

    #[test]
    fn a_secret_of_a_file_is_known_whole_however_it_is_written() {
        let mut known = Secrets::default();
        known.add_env_file(
            "TLS_KEY=\"-----BEGIN\nMIIEabc\n-----END\"\nDB_PASSWORD: colon-ed\nX_TOKEN=\"a\\\"bcdefghij\"\nY_TOKEN=\"half of it\n",
        );
        let said = "-----BEGIN|MIIEabc|-----END|colon-ed|a\"bcdefghij|a\\\"bcdefghij|half of it";
        assert_eq!(known.hide(said), "***|***|***|***|***|***|***");
    }

    #[test]
    fn variables_with_secret_names_are_hidden_and_others_are_not() {
        for name in [
            "DB_PASSWORD",
            "db_pass",
            "GITHUB_TOKEN",
            "CLIENT_SECRET",
            "API_KEY",
            "signingKey",
            "AWS_CREDENTIALS",
            "SENTRY_DSN",
            "MYSQL_PWD",
        ] {
            let known = of_environment(&[&format!("{name}=hunter2")]);
            assert_eq!(known.hide("it is hunter2!"), "it is ***!", "{name}");
        }
        for variable in [
            "GREETING=hunter2",
            "KEYBOARD=hunter2",
            "PWD=hunter2",
            "PASSAGE=hunter2",
            "SSL_KEY_FILE=/hunter2",
        ] {
            let known = of_environment(&[variable]);
            assert_eq!(known.hide("hunter2 /hunter2"), "hunter2 /hunter2");
        }
    }

    #[test]
    fn a_secret_that_begins_like_a_path_is_one_unless_its_name_says_otherwise() {
        let known = of_environment(&["AWS_SECRET_ACCESS_KEY=/x+hunter2/y=", "db_password=/a/b/c"]);
        assert_eq!(known.hide("/x+hunter2/y= /a/b/c"), "*** ***");
        for name in ["DB_PASSWORD_FILE", "private_key_path", "SECRETS_DIR"] {
            let known = of_environment(&[&format!("{name}=/run/secrets/db")]);
            assert_eq!(known.hide("/run/secrets/db"), "/run/secrets/db", "{name}");
        }
        let known = of_environment(&["TOKEN_FILE=hunter2"]);
        assert_eq!(known.hide("hunter2"), "***", "no path");
    }

    #[test]
    fn short_values_are_no_secrets() {
        let known = of_environment(&["API_KEY=true", "TOKEN=", "SECRET", "DB_PASS=12345"]);
        assert_eq!(known.hide("true 12345"), "true 12345");
    }

    #[test]
    fn the_password_in_an_address_is_hidden_wherever_it_stands() {
        let known = of_environment(&["DATABASE=postgres://app:s3cr3t!@db:5432/app?x=a@b"]);
        assert_eq!(
            known.hide("postgres://app:s3cr3t!@db:5432/app"),
            "postgres://***@db:5432/app"
        );
        assert_eq!(known.hide("wrong password s3cr3t!"), "wrong password ***");
        let known = of_environment(&["URL=redis://:short@h/", "DOCS=https://example.com/a@b"]);
        assert_eq!(known.hide("redis://:short@h/"), "redis://***@h/");
        assert_eq!(
            known.hide("https://example.com/a@b"),
            "https://example.com/a@b"
        );
    }

    #[test]
    fn a_secret_of_several_lines_is_hidden_line_by_line_and_as_json() {
        let known = known(&["-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----\n"]);
        assert_eq!(
            known.hide("  -----BEGIN KEY-----\r\n  abcdefgh\r\n  -----END KEY-----"),
            "  ***\r\n  ***\r\n  ***"
        );
        assert_eq!(
            known.hide(r#"{"key":"-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----"}"#),
            r#"{"key":"***"}"#
        );
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_either() {
        let known = known(&["abcdefXYZ", "XYZghijkl", "defXYZ"]);
        assert_eq!(known.hide("<abcdefXYZghijkl>"), "<***>");
        assert_eq!(known.hide("<abcdefXYZXYZghijkl>"), "<***>");
    }

    #[test]
    fn the_rest_of_a_secret_that_was_cut_is_hidden_too() {
        let known = known(&["correct-horse", "p\u{e4}ssw\u{f6}rter"]);
        assert_eq!(known.hide_in_tail("horse and more"), "*** and more");
        assert_eq!(known.hide_in_tail("\u{fffd}ssw\u{f6}rter!"), "***!");
        assert_eq!(known.hide("horse and more"), "horse and more");
        assert_eq!(known.hide_in_tail("nothing"), "nothing");
    }

    #[test]
    fn what_stands_for_a_secret_does_not_complete_another() {
        assert_eq!(
            known(&["hunter2", "a***b***c"]).hide("ahunter2b***c"),
            "***"
        );
    }

    proptest! {
        #[test]
        fn no_known_secret_survives(
            secrets in vec("[ab*\n\"]{6,9}", 1..4),
            filling in vec("[abc* ]{0,5}", 4..8),
            order in vec(0usize..4, 0..8),
            cut in 0usize..40,
        ) {
            let known = known(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            let mut text = String::new();
            for (at, part) in filling.iter().enumerate() {
                text.push_str(part);
                text.push_str(order.get(at).and_then(|which| secrets.get(*which)).map_or("", String::as_str));
            }
            for hidden in [known.hide(&text), known.hide_in_tail(&text), known.hide_in_tail(text.get(cut..).unwrap_or_default())] {
                for secret in &known.0 {
                    prop_assert!(!hidden.contains(secret.as_str()), "{secret:?} in {hidden:?}");
                }
            }
        }

        #[test]
        fn nothing_of_a_secret_survives_a_cut_within_it(
            secret in "[a-z\u{e4}\u{1f980}]{6,20}",
            after in "[ A-Z\n]{0,20}",
            cut in 1usize..80,
        ) {
            let text = format!("{secret}{after}");
            let bytes = &text.as_bytes()[cut.min(secret.len() - 1)..];
            let tail = String::from_utf8_lossy(bytes);
            let hidden = known(&[&secret]).hide_in_tail(&tail);
            prop_assert!(hidden == format!("***{after}") || hidden == after, "{hidden:?}");
        }

        #[test]
        fn text_without_secrets_stays_as_it_is(text in "[a-z ]{0,50}") {
            prop_assert_eq!(known(&["HUNTER2"]).hide(&text), text);
        }
    }
}
