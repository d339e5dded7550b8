//! The connection to the container engine, made when it is needed and made anew after trouble.
//!
//! The engine may be down when the poller starts and may have been updated when it comes back.

use crate::{
    credentials::Keyring,
    docker::{Docker, EngineError},
};

/// The connection, if it stands.
#[derive(Debug)]
pub(super) struct Engine {
    /// `DOCKER_HOST`; `None` is the usual socket.
    address: Option<String>,
    keyring: Keyring,
    connection: Option<Docker>,
}

impl Engine {
    /// Nothing is connected yet.
    pub(super) fn at(address: Option<String>, keyring: Keyring) -> Self {
        let connection = None;
        Self {
            address,
            keyring,
            connection,
        }
    }

    /// `DOCKER_HOST`; `None` is the usual socket.
    pub(super) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The connection; made now if it does not stand.
    pub(super) async fn get(&mut self) -> Result<&Docker, EngineError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Docker::connect(self.address.as_deref())
                .await?
                .with_keyring(self.keyring.clone()),
        };
        Ok(self.connection.insert(connection))
    }

    /// The connection for what needs one; whatever else does not wait for it.
    pub(super) async fn get_if(&mut self, needed: bool) -> Result<Option<&Docker>, EngineError> {
        match needed {
            true => self.get().await.map(Some),
            false => Ok(None),
        }
    }

    /// Drops the connection, so that the next one asks the engine for its version again.
    pub(super) fn forget(&mut self) {
        self.connection = None;
    }
}
