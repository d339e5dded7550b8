//! The one rule for addresses that secrets, tokens or keys travel to and from.

/// Demands `https`, or `http` to this machine, which alone may see what travels in the clear. Without a name before an
/// `@`, a `?` or a `#`: more can be appended to what passes.
pub(super) fn check(url: &str) -> Result<(), String> {
    let plain = url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"@?#\\".contains(&byte));
    let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    let secure = url.strip_prefix("https://").map(host);
    let local = url.strip_prefix("http://").map(host);
    let good = secure.is_some_and(|host| !name(&host).is_empty())
        || local.is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&name(&host)));
    if plain && good {
        Ok(())
    } else {
        Err(format!("is {url:?}, which is no https:// address"))
    }
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_https_or_to_this_machine_and_nowhere_by_a_trick() {
        for good in [
            "https://github.example.com/api/v3",
            "https://github.example.com:8443",
            "http://127.0.0.1:8080",
            "http://localhost/api",
            "http://[::1]:80/keys",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///keys",
            "https://:443",
            "http://relay.example",
            "ftp://127.0.0.1",
            "http://127.0.0.1.example.com",
            "http://localhost:1@evil.example/",
            "http://localhost:x.evil.example",
            "http://localhost\\.evil.example",
            "https://x@example.com",
            "https://relay.example?to=",
            "https://relay.example/#",
            "https://relay example",
        ] {
            let problem = check(bad).unwrap_err();
            assert!(problem.contains("no https:// address"), "{bad}");
        }
    }
}
