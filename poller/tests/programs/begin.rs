//! That a program has run only if `begun` said so before.

use super::*;

fn touching(dir: &TempDir) -> (Order, PathBuf) {
    let path = dir.path().join("ran");
    let order = order(&["touch", path.to_str().unwrap()]);
    (order, path)
}

async fn run(
    order: &Order,
    mut begun: impl FnMut(&Identity) -> Result<(), String>,
) -> Result<Ended, ProcessError> {
    process::run(&launcher(), order, &mut begun, &mut |_| ()).await
}

#[tokio::test]
async fn it_is_on_record_before_it_goes_and_is_the_process_that_was_recorded() {
    let dir = folder();
    let path = dir.path().join("pid");
    let order = script(&format!("echo $$ > {}", path.display()));
    let mut recorded = None;
    let ended = run(&order, |identity| {
        assert!(!path.exists());
        recorded = Some(identity.pid);
        Ok(())
    });
    assert_eq!(ended.await.unwrap().how, How::Exited(0));
    assert_eq!(numbers(&path), [u32::try_from(recorded.unwrap()).unwrap()]);
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_run() {
    let dir = folder();
    let (order, path) = touching(&dir);
    let mut pid = 0;
    let error = run(&order, |identity| {
        pid = identity.pid;
        Err("the disk is full".to_owned())
    });
    let error = error.await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.has_run()),
        ("the disk is full", false)
    );
    let pid = u32::try_from(pid).unwrap();
    until("it is gone", || !lives(pid));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_binary_that_cannot_be_started_or_is_another_one_is_an_error_in_words() {
    let order = order(&["true"]);
    let missing = Launcher("/no/such/towline".into());
    let error = process::run(&missing, &order, &mut |_| Ok(()), &mut |_| ()).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("cannot start a process: ")
    );
    let other = Launcher("/bin/true".into());
    let error = process::run(&other, &order, &mut |_| Ok(()), &mut |_| ()).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the process that was to become true has ended; it has not run"
    );
}

#[tokio::test]
async fn what_can_be_known_before_is_refused_with_nothing_on_record() {
    let dir = folder();
    file(&dir, "plain", "");
    executable(&dir, "nobodys", "#!/no/such/interpreter\n");
    executable(&dir, "windows", "#!/bin/sh\r\n");
    executable(&dir, "guess", "echo hello\n");
    for program in [
        "no-such-program",
        "./plain",
        "./none",
        "/",
        "./nobodys",
        "./windows",
        "./guess",
    ] {
        let mut order = order(&[program]);
        order.dir = dir.path().to_owned();
        let error = run(&order, |_| panic!("{program} was put on record")).await;
        let error = error.unwrap_err();
        assert!(matches!(error, ProcessError::Refused(_)), "{error}");
    }
}
