//! Asking a registry through the engine: which digest a tag has, and the pull. The engine speaks to the registry; it
//! gets our login with each request.

use std::time::Duration;

use bollard::{auth::DockerCredentials, query_parameters::CreateImageOptionsBuilder};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use towline_protocol::{Digest, Secret};

use super::{Docker, EngineError, Layers, RegistryError, registry::Sent};
use crate::{
    credentials::{Login, Proof},
    reference::Reference,
};

/// How much longer than ours the limits of `bollard` are, so that ours count.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a registry may keep us waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the digest of a tag. An engine itself gives up connecting after 30 s, and may try twice.
    pub resolve: Duration,
    /// For the next sign of progress of a pull. The last bytes of a large layer are followed by a silent checksum.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(75),
            idle: Duration::from_secs(300),
        }
    }
}

impl Docker {
    /// The digest that a tag has in its registry now, asked through the engine.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        let (sent, login) = self.login(reference).await?;
        let fail = |error| RegistryError::of(reference, error, &sent);
        let limit = self.patience.resolve;
        let client = self.client.clone().with_timeout(limit + MARGIN);
        let name = reference.to_string();
        let answer = client.inspect_registry_image(&name, login);
        let answer = timeout(limit, answer)
            .await
            .map_err(|_| RegistryError::silent(reference, "answer", limit))?;
        let answer = self.check(answer).map_err(fail)?;
        let digest = answer.descriptor.digest.unwrap_or_default();
        digest.parse().map_err(|error| {
            fail(EngineError::Unexpected(format!(
                "the registry's digest: {error}"
            )))
        })
    }

    /// Pulls `reference`, which names a digest, and tells how far it is. A pull may fail inside of a successful answer,
    /// so every item counts.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn pull(
        &self,
        reference: &Reference,
        tell: &mut dyn FnMut(&Layers),
    ) -> Result<(), RegistryError> {
        let (sent, login) = self.login(reference).await?;
        let idle = self.patience.idle;
        let options = CreateImageOptionsBuilder::default()
            .from_image(&reference.to_string())
            .build();
        let client = self.client.clone().with_timeout(idle + MARGIN);
        let mut items = std::pin::pin!(client.create_image(Some(options), None, login));
        let mut layers = Layers::default();
        loop {
            let item = timeout(idle, items.next())
                .await
                .map_err(|_| RegistryError::silent(reference, "progress of the pull", idle))?;
            let Some(item) = item else { return Ok(()) };
            let item = self
                .check(item)
                .map_err(|error| RegistryError::of(reference, error, &sent))?;
            let (done, of) = item
                .progress_detail
                .map_or((None, None), |detail| (detail.current, detail.total));
            if layers.note(item.id.as_deref(), item.status.as_deref(), done, of) {
                tell(&layers);
            }
        }
    }

    /// The login for the reference's registry, and what is to be said of it.
    async fn login(
        &self,
        reference: &Reference,
    ) -> Result<(Sent, Option<DockerCredentials>), RegistryError> {
        let login = self
            .keyring
            .login(reference.registry())
            .await
            .map_err(|error| RegistryError::without_login(reference, error))?;
        let sent = match &login {
            Some(login) => Sent::Login(login.origin.clone()),
            None => Sent::Nothing(self.keyring.source().map(|(path, _)| path.to_owned())),
        };
        Ok((sent, login.map(header)))
    }
}

/// What goes into the header `X-Registry-Auth`.
fn header(login: Login) -> DockerCredentials {
    let text = |secret: &Secret| Some(String::from_utf8_lossy(secret.expose()).into_owned());
    let none = DockerCredentials {
        serveraddress: Some(login.server),
        ..DockerCredentials::default()
    };
    match login.proof {
        Proof::Password { user, password } => DockerCredentials {
            username: Some(user),
            password: text(&password),
            ..none
        },
        Proof::IdentityToken(token) => DockerCredentials {
            identitytoken: text(&token),
            ..none
        },
    }
}
