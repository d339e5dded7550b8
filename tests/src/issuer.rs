//! A stand-in for GitHub's issuer of OIDC tokens, over HTTP on loopback: discovery, keys, and the address
//! at which a job asks for its token.
//!
//! The real one cannot be made to sign for a test. Paths, claims and answers follow GitHub, "OpenID Connect
//! reference" and the discovery document of `token.actions.githubusercontent.com`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rsa::{
    BigUint, Pkcs1v15Sign, RsaPrivateKey,
    rand_core::{OsRng, RngCore},
    sha2::{Digest, Sha256},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};

use crate::place::fixture;

/// What a job must show to get its token: `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
pub const REQUEST_TOKEN: &str = "a request token of the tests";

/// A running issuer. Dropping it ends it.
pub struct Issuer {
    /// Its name and where it listens, without a slash at the end.
    pub url: String,
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

/// A key that tokens are signed with.
#[derive(Clone)]
pub struct Key {
    /// Its name.
    pub kid: String,
    private: RsaPrivateKey,
}

struct State {
    ended: AtomicBool,
    shared: Mutex<Shared>,
}

struct Shared {
    keys: Vec<Key>,
    key_fetches: usize,
    failing: bool,
    slow: Duration,
    job: Value,
}

impl Key {
    /// One of two that everybody knows, in turn, under a new name: the examples of RFC 7515, appendix A.2, and
    /// RFC 7517, appendix A.2. To make one takes seconds.
    ///
    /// # Errors
    /// When the fixture is missing.
    pub fn next() -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = ["rfc7515-a2", "rfc7517-a2"][NEXT.fetch_add(1, Ordering::SeqCst) % 2];
        let jwk: Value = serde_json::from_str(&fixture(&format!("keys/{name}.json"))?)?;
        let number = |member: &str| -> Result<BigUint> {
            let text = jwk[member].as_str().context("no such number")?;
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes())?;
            Ok(BigUint::from_bytes_be(&bytes))
        };
        let (n, e, d) = (number("n")?, number("e")?, number("d")?);
        Ok(Self {
            kid: random_hex(16),
            private: RsaPrivateKey::from_components(n, e, d, Vec::new())?,
        })
    }

    /// The other one of the two.
    ///
    /// # Errors
    /// When the fixture is missing.
    pub fn other(&self) -> Result<Self> {
        loop {
            let key = Self::next()?;
            if key.private != self.private {
                return Ok(key);
            }
        }
    }

    /// Its public half, as the issuer publishes it.
    pub fn jwk(&self) -> Value {
        let number = |bytes: Vec<u8>| BASE64URL_NOPAD.encode(&bytes);
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid,
            "n": number(self.private.n().to_bytes_be()), "e": number(self.private.e().to_bytes_be()),
        })
    }

    /// The token that says `claims`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": self.kid });
        self.sign_as(&header, claims)
    }

    /// The token with this header that says `claims`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> Result<String> {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let hash = Sha256::digest(signed.as_bytes());
        let signature = self.private.sign(Pkcs1v15Sign::new::<Sha256>(), &hash)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

