//! Why the engine cannot be reached, in words that help.

use std::{error::Error, io};

/// What the causes of an error come down to: the layers of a client around it only repeat it.
pub(super) fn why(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(error) => why_not_open(error),
        None => cause.to_string(),
    }
}

/// Why a socket does not open.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the many kinds only these call for advice"
)]
pub(super) fn why_not_open(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied; run towline as root (sudo), or as a user of the group that the socket belongs to, which \
             is `docker` as a rule"
                .to_owned()
        }
        io::ErrorKind::NotFound => no_socket(),
        io::ErrorKind::ConnectionRefused => format!("{error}; does Docker run?"),
        _ => error.to_string(),
    }
}

/// There is nothing at the address.
pub(super) fn no_socket() -> String {
    "there is no such socket; does Docker run, and is DOCKER_HOST right?".to_owned()
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("Error in the client: {0}")]
    struct Around(#[source] io::Error);

    #[test]
    fn what_lies_around_an_error_is_left_out_and_advice_is_given() {
        let denied = Around(io::Error::from_raw_os_error(13));
        let told = why(&denied);
        assert!(
            told.starts_with("permission denied; run towline as root") && told.contains("`docker`"),
            "{told}"
        );
        let none = Around(io::Error::from_raw_os_error(2));
        assert!(why(&none).contains("does Docker run"), "{}", why(&none));
        let broken = Around(io::Error::other("broken pipe"));
        assert_eq!(why(&broken), "broken pipe");
    }
}
