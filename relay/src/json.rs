//! A stricter look at JSON text than a parser's: no key twice in one object, and no deep nesting.
//!
//! Two readers of a doubled key may each take another value, and only one of them is what was meant.
//! The check covers the whole document, the parts that nobody reads included. Nesting is bounded by
//! `serde_json`'s own limit: 127 levels pass, the 128th does not.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Checks `text` and keeps nothing of it.
///
/// # Errors
/// When it is not JSON, is nested more than 127 deep, or has a key twice in one object.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Checked>(text).map(|Checked| ())
}

/// Reads bytes as text first: each of `serde_json`'s ways in is a copy of all that it reads in the wasm, and the rest of the
/// relay reads text.
///
/// # Errors
/// When they are not UTF-8, or not what is expected.
pub fn of_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.iter().take(error.valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        de::Error::custom(format_args!("not UTF-8 at line {line}"))
    })?;
    serde_json::from_str(text)
}

struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Checked, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("key {key:?} appears twice")));
            }
            seen.insert(key);
            entries.next_value::<Checked>()?;
        }
        Ok(Checked)
    }
}

/// A key, borrowed from the text unless it is written with escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyText)
    }
}

struct KeyText;

impl<'de> Visitor<'de> for KeyText {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_documents_pass() {
        for good in [
            "{}",
            "null",
            "[1, -1, 1.5, true, \"x\", null]",
            r#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}"#,
        ] {
            check(good).unwrap();
        }
    }

    #[test]
    fn a_key_twice_is_refused_however_deep_and_however_written() {
        for bad in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": [{"y": {"a": 1, "b": 2, "a": 3}}]}"#,
            r#"{"a": 1, "\u0061": 2}"#,
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains("\"a\" appears twice"), "{error}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_even_where_nobody_reads() {
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(check(&deep).is_err());
        let levels = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
        assert!(check(&levels(127)).is_ok());
        assert!(check(&levels(128)).is_err());
    }

    proptest! {
        #[test]
        fn it_never_panics(text in "\\PC*") {
            let _ = check(&text);
        }
    }
}
