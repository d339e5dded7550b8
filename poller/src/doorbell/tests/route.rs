//! Over TLS and through a proxy, with real ones on loopback.

use std::net::SocketAddr;

use super::*;
use crate::{
    route::{Proxy, Scheme},
    testing::net::{Authority, ConnectProxy},
};

/// A relay behind TLS for `host` that rings once, and how it is reached.
fn relay_over_tls(host: &str) -> (Route, SocketAddr) {
    let authority = Authority::of(host);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let route = Route {
        roots: vec![authority.root.clone()],
        ..Route::direct(
            format!("https://{host}:{}", address.port())
                .parse()
                .unwrap(),
        )
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(mut hub) = tungstenite::accept(authority.serve(stream)) else {
                continue;
            };
            let text = serde_json::to_string(&ring(4)).unwrap();
            let _ = hub.send(Message::text(text));
            thread::spawn(move || while hub.read().is_ok() {});
        }
    });
    (route, address)
}

#[tokio::test]
async fn a_relay_of_an_authority_of_ones_own_is_trusted_when_the_file_names_it_and_else_not() {
    let (route, _) = relay_over_tls("localhost");
    let unknown = Route::direct(route.url.clone());
    let mut bell = start(route, timing());
    connected(&mut bell).await;
    assert_eq!(rung(&mut bell, 1).await, [4]);
    let told = lost(&mut start(unknown, timing())).await.to_string();
    assert!(
        told.contains("UnknownIssuer") && told.contains("ca_file"),
        "{told}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_taken() {
    let (route, address) = relay_over_tls("relay.octo-org.example");
    let other = Route {
        url: format!("https://localhost:{}", address.port())
            .parse()
            .unwrap(),
        ..route
    };
    let told = lost(&mut start(other, timing())).await.to_string();
    assert!(told.contains("not valid for name"), "{told}");
}

fn proxy(port: u16) -> Option<Proxy> {
    Some(Proxy {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
        login: Some((Secret::new("octo cat"), Secret::new("hunter:2"))),
    })
}

#[tokio::test]
async fn a_proxy_connects_further_and_hears_the_login_but_not_the_token() {
    let (mut route, address) = relay_over_tls("relay.octo-org.example");
    let through = ConnectProxy::start(address, None);
    route.proxy = proxy(through.port);
    let mut bell = start(route, timing());
    connected(&mut bell).await;
    assert_eq!(rung(&mut bell, 1).await, [4]);
    let asked = through.asked.recv().unwrap();
    let port = address.port();
    assert!(
        asked.starts_with(&format!(
            "CONNECT relay.octo-org.example:{port} HTTP/1.1\r\n"
        )),
        "{asked}"
    );
    assert!(
        asked.contains("Proxy-Authorization: Basic b2N0byBjYXQ6aHVudGVyOjI=\r\n"),
        "{asked}"
    );
    assert!(!asked.contains("hunter2"), "{asked}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_as_the_proxy_and_its_password_is_not() {
    let (mut route, address) = relay_over_tls("relay.octo-org.example");
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let through = ConnectProxy::start(address, Some(refusal));
    route.proxy = proxy(through.port);
    let why = lost(&mut start(route, timing())).await;
    let told = format!("{why} {why:?}");
    let wanted = format!(
        "the proxy http://127.0.0.1:{} does not connect",
        through.port
    );
    assert!(told.contains(&wanted) && told.contains("407"), "{told}");
    assert!(
        !told.contains("hunter") && !told.contains("aHVudGVyOjI"),
        "{told}"
    );
}
