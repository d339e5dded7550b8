//! The socket's place in the state directory.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;
use tokio::net::UnixListener;

use super::MAX_PATH;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// The path does not fit into a socket's address.
    #[error(
        "its path {} is longer than the {MAX_PATH} bytes that a socket's may have; choose a shorter --state-dir",
        path.display()
    )]
    Long {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is there and no socket; move it away", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {why}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// The socket, which goes away with this.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The user to whom it belongs.
    pub(super) owner: u32,
}

impl Socket {
    /// Makes the socket of the state directory `dir`, which the caller has locked: one that is there is a dead process's.
    ///
    /// It gets its place only when it is its owner's alone.
    ///
    /// # Errors
    /// See [`BindError`]; what was there stays then.
    pub fn bind(dir: &Path) -> Result<Self, BindError> {
        let path = super::path(dir);
        let begun = dir.join("control.new");
        if begun.as_os_str().len() > MAX_PATH {
            return Err(BindError::Long { path: begun });
        }
        for path in [&path, &begun] {
            refuse_other(path)?;
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |why| BindError::Io { path, why }
        };
        match fs::remove_file(&begun) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&begun)(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&begun).map_err(io(&begun))?;
        fs::set_permissions(&begun, Permissions::from_mode(0o600)).map_err(io(&begun))?;
        let owner = fs::symlink_metadata(&begun).map_err(io(&begun))?.uid();
        fs::rename(&begun, &path).map_err(io(&path))?;
        Ok(Self {
            listener,
            path,
            owner,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next process replaces what is left.
        let _ = fs::remove_file(&self.path);
    }
}

/// Refuses anything but a socket, links included.
fn refuse_other(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(BindError::Occupied {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}
