use std::{fs, path::Path};

/// Plays each seed of a target back; returns how many there are.
fn replay(target: &str, check: fn(&[u8])) -> usize {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let seeds = fs::read_dir(seeds.join(target)).unwrap();
    seeds
        .map(|seed| check(&fs::read(seed.unwrap().path()).unwrap()))
        .count()
}

#[test]
fn what_holds_for_every_input_holds_for_the_seeds() {
    assert!(replay("inspect", super::inspect) > 0);
    assert!(replay("reference", super::reference) > 0);
    assert!(replay("pull", super::pull) > 0);
    assert!(replay("journal", super::journal) > 0);
}

#[test]
fn the_seeds_of_deploys_of_parts_are_journals() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/journal");
    for name in ["run", "gate", "back", "compose"] {
        let text = fs::read_to_string(seeds.join(format!("parts_{name}.json"))).unwrap();
        let read = crate::sequence::Sequence::from_journal(&text);
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}
