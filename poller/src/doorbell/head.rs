//! One HTTP request without a body and the head of its answer: what a proxy's CONNECT and the way into a WebSocket share.

use std::io::{BufRead, BufReader, Read, Write};

use super::link::Link;
use crate::route;

/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// So many headers an answer may have.
const MAX_HEADERS: usize = 64;

/// The most that is read of a body.
const MAX_BODY: u64 = 64 * 1024;

/// The longest line before a chunk of a body.
const MAX_CHUNK: u64 = 256;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    /// What came after it.
    pub(super) rest: Vec<u8>,
}

impl Head {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The answer's body, as far as it comes in time; a redirect's does not matter.
    pub(super) fn body(&self, link: &mut Link) -> Vec<u8> {
        if (300..400).contains(&self.status) {
            return Vec::new();
        }
        let source = self.rest.chain(link);
        let coding = self.header("transfer-encoding").unwrap_or_default();
        if coding.trim().eq_ignore_ascii_case("chunked") {
            return unchunked(BufReader::new(source));
        }
        let length = self.header("content-length");
        let length: Option<u64> = length.and_then(|text| text.trim().parse().ok());
        // Without a length it ends with the connection.
        let length = length.unwrap_or(u64::MAX).min(MAX_BODY);
        let mut body = Vec::new();
        // What is cut is not understood, and that is told.
        let _ = source.take(length).read_to_end(&mut body);
        body
    }
}

/// What the chunks hold that come in time (RFC 9112, section 7.1).
fn unchunked(mut source: impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(size)) = chunk(&mut source) {
        let room = MAX_BODY.saturating_sub(body.len() as u64);
        let took = source.by_ref().take(size.min(room)).read_to_end(&mut body);
        if size == 0 || size > room || took.is_err() {
            break;
        }
        let _ = source.by_ref().take(2).read_until(b'\n', &mut Vec::new());
    }
    body
}

/// The size that opens a chunk; `None` where none does.
fn chunk(source: &mut impl BufRead) -> std::io::Result<Option<u64>> {
    let mut line = Vec::new();
    source.take(MAX_CHUNK).read_until(b'\n', &mut line)?;
    Ok(match httparse::parse_chunk_size(&line) {
        Ok(httparse::Status::Complete((_, size))) => Some(size),
        Ok(httparse::Status::Partial) | Err(_) => None,
    })
}

/// Sends `request` and reads the head of the answer, or says what came instead.
pub(super) fn exchange(link: &mut Link, request: &[u8]) -> Result<Head, String> {
    let broken = |error| route::about(&error);
    link.write_all(request).map_err(broken)?;
    link.flush().map_err(broken)?;
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = link.read(&mut buffer).map_err(broken)?;
        if count == 0 {
            return Err("the connection was closed without an answer".to_owned());
        }
        read.extend(buffer.iter().take(count));
        if let Some(head) = parse(&read)? {
            return Ok(head);
        }
        if read.len() > MAX_HEAD {
            return Err(format!("the answer's head is longer than {MAX_HEAD} bytes"));
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(bytes);
    let parsed = parsed.map_err(|error| format!("the answer is not HTTP: {error}"))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = answer.headers.iter();
    Ok(Some(Head {
        status: answer.code.unwrap_or_default(),
        headers: headers
            .map(|header| (header.name.to_owned(), text(header.value)))
            .collect(),
        rest: bytes.get(length..).unwrap_or_default().to_vec(),
    }))
}
