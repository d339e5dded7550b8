//! `.gitmodules`, read, and the addresses in it.

/// What `.gitmodules` says of one submodule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) url: String,
}

/// Reads what `git config -z --list` printed of a `.gitmodules`; those without path or address are none.
pub(super) fn listed_modules(printed: &[u8]) -> Vec<Listed> {
    let text = String::from_utf8_lossy(printed);
    let settings: Vec<(&str, &str)> = text
        .split('\0')
        .filter_map(|setting| setting.strip_prefix("submodule.")?.split_once('\n'))
        .collect();
    let named = |key: &str| {
        let named = move |(name, value): &(&str, &str)| {
            let name = name.strip_suffix(key)?;
            Some((name.to_owned(), (*value).to_owned()))
        };
        settings.iter().filter_map(named).collect::<Vec<_>>()
    };
    let (urls, updates) = (named(".url"), named(".update"));
    let of = |list: &[(String, String)], name: &str| {
        let found = list.iter().find(|(its, _)| its == name);
        found.map(|(_, value)| value.clone())
    };
    let listed = named(".path").into_iter().filter_map(|(name, path)| {
        let url = of(&urls, &name)?;
        let is_left = of(&updates, &name).as_deref() == Some("none");
        (!is_left).then_some(Listed { name, path, url })
    });
    listed.collect()
}

/// An address that begins with `./` or `../` begins at that of the repository that records it, as git has it.
pub(super) fn resolved(base: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let (mut base, mut rest) = (base.trim_end_matches('/').to_owned(), url);
    let mut separator = '/';
    loop {
        if let Some(shorter) = rest.strip_prefix("./") {
            rest = shorter;
        } else if let Some(shorter) = rest.strip_prefix("../") {
            rest = shorter;
            let cut = base.rfind(['/', ':']).unwrap_or(0);
            separator = if base.get(cut..).is_some_and(|tail| tail.starts_with(':')) {
                ':'
            } else {
                '/'
            };
            base.truncate(cut);
        } else {
            return format!("{base}{separator}{}", rest.trim_end_matches('/'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_addresses_begin_at_the_one_that_records_them() {
        for (base, url, expected) in [
            (
                "https://github.com/octo-org/web.git",
                "../lib.git",
                "https://github.com/octo-org/lib.git",
            ),
            (
                "https://github.com/octo-org/web/",
                "../../octocat/lib",
                "https://github.com/octocat/lib",
            ),
            (
                "git@github.com:octo-org/web.git",
                "../lib.git",
                "git@github.com:octo-org/lib.git",
            ),
            (
                "git@github.com:web.git",
                "../lib.git",
                "git@github.com:lib.git",
            ),
            (
                "https://github.com/octo-org/web",
                "./lib/",
                "https://github.com/octo-org/web/lib",
            ),
            (
                "https://github.com/octo-org/web",
                "https://x.example/lib",
                "https://x.example/lib",
            ),
        ] {
            assert_eq!(resolved(base, url), expected);
        }
    }

    #[test]
    fn submodules_are_listed_with_path_and_address() {
        let printed = b"submodule.lib.path\nvendor/lib\0submodule.lib.url\n../lib\0\
            submodule.a.b.path\nx\0submodule.a.b.url\nhttps://x\0submodule.half.path\ny\0\
            submodule.off.path\nz\0submodule.off.url\nhttps://z\0submodule.off.update\nnone\0core.x\ny\0";
        let listed = listed_modules(printed);
        let names: Vec<&str> = listed.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["lib", "a.b"]);
        assert_eq!(
            (listed[0].path.as_str(), listed[0].url.as_str()),
            ("vendor/lib", "../lib")
        );
    }
}
