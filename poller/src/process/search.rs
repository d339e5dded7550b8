//! Which file a program is, and whether it can be run, for whoever this process is by now.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::{Head, LOOKED_AT, Refusal};

/// Where a program is, for whoever this process is by now.
pub(super) struct Search<'a> {
    pub(super) program: &'a str,
    /// PATH.
    pub(super) path: OsString,
    pub(super) dir: &'a Path,
    pub(super) user: &'a str,
}

impl Search<'_> {
    /// The first that can be executed. What else has its name in a folder of PATH is passed over, like everywhere.
    pub(super) fn find(&self) -> Result<PathBuf, Refusal> {
        let mut refusal = None;
        for candidate in self.candidates() {
            match self.look(&candidate) {
                Ok(true) => return Ok(candidate),
                Ok(false) => {}
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        Err(refusal.unwrap_or_else(|| self.missing()))
    }

    fn candidates(&self) -> Vec<PathBuf> {
        if self.program.contains('/') {
            return vec![PathBuf::from(self.program)];
        }
        let dirs = env::split_paths(&self.path);
        dirs.map(|dir| dir.join(self.program)).collect()
    }

    /// Whether something is there, unless it cannot be executed.
    fn look(&self, candidate: &Path) -> Result<bool, Refusal> {
        let program = candidate.display().to_string();
        match fs::metadata(candidate) {
            Ok(found) if found.is_dir() => Err(Refusal::Folder { program }),
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Ok(false),
            Ok(_) if access(candidate, Access::EXEC_OK).is_ok() => Ok(true),
            Ok(_) | Err(_) => Err(Refusal::NotExecutable {
                program,
                user: self.user.to_owned(),
            }),
        }
    }

    /// Whether what was found is a program, or a script whose interpreter is there. One below the folder that it runs in may
    /// still be made by another command.
    pub(super) fn interpreter_of(&self, found: &Path) -> Result<(), Refusal> {
        let program = found.display().to_string();
        match first_bytes(found).map(|bytes| Head::read(&bytes)) {
            // What may be executed need not be readable.
            Err(_) | Ok(Head::Other) => Ok(()),
            Ok(Head::Text) => Err(Refusal::NoFormat { program }),
            Ok(Head::CarriageReturn) => Err(Refusal::CarriageReturn { program }),
            Ok(Head::Script {
                interpreter,
                by_env,
            }) => {
                let path = Path::new(&interpreter);
                let is_own = self.dir != Path::new("/") && path.starts_with(self.dir);
                if !is_own && !self.look(path)? {
                    return Err(Refusal::NoInterpreter {
                        program,
                        interpreter,
                    });
                }
                let Some(name) = by_env else { return Ok(()) };
                let named = Search {
                    program: &name,
                    path: self.path.clone(),
                    ..*self
                };
                match named.find() {
                    Ok(_) => Ok(()),
                    Err(_) => Err(Refusal::NoInterpreter {
                        program,
                        interpreter: name,
                    }),
                }
            }
        }
    }

    fn missing(&self) -> Refusal {
        let program = self.program.to_owned();
        if program.contains('/') {
            let dir = self.dir.to_owned();
            return Refusal::Missing { program, dir };
        }
        let path = self.path.to_string_lossy().into_owned();
        Refusal::NotInPath { program, path }
    }
}

/// Of a file alone: who opens a pipe waits.
fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::open(path)?;
    file.take(LOOKED_AT as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
