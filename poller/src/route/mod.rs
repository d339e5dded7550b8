//! How the relay is reached: its address, the proxy before it, and which certificates count. For both transports alike.
//!
//! Not here: the transports (`relay_client`, `doorbell`).

use std::{ffi::OsString, io, sync::Arc};

use rustls::{CertificateError, ClientConfig, pki_types::CertificateDer};
use thiserror::Error;

use crate::settings::{Mistake, Relay, RelayUrl};

mod proxy;
mod roots;

pub use proxy::{BadProxy, Proxy, Scheme};

/// How the relay is reached.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its origin.
    pub url: RelayUrl,
    /// What stands between; never anything for a relay on this very machine.
    pub proxy: Option<Proxy>,
    /// Root certificates that count beside Mozilla's.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Why it is not known how to reach the relay.
#[derive(Debug, Error)]
pub enum NoRoute {
    /// The environment names a proxy that cannot be one.
    #[error(transparent)]
    Proxy(#[from] BadProxy),
    /// The file of certificates is of no use.
    #[error("{0}")]
    Roots(Mistake),
}

/// What is wrong with a connection to the relay, and what to do where the authority that vouches for it is not known.
pub fn about(error: &io::Error) -> String {
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    if tls == Some(&unknown) {
        format!(
            "{error}; if it has an authority of its own, name its certificate by `ca_file` under [relay]"
        )
    } else {
        error.to_string()
    }
}

impl Route {
    /// Straight to `url`, where Mozilla's roots count.
    pub fn direct(url: RelayUrl) -> Self {
        Self {
            url,
            proxy: None,
            roots: Vec::new(),
        }
    }

    /// Whom to trust: Mozilla's roots, and those of the file.
    ///
    /// # Errors
    /// When TLS cannot be had like this, which [`Route::of`] would have found.
    pub fn trust(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        roots::trust(&self.roots).map(Arc::new)
    }

    /// What the host's file and the environment say.
    ///
    /// # Errors
    /// When the proxy that counts is none, or the file of certificates cannot be used.
    pub fn of(relay: &Relay, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, NoRoute> {
        let roots = relay.ca_file.as_ref().map(roots::read).transpose();
        Ok(Self {
            proxy: proxy::before(&relay.url, variable)?,
            roots: roots.map_err(NoRoute::Roots)?.unwrap_or_default(),
            url: relay.url.clone(),
        })
    }
}
