//! A registry of one image that is at fault in one way: a fake at the transport, for real engines to ask.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use towline_protocol::Digest;

use crate::scene::{MANIFEST, Scene, required};

const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A platform that no test runs on.
const ELSEWHERE: &str = "s390x";

/// What is wrong with the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Healed,
    /// Nothing listens there.
    Down,
    /// Whoever connects never hears a word.
    Silent,
    /// Every request for a manifest has this status, and this error code in its answer.
    Status(u16, &'static str),
    /// The connection ends in the middle of the layer.
    ShortLayer,
    /// The layer's last half never comes, and the connection stays.
    StuckLayer,
    /// The layer is another one of the same length.
    WrongLayer,
    /// The manifest is another one than its digest says.
    WrongManifest,
    /// The image says that it is for another platform.
    OtherPlatform,
    /// There are only images for other platforms to choose from.
    OnlyOtherPlatforms,
}

/// The registry; its thread ends with the test program.
pub(crate) struct Faulty {
    pub(crate) address: String,
    served: Arc<Served>,
}

struct Served {
    fault: Mutex<Fault>,
    layer_was_asked_for: AtomicBool,
    image: Image,
}

/// An image of one layer.
struct Image {
    /// What is served under any tag, and under its own digest.
    top: (&'static str, Vec<u8>),
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
    /// Whether the connection stays, silent, until the other side ends it.
    stays: bool,
}

impl Faulty {
    /// Starts it with a version of the scene's own, `v2-NAME`, whose layer no engine has from another test.
    pub(crate) fn start(fault: Fault, scene: &Scene) -> Self {
        let version = format!("v2-{}", scene.name);
        scene.push(&version, "ok", &[]);
        let served = Arc::new(Served {
            fault: Mutex::new(fault),
            layer_was_asked_for: AtomicBool::new(false),
            image: Image::copy(scene.name, &version).with(fault),
        });
        if fault == Fault::Down {
            let address = "127.0.0.1:1".to_owned();
            return Self { address, served };
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::clone(&served);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&shared);
                // An engine that breaks off is no business of the test.
                thread::spawn(move || served.serve(stream).ok());
            }
        });
        Self { address, served }
    }

    /// The digest that the image should have.
    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.served.image.top.1).parse().unwrap()
    }

    /// Takes the fault away, unless it is the image's own.
    pub(crate) fn heal(&self) {
        *self.served.fault.lock().unwrap() = Fault::Healed;
    }

    pub(crate) fn layer_was_asked_for(&self) -> bool {
        self.served.layer_was_asked_for.load(Ordering::SeqCst)
    }
}

impl Served {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let fault = *self.fault.lock().unwrap();
        if fault == Fault::Silent {
            return until_it_ends(stream);
        }
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
        let answer = self.answer(path, fault);
        write!(
            stream,
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             Docker-Content-Digest: {}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
            answer.status, answer.kind, answer.length, answer.digest
        )?;
        if method == "GET" {
            stream.write_all(&answer.body)?;
        }
        if answer.stays {
            return until_it_ends(stream);
        }
        Ok(())
    }

    fn answer(&self, path: &str, fault: Fault) -> Answer {
        let Image {
            top,
            manifest,
            config,
            layer,
        } = &self.image;
        if path == "/v2/" {
            return Answer::good("application/json", b"{}", b"{}");
        }
        if path.contains("/manifests/") {
            return match fault {
                Fault::Status(status, code) => Answer::error(status, code),
                Fault::WrongManifest => {
                    let other = [&top.1[..], b"\n"].concat();
                    Answer::good(top.0, &top.1, &other)
                }
                _ if path.ends_with(&sha256(manifest)) => {
                    Answer::good(MANIFEST, manifest, manifest)
                }
                _ => Answer::good(top.0, &top.1, &top.1),
            };
        }
        if path.ends_with(&sha256(config)) {
            return Answer::good("application/octet-stream", config, config);
        }
        if !path.ends_with(&sha256(layer)) {
            return Answer::error(404, "BLOB_UNKNOWN");
        }
        self.layer_was_asked_for.store(true, Ordering::SeqCst);
        let good = Answer::good("application/octet-stream", layer, layer);
        match fault {
            Fault::ShortLayer | Fault::StuckLayer => Answer {
                body: layer[..layer.len() / 2].to_vec(),
                stays: fault == Fault::StuckLayer,
                ..good
            },
            Fault::WrongLayer => Answer {
                body: layer.iter().map(|byte| !byte).collect(),
                ..good
            },
            _ => good,
        }
    }
}

impl Image {
    /// What the sandbox's registry has at `name:tag`.
    fn copy(name: &str, tag: &str) -> Self {
        let registry = required("TOWLINE_TEST_REGISTRY");
        let get = |path: &str| {
            let request = ureq::get(format!("http://{registry}/v2/{name}/{path}"));
            let mut answer = request.header("Accept", MANIFEST).call().unwrap();
            answer.body_mut().read_to_vec().unwrap()
        };
        let manifest = get(&format!("manifests/{tag}"));
        let parsed: Value = serde_json::from_slice(&manifest).unwrap();
        let blob = |digest: &Value| get(&format!("blobs/{}", digest.as_str().unwrap()));
        assert_eq!(parsed["layers"].as_array().unwrap().len(), 1);
        Self {
            config: blob(&parsed["config"]["digest"]),
            layer: blob(&parsed["layers"][0]["digest"]),
            top: (MANIFEST, manifest.clone()),
            manifest,
        }
    }

    /// The image with the faults that are its own.
    fn with(self, fault: Fault) -> Self {
        match fault {
            Fault::OtherPlatform => self.for_elsewhere(),
            Fault::OnlyOtherPlatforms => {
                let other = self.for_elsewhere();
                let list = json!({
                    "schemaVersion": 2, "mediaType": LIST,
                    "manifests": [{
                        "mediaType": MANIFEST, "size": other.manifest.len(), "digest": sha256(&other.manifest),
                        "platform": { "architecture": ELSEWHERE, "os": "linux" },
                    }],
                });
                Self {
                    top: (LIST, list.to_string().into_bytes()),
                    ..other
                }
            }
            _ => self,
        }
    }

    fn for_elsewhere(self) -> Self {
        let mut config: Value = serde_json::from_slice(&self.config).unwrap();
        config["architecture"] = json!(ELSEWHERE);
        let config = config.to_string().into_bytes();
        let mut manifest: Value = serde_json::from_slice(&self.manifest).unwrap();
        manifest["config"]["size"] = json!(config.len());
        manifest["config"]["digest"] = json!(sha256(&config));
        let manifest = manifest.to_string().into_bytes();
        Self {
            config,
            top: (MANIFEST, manifest.clone()),
            manifest,
            ..self
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
            stays: false,
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

fn until_it_ends(mut stream: TcpStream) -> std::io::Result<()> {
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}
