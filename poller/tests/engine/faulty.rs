//! A registry of one image that is at fault in one way: a fake at the transport, for real engines to ask.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use towline_protocol::Digest;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What is wrong with the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing listens there.
    Down,
    /// Every request for a manifest has this status, and this error code in its answer.
    Status(u16, &'static str),
    /// The layer's last half never comes.
    ShortLayer,
    /// The layer is another one of the same length.
    WrongLayer,
    /// The manifest is another one than its digest says.
    WrongManifest,
}

/// The registry; its thread ends with the test program.
pub(crate) struct Faulty {
    pub(crate) address: String,
    image: Arc<Image>,
}

struct Image {
    fault: Fault,
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

/// What is sent, and how much is promised.
struct Answer {
    status: u16,
    kind: &'static str,
    digest: String,
    body: Vec<u8>,
    length: usize,
}

impl Faulty {
    /// Starts it; its image's layer is made of `name`, so that no engine has it from another test.
    pub(crate) fn start(fault: Fault, name: &str) -> Self {
        let image = Arc::new(Image::new(fault, name));
        let shared = Arc::clone(&image);
        if fault == Fault::Down {
            let address = "127.0.0.1:1".to_owned();
            return Self { address, image };
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let image = Arc::clone(&shared);
                // An engine that breaks off is no business of the test.
                thread::spawn(move || image.serve(stream).ok());
            }
        });
        Self { address, image }
    }

    /// The digest that the image should have.
    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.image.manifest).parse().unwrap()
    }
}

impl Image {
    fn new(fault: Fault, name: &str) -> Self {
        let layer = tar(name);
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Cmd": ["/nothing"] },
            "rootfs": { "type": "layers", "diff_ids": [sha256(&layer)] },
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(), "digest": sha256(&config),
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                "size": layer.len(), "digest": sha256(&layer),
            }],
        })
        .to_string()
        .into_bytes();
        Self {
            fault,
            manifest,
            config,
            layer,
        }
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).split(b'\n');
        // Engines try TLS first, which is no line of HTTP.
        let first = lines.next().transpose()?.unwrap_or_default();
        let first = String::from_utf8_lossy(&first).into_owned();
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if !matches!(method, "GET" | "HEAD") {
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
        while lines.next().transpose()?.is_some_and(|line| line != b"\r") {}
        let Answer {
            status,
            kind,
            digest,
            body,
            length,
        } = self.answer(path);
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Docker-Content-Digest: {digest}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n"
        )?;
        if method == "GET" {
            stream.write_all(&body)?;
        }
        Ok(())
    }

    fn answer(&self, path: &str) -> Answer {
        if path == "/v2/" {
            return Answer::good("application/json", b"{}", b"{}");
        }
        if path.contains("/manifests/") {
            return match self.fault {
                Fault::Status(status, code) => Answer::error(status, code),
                Fault::WrongManifest => {
                    let other = [&self.manifest[..], b"\n"].concat();
                    Answer::good(MANIFEST, &self.manifest, &other)
                }
                _ => Answer::good(MANIFEST, &self.manifest, &self.manifest),
            };
        }
        if path.ends_with(&sha256(&self.config)) {
            return Answer::good("application/octet-stream", &self.config, &self.config);
        }
        if !path.ends_with(&sha256(&self.layer)) {
            return Answer::error(404, "BLOB_UNKNOWN");
        }
        let layer = Answer::good("application/octet-stream", &self.layer, &self.layer);
        match self.fault {
            Fault::ShortLayer => Answer {
                body: self.layer[..self.layer.len() / 2].to_vec(),
                ..layer
            },
            Fault::WrongLayer => Answer {
                body: tar("another"),
                ..layer
            },
            _ => layer,
        }
    }
}

impl Answer {
    /// `body`, under the digest of `named`.
    fn good(kind: &'static str, named: &[u8], body: &[u8]) -> Self {
        Self {
            status: 200,
            kind,
            digest: sha256(named),
            body: body.to_vec(),
            length: body.len(),
        }
    }

    fn error(status: u16, code: &str) -> Self {
        let errors = json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] });
        let body = errors.to_string().into_bytes();
        Self {
            status,
            ..Self::good("application/json", &body, &body)
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// An archive of one file that is full of `word`.
fn tar(word: &str) -> Vec<u8> {
    const SIZE: usize = 64 * 512;
    let mut header = [0u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "word");
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{SIZE:011o}\0"));
    put(136, "00000000000\0");
    // The checksum counts its own field as spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let content = word.bytes().cycle().take(SIZE);
    let end = [0u8; 1024];
    header.into_iter().chain(content).chain(end).collect()
}
