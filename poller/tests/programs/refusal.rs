//! What is not run, and in which words.

use super::*;

async fn words(argv: &[&str], dir: &TempDir) -> String {
    let mut order = order(argv);
    order.dir = dir.path().to_owned();
    refused(&order).await.to_string()
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let dir = folder();
    let here = dir.path().display();
    assert_eq!(
        words(&["no-such-program"], &dir).await,
        "there is no program \"no-such-program\" in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    );
    assert_eq!(
        words(&["./deploy"], &dir).await,
        format!("there is no \"./deploy\" in {here}")
    );
    executable(&dir, "deploy", "#!/no/such/interpreter\n");
    assert_eq!(
        words(&["./deploy"], &dir).await,
        "the interpreter \"/no/such/interpreter\" that \"./deploy\" names in its first line is not there; install it, or \
         name another one"
    );
    executable(&dir, "deploy", "#!/usr/bin/env no-such-python\n");
    assert!(
        words(&["./deploy"], &dir)
            .await
            .starts_with("the interpreter \"no-such-python\" that")
    );
    assert_eq!(
        words(&["deploy"], &dir).await.split(" in ").next(),
        Some("there is no program \"deploy\"")
    );
}

#[tokio::test]
async fn what_cannot_be_executed_is_refused_and_no_shell_is_asked_to_guess() {
    let dir = folder();
    file(&dir, "plain", "#!/bin/sh\n");
    assert_eq!(
        words(&["./plain"], &dir).await,
        "\"./plain\" may not be executed by the user root (chmod +x?)".replace("root", &me())
    );
    let done = dir.path().join("done");
    executable(&dir, "guess", &format!("touch {}\n", done.display()));
    assert!(
        words(&["./guess"], &dir)
            .await
            .contains("first line begins with #!")
    );
    assert!(!done.exists());
    fs::create_dir(dir.path().join("folder")).unwrap();
    assert_eq!(
        words(&["./folder"], &dir).await,
        "\"./folder\" is a folder, not a program"
    );
}

#[tokio::test]
async fn a_script_as_windows_writes_it_is_told_as_that() {
    let dir = folder();
    executable(&dir, "deploy", "#!/bin/sh\r\necho hello\r\n");
    let said = words(&["./deploy"], &dir).await;
    for part in ["\"./deploy\" has CRLF line ends", "sed -i 's/\\r$//'"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn an_interpreter_of_its_own_folder_may_still_be_made() {
    let dir = folder();
    let python = dir.path().join("venv/python");
    let text = format!("#!{}\n", python.display());
    executable(&dir, "deploy", &text);
    let mut order = order(&["./deploy"]);
    order.dir = dir.path().to_owned();
    let begun = &mut |_: &Identity| Err("not yet".to_owned());
    let asked = process::run(&launcher(), &order, begun, &mut |_| ()).await;
    assert!(matches!(asked, Err(ProcessError::NotBegun(_))), "{asked:?}");
    let said = words(&["./deploy"], &dir).await;
    assert!(
        said.contains("names in its first line is not there"),
        "{said}"
    );
}

fn me() -> String {
    let id = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_user_or_folder_that_is_not_there_is_refused() {
    let mut order = order(&["true"]);
    order.user = Some("no-such-user".to_owned());
    assert_eq!(
        refused(&order).await.to_string(),
        "there is no user \"no-such-user\" on this host"
    );
    order.user = None;
    order.dir = "/no/such/folder".into();
    let said = refused(&order).await.to_string();
    assert!(
        said.starts_with("cannot go into the folder /no/such/folder, as the user "),
        "{said}"
    );
}

#[tokio::test]
async fn what_no_program_can_be_given_is_refused() {
    let dir = folder();
    for (argv, wanted) in [
        (&[][..], "no program is named"),
        (&[""], "no program is named"),
        (
            &["true", "a\0b"],
            "an argument holds a NUL, which no program can be given",
        ),
    ] {
        assert_eq!(words(argv, &dir).await, wanted);
    }
    for (name, wanted) in [
        ("A=B", "\"A=B\" is no name of a variable"),
        ("", "\"\" is no name of a variable"),
    ] {
        let mut order = order(&["true"]);
        order.env = vec![(name.to_owned(), "x".to_owned())];
        assert_eq!(refused(&order).await.to_string(), wanted);
    }
    let mut order = order(&["cat"]);
    order.stdin = Some(vec![b'x'; process::MAX_STDIN + 1]);
    assert!(refused(&order).await.to_string().contains("standard input"));
}

#[tokio::test]
async fn whoever_asks_by_hand_is_told_that_it_is_not_for_people() {
    let asked = std::process::Command::new(env!("CARGO_BIN_EXE_towline"))
        .arg("exec-step")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(asked.status.code(), Some(2));
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(said.contains("exec-step is for towline itself"), "{said}");
}