impl Issuer {
    /// Starts one with one key.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Shared {
            keys: vec![Key::next()?],
            key_fetches: 0,
            failing: false,
            slow: Duration::ZERO,
            job: json!({}),
        };
        let state = Arc::new(State {
            ended: AtomicBool::new(false),
            shared: Mutex::new(shared),
        });
        let url = format!("http://{address}");
        let (served, issuer) = (state.clone(), url.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (state, issuer) = (served.clone(), issuer.clone());
                // A caller that goes away in the middle is no matter of the issuer's.
                thread::spawn(move || drop(serve(&stream, &state, &issuer)));
            }
        });
        Ok(Self {
            url,
            address,
            state,
            thread: Some(thread),
        })
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_URL`: a job adds `&audience=...` and shows [`REQUEST_TOKEN`].
    pub fn request_url(&self) -> String {
        format!("{}/token?api-version=2.0", self.url)
    }

    /// The key that signs now.
    ///
    /// # Errors
    /// Never: there is always one.
    pub fn key(&self) -> Result<Key> {
        self.shared().keys.last().cloned().context("no key")
    }

    /// Signs with the other key from now on; the one before is published no more.
    ///
    /// # Errors
    /// When the fixture is missing.
    pub fn rotate(&self) -> Result<()> {
        let key = self.key()?.other()?;
        self.shared().keys = vec![key];
        Ok(())
    }

    /// How often the keys were fetched.
    pub fn key_fetches(&self) -> usize {
        self.shared().key_fetches
    }

    /// Answers 500 to whoever asks for the keys, or no more.
    pub fn fail(&self, failing: bool) {
        self.shared().failing = failing;
    }

    /// Lets whoever asks for the keys wait for so long from now on.
    pub fn slow(&self, by: Duration) {
        self.shared().slow = by;
    }

    /// Claims that the tokens of [`Self::request_url`] have from now on, in place of the usual ones of their names.
    pub fn set_job(&self, claims: Value) {
        self.shared().job = claims;
    }

    /// What a job's token says by default, for `audience`: a run of `redeploy.yml` of `octo-org/web`,
    /// started by hand on `main`. Each call has another `jti`.
    pub fn claims(&self, audience: &str) -> Value {
        claims(&self.url, audience)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.state.shared()
    }
}

impl State {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Its listener waits for one more caller.
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

fn claims(issuer: &str, audience: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    json!({
        "iss": issuer, "aud": audience, "jti": random_hex(16), "sub": "repo:octo-org/web:ref:refs/heads/main",
        "iat": now, "nbf": now - 600, "exp": now + 300,
        "repository": "octo-org/web", "repository_id": "1296269", "repository_owner": "octo-org",
        "repository_owner_id": "583231", "repository_visibility": "private",
        "ref": "refs/heads/main", "ref_type": "branch", "sha": "a".repeat(40), "head_ref": "", "base_ref": "",
        "event_name": "workflow_dispatch", "workflow": "Redeploy",
        "workflow_ref": "octo-org/web/.github/workflows/redeploy.yml@refs/heads/main",
        "workflow_sha": "a".repeat(40),
        "job_workflow_ref": "octo-org/web/.github/workflows/redeploy.yml@refs/heads/main",
        "job_workflow_sha": "a".repeat(40),
        "run_id": "30433642", "run_number": "7", "run_attempt": "1", "actor": "octocat", "actor_id": "583231",
        "runner_environment": "github-hosted",
    })
}

fn serve(stream: &TcpStream, state: &State, issuer: &str) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream).take(64 * 1024);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut authorization = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                authorization = value.trim().to_owned();
            }
            Some(_) => {}
            None => break,
        }
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let slow = state.shared().slow;
    if target.ends_with("/jwks") {
        thread::sleep(slow);
    }
    let (status, body) = answer(target, &authorization, state, issuer)?;
    let body = body.to_string();
    let length = body.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}

fn answer(target: &str, authorization: &str, state: &State, issuer: &str) -> Result<(u16, Value)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut shared = state.shared();
    Ok(match path {
        "/.well-known/openid-configuration" => {
            let keys = format!("{issuer}/.well-known/jwks");
            (200, json!({ "issuer": issuer, "jwks_uri": keys }))
        }
        "/.well-known/jwks" => {
            shared.key_fetches += 1;
            let keys: Vec<_> = shared.keys.iter().map(Key::jwk).collect();
            let status = if shared.failing { 500 } else { 200 };
            (status, json!({ "keys": keys }))
        }
        "/token" => {
            let bearer = authorization.split_once(' ').map(|(_, token)| token);
            if bearer != Some(REQUEST_TOKEN) {
                return Ok((401, json!({ "message": "unauthorized" })));
            }
            let mut query = form_urlencoded::parse(query.as_bytes());
            let audience = query.find(|(name, _)| name == "audience");
            let audience = audience.map_or_else(
                || "https://github.com/octo-org".to_owned(),
                |(_, audience)| audience.into_owned(),
            );
            let mut claims = claims(issuer, &audience);
            for (name, value) in shared.job.as_object().into_iter().flatten() {
                claims[name] = value.clone();
            }
            let key = shared.keys.last().context("no key")?;
            (200, json!({ "count": 1, "value": key.sign(&claims)? }))
        }
        _ => (404, json!({ "message": "not found" })),
    })
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    OsRng.fill_bytes(&mut random);
    HEXLOWER.encode(&random)
}
