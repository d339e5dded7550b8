//! Walks the parsed document and collects every mistake, where serde would stop at the first.
//!
//! A reader function returns `Err(Told)` when it has recorded a mistake, so that a wrong key is not told as a
//! missing one too.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{Spanned, de::DeTable, de::DeValue};

use super::{CaFile, Mistake, Place, Relay, Service, Settings, order, service, shared, values};

/// A mistake was recorded; there is no value.
pub(super) struct Told;

/// The document's text and the mistakes so far.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// The line that `span` begins on.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let file = self.file.to_owned();
        Place { file, line }
    }

    /// The host's file, as it was named on the command line.
    pub(super) fn file(&self) -> &str {
        self.file
    }

    fn in_order(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.place.line);
        self.mistakes
    }

    /// Records a mistake.
    pub(super) fn tell(
        &mut self,
        span: &Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Told {
        self.mistakes.push(Mistake {
            place: self.place(span),
            key: key.into(),
            message: message.into(),
        });
        Told
    }
}

/// A table of the document, its place, and which of its keys were asked for.
pub(super) struct Table<'a, 'i> {
    /// The dotted path to the table, empty for the document.
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'i>,
    asked: Vec<&'static str>,
}

/// A value that is there, and where.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> Found<T> {
    /// What `change` makes of it, at the same place.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        Found {
            value: change(self.value),
            span: self.span,
        }
    }
}

impl<'a, 'i> Table<'a, 'i> {
    fn new(path: String, span: Range<usize>, table: &'a DeTable<'i>) -> Self {
        let asked = Vec::new();
        Self {
            path,
            span,
            table,
            asked,
        }
    }

    /// `value` as a table at `path`.
    pub(super) fn at(
        path: String,
        value: &'a Spanned<DeValue<'i>>,
        reader: &mut Reader<'_>,
    ) -> Result<Self, Told> {
        if let DeValue::Table(table) = value.get_ref() {
            return Ok(Self::new(path, value.span(), table));
        }
        let message = format!("expected a table, found {}", described(value.get_ref()));
        Err(reader.tell(&value.span(), path, message))
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The dotted path of `key` in this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, if it is there.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// The value of `key` by `read`, which says what it expected when the value is not that.
    pub(super) fn get<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&'a DeValue<'i>) -> Result<T, String>,
    ) -> Result<Option<Found<T>>, Told> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        let span = raw.span();
        match read(raw.get_ref()) {
            Ok(value) => Ok(Some(Found { value, span })),
            Err(message) => Err(reader.tell(&span, self.path_of(key), message)),
        }
    }

    /// Records that `key` is missing.
    pub(super) fn missing(&self, reader: &mut Reader<'_>, key: &str, expected: &str) -> Told {
        reader.tell(
            &self.span,
            self.path_of(key),
            format!("is missing: {expected}"),
        )
    }

    /// The value of `key` by `read`; without the key, a mistake.
    pub(super) fn require<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a DeValue<'i>) -> Result<T, String>,
    ) -> Result<Found<T>, Told> {
        self.get(reader, key, read)?
            .ok_or_else(|| self.missing(reader, key, expected))
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the value of `key` stands; without the key, where the table begins.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        let value = self.table.get(key);
        value.map_or(self.span.clone(), Spanned::span)
    }

    /// What is in this table, by name.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'a str, Range<usize>, &'a Spanned<DeValue<'i>>)> {
        self.table
            .iter()
            .map(|(key, value)| (&**key.get_ref(), key.span(), value))
    }

    /// Refuses every key that nobody asked for; `later` are keys that this version does not support yet.
    pub(super) fn finish(self, reader: &mut Reader<'_>, later: &[&str]) {
        for (key, span, _) in self.entries() {
            if self.asked.contains(&key) {
                continue;
            }
            let message = if later.contains(&key) {
                "is not supported by this version of towline".to_owned()
            } else {
                unknown(key, &self.asked)
            };
            reader.tell(&span, self.path_of(key), message);
        }
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    match near(key, known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => format!("unknown key; expected one of: {}", known.join(", ")),
    }
}

