//! Every host's file of the documentation is one that Towline takes.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use towline::settings::Settings;
use towline_tests::{
    guide::{blocks, hosts_file},
    place::root,
};

const RELAY: &str =
    "[relay]\nurl = \"https://relay.example\"\ntoken_file = \"/etc/towline/token\"\n";

fn pages() -> Result<Vec<String>> {
    let mut pages = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs/guides"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_page = Path::new(&name)
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("md"));
        if is_page {
            pages.push(format!("docs/guides/{name}"));
        }
    }
    Ok(pages)
}

#[test]
fn every_hosts_file_of_a_page_is_valid() -> Result<()> {
    let mut services = 0;
    for page in pages()? {
        let blocks = blocks(&page)?;
        let mut file = hosts_file(&blocks).replace("towline.YOUR-ACCOUNT.workers.dev", "r.example");
        if !file.contains("[service.") {
            continue;
        }
        if !file.contains("[relay]") {
            file = format!("{RELAY}{file}");
        }
        let settings = Settings::parse(&file, &page);
        ensure!(settings.is_ok(), "{page}: {:?}\n{file}", settings.err());
        services += settings.map_or(0, |settings| settings.services.len());
    }
    ensure!(services >= 6, "only {services} services were found");
    Ok(())
}

#[test]
fn no_page_but_has_its_test_or_says_of_each_command_why_not() -> Result<()> {
    let tests = include_str!("pages.rs");
    for page in pages()? {
        let runs = blocks(&page)?
            .into_iter()
            .find(|block| block.language == "sh" && block.is_run);
        let is_tested = tests.contains(&format!("{page:?}"));
        ensure!(
            runs.is_none() || is_tested,
            "{page}: line {:?} is run by no test",
            runs.map(|block| block.line)
        );
    }
    Ok(())
}
