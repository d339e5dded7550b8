//! The local tags by which images are kept, so that a pruning spares them.

use towline_protocol::{Digest, ServiceName};

use super::Reference;

/// Characters of an image's id in a tag, as many as of a digest.
pub const KEPT_DIGITS: usize = 12;

/// The local tag by which an image of `service` is kept. The id of one that was built on this host has the form of a digest.
pub fn kept_tag(
    service: &ServiceName,
    digest: Option<&Digest>,
    image_id: &str,
) -> Option<Reference> {
    let short = match digest {
        Some(digest) => digest.short(),
        None => image_id.trim_start_matches("sha256:").get(..KEPT_DIGITS)?,
    };
    let plain = format!("towline/{service}:{short}").parse();
    // Some names of services, such as `web-`, are no names of repositories.
    plain
        .or_else(|_| format!("towline/service:{service}.{short}").parse())
        .ok()
}
