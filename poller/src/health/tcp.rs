//! One connection to a port.
//!
//! The engine's own proxy takes connections to a published port also when nobody listens behind it, and then closes them
//! at once. So a connection counts only when it stays open for a moment, or brings data.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::settings::TcpAddress;

/// How long a connection must stay open.
const OPEN: Duration = Duration::from_millis(500);

/// One try; the reason when it is no good. `own` is the container's address, if `address` asks for it.
pub(super) async fn attempt(
    address: &TcpAddress,
    own: Option<IpAddr>,
    limit: Duration,
) -> Result<(), String> {
    let connect = async {
        match (address.host(), own) {
            (Some(host), _) => TcpStream::connect((host, address.port())).await,
            (None, Some(own)) => TcpStream::connect(SocketAddr::new(own, address.port())).await,
            (None, None) => Err(std::io::Error::other("the container has no address")),
        }
    };
    let mut stream = timeout(limit, connect)
        .await
        .map_err(|_| format!("no connection within {} s", limit.as_secs_f64()))?
        .map_err(|error| error.to_string())?;
    match timeout(OPEN, stream.read(&mut [0])).await {
        Ok(Ok(1..)) | Err(_) => Ok(()),
        Ok(Ok(0)) => Err("the connection was closed at once".to_owned()),
        Ok(Err(error)) => Err(format!("the connection broke at once: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, thread};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn at(port: u16) -> TcpAddress {
        format!("127.0.0.1:{port}").parse().unwrap()
    }

    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn a_port_that_holds_the_connection_is_good_by_name_and_by_the_containers_address() {
        let (_listener, port) = listener();
        assert_eq!(attempt(&at(port), None, LIMIT).await, Ok(()));
        let of_container = format!("{{container}}:{port}").parse().unwrap();
        let own = "127.0.0.1".parse().ok();
        assert_eq!(attempt(&of_container, own, LIMIT).await, Ok(()));
        let named = format!("localhost:{port}").parse().unwrap();
        assert_eq!(attempt(&named, None, LIMIT).await, Ok(()));
    }

    #[tokio::test]
    async fn who_greets_and_leaves_is_good_and_who_only_leaves_is_not() {
        let (greets, port) = listener();
        thread::spawn(move || greets.accept().unwrap().0.write_all(b"220").unwrap());
        assert_eq!(attempt(&at(port), None, LIMIT).await, Ok(()));
        let (leaves, port) = listener();
        thread::spawn(move || drop(leaves.accept().unwrap()));
        let why = attempt(&at(port), None, LIMIT).await.unwrap_err();
        assert_eq!(why, "the connection was closed at once");
    }

    #[tokio::test]
    async fn a_port_on_which_nobody_listens_is_not_good() {
        let (listener, port) = listener();
        drop(listener);
        let why = attempt(&at(port), None, LIMIT).await.unwrap_err();
        assert!(why.contains("refused"), "{why}");
    }
}
