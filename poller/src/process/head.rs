//! What the system makes of a program by its first bytes: a script for an interpreter, or something else. Pure.

use std::path::Path;

/// How much of a program is looked at, in bytes; the kernel looks at no more.
pub(crate) const LOOKED_AT: usize = 256;

/// What the first bytes of a program say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A script.
    Script {
        /// The program that its first line names.
        interpreter: String,
        /// What that looks up in PATH, where it is `env`.
        by_env: Option<String>,
    },
    /// A script whose first line ends with a carriage return, which the kernel takes for a part of the name.
    CarriageReturn,
    /// Text, or nothing at all, without `#!`: no format that can be run.
    Text,
    /// A format of the system's, or nothing that can be told.
    Other,
}

impl Head {
    /// Reads the first bytes of a program, at least [`LOOKED_AT`] of a longer one.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let Some(line) = bytes.strip_prefix(b"#!") else {
            return if is_text(bytes) {
                Self::Text
            } else {
                Self::Other
            };
        };
        let end = line.iter().position(|&byte| byte == b'\n');
        if end.is_none() && bytes.len() >= LOOKED_AT {
            return Self::Other;
        }
        let line = end.map_or(line, |end| line.split_at(end).0);
        if line.ends_with(b"\r") {
            return Self::CarriageReturn;
        }
        let Ok(line) = str::from_utf8(line) else {
            return Self::Other;
        };
        let line = line.trim_matches([' ', '\t']);
        let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        if interpreter.is_empty() {
            return Self::Text;
        }
        Self::Script {
            interpreter: interpreter.to_owned(),
            by_env: by_env(interpreter, argument.trim_start_matches([' ', '\t'])),
        }
    }
}

/// The program that `env` looks up; not told where it gets options or variables.
fn by_env(interpreter: &str, argument: &str) -> Option<String> {
    let is_env = Path::new(interpreter).file_name()? == "env";
    let is_plain = !argument.is_empty() && !argument.starts_with('-');
    let is_name = is_plain && !argument.contains(['=', ' ', '\t']);
    (is_env && is_name).then(|| argument.to_owned())
}

fn is_text(bytes: &[u8]) -> bool {
    let is_of_text = |byte: &u8| !byte.is_ascii_control() || b"\t\n\r\x0c\x1b".contains(byte);
    let is_whole = match str::from_utf8(bytes) {
        Ok(_) => true,
        // Only cut off in the middle of a letter.
        Err(error) => error.error_len().is_none(),
    };
    is_whole && bytes.iter().all(is_of_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(interpreter: &str, by_env: Option<&str>) -> Head {
        Head::Script {
            interpreter: interpreter.to_owned(),
            by_env: by_env.map(str::to_owned),
        }
    }

    #[test]
    fn a_script_names_its_interpreter() {
        let read = |text: &str| Head::read(text.as_bytes());
        assert_eq!(read("#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(read("#! /bin/sh -e\n"), script("/bin/sh", None));
        assert_eq!(read("#!/bin/sh"), script("/bin/sh", None));
        let python = script("/usr/bin/env", Some("python3"));
        assert_eq!(read("#!/usr/bin/env python3\n"), python);
        for untold in ["-S python3 -u", "A=b python3", "python3 -u", ""] {
            let text = format!("#!/usr/bin/env {untold}\n");
            assert_eq!(read(&text), script("/usr/bin/env", None), "{untold}");
        }
    }

    #[test]
    fn line_ends_of_windows_are_seen_in_the_first_line_alone() {
        for text in ["#!/bin/sh\r\n", "#!/bin/sh -e\r\n", "#!/usr/bin/env bash\r"] {
            assert_eq!(Head::read(text.as_bytes()), Head::CarriageReturn, "{text}");
        }
        let later = Head::read(b"#!/bin/sh\necho\r\n");
        assert_eq!(later, script("/bin/sh", None));
    }

    #[test]
    fn text_without_an_interpreter_is_no_program() {
        for text in ["", "echo hello\n", "\u{feff}#!/bin/sh\n", "#!\n", "# ä"] {
            assert_eq!(Head::read(text.as_bytes()), Head::Text, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        let long = format!("#!/{}", "x".repeat(LOOKED_AT));
        for bytes in [
            b"\x7fELF\x02\x01\x01\0",
            long.as_bytes(),
            b"#!/\xff\n",
            b"MZ\x90\0",
        ] {
            assert_eq!(Head::read(bytes), Head::Other, "{bytes:?}");
        }
        let cut = Head::read(&"ä".as_bytes()[..1]);
        assert_eq!(cut, Head::Text, "a letter that is cut off");
    }
}
