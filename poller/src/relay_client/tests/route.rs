//! Over TLS and through proxies, with real ones on loopback.

use std::{io::Write, net::TcpListener, thread};

use super::super::*;
use crate::{
    route::{Proxy, Scheme},
    testing::net::{Authority, ConnectProxy, head},
};

/// A relay behind TLS for `host` that answers each poll with nothing new, and how it is reached.
fn serve_tls(host: &str) -> (Route, Authority, std::net::SocketAddr) {
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
    let serving = authority.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = serving.serve(stream);
            if head(&mut stream).is_empty() {
                continue;
            }
            let body = r#"{"channels":{}}"#;
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    (route, authority, address)
}

fn ask(route: &Route) -> Result<Option<Answer>, RelayError> {
    let client = RelayClient::new(route, &Secret::new("tl1.e30.hunter2"), Deadlines::default())?;
    client.intents(&["octo-org/web@7.3".parse().unwrap()], false, None)
}

fn proxy(port: u16) -> Proxy {
    Proxy {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
        login: Some((Secret::new("octo cat"), Secret::new("hunter:2"))),
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_told_and_never_gone_past() {
    let (straight, ..) = serve_tls("localhost");
    ask(&straight).unwrap();
    let login = Some((Secret::new("octo cat"), Secret::new([0xff, 0xfe])));
    let told = [
        (Proxy { login, ..proxy(1) }, "is no text"),
        (
            Proxy {
                host: "not a host".to_owned(),
                ..proxy(1)
            },
            "cannot be used",
        ),
    ];
    for (proxy, wanted) in told {
        let route = Route {
            proxy: Some(proxy),
            ..straight.clone()
        };
        let error = ask(&route).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(!error.to_string().contains("octo cat"), "{error}");
    }
    let nobody = Route {
        proxy: Some(proxy(1)),
        ..straight
    };
    let error = ask(&nobody).unwrap_err().to_string();
    assert!(
        error.contains("through the proxy http://127.0.0.1:1: "),
        "{error}"
    );
}

#[test]
fn a_relay_of_an_authority_of_ones_own_is_trusted_when_the_file_names_it_and_else_not() {
    let (route, ..) = serve_tls("localhost");
    ask(&route).unwrap().unwrap();
    let unknown = Route::direct(route.url.clone());
    let told = ask(&unknown).unwrap_err().to_string();
    assert!(
        told.contains("UnknownIssuer") && told.contains("ca_file"),
        "{told}"
    );
    let (other, ..) = serve_tls("localhost");
    let wrong = Route {
        roots: other.roots,
        ..route
    };
    assert!(ask(&wrong).is_err());
}

#[test]
fn a_proxy_connects_further_and_hears_the_login_but_neither_token_nor_question() {
    let (mut route, _, address) = serve_tls("relay.octo-org.example");
    let through = ConnectProxy::start(address, None);
    route.proxy = Some(proxy(through.port));
    ask(&route).unwrap().unwrap();
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

#[test]
fn a_proxy_that_refuses_is_told_as_the_proxy_and_its_password_is_not() {
    let (mut route, _, address) = serve_tls("relay.octo-org.example");
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    route.proxy = Some(proxy(ConnectProxy::start(address, Some(refusal)).port));
    let error = ask(&route).unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(told.contains("407") && told.contains("proxy"), "{told}");
    assert!(
        !told.contains("hunter") && !told.contains("aHVudGVyOjI"),
        "{told}"
    );
}
