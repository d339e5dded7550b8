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
