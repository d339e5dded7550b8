//! What the doorbell's frames travel over: the wire, TLS over it, through a proxy where there is one.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Instant,
};

use data_encoding::BASE64;
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::{head, wire::Wire};
use crate::{
    relay_client::RelayError,
    route::{self, Proxy, Route, Scheme},
};

/// A connection to the relay.
#[derive(Debug)]
pub(super) enum Link {
    /// In the clear: only to this very machine, or to a proxy.
    Plain(Wire),
    /// Over TLS.
    Tls(Box<StreamOwned<ClientConnection, Link>>),
}

impl Link {
    /// Connects by `route`; `connect` is the deadline of the TCP connection, `total` that of everything.
    pub(super) fn open(
        route: &Route,
        trust: &Arc<ClientConfig>,
        connect: Instant,
        total: Instant,
    ) -> Result<Self, RelayError> {
        let url = &route.url;
        let unreachable = |problem| RelayError::Unreachable {
            origin: url.to_string(),
            problem,
        };
        let trouble = |error: io::Error| unreachable(route::about(&error));
        let link = match &route.proxy {
            None => {
                let mut wire = Wire::connect(&url.host(), url.port(), connect).map_err(trouble)?;
                wire.wait_until(Some(total));
                Self::Plain(wire)
            }
            Some(proxy) => tunnel(proxy, &url.host(), url.port(), trust, connect, total)
                .map_err(|problem| unreachable(format!("the proxy {proxy} {problem}")))?,
        };
        if url.is_https() {
            link.over_tls(&url.host(), trust).map_err(trouble)
        } else {
            Ok(link)
        }
    }

    fn over_tls(self, host: &str, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::clone(trust), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, self);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The wire at the bottom.
    pub(super) fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => stream.sock.wire(),
        }
    }
}

/// A connection to `host` and `port` through `proxy`, or what the proxy did instead.
fn tunnel(
    proxy: &Proxy,
    host: &str,
    port: u16,
    trust: &Arc<ClientConfig>,
    connect: Instant,
    total: Instant,
) -> Result<Link, String> {
    let unreachable = |error: io::Error| format!("cannot be reached: {}", route::about(&error));
    let mut wire = Wire::connect(&proxy.host, proxy.port, connect).map_err(unreachable)?;
    wire.wait_until(Some(total));
    let mut link = Link::Plain(wire);
    if proxy.scheme == Scheme::Https {
        link = link.over_tls(&proxy.host, trust).map_err(unreachable)?;
    }
    let login = proxy
        .login
        .as_ref()
        .map_or(String::new(), |(user, password)| {
            let both = [user.expose(), b":", password.expose()].concat();
            format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(&both))
        });
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n");
    match head::exchange(&mut link, request.as_bytes()) {
        Ok(answer) if (200..300).contains(&answer.status) && answer.rest.is_empty() => Ok(link),
        Ok(answer) if (200..300).contains(&answer.status) => {
            Err("sends something of its own through the tunnel".to_owned())
        }
        Ok(answer) => Err(format!("does not connect: it answered {}", answer.status)),
        Err(problem) => Err(format!("does not connect: {problem}")),
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
