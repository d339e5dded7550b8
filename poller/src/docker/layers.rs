//! How far a pull is, by what the engine tells of each layer. Pure.

use std::{collections::BTreeMap, fmt};

/// How far a pull is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers(BTreeMap<String, Layer>);

/// One layer: what is here of it, in bytes, as far as the engine has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layer {
    loaded: u64,
    size: u64,
    done: bool,
}

impl Layers {
    /// Takes in one item of the pull's stream: the layer's short id, what it says of it, and the numbers beside it.
    /// Returns whether that says anything new.
    pub fn note(
        &mut self,
        id: Option<&str>,
        status: Option<&str>,
        current: Option<i64>,
        total: Option<i64>,
    ) -> bool {
        let (Some(id), Some(status)) = (id, status) else {
            return false;
        };
        let bytes = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let before = self.0.get(id).copied();
        let mut layer = before.unwrap_or_default();
        match status {
            "Pulling fs layer" | "Waiting" => {}
            "Downloading" => {
                layer.loaded = bytes(current).unwrap_or(layer.loaded);
                layer.size = bytes(total).unwrap_or(layer.size).max(layer.loaded);
            }
            // The numbers beside these are of another thing: what is unpacked.
            "Verifying Checksum" | "Download complete" | "Extracting" => layer.loaded = layer.size,
            "Pull complete" | "Already exists" => {
                layer.loaded = layer.size;
                layer.done = true;
            }
            other if other.starts_with("Retrying in") => layer.loaded = 0,
            // The repository, the digest, and what else engines say.
            _ => return false,
        }
        self.0.insert(id.to_owned(), layer);
        before != Some(layer)
    }

    /// How many layers there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them are unpacked.
    pub fn done(&self) -> usize {
        self.0.values().filter(|layer| layer.done).count()
    }

    /// How much is here, in bytes.
    pub fn loaded(&self) -> u64 {
        let all = self.0.values().map(|layer| layer.loaded);
        all.fold(0, u64::saturating_add)
    }

    /// How much there is, in bytes, as far as it is known: a layer that has not begun counts as nothing.
    pub fn size(&self) -> u64 {
        let all = self.0.values().map(|layer| layer.size);
        all.fold(0, u64::saturating_add)
    }
}

impl Layers {
    /// What has come, for people: how many layers, and how much of them had to be loaded.
    pub fn sum(&self) -> String {
        let word = if self.count() == 1 { "layer" } else { "layers" };
        format!("{} {word}, {:.1} MB", self.count(), mb(self.loaded()))
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} layers", self.done(), self.count())?;
        match self.size() {
            0 => Ok(()),
            size => write!(f, ", {:.1}/{:.1} MB", mb(self.loaded()), mb(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(items: &[(&str, &str, i64, i64)]) -> Layers {
        let mut layers = Layers::default();
        for (id, status, current, total) in items {
            layers.note(Some(id), Some(status), Some(*current), Some(*total));
        }
        layers
    }

    #[test]
    fn layers_add_up_while_they_are_loaded_and_unpacked() {
        let begun = [
            ("sha256:ab", "Pulling from web", 0, 0),
            ("aaa", "Pulling fs layer", 0, 0),
            ("bbb", "Pulling fs layer", 0, 0),
            ("ccc", "Already exists", 0, 0),
            ("aaa", "Downloading", 500_000, 2_000_000),
            ("bbb", "Downloading", 1_000_000, 1_000_000),
        ];
        assert_eq!(after(&begun).to_string(), "1/3 layers, 1.5/3.0 MB");
        let more = [
            ("aaa", "Download complete", 0, 0),
            ("aaa", "Extracting", 7, 2_000_000),
            ("bbb", "Pull complete", 0, 0),
        ];
        let layers = after(&[&begun[..], &more].concat());
        assert_eq!(layers.to_string(), "2/3 layers, 3.0/3.0 MB");
    }

    #[test]
    fn what_is_retried_begins_anew_and_an_unknown_word_says_nothing() {
        let retried = after(&[
            ("aaa", "Downloading", 5, 10),
            ("aaa", "Retrying in 5 seconds", 0, 0),
        ]);
        assert_eq!((retried.loaded(), retried.size()), (0, 10));
        let mut layers = retried.clone();
        assert!(!layers.note(Some("aaa"), Some("Thinking"), Some(9), Some(9)));
        assert!(!layers.note(None, Some("Downloading"), Some(9), Some(9)));
        assert!(!layers.note(Some("aaa"), Some("Waiting"), None, None));
        assert_eq!(layers, retried);
    }

    proptest! {
        #[test]
        fn no_more_is_here_than_there_is(items in proptest::collection::vec(
            ("[a-c]", proptest::sample::select(vec!["Downloading", "Waiting", "Extracting", "Pull complete", "Retrying in 1 second"]),
             any::<Option<i64>>(), any::<Option<i64>>()), 0..30)) {
            let mut layers = Layers::default();
            for (id, status, current, total) in &items {
                layers.note(Some(id), Some(status), *current, *total);
                prop_assert!(layers.loaded() <= layers.size() && layers.done() <= layers.count());
            }
        }
    }
}
