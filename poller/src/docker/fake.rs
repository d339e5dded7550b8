//! An engine for tests, which answers as it is told: a fake at the transport.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;

use super::Docker;

/// An engine of API 1.41 that gives each request what `answer` says of its first line: status and body. Returns its
/// address and the first lines so far.
pub(crate) fn engine(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    engine_of("1.41", answer)
}

/// The same, of another API version.
pub(crate) fn engine_of(
    version: &'static str,
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    updated_engine(vec![version], answer)
}

/// The same, which names the next of the `versions` each time that it is asked, up to the last; an empty one is what a
/// proxy answers before its engine is there.
pub(crate) fn updated_engine(
    mut versions: Vec<&'static str>,
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let line = read_request(&stream);
            if line.is_empty() {
                continue;
            }
            let (status, body) = if line.contains("/version") {
                let version = versions[0];
                if versions.len() > 1 {
                    versions.remove(0);
                }
                let status = if version.is_empty() { 503 } else { 200 };
                (status, json!({ "ApiVersion": version }).to_string())
            } else {
                log.lock().unwrap().push(line.clone());
                answer(&line)
            };
            write_answer(stream, status, &body);
        }
    });
    (address, asked)
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).unwrap();
    line.trim_end_matches(" HTTP/1.1\r\n").to_owned()
}

/// Without a length, so that the body may break off.
fn write_answer(mut stream: TcpStream, status: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
}

/// A connection to such an engine.
pub(crate) async fn connected(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Docker {
    Docker::connect(Some(&engine(answer).0)).await.unwrap()
}
