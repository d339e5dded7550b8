//! A hook at GitHub, as `HOOKS` names it.

use std::{fmt, str::FromStr};

/// A hook of a repository or of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook {
    /// `repos/OWNER/REPO` or `orgs/ORG`.
    owner: String,
    id: u64,
}

impl Hook {
    /// Its path below the API's address.
    pub fn path(&self) -> String {
        format!("{}/hooks/{}", self.owner, self.id)
    }
}

impl FromStr for Hook {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no hook; use OWNER/REPO/ID for a repository's and orgs/ORG/ID for an \
                 organization's, where ID is the number at the end of the hook's page at GitHub"
            )
        };
        let parts: Vec<_> = text.split('/').collect();
        let [owner, name, id] = parts.as_slice() else {
            return Err(wrong());
        };
        let id = id.parse().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
        let is_name = |text: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !matches!(text, "" | "." | "..") && text.bytes().all(known)
        };
        if !is_name(owner) || !is_name(name) {
            return Err(wrong());
        }
        // No user can be called "orgs": it is a page of GitHub's.
        let owner = match *owner {
            "orgs" => format!("orgs/{name}"),
            _ => format!("repos/{owner}/{name}"),
        };
        Ok(Self { owner, id })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.strip_prefix("repos/").unwrap_or(&self.owner);
        write!(f, "{owner}/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_repositorys_or_an_organizations() {
        for (text, path) in [
            ("octo-org/web/12345678", "repos/octo-org/web/hooks/12345678"),
            ("Octo-Org/a.b_c/1", "repos/Octo-Org/a.b_c/hooks/1"),
            ("orgs/octo-org/123", "orgs/octo-org/hooks/123"),
        ] {
            let hook: Hook = text.parse().unwrap();
            assert_eq!(
                (hook.path().as_str(), hook.to_string().as_str()),
                (path, text)
            );
        }
    }

    #[test]
    fn what_is_no_hook_is_told_with_what_would_be_one() {
        for bad in [
            "",
            "octo-org/web",
            "octo-org/web/x",
            "octo-org/web/0",
            "a/b/c/1",
            "../web/1",
            "a b/c/1",
            "/web/1",
        ] {
            assert!(
                bad.parse::<Hook>().unwrap_err().contains("OWNER/REPO/ID"),
                "{bad}"
            );
        }
    }
}
