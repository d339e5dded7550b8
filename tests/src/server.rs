//! Plain HTTP/1.1 on loopback for stand-ins of other people's services: one request a connection.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::Value;

/// What was asked; bodies are not read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// `Authorization`.
    pub authorization: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers beyond those that every answer has.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// An answer without further headers.
    pub fn json(status: u16, body: Value) -> Self {
        let headers = Vec::new();
        Self {
            status,
            headers,
            body,
        }
    }
}

/// A running server. Dropping it ends it.
pub struct Server {
    /// Where it listens, without a slash at the end.
    pub url: String,
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one that answers by `answer`, each request in a thread of its own.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let (stop, answer) = (ended.clone(), Arc::new(answer));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let answer = answer.clone();
                // A caller that goes away in the middle is no matter of ours.
                thread::spawn(move || drop(serve(&stream, &*answer)));
            }
        });
        Ok(Self {
            url: format!("http://{address}"),
            address,
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Its listener waits for one more caller.
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut stream: &TcpStream, answer: &dyn Fn(&Asked) -> Reply) -> Result<()> {
    let reply = answer(&read(stream)?);
    let body = reply.body.to_string();
    let length = body.len();
    let headers = reply.headers.iter();
    let headers: String = headers
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "HTTP/1.1 {} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}",
        reply.status
    )?;
    Ok(())
}

/// One whole request: its head, with names of headers in lower case, and its body.
///
/// # Errors
/// When it breaks off.
pub fn request(stream: &TcpStream) -> Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "it ends after {head:?}");
        if let Some((name, value)) = line.split_once(':').filter(|_| !head.is_empty()) {
            let name = name.to_ascii_lowercase();
            if name == "content-length" {
                length = value.trim().parse()?;
            }
            line = format!("{name}:{value}");
        }
        head.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn read(stream: &TcpStream) -> Result<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream).take(64 * 1024);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: String::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut asked.authorization);
            }
            Some(_) => {}
            None => return Ok(asked),
        }
    }
}
