//! What git says, read: what kind of trouble it tells of, and which of its lines are repeated. The words are those of the
//! C locale, which every git is started in.

use std::path::Path;

use super::RemoteTrouble;

/// What kind of trouble git's words tell of.
pub(super) fn trouble(said: &str) -> RemoteTrouble {
    const DENIED: [&str; 9] = [
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        // SSH's words; without what follows, the system's about a file of this host.
        "Permission denied (",
        "Permission denied, please try again",
        "HTTP Basic: Access denied",
        "The requested URL returned error: 401",
        "The requested URL returned error: 403",
        "Too many authentication failures",
    ];
    const NO_REPOSITORY: [&str; 4] = [
        "Repository not found",
        "' not found",
        "does not appear to be a git repository",
        "The requested URL returned error: 404",
    ];
    const UNREACHABLE: [&str; 30] = [
        "Could not resolve",
        "Failed to connect",
        "Couldn't connect",
        "Connection refused",
        "Connection reset",
        "Connection timed out",
        "Connection closed",
        "Network is unreachable",
        "No route to host",
        "Operation timed out",
        "Operation too slow",
        "Empty reply from server",
        "The requested URL returned error: 5",
        "The requested URL returned error: 429",
        "the remote end hung up",
        "unexpected disconnect",
        "early EOF",
        "Recv failure",
        "transfer closed",
        "Send failure",
        "Temporary failure",
        "kex_exchange_identification",
        // Of the libraries that speak TLS and HTTP/2: the connection broke off, not that they do not trust it.
        "SSL_ERROR_SYSCALL",
        "SSL_ERROR_ZERO_RETURN",
        "SSL connection timeout",
        "unexpected eof while reading",
        "gnutls_handshake() failed",
        "GnuTLS recv error",
        "was not closed cleanly",
        "Error in the HTTP2 framing layer",
    ];
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // In front of the others: what SSH says after it is true of a refused login too.
    if said.contains("Host key verification failed") {
        RemoteTrouble::UnknownKey
    } else if says(&DENIED) {
        RemoteTrouble::Denied
    } else if says(&NO_REPOSITORY) {
        RemoteTrouble::NoRepository
    } else if says(&UNREACHABLE) {
        RemoteTrouble::Unreachable
    } else {
        RemoteTrouble::Other
    }
}

/// The repository that git does not work in because it is somebody else's.
pub(super) fn not_ours(said: &str) -> Option<&Path> {
    let (_, after) = said.split_once("dubious ownership in repository at '")?;
    let (path, _) = after.split_once("'\n").or_else(|| after.split_once('\''))?;
    Some(Path::new(path))
}

/// Whether git may have failed by what it could not write here. SSH says of its own files what git says of others, beside the words
/// for the real trouble.
pub(super) fn is_unwritten(said: &str) -> bool {
    let is_refused = |line: &str| line.trim_end().ends_with(": Permission denied");
    said.contains("insufficient permission for adding an object")
        || (trouble(said) == RemoteTrouble::Other && said.lines().any(is_refused))
}

/// What kind of trouble the words of Git LFS tell of. It has its own, those of a library, and repeats those of git for logins.
pub(super) fn lfs_trouble(said: &str) -> RemoteTrouble {
    const NOT_THERE: [&str; 2] = ["Repository or object not found", "[404]"];
    const UNREACHABLE: [&str; 9] = [
        "dial tcp",
        "Server error",
        "Rate limit exceeded",
        "connection refused",
        "connection reset",
        "i/o timeout",
        "Timeout exceeded",
        "TLS handshake timeout",
        "EOF",
    ];
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let known = trouble(said);
    if known != RemoteTrouble::Other {
        known
    } else if said.contains("Authorization error") {
        RemoteTrouble::Denied
    } else if says(&NOT_THERE) {
        RemoteTrouble::NoRepository
    } else if says(&UNREACHABLE) {
        RemoteTrouble::Unreachable
    } else {
        RemoteTrouble::Other
    }
}

/// The lines of what git said that tell most, without the logins of addresses.
pub(super) fn words(said: &str) -> String {
    /// How much is repeated, in characters.
    const WORDS: usize = 400;
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let telling = |line: &&&str| {
        let marks = [
            "fatal:",
            "error:",
            "remote:",
            "ERROR:",
            "batch response:",
            "LFS:",
            "Fatal error:",
        ];
        marks.iter().any(|mark| line.starts_with(mark)) || line.contains("Permission denied")
    };
    let mut chosen: Vec<&str> = lines.iter().filter(telling).copied().collect();
    if chosen.is_empty() {
        chosen.extend(lines.last());
    }
    if chosen.is_empty() {
        return "it said nothing".to_owned();
    }
    let text = without_logins(&chosen.join("; "));
    text.chars().take(WORDS).collect()
}

