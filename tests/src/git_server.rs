//! A git server on loopback: real repositories behind git's own `http-backend`, and Git LFS's objects beside them.
//!
//! What it does wrong can be switched while it runs: hang, hang up, refuse, ask for a login.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// How it behaves to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Serves,
    /// Says nothing for as long as it lives.
    Hangs,
    /// Ends each connection without an answer.
    HangsUp,
    /// Answers with this status alone.
    Answers(u16),
    /// Wants this login, `USER:PASSWORD`.
    Wants(String),
}

/// A running server. Dropping it ends it.
pub struct GitServer {
    /// Where it listens, without a slash at the end.
    pub url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    /// How it behaves, and in requests for which paths: those that hold this.
    mood: Mutex<(String, Mood)>,
    /// The `Authorization` of each request.
    logins: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl GitServer {
    /// Serves the bare repositories below `root`, and objects of Git LFS that lie in `NAME.git/lfs/objects` as git-lfs keeps them.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(root: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            mood: Mutex::new((String::new(), Mood::Serves)),
            logins: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(Ordering::SeqCst) {
                    break;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || drop(serving.serve(&stream)));
            }
        });
        Ok(Self {
            url: format!("http://{address}"),
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Changes how it behaves from the next request on.
    pub fn set(&self, mood: Mood) {
        self.set_for("", mood);
    }

    /// The same where a path holds `part`; everything else is served as it should be.
    pub fn set_for(&self, part: &str, mood: Mood) {
        *lock(&self.shared.mood) = (part.to_owned(), mood);
    }

    /// The `Authorization` of each request so far, empty where there was none.
    pub fn logins(&self) -> Vec<String> {
        lock(&self.shared.logins).clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Its listener waits for one more caller.
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

/// One request.
struct Asked {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let asked = read(stream)?;
        lock(&self.logins).push(asked.header("authorization").to_owned());
        let (part, mood) = lock(&self.mood).clone();
        let mood = if asked.path.contains(&part) {
            mood
        } else {
            Mood::Serves
        };
        match mood {
            Mood::Serves => self.answer(&asked, stream),
            Mood::Hangs => {
                while !self.ended.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            Mood::HangsUp => Ok(()),
            Mood::Answers(status) => reply(stream, status, "", b""),
            Mood::Wants(login) => {
                let right = format!("Basic {}", BASE64.encode(login.as_bytes()));
                if asked.header("authorization") == right {
                    self.answer(&asked, stream)
                } else {
                    let wants = "WWW-Authenticate: Basic realm=\"git\"\r\n";
                    reply(stream, 401, wants, b"")
                }
            }
        }
    }

    fn answer(&self, asked: &Asked, stream: &TcpStream) -> Result<()> {
        if let Some((repository, object)) = asked.path.split_once("/info/lfs/objects/") {
            let lfs = self
                .root
                .join(repository.trim_start_matches('/'))
                .join("lfs/objects");
            return match object {
                "batch" => batch(asked, stream, &lfs, repository),
                object => match fs::read(object_file(&lfs, object)) {
                    Ok(bytes) => reply(stream, 200, "", &bytes),
                    Err(_) => reply(stream, 404, "", b""),
                },
            };
        }
        let said = self.backend(asked)?;
        let end = said.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = said.split_at(end.context("http-backend said no headers")?);
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
        let status = status.and_then(|status| status.get(..3)?.parse().ok());
        let headers: String = head
            .lines()
            .filter(|line| !line.starts_with("Status:"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        reply(
            stream,
            status.unwrap_or(200),
            &headers,
            body.get(4..).unwrap_or_default(),
        )
    }

    /// Git's own CGI program.
    fn backend(&self, asked: &Asked) -> Result<Vec<u8>> {
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &asked.method)
            .env("PATH_INFO", &asked.path)
            .env("QUERY_STRING", &asked.query)
            .env("CONTENT_TYPE", asked.header("content-type"))
            .env("CONTENT_LENGTH", asked.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", asked.header("content-encoding"))
            .env("GIT_PROTOCOL", asked.header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let body = asked.body.clone();
        let writer = thread::spawn(move || stdin.write_all(&body));
        let output = child.wait_with_output()?;
        // It may end without having read all.
        let _ = writer.join();
        Ok(output.stdout)
    }
}

/// Git LFS's batch API: where each object is.
fn batch(asked: &Asked, stream: &TcpStream, lfs: &Path, repository: &str) -> Result<()> {
    let wanted: Value = serde_json::from_slice(&asked.body)?;
    let objects = wanted["objects"].as_array().cloned().unwrap_or_default();
    let host = asked.header("host");
    let objects = objects.into_iter().map(|object| {
        let oid = object["oid"].as_str().unwrap_or_default();
        let (oid, size) = (oid.to_owned(), object["size"].clone());
        if object_file(lfs, &oid).is_file() {
            let href = format!("http://{host}{repository}/info/lfs/objects/{oid}");
            json!({ "oid": oid, "size": size, "actions": { "download": { "href": href } } })
        } else {
            json!({ "oid": oid, "size": size, "error": { "code": 404, "message": "no such object" } })
        }
    });
    let answer = json!({ "transfer": "basic", "objects": objects.collect::<Vec<_>>() });
    let kind = "Content-Type: application/vnd.git-lfs+json\r\n";
    reply(stream, 200, kind, answer.to_string().as_bytes())
}

fn object_file(lfs: &Path, oid: &str) -> PathBuf {
    let part = |range| oid.get(range).unwrap_or_default();
    lfs.join(part(0..2)).join(part(2..4)).join(oid)
}

fn reply(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) -> Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    Ok(())
}

fn read(stream: &TcpStream) -> Result<Asked> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the head is cut off");
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    if headers.contains_key("expect") {
        write!(&mut &*stream, "HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|its| its == "chunked");
    let body = if chunked {
        chunks(&mut reader)?
    } else {
        let length = headers
            .get("content-length")
            .map_or(Ok(0), |its| its.parse())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        body
    };
    Ok(Asked {
        method,
        path,
        query,
        headers,
        body,
    })
}

fn chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16)?;
        reader.by_ref().take(length).read_to_end(&mut body)?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
