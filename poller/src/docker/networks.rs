//! The networks of a container that runs: by which names others find it there.

use serde_json::{Value, json};

use super::{Docker, EngineError, TIMEOUT};
use crate::spec::Connect;

impl Docker {
    /// Gives a container these places on its networks. An engine changes none: it is taken off the network and put back, which
    /// may change its address, and it keeps what it has where that is as it should be. May be made again after any part of it.
    ///
    /// # Errors
    /// See [`EngineError`]: `NotFound` when the container is gone.
    pub async fn join(&self, id: &str, places: &[Connect]) -> Result<(), EngineError> {
        for place in places {
            let container = self.container(id).await?;
            let container = container
                .ok_or_else(|| EngineError::NotFound(format!("No such container: {id}")))?;
            let endpoint = endpoint(&container, &place.network);
            if endpoint.is_some_and(|endpoint| has_aliases(endpoint, place)) {
                continue;
            }
            if endpoint.is_some() {
                let body = json!({ "Container": id });
                let path = format!("/networks/{}/disconnect", place.network);
                self.raw.post(&path, &body, TIMEOUT).await?;
            }
            let body = json!({ "Container": id, "EndpointConfig": place.endpoint });
            let path = format!("/networks/{}/connect", place.network);
            self.raw.post(&path, &body, TIMEOUT).await?;
        }
        Ok(())
    }
}

/// The container's place on the network of this name or id.
fn endpoint<'a>(container: &'a Value, network: &str) -> Option<&'a Value> {
    let networks = container
        .pointer("/NetworkSettings/Networks")?
        .as_object()?;
    let by_id = |endpoint: &&Value| endpoint.get("NetworkID").is_some_and(|id| id == network);
    networks
        .get(network)
        .or_else(|| networks.values().find(by_id))
}

fn has_aliases(endpoint: &Value, place: &Connect) -> bool {
    let list = |endpoint: &'_ Value| {
        let aliases = endpoint.get("Aliases").and_then(Value::as_array);
        aliases.cloned().unwrap_or_default()
    };
    let has = list(endpoint);
    list(&place.endpoint)
        .iter()
        .all(|alias| has.contains(alias))
}
