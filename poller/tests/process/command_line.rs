//! What the command line says and refuses, and that a token is all that is printed of it.

use super::*;

#[test]
fn help_is_0_and_a_wrong_call_is_2() {
    let status = |arguments: &[&str]| towline(arguments).output().unwrap().status.code();
    assert_eq!(
        [&["--help"], &["--version"]].map(|call| status(call)),
        [Some(0); 2]
    );
    for wrong in [
        &[][..],
        &["onc"],
        &["run", "--interval", "0s"],
        &["token", "--key", "secret"],
    ] {
        assert_eq!(status(wrong), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_state_directory_that_is_a_file_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.db");
    fs::write(&file, "").unwrap();
    let call = ["history", "--state-dir", file.to_str().unwrap()];
    let output = towline(&call).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it is a file, and no folder"), "{said}");
}

#[test]
fn help_says_what_each_exit_status_means() {
    let help = towline(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for meaning in [
        "1 could not do its work",
        "still waited for",
        "4 an operator",
    ] {
        assert!(help.contains(meaning), "{help}");
    }
}

#[test]
fn a_number_that_is_none_is_told_what_it_may_be() {
    let told = |call: &[&str]| {
        let output = towline(call).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{call:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let token = ["token", "--role", "host", "--name", "pi", "--channel", "*"];
    for number in ["x", "0", "-1", "1.5"] {
        let generation = format!("--gen={number}");
        let said = told(&[&token[..], &[generation.as_str()]].concat());
        assert!(
            said.contains("use a whole number, 1 for the first"),
            "{said}"
        );
        let said = told(&["history", &format!("--limit={number}")]);
        assert!(said.contains("use a whole number from 1 to 1000"), "{said}");
    }
}

#[test]
fn a_token_is_the_only_thing_on_standard_output_and_its_key_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), format!("{KEY}\n")).unwrap();
    let call = [
        "token",
        "--role",
        "operator",
        "--name",
        "night",
        "--channel",
        "*",
        "--gen",
        "3",
        "--key-file",
        "key",
    ];
    let output = towline(&call).current_dir(&dir).output().unwrap();
    let token = String::from_utf8(output.stdout).unwrap();
    let claims = towline_protocol::TokenKey::new(towline_protocol::Secret::new(KEY))
        .unwrap()
        .verify(token.strip_suffix('\n').unwrap())
        .unwrap();
    assert_eq!((claims.name.as_str(), claims.generation), ("night", 3));
    assert_eq!(output.stderr, b"");
    fs::write(dir.path().join("key"), "too short").unwrap();
    let (status, log) = ended(towline(&call).current_dir(&dir).output().unwrap());
    assert_eq!(status, 1);
    assert!(
        log.contains("at least 32 bytes") && !log.contains("too short"),
        "{log}"
    );
}
