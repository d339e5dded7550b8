//! A stretch of network between a host and the relay that can be cut.

use std::{
    io::copy,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};

/// Passes connections on until the process ends.
pub struct Forward {
    /// What a host is told instead of the relay's own address.
    pub url: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Forward {
    /// Begins to pass on to the relay at `url`, which is on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn to(url: &str) -> Result<Self> {
        let (_, target) = url.split_once("://").context("a URL")?;
        let target = target.replace("localhost", "127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let open = Arc::new(Mutex::new(Vec::new()));
        let passing = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Without the relay there is no connection either.
                let _ = pass(&client, &target, &passing);
            }
        });
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { url, open })
    }

    /// Cuts every connection. New ones are passed on.
    pub fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(client: &TcpStream, target: &str, open: &Mutex<Vec<TcpStream>>) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    let both = [client.try_clone()?, server.try_clone()?];
    open.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(both);
    for (mut from, mut to) in [
        (client.try_clone()?, server.try_clone()?),
        (server, client.try_clone()?),
    ] {
        thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