/// The one of the `known` names that `name` may have been meant for.
pub(super) fn near<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    let near = known.iter().copied().min_by_key(distance);
    // Of a short name too little is left when two letters are others.
    near.filter(|near| distance(near) <= 2 && distance(near) * 3 <= name.chars().count() + 1)
}

/// What a value is, for people.
pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", values::cut(text)),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            format!("a value of type {}", value.type_str())
        }
    }
}

/// So many syntax errors are told one by one.
const BROKEN_MOST: usize = 3;

/// The first of the syntax errors: one bracket that is not closed makes an error of every line after it.
fn broken(mut reader: Reader<'_>, errors: &[toml::de::Error]) -> Vec<Mistake> {
    for error in errors {
        let span = error.span().unwrap_or_default();
        reader.tell(&span, "", format!("not valid TOML: {}", error.message()));
    }
    let mut told = reader.in_order();
    let more = told.len().saturating_sub(BROKEN_MOST);
    told.truncate(BROKEN_MOST);
    if let Some(last) = told.last_mut()
        && more > 0
    {
        last.message += &format!(" ({more} more, which may follow from these)");
    }
    told
}

/// Reads the whole document.
pub(super) fn settings(text: &str, file: &str) -> Result<Settings, Vec<Mistake>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        file,
        text,
        mistakes: Vec::new(),
    };
    if !errors.is_empty() {
        return Err(broken(reader, &errors));
    }
    let mut root = Table::new(String::new(), document.span(), document.get_ref());
    let relay = relay(&mut root, &mut reader);
    let services = services(&mut root, &mut reader);
    let registry_auth_file = root.get(&mut reader, "registry_auth_file", values::path);
    root.finish(&mut reader, &[]);
    match (relay, services, registry_auth_file) {
        (Ok(relay), Ok(services), Ok(logins)) if reader.mistakes.is_empty() => Ok(Settings {
            relay,
            services,
            registry_auth_file: logins.map(|found| beside(file, found.value)),
        }),
        _ => Err(reader.in_order()),
    }
}

/// A path of the host's file, which begins at the file's folder unless it is absolute.
fn beside(file: &str, path: PathBuf) -> PathBuf {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    folder.join(path)
}

fn relay(root: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Relay, Told> {
    let Some(raw) = root.raw("relay") else {
        return Err(root.missing(
            reader,
            "relay",
            "say where the relay is: [relay] url = \"https://...\"",
        ));
    };
    let mut table = Table::at("relay".to_owned(), raw, reader)?;
    let url = table.require(
        reader,
        "url",
        "the relay's address, https://...",
        values::relay_url,
    );
    let token_file = table.get(reader, "token_file", values::path);
    let ca_file = table.get(reader, "ca_file", values::path);
    let doorbell = table.get(reader, "doorbell", values::boolean);
    table.finish(reader, &[]);
    Ok(Relay {
        url: url?.value,
        token_file: token_file?.map(|found| beside(reader.file(), found.value)),
        ca_file: ca_file?.map(|found| CaFile {
            path: beside(reader.file(), found.value),
            place: reader.place(&found.span),
        }),
        doorbell: doorbell?.is_none_or(|found| found.value),
    })
}

fn services(root: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Vec<Service>, Told> {
    let Some(raw) = root.raw("service") else {
        return Err(root.missing(reader, "service", "describe at least one, [service.NAME]"));
    };
    let table = Table::at("service".to_owned(), raw, reader)?;
    let mut services = Vec::new();
    let (mut spans, mut afters, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (name, span, value) in table.entries() {
        names.push(name);
        if let Ok(service) = service::service(name, &span, value, reader) {
            services.push(service);
            let after = value.get_ref().get("after");
            afters.push(after.map_or(span.clone(), Spanned::span));
            spans.push(span);
        }
    }
    order::refuse_disorder(&services, &names, &afters, reader);
    shared::refuse_shared(&services, &spans, reader);
    shared::refuse_too_many_channels(&services, table.span(), reader);
    Ok(services)
}
