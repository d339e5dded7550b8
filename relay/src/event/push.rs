//! The `push` event: commits or a tag came in, or a branch or tag was deleted.

use serde::Deserialize;
use towline_protocol::Sha;

use super::{Actor, Repository};

/// The `push` event. A fork's pushes are the fork's events, never this repository's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PushEvent {
    /// The repository.
    pub repository: Repository,
    /// `refs/heads/BRANCH` or `refs/tags/TAG`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where the ref leads now, all zeros when it was deleted. For an annotated tag it is the tag's own object.
    pub after: Sha,
    /// Whether the ref was deleted.
    pub deleted: Option<bool>,
    /// The commit that the ref leads to; null when it was deleted.
    pub head_commit: Option<Commit>,
    /// The comparison's page.
    pub compare: Option<String>,
    /// Who pushed.
    pub sender: Option<Actor>,
    /// The SHA-256 of the body in hex: a push has no number of its own.
    #[serde(skip)]
    pub body_sha256: String,
}

/// A commit of a push.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Commit {
    /// Its name.
    pub id: Sha,
}

#[cfg(test)]
mod tests {
    use super::super::{Event, read};

    fn hash(body: &str) -> String {
        let Event::Push(push) = read("push", body.as_bytes()).unwrap() else {
            panic!("a push");
        };
        push.body_sha256
    }

    #[test]
    fn a_push_is_known_by_the_hash_of_its_bytes() {
        let body = r#"{"ref": "refs/heads/main", "after": "3484a3fb816e0859fd6e1cea078d76385ff50625",
            "repository": {"id": 1, "full_name": "octo-org/web"}}"#;
        assert_eq!(hash(body), hash(body));
        assert_ne!(hash(body), hash(&format!("{body} ")));
        assert_eq!(hash(body).len(), 64);
    }

    #[test]
    fn a_body_says_nothing_of_its_own_hash() {
        let body = r#"{"ref": "refs/heads/main", "after": "3484a3fb816e0859fd6e1cea078d76385ff50625",
            "body_sha256": "forged", "repository": {"id": 1, "full_name": "octo-org/web"}}"#;
        assert_ne!(hash(body), "forged");
    }
}
