//! What was left undone without harm, for people: a few of them, and how many more.

/// How many are kept word for word.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Notes {
    told: Vec<String>,
    more: u64,
}

impl Notes {
    pub(super) fn add(&mut self, note: String) {
        if self.told.len() < MOST {
            self.told.push(note);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn told(mut self) -> Vec<String> {
        match self.more {
            0 => {}
            more => self.told.push(format!("and {more} more like these")),
        }
        self.told
    }
}
