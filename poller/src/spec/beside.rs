//! A replacement that runs beside the old container for a while: made without the names by which others find that one, and
//! what gives it these names once it is well.
//!
//! On a network of its own a container is found by its name and its aliases; on the default bridge there are no names.

use serde_json::{Map, Value, json};

use super::{Connect, CreateRequest};

impl CreateRequest {
    /// The same without aliases, so that nobody finds the container before it is well.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        let mut unnamed = self.clone();
        let first = unnamed
            .body
            .pointer_mut("/NetworkingConfig/EndpointsConfig");
        let first = first
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut);
        let others = unnamed
            .connect
            .iter_mut()
            .map(|further| &mut further.endpoint);
        for endpoint in first.chain(others).filter_map(Value::as_object_mut) {
            endpoint.remove("Aliases");
        }
        unnamed
    }

    /// Its places on the networks on which it has aliases, `name` not among them: by its own name it is found in any case, and an
    /// alias that says the same would lead to it until it has ended, also when another one has the name.
    pub fn named(&self, name: &str) -> Vec<Connect> {
        let first = self.first().into_iter();
        let all = first.chain(self.connect.iter().cloned());
        let all = all.filter(|place| !matches!(place.network.as_str(), "bridge" | "default" | ""));
        all.filter_map(|place| without_alias(place, name)).collect()
    }

    /// Its place on the network that it is made with.
    fn first(&self) -> Option<Connect> {
        let endpoints = self.body.pointer("/NetworkingConfig/EndpointsConfig");
        let endpoint = endpoints
            .and_then(Value::as_object)
            .and_then(|endpoints| endpoints.iter().next());
        if let Some((network, endpoint)) = endpoint {
            return Some(Connect {
                network: network.clone(),
                endpoint: endpoint.clone(),
            });
        }
        let mode = self.body.pointer("/HostConfig/NetworkMode");
        Some(Connect {
            network: mode.and_then(Value::as_str)?.to_owned(),
            endpoint: json!({}),
        })
    }
}

/// The place with its other aliases, if it has such.
fn without_alias(mut place: Connect, name: &str) -> Option<Connect> {
    let aliases = place.endpoint.get_mut("Aliases")?.as_array_mut()?;
    aliases.retain(|alias| alias != name);
    (!aliases.is_empty()).then_some(place)
}
