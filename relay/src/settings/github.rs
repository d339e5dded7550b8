//! What the relay needs to ask GitHub for deliveries: `GITHUB_TOKEN`, `HOOKS` and `GITHUB_API_URL`.

use towline_protocol::Secret;

use super::{SettingsError, Vars, address, secret, text};
use crate::missed::Hook;

/// The API of github.com.
const DEFAULT_API: &str = "https://api.github.com";

/// As many as get their turn within half an hour, or an hour and a half where all are busy.
const MOST_HOOKS: usize = 50;

/// How GitHub is asked, and for what.
#[derive(Clone, Debug)]
pub struct GitHub {
    /// `GITHUB_API_URL`, without a slash at its end.
    pub api: String,
    /// `GITHUB_TOKEN`.
    pub token: Secret,
    /// `HOOKS`.
    pub hooks: Vec<Hook>,
}

/// Reads them; `None` when neither `GITHUB_TOKEN` nor `HOOKS` is set.
///
/// # Errors
/// When one of these two is set alone, a hook is none, or the address is not one that a token may go to.
pub fn github(vars: &Vars<'_>) -> Result<Option<GitHub>, SettingsError> {
    let token = secret("GITHUB_TOKEN", vars)?;
    let hooks = hooks(&text("HOOKS", vars)?.unwrap_or_default())?;
    let (token, hooks) = match (token, hooks) {
        (None, hooks) if hooks.is_empty() => return Ok(None),
        (None, _) => {
            let problem = "is not set, and HOOKS is; set it with: wrangler secret put GITHUB_TOKEN";
            return Err(SettingsError::new("GITHUB_TOKEN", problem));
        }
        (Some(_), hooks) if hooks.is_empty() => {
            let problem = "is empty, and GITHUB_TOKEN is set; list the hooks to look after";
            return Err(SettingsError::new("HOOKS", problem));
        }
        (Some(token), hooks) => (token, hooks),
    };
    let api = api(&text("GITHUB_API_URL", vars)?.unwrap_or_default())?;
    Ok(Some(GitHub { api, token, hooks }))
}

fn hooks(list: &str) -> Result<Vec<Hook>, SettingsError> {
    let wrong = |problem: String| SettingsError::new("HOOKS", format!("is wrong: {problem}"));
    let words = list.split([',', ' ', '\n', '\t']);
    let words = words.filter(|word| !word.is_empty());
    let hooks: Result<Vec<Hook>, String> = words.map(str::parse).collect();
    let mut hooks = hooks.map_err(wrong)?;
    hooks.sort();
    hooks.dedup();
    if hooks.len() > MOST_HOOKS {
        return Err(wrong(format!("it has more than {MOST_HOOKS} hooks")));
    }
    Ok(hooks)
}

fn api(url: &str) -> Result<String, SettingsError> {
    let url = url.trim().trim_end_matches('/');
    if url.is_empty() {
        return Ok(DEFAULT_API.to_owned());
    }
    address::check(url).map_err(|problem| {
        let problem = format!("{problem}; use https://HOST/api/v3, or nothing for github.com");
        SettingsError::new("GITHUB_API_URL", problem)
    })?;
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::Var, *};

    fn read(token: &str, hooks: &str, api: &str) -> Result<Option<GitHub>, SettingsError> {
        github(&|name: &str| {
            Var::Text(match name {
                "GITHUB_TOKEN" => token.to_owned(),
                "HOOKS" => hooks.to_owned(),
                "GITHUB_API_URL" => api.to_owned(),
                _ => return Var::Absent,
            })
        })
    }

    #[test]
    fn nothing_configured_is_nothing_to_do() {
        assert!(github(&|_: &str| Var::Absent).unwrap().is_none());
        assert!(read("", "", "").unwrap().is_none());
    }

    #[test]
    fn half_configured_names_what_is_missing() {
        assert_eq!(read("t", "", "").unwrap_err().variable, "HOOKS");
        assert_eq!(
            read("", "octo-org/web/1", "").unwrap_err().variable,
            "GITHUB_TOKEN"
        );
    }

    #[test]
    fn hooks_are_listed_with_commas_or_spaces_and_each_counts_once() {
        let github = read("t", "orgs/octo-org/2, octo-org/web/1 octo-org/web/1", "")
            .unwrap()
            .unwrap();
        let names: Vec<_> = github.hooks.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["orgs/octo-org/2", "octo-org/web/1"]);
        assert_eq!(github.api, "https://api.github.com");
        let error = read("t", "octo-org/web", "").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("HOOKS is wrong: \"octo-org/web\""),
            "{error}"
        );
        let many: String = (1..=51).map(|id| format!("octo-org/web/{id} ")).collect();
        assert!(
            read("t", &many, "")
                .unwrap_err()
                .to_string()
                .contains("more than 50")
        );
    }

    #[test]
    fn the_token_goes_to_https_or_to_this_machine_only() {
        for (url, taken) in [
            (
                "https://github.example.com/api/v3/",
                "https://github.example.com/api/v3",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost/api", "http://localhost/api"),
        ] {
            assert_eq!(
                read("t", "octo-org/web/1", url).unwrap().unwrap().api,
                taken
            );
        }
        for bad in [
            "http://github.example.com",
            "https://",
            "api.github.com",
            "http://127.0.0.1.example.com",
            "https://x@example.com",
        ] {
            let error = read("t", "octo-org/web/1", bad).unwrap_err();
            assert_eq!(error.variable, "GITHUB_API_URL", "{bad}");
        }
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let github = read("a token", "octo-org/web/1", "").unwrap();
        assert!(!format!("{github:?}").contains("a token"));
    }
}
