//! Images on the engine: reading, local tags, and letting go.

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use serde_json::Value;

use super::{Docker, EngineError, TIMEOUT, containers::found};
use crate::reference::Reference;

/// A local tag, and the id of the image that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTag {
    /// As the engine lists it, for instance `octo-org/web:v1`.
    pub tag: String,
    /// The image's id.
    pub image: String,
}

impl Docker {
    /// `GET /images/{reference}/json`, by reference or id; `None` when there is none.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn image(&self, reference: &str) -> Result<Option<Value>, EngineError> {
        found(
            self.raw
                .get(&format!("/images/{reference}/json"), TIMEOUT)
                .await,
        )
    }

    /// Lets a local tag lead to an image.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn tag(&self, image: &str, reference: &Reference) -> Result<(), EngineError> {
        let repository = reference.familiar_name();
        let tag = reference.tag().unwrap_or("latest");
        let options = TagImageOptionsBuilder::default()
            .repo(&repository)
            .tag(tag)
            .build();
        self.check(self.client.tag_image(image, Some(options)).await)
    }

    /// Takes a local tag away, if there is one. The image stays when anything else names it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn untag(&self, reference: &Reference) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default()
            .force(false)
            .noprune(true)
            .build();
        match self.check(
            self.client
                .remove_image(&reference.to_string(), Some(options), None)
                .await,
        ) {
            Ok(_) | Err(EngineError::NotFound(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// All local tags.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn local_tags(&self) -> Result<Vec<LocalTag>, EngineError> {
        let images = self.raw.get("/images/json", TIMEOUT).await?;
        let tags = images.as_array().into_iter().flatten().flat_map(|image| {
            let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
            let tags = image.get("RepoTags").and_then(Value::as_array);
            let tags = tags.into_iter().flatten().filter_map(Value::as_str);
            tags.map(|tag| LocalTag {
                tag: tag.to_owned(),
                image: id.to_owned(),
            })
        });
        Ok(tags.collect())
    }

    /// The ids of the images that containers were made from, stopped ones included.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn images_in_use(&self) -> Result<Vec<String>, EngineError> {
        let all = self.list().await?;
        let all = all.as_array().into_iter().flatten();
        let ids = all.filter_map(|container| Some(container.get("ImageID")?.as_str()?.to_owned()));
        Ok(ids.collect())
    }

    /// Removes an image that no tag leads to. One that a container was made from, or that was pulled from several
    /// repositories, stays.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn remove_unnamed(&self, id: &str) -> Result<(), EngineError> {
        let image = self.image(id).await?;
        let tags = image
            .as_ref()
            .and_then(|image| image.get("RepoTags")?.as_array());
        if image.is_none() || tags.is_some_and(|tags| !tags.is_empty()) {
            return Ok(());
        }
        let options = RemoveImageOptionsBuilder::default()
            .force(false)
            .noprune(true)
            .build();
        match self.check(self.client.remove_image(id, Some(options), None).await) {
            Ok(_) | Err(EngineError::NotFound(_) | EngineError::Refused { status: 409, .. }) => {
                Ok(())
            }
            Err(other) => Err(other),
        }
    }
}