/// `text` with `***` for what stands before the `@` of an address.
pub(super) fn without_logins(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'')
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str("***@");
                clean.push_str(host);
            }
            None => clean.push_str(authority),
        }
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_cannot_read_is_not_what_git_cannot_write() {
        let adding = "error: insufficient permission for adding an object to repository database .git/objects\n\
                      fatal: the remote end hung up unexpectedly\n";
        let file = "error: cannot open '.git/FETCH_HEAD': Permission denied\n";
        let key = "Load key \"/home/web/.ssh/id\": Permission denied\r\n";
        let login = format!("{key}git@host: Permission denied (publickey).\n");
        for (said, expected) in [(adding, true), (file, true), (&*login, false)] {
            assert_eq!(is_unwritten(said), expected, "{said}");
        }
    }

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        for (said, expected) in [
            (
                "fatal: unable to access 'http://git.example/x/': Could not resolve host: git.example",
                RemoteTrouble::Unreachable,
            ),
            (
                "fatal: unable to access 'http://h/x/': Failed to connect to h port 1 after 0 ms",
                RemoteTrouble::Unreachable,
            ),
            (
                "error: RPC failed; HTTP 502\nfatal: the remote end hung up unexpectedly",
                RemoteTrouble::Unreachable,
            ),
            (
                "fatal: unable to access 'http://h/x/': The requested URL returned error: 503",
                RemoteTrouble::Unreachable,
            ),
            (
                "fatal: unable to access 'https://h/x/': OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:443",
                RemoteTrouble::Unreachable,
            ),
            (
                "fatal: unable to access 'https://h/x/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
                RemoteTrouble::Unreachable,
            ),
            (
                "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)",
                RemoteTrouble::Unreachable,
            ),
            (
                "error: cannot lock ref 'refs/remotes/origin/main': is at 1 but expected 2",
                RemoteTrouble::Other,
            ),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                RemoteTrouble::Denied,
            ),
            (
                "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                RemoteTrouble::Denied,
            ),
            (
                "Host key verification failed.\r\nfatal: Could not read from remote repository.",
                RemoteTrouble::UnknownKey,
            ),
            (
                "octocat@h: Permission denied, please try again.",
                RemoteTrouble::Denied,
            ),
            (
                "error: cannot lock ref 'refs/remotes/origin/main': Unable to create '/srv/app/.git/refs/remotes/origin/main.lock': Permission denied",
                RemoteTrouble::Other,
            ),
            (
                "fatal: repository 'http://h/none.git/' not found",
                RemoteTrouble::NoRepository,
            ),
            (
                "fatal: SSL certificate problem: self-signed certificate",
                RemoteTrouble::Other,
            ),
        ] {
            assert_eq!(trouble(said), expected, "{said}");
        }
    }

    #[test]
    fn the_repository_that_is_somebody_elses_is_known_by_its_path() {
        let said = "fatal: detected dubious ownership in repository at '/srv/octo's web.git'\nTo add an exception, call:";
        assert_eq!(not_ours(said), Some(Path::new("/srv/octo's web.git")));
        assert_eq!(not_ours("fatal: not a git repository"), None);
    }

    #[test]
    fn what_git_lfs_says_of_its_server_is_read_too() {
        for (said, expected) in [
            (
                "batch response: Post \"http://h/x.git/info/lfs/objects/batch\": dial tcp 127.0.0.1:1: connect: connection refused",
                RemoteTrouble::Unreachable,
            ),
            (
                "batch response: Post \"http://h/x.git/info/lfs/objects/batch\": EOF",
                RemoteTrouble::Unreachable,
            ),
            (
                "batch response: Fatal error: Server error: http://h/x.git/info/lfs/objects/batch",
                RemoteTrouble::Unreachable,
            ),
            (
                "batch response: Rate limit exceeded: http://h/x.git/info/lfs/objects/batch",
                RemoteTrouble::Unreachable,
            ),
            (
                "fatal: could not read Username for 'http://h': terminal prompts disabled\nbatch response: Git credentials for http://h/x.git not found.",
                RemoteTrouble::Denied,
            ),
            (
                "batch response: Authorization error: http://h/x.git/info/lfs/objects/batch",
                RemoteTrouble::Denied,
            ),
            (
                "[2c26b46] no such object: [404] no such object",
                RemoteTrouble::NoRepository,
            ),
            (
                "LFS: Repository or object not found: http://h/o",
                RemoteTrouble::NoRepository,
            ),
            ("batch response: something new", RemoteTrouble::Other),
        ] {
            assert_eq!(lfs_trouble(said), expected, "{said}");
        }
    }

    #[test]
    fn the_login_of_an_address_is_not_repeated() {
        let said = "fatal: unable to access 'https://octocat:hunter2@git.example/web.git/': no";
        let shown = words(said);
        assert!(!shown.contains("hunter2") && shown.contains("https://***@git.example/web.git/"));
        assert_eq!(
            without_logins("http://a/b@c http://x:y@z"),
            "http://a/b@c http://***@z"
        );
    }

    #[test]
    fn the_lines_that_tell_most_are_repeated() {
        let said = "Cloning into 'x'...\nremote: no\n\nfatal: not today\n";
        assert_eq!(words(said), "remote: no; fatal: not today");
        assert_eq!(words("it is so\n"), "it is so");
        assert_eq!(words(" \n"), "it said nothing");
    }
}
