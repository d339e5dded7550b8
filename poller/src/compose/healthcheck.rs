//! Whether a project has the healthcheck that `docker = true` asks for, before anything of it is touched.

use std::collections::BTreeMap;

use super::resolved::{Healthcheck, Resolved};
use crate::{
    docker::{Docker, EngineError},
    health,
};

/// Why no container of the project will ever say that it is healthy, if so. `images` has the ids of the images that services
/// are to run; of another one it is looked by its name, and what is not here may have a healthcheck.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn lacks_healthcheck(
    engine: &Docker,
    resolved: &Resolved,
    images: &BTreeMap<String, String>,
) -> Result<Option<String>, EngineError> {
    let mut without = Vec::new();
    for (name, service) in resolved.wanted().filter(|(_, of)| of.replicas > 0) {
        let has_one = match service.healthcheck {
            Healthcheck::OfFile => true,
            Healthcheck::Off => false,
            Healthcheck::OfImage => {
                let image = engine
                    .image(images.get(name).unwrap_or(&service.image))
                    .await?;
                image.is_none_or(|image| health::has_own(&image))
            }
        };
        if has_one {
            return Ok(None);
        }
        without.push(name);
    }
    if without.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "docker = true of `health` asks for a healthcheck, and no service has one ({}): write a `healthcheck` in the \
         project's file or a HEALTHCHECK in the Dockerfile of an image, or check it by http or tcp",
        without.join(", ")
    )))
}
