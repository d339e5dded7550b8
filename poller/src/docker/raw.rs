//! Requests as JSON values, one connection each. A local connection costs less than keeping one alive.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Address, EngineError, lost, refusal};

/// The largest answer that is read, in bytes. A host with a thousand containers lists them in about 2 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// How long a connection may take that is made for its addresses only.
const CONNECT: Duration = Duration::from_secs(10);

/// The engine's HTTP API, without types.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    address: Address,
    prefix: String,
}

impl Raw {
    /// Paths get `prefix`, for instance `/v1.41`.
    pub(super) fn new(address: Address, prefix: String) -> Self {
        Self { address, prefix }
    }

    /// `GET path`.
    pub(super) async fn get(&self, path: &str, limit: Duration) -> Result<Value, EngineError> {
        self.send(Method::GET, path, None, limit).await
    }

    /// `POST path` with a JSON body. `Null` when there is no answer's body.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<Value, EngineError> {
        self.send(Method::POST, path, Some(body), limit).await
    }

    /// The address that a connection over TCP leads to, when it is one of this machine's own.
    pub(super) async fn here(&self) -> Option<SocketAddr> {
        let Address::Tcp(host) = &self.address else {
            return None;
        };
        let stream = timeout(CONNECT, TcpStream::connect(host))
            .await
            .ok()?
            .ok()?;
        let (peer, own) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
        (peer.ip().is_loopback() || peer.ip() == own.ip()).then_some(peer)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Value, EngineError> {
        let call = self.exchange(method, path, body);
        let answer = timeout(limit, call).await;
        let (status, body) = answer
            .map_err(|_| self.unreachable(format!("no answer within {} s", limit.as_secs())))??;
        let json = || serde_json::from_slice::<Value>(&body);
        if !(200..300).contains(&status) {
            let message = json()
                .ok()
                .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()));
            let words = || String::from_utf8_lossy(&body).chars().take(500).collect();
            return Err(refusal(status, message.unwrap_or_else(words)));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        json().map_err(|error| EngineError::Unexpected(format!("{path}: {error}")))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Bytes), EngineError> {
        let host = match &self.address {
            Address::Unix(_) => "docker",
            Address::Tcp(host) => host,
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| EngineError::Unexpected(error.to_string()))?;
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                self.over(
                    stream.map_err(|error| self.unreachable(lost::why_not_open(&error)))?,
                    request,
                )
                .await
            }
            Address::Tcp(host) => {
                let stream = TcpStream::connect(host).await;
                self.over(
                    stream.map_err(|error| self.unreachable(lost::why_not_open(&error)))?,
                    request,
                )
                .await
            }
        }
    }

    async fn over<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), EngineError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| self.unreachable(lost::why(&error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with the exchange; what goes wrong on it is told by the exchange too.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => {
                EngineError::Unexpected(format!("an answer of more than {MAX_ANSWER} bytes"))
            }
            None => self.unreachable(lost::why(error.as_ref())),
        })?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, why: String) -> EngineError {
        EngineError::Unreachable {
            address: self.address.to_string(),
            why,
        }
    }
}
