//! A small web service to deploy in tests and the demo: it tells which version it is, and misbehaves on request. A
//! static program of the standard library alone, so that an image holds nothing else.
//!
//! `toy` serves on 0.0.0.0:8080; `toy health` exits 0 when the server in the same container answers 200. `toy env` prints
//! its environment and exits 1, `toy wait` does not end for a minute, `toy done` ends well at once. Once `/sicken` was asked for, every further answer is
//! 500. The files
//! `/VERSION` and `/MODE` come from the image, so that nothing carried over from an old container can mask them.
//!
//! As a plain process it serves where `TOY_ADDRESS` says, or on the socket that it is passed as its third file
//! (`LISTEN_FDS`, see sd_listen_fds(3)); its files lie in the folder `TOY_ROOT`. With `TOY_DATA` it shows that file's text
//! in each answer, and asked for `/visit` it adds a line to it; with `TOY_MOVES` besides, each version adds itself when it
//! starts, as a migration would, unless the file ends with it. Modes:
//!
//! | mode | behaviour |
//! |---|---|
//! | `ok` | answers 200 with the version |
//! | `json` | answers 200 with `{"version": VERSION}` |
//! | `500` | answers 500 |
//! | `sick` | answers 200 for a second and a half, then 500 |
//! | `flap` | answers 500 to every third request, else 200 |
//! | `idle` | runs and does not listen |
//! | `exit` | ends at once with status 1 |
//! | `leak` | prints its environment a hundred times, then ends with status 1 |
//! | `slow` | listens only after three seconds |
//! | `hang` | accepts connections and never answers |
//! | `deaf` | `ok`, but ignores SIGTERM |
//! | `crash` | answers 200 for two seconds, then ends with status 1 |

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const ADDRESS: &str = "0.0.0.0:8080";
const SIGTERM: i32 = 15;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(status: i32) -> !;
}

/// Whether a request is being answered, and whether to end after that.
static BUSY: AtomicBool = AtomicBool::new(false);
static LEAVING: AtomicBool = AtomicBool::new(false);

extern "C" fn leave(_: i32) {
    LEAVING.store(true, SeqCst);
    if !BUSY.load(SeqCst) {
        // SAFETY: `_exit` is async-signal-safe and touches no state of this process.
        unsafe { _exit(0) }
    }
}

fn main() {
    match env::args().nth(1).as_deref() {
        Some("health") => exit(i32::from(!healthy())),
        Some("env") => {
            print_environment();
            exit(1)
        }
        Some("done") => return,
        Some("wait") => return thread::sleep(Duration::from_secs(60)),
        _ => {}
    }
    let version = file("VERSION");
    let mode = file("MODE");
    println!("toy {version} starts in mode {mode}");
    if env::var("TOY_MOVES").is_ok() && !data().ends_with(&version) {
        note(&version);
    }
    if mode != "deaf" {
        // The first process of a container ignores every signal that it does not handle.
        // SAFETY: the handler does nothing but `_exit`.
        unsafe { signal(SIGTERM, leave) };
    }
    match mode.as_str() {
        "exit" => exit(1),
        "leak" => leak(),
        "idle" => loop {
            thread::park();
        },
        "slow" => thread::sleep(Duration::from_secs(3)),
        "crash" => drop(thread::spawn(|| {
            thread::sleep(Duration::from_secs(2));
            exit(1)
        })),
        _ => {}
    }
    serve(&version, &mode);
}

fn leak() -> ! {
    for _ in 0..100 {
        print_environment();
    }
    exit(1)
}

fn print_environment() {
    for (name, value) in env::vars() {
        println!("{name}={value}");
    }
}

fn file(name: &str) -> String {
    let root = env::var("TOY_ROOT").unwrap_or_default();
    fs::read_to_string(format!("{root}/{name}"))
        .map_or_else(|_| "none".into(), |text| text.trim().into())
}

/// What the data file holds, in one line.
fn data() -> String {
    let text = env::var("TOY_DATA").map(fs::read_to_string);
    text.map_or_else(
        |_| String::new(),
        |text| {
            text.map_or_else(
                |error| error.to_string(),
                |text| text.trim().replace('\n', ","),
            )
        },
    )
}

/// Adds a line to the data file.
fn note(line: &str) {
    let path = env::var("TOY_DATA").expect("the data file is in TOY_DATA");
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .expect("the data file takes a line");
}

/// Whether the listening socket is passed to us.
fn is_passed() -> bool {
    env::var("LISTEN_FDS").as_deref() == Ok("1")
}

/// The next connection. One to a socket that was passed is taken only while the word to leave is minded: the others wait
/// in its queue for whoever is passed it next.
fn next(listener: &TcpListener) -> TcpStream {
    loop {
        BUSY.store(is_passed(), SeqCst);
        if let Ok((stream, _)) = listener.accept() {
            BUSY.store(true, SeqCst);
            stream.set_nonblocking(false).expect("a stream can wait");
            return stream;
        }
        rest();
        thread::sleep(Duration::from_millis(2));
    }
}

/// Nothing is being answered any more.
fn rest() {
    BUSY.store(false, SeqCst);
    if LEAVING.load(SeqCst) {
        exit(0);
    }
}

/// The socket that was passed, or one of its own.
fn listener() -> TcpListener {
    if is_passed() {
        // SAFETY: the third file is the listening socket by the protocol of sd_listen_fds(3), and nothing else here has it.
        let passed = unsafe { TcpListener::from_raw_fd(3) };
        passed.set_nonblocking(true).expect("a socket can be asked");
        return passed;
    }
    let address = env::var("TOY_ADDRESS").unwrap_or_else(|_| ADDRESS.into());
    TcpListener::bind(address).expect("the address is free")
}

fn serve(version: &str, mode: &str) {
    let listener = listener();
    let greeting = env::var("GREETING").unwrap_or_default();
    let answer = |status: &str| {
        let body = if mode == "json" {
            format!("{{\"version\": \"{version}\"}}\n")
        } else {
            format!("toy {version} {greeting}{}\n", data())
        };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let begun = Instant::now();
    let is_sick = |request: usize| match mode {
        "flap" => request % 3 == 2,
        "500" => true,
        "sick" => begun.elapsed() > Duration::from_millis(1500),
        _ => false,
    };
    let mut held = Vec::new();
    let mut sickened = false;
    for request in 0.. {
        let stream = next(&listener);
        if mode == "hang" {
            held.push(stream);
        } else {
            let status = if sickened || is_sick(request) {
                "500 Internal Server Error"
            } else {
                "200 OK"
            };
            let (request, mut stream) = heard(stream);
            sickened |= request.starts_with(b"GET /sicken ");
            let answer = answer(status);
            // Whoever has the answer finds the visit noted.
            if request.starts_with(b"GET /visit ") {
                note("visit");
            }
            let _ = stream.write_all(answer.as_bytes());
        }
        rest();
    }
}

/// A request that fits one segment, and where to answer it; a slower client gets its answer all the same.
fn heard(mut stream: TcpStream) -> (Vec<u8>, TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
    let mut request = vec![0; 2048];
    let read = stream.read(&mut request).unwrap_or(0);
    request.truncate(read);
    (request, stream)
}

fn healthy() -> bool {
    let Ok(mut stream) = TcpStream::connect("127.0.0.1:8080") else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut answer = String::new();
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: toy\r\nConnection: close\r\n\r\n");
    asked.is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
