//! What a file of variables holds, as Compose reads it: `NAME=VALUE` or `NAME: VALUE`, with quoted values that may have several
//! lines. Pure.
//!
//! Not here: what a value becomes when other variables are put into it. Those are known by themselves.

/// A variable of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable<'t> {
    pub(super) name: &'t str,
    /// As it stands in the file, without its quotes.
    pub(super) raw: &'t str,
    /// What a program is given.
    pub(super) value: String,
}

/// The variables in `text`. Where the quotes of a value do not end, Compose reads nothing; all that is left is the value then,
/// and what could be variables in it are told too.
pub(super) fn variables(text: &str) -> Vec<Variable<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(line) = rest.lines().next() {
        let split = line.split_once(['=', ':']);
        rest = match split.filter(|_| !line.starts_with('#')) {
            Some((name, _)) => {
                let written = rest.get(name.len() + 1..).unwrap_or_default();
                let (raw, value, behind) = value(written);
                let name = name.trim();
                let exported = name.strip_prefix("export");
                let exported = exported.filter(|rest| rest.starts_with(char::is_whitespace));
                let name = exported.map_or(name, str::trim_start);
                found.push(Variable { name, raw, value });
                behind
            }
            None => behind(rest, line),
        };
        rest = rest.trim_start();
    }
    found
}

/// The value that `written` begins with, as it stands there and as it is meant, and what comes behind it.
fn value(written: &str) -> (&str, String, &str) {
    let line = written.lines().next().unwrap_or_default();
    let bare = line.trim();
    let Some(quote) = bare
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first))
    else {
        let raw = bare.split(" #").next().unwrap_or_default().trim_end();
        return (raw, raw.replace("$$", "$"), behind(written, line));
    };
    let quoted = written.trim_start().strip_prefix(quote).unwrap_or_default();
    match end_of(quoted, quote) {
        Some(end) => {
            let (raw, behind) = quoted.split_at(end);
            (raw, meant(raw, quote), behind.get(1..).unwrap_or_default())
        }
        None => (quoted, meant(quoted, quote), behind(written, line)),
    }
}

fn behind<'t>(text: &'t str, line: &str) -> &'t str {
    text.get(line.len()..).unwrap_or_default()
}

/// Where the quotes end: the first of them without a backslash before it.
fn end_of(quoted: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    let mut all = quoted.char_indices();
    all.find_map(|(at, one)| {
        let is_end = one == quote && !is_escaped;
        is_escaped = one == '\\' && !is_escaped;
        is_end.then_some(at)
    })
}

/// A quoted value without its backslashes.
fn meant(raw: &str, quote: char) -> String {
    if quote == '\'' {
        return raw.replace("\\'", "'");
    }
    let mut meant = String::new();
    let mut all = raw.chars().peekable();
    while let Some(one) = all.next() {
        let escaped = all.next_if(|next| one == '\\' || (one == '$' && *next == '$'));
        match escaped {
            None => meant.push(one),
            Some('n') => meant.push('\n'),
            Some('r') => meant.push('\r'),
            Some('t') => meant.push('\t'),
            Some(same @ ('"' | '\\' | '$')) => meant.push(same),
            Some(other) => meant.extend([one, other]),
        }
    }
    meant
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_what_compose_makes_of_them() {
        let text = "\u{feff}# OLD=gone: no\n\nPLAIN=a b # c\r\nCOLON: x=y\nexport  OUT = un#quoted \\n$$\nbare\nEMPTY=\nexportED=1\n\
                    TWO='it\\'s\\n $$\n# two' NEXT=\"a\\\"b\\nc\\q$$ \\$\" # d\nLAST=\"open\nIN=it\n";
        let found = variables(text);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.name, it.raw, it.value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("PLAIN", "a b", "a b"),
                ("COLON", "x=y", "x=y"),
                ("OUT", "un#quoted \\n$$", "un#quoted \\n$"),
                ("EMPTY", "", ""),
                ("exportED", "1", "1"),
                ("TWO", "it\\'s\\n $$\n# two", "it's\\n $$\n# two"),
                ("NEXT", "a\\\"b\\nc\\q$$ \\$", "a\"b\nc\\q$ $"),
                ("LAST", "open\nIN=it\n", "open\nIN=it\n"),
                ("IN", "it", "it"),
            ]
        );
    }

    proptest! {
        #[test]
        fn a_quoted_value_of_any_text_is_found_and_what_comes_behind_it_too(value in "[a-z\"\\\\$# =:\n\u{e4}]{0,20}") {
            let written = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
            let text = format!("A=\"{written}\"\nB=b");
            let found = variables(&text);
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(&found[0].value, &value);
            prop_assert_eq!(&found[0].raw, &written);
            prop_assert_eq!((found[1].name, found[1].raw), ("B", "b"));
        }

        #[test]
        fn any_text_is_read_to_its_end(text in "[AB=:'\"\\\\#\n $\u{e4}]{0,40}") {
            variables(&text);
        }
    }
}
