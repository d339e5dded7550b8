//! The file's own tags, moved to what was pulled and back. Each may be done twice.

use crate::{
    docker::{Docker, EngineError},
    machine::TagMove,
    reference::{Reference, ReferenceError},
};

/// Lets a tag lead to the new image.
///
/// # Errors
/// See [`EngineError`].
pub async fn tag_forth(engine: &Docker, tag: &TagMove) -> Result<(), EngineError> {
    engine.tag(&tag.to, &reference(tag)?).await
}

/// Lets a tag lead to where it led before. One that leads elsewhere by now was moved by somebody, and stays. One that was
/// not there before stays as long as a container was made with it: [`tag_away`] takes it away later.
///
/// # Errors
/// See [`EngineError`].
pub async fn tag_back(engine: &Docker, tag: &TagMove) -> Result<(), EngineError> {
    let image = engine.image(&tag.reference).await?;
    let leads_to = image.as_ref().and_then(|image| image.get("Id")?.as_str());
    if leads_to != Some(&tag.to) {
        return Ok(());
    }
    let reference = reference(tag)?;
    match &tag.from {
        Some(from) => engine.tag(from, &reference).await,
        None => match engine.untag(&reference).await {
            Err(EngineError::Refused { status: 409, .. }) => Ok(()),
            other => other,
        },
    }
}

/// Takes away the tags that were not there before, once the containers that were made with them are gone.
///
/// # Errors
/// See [`EngineError`]; the tags that are left harm nobody.
pub async fn tag_away(engine: &Docker, tags: &[TagMove]) -> Result<(), EngineError> {
    for tag in tags.iter().filter(|tag| tag.from.is_none()) {
        tag_back(engine, tag).await?;
    }
    Ok(())
}

fn reference(tag: &TagMove) -> Result<Reference, EngineError> {
    tag.reference
        .parse()
        .map_err(|error: ReferenceError| EngineError::Unexpected(error.to_string()))
}
