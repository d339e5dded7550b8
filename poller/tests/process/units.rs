//! The example units, as systemd itself reads them.

use std::path::Path;

use super::*;

/// What `systemd-analyze verify` says about the examples, with this line at the end of the drop-in; `None` where there is no
/// systemd.
fn verified(more: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let read = |name: &str| fs::read_to_string(examples.join(name)).unwrap();
    let place = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    // Programs and users that are on every machine.
    let here = |text: String| {
        text.replace("/usr/local/bin/towline", env!("CARGO_BIN_EXE_towline"))
            .replace("/home/pi/nutricount/serve", "/bin/true")
            .replace("User=pi", "User=root")
    };
    let units = ["towline.service", "nutricount.service", "nutricount.socket"];
    for unit in units {
        place(unit, here(read(unit)));
    }
    fs::create_dir(folder.path().join("towline.service.d")).unwrap();
    let drop_in = read("towline-commands.conf") + more;
    place("towline.service.d/commands.conf", drop_in);
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    let output = verify
        .args(units.map(|unit| folder.path().join(unit)))
        .output()
        .ok()?;
    let (status, said) = ended(output);
    Some(format!("{said}{}", if status == 0 { "" } else { "failed" }))
}

#[test]
fn systemd_has_nothing_to_say_against_the_example_units() {
    let Some(said) = verified("") else { return };
    assert_eq!(said, "");
    let mistaken = verified("KillMod=mixed\n").unwrap();
    assert!(
        mistaken.contains("commands.conf") && mistaken.contains("KillMod"),
        "{mistaken}"
    );
}
