//! An engine behind a proxy that lets nobody remove anything.

use std::{
    io::{Read, Write, copy},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

use crate::{engine, host::Host, images::V2, scene::required};

const REFUSAL: &str = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\
                       Connection: close\r\n\r\n{\"message\": \"not by proxy\"}";

/// Starts the proxy; returns its address. It serves until the test's process ends.
fn forbidding_proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // Either side may break off.
            thread::spawn(move || pass(client).ok());
        }
    });
    address
}

/// A client writes the head of a request at once, so that each request begins a piece.
fn pass(mut client: TcpStream) -> std::io::Result<()> {
    let socket = required("DOCKER_HOST");
    let mut engine = UnixStream::connect(socket.trim_start_matches("unix://"))?;
    let (mut answers, mut to_client) = (engine.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        copy(&mut answers, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
    let mut piece = [0; 16 << 10];
    loop {
        let sent = match client.read(&mut piece)? {
            0 => return engine.shutdown(Shutdown::Both),
            length => &piece[..length],
        };
        if sent.starts_with(b"DELETE") {
            client.write_all(REFUSAL.as_bytes())?;
            client.shutdown(Shutdown::Both)?;
            return engine.shutdown(Shutdown::Both);
        }
        engine.write_all(sent)?;
    }
}

#[test]
fn an_old_container_that_the_engine_does_not_let_go_is_told_and_removed_by_the_next_start() {
    if !engine::is_own() {
        return;
    }
    let _served = engine::served();
    let host = Host::new("leftover".to_owned(), V2::Good);
    let (status, log) = host.once_by(&forbidding_proxy());
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("the old container is still there"), "{log}");
    assert_eq!(host.world().containers.len(), 2);
    let (status, log, _) = host.once();
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("which an earlier deploy had left"), "{log}");
    assert_eq!(host.truth("a leftover"), "succeeded");
}
