//! Real ends of connections for tests: a TLS server of our own authority, and a proxy that connects further.

use std::{
    io::{BufRead, BufReader, Read, Write, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// What a server is spoken to over.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// An authority that only those know who are given its certificate, and a server that it vouches for.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) root: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// One that vouches for `host`.
    pub(crate) fn of(host: &str) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = rcgen::Issuer::new(params, key);
        let own = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&own, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Self {
            root,
            config: Arc::new(config),
        }
    }

    /// The server's side of a connection.
    pub(crate) fn serve(&self, stream: TcpStream) -> impl Stream + use<> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        StreamOwned::new(connection, stream)
    }
}

/// The head of a request or an answer, its last empty line included; nothing after it is read.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A proxy that leads to `target` whatever is asked for, or answers with `refusal`. Ends with the process.
pub(crate) struct ConnectProxy {
    pub(crate) port: u16,
    /// The head of each request.
    pub(crate) asked: Receiver<String>,
}

impl ConnectProxy {
    pub(crate) fn start(target: SocketAddr, refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = channel();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                thread::spawn(move || {
                    let mut reader = BufReader::with_capacity(1, client.try_clone().unwrap());
                    let mut asked = String::new();
                    while !asked.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut asked).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let _ = tell.send(asked);
                    match refusal {
                        Some(refusal) => {
                            let _ = (&client).write_all(refusal.as_bytes());
                        }
                        None => join(client, TcpStream::connect(target).unwrap()),
                    }
                });
            }
        });
        Self { port, asked }
    }
}

fn join(client: TcpStream, server: TcpStream) {
    (&client)
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .unwrap();
    let one_way = |mut from: TcpStream, mut to: TcpStream| {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || one_way(from, to));
    one_way(client, server);
}
