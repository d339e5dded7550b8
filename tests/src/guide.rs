//! The code blocks of a page of the documentation, so that a test can do what the page says.
//!
//! A block that cannot be run says why in a comment on the line before it: `<!-- not run: WHY -->`. Not here: what a page
//! needs around it, the doing.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::place::root;

/// A block between two fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the first fence: `sh`, `toml`, `yaml`.
    pub language: String,
    /// The line of the first fence, from 1.
    pub line: usize,
    /// What is between the fences, without what they are indented by.
    pub text: String,
    /// Whether it is meant to be run; else a comment before it says why not.
    pub is_run: bool,
}

/// The blocks of the page at `path`, below the project's folder, in order.
///
/// # Errors
/// When it cannot be read, or a block has no end.
pub fn blocks(path: &str) -> Result<Vec<Block>> {
    let page = fs::read_to_string(root().join(path)).with_context(|| path.to_owned())?;
    of(&page).with_context(|| path.to_owned())
}

fn of(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(page.lines());
    let mut before = "";
    while let Some((line, text)) = lines.next() {
        if let Some(language) = text.trim_start().strip_prefix("```") {
            let indent = text.len() - text.trim_start().len();
            let inside: Vec<_> = lines
                .by_ref()
                .map(|(_, text)| text.get(indent..).unwrap_or_default())
                .take_while(|text| !text.starts_with("```"))
                .collect();
            ensure!(
                page.lines().count() > line + inside.len(),
                "the block of line {line} has no end"
            );
            blocks.push(Block {
                language: language.to_owned(),
                line,
                text: inside.join("\n") + "\n",
                is_run: !before.trim_start().starts_with("<!-- not run: "),
            });
        }
        before = text;
    }
    Ok(blocks)
}

/// The host's file that the `toml` blocks of a page make, those of the relay's `[vars]` left out: a table that a later one has
/// as well is the later one's.
pub fn hosts_file<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> String {
    let mut tables: Vec<(String, String)> = Vec::new();
    let is_hosts = |block: &&Block| block.language == "toml" && !block.text.contains("[vars");
    for block in blocks.into_iter().filter(is_hosts) {
        let known: Vec<_> = tables.iter().map(|(name, _)| name.clone()).collect();
        for (name, text) in tables_of(&block.text) {
            match tables.iter_mut().find(|(other, _)| *other == name) {
                Some(table) if known.contains(&name) => table.1 = text,
                Some(_) | None => tables.push((name, text)),
            }
        }
    }
    tables.into_iter().map(|(_, text)| text).collect()
}

/// The tables of a file, by their headings; what is before the first has none.
fn tables_of(text: &str) -> Vec<(String, String)> {
    let mut tables: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let heading = line.split('#').next().unwrap_or_default().trim();
        if heading.starts_with('[') || tables.is_empty() {
            let name = if heading.starts_with('[') {
                heading
            } else {
                ""
            };
            tables.push((name.to_owned(), String::new()));
        }
        if let Some((_, table)) = tables.last_mut() {
            table.push_str(line);
            table.push('\n');
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_place_and_without_their_indent() -> Result<()> {
        let page = "# Page\n\n<!-- not run: needs a host -->\n```sh\nls\n```\n\n1. So:\n\n   ```toml\n   [a]\n     b = 1\n   ```\n";
        let blocks = of(page)?;
        let seen: Vec<_> = blocks
            .iter()
            .map(|block| (&*block.language, block.line, &*block.text, block.is_run))
            .collect();
        let wanted = [
            ("sh", 4, "ls\n", false),
            ("toml", 10, "[a]\n  b = 1\n", true),
        ];
        assert_eq!(seen, wanted);
        assert!(of("```sh\nls\n").is_err(), "a block without an end");
        Ok(())
    }

    #[test]
    fn a_later_block_replaces_the_tables_that_it_has_again() -> Result<()> {
        let page = "```toml\n[a]\nx = 1\n[[a.b]]\ny = 1\n[[a.b]]\ny = 2\n[a.c]\nz = 1\n```\n```toml\n[a.c]   # now\nz = 2\n```\n";
        let wanted = "[a]\nx = 1\n[[a.b]]\ny = 1\n[[a.b]]\ny = 2\n[a.c]   # now\nz = 2\n";
        assert_eq!(hosts_file(&of(page)?), wanted);
        Ok(())
    }
}
