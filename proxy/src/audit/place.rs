//! Where lines are written, and how a file is found again after others have moved it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::chain::{Link, Tied};
use crate::config::{Audit, AuditTo};

/// An open place. What is written goes to its end.
pub(super) enum Place {
    Stdout,
    Stderr,
    File(Log),
}

/// A file, and where its chain stands.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    link: Option<Link>,
}

impl Place {
    pub(super) fn open(to: &AuditTo, chain: bool) -> Result<Self, CannotWrite> {
        let AuditTo::File(path) = to else {
            return Ok(if *to == AuditTo::Stdout { Self::Stdout } else { Self::Stderr });
        };
        let open = || {
            let mut file = open(path, chain)?;
            let link = if chain { Some(last_link(&mut file)?) } else { None };
            Ok(Self::File(Log { path: path.clone(), file, link }))
        };
        open().map_err(|error| CannotWrite(path.clone(), error))
    }

    /// One event as a line, tied to the last one if lines are.
    pub(super) fn line(&mut self, event: &str) -> String {
        match self {
            Self::File(Log { link: Some(link), .. }) => link.tie(event),
            Self::File(_) | Self::Stdout | Self::Stderr => event.to_owned(),
        }
    }

    /// Makes sure that what is written next comes to where the name leads; tells whether that is
    /// another file than before.
    pub(super) fn follow(&mut self) -> io::Result<bool> {
        let Self::File(log) = self else { return Ok(false) };
        let held = log.file.metadata()?;
        match fs::metadata(&log.path) {
            Ok(found) if (found.dev(), found.ino()) == (held.dev(), held.ino()) => {
                return Ok(false);
            }
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(error),
        }
        log.file = open(&log.path, log.link.is_some())?;
        Ok(true)
    }

    /// Writes some of it; tells how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => io::stdout().write(bytes),
            Self::Stderr => io::stderr().write(bytes),
            Self::File(log) => log.file.write(bytes),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::Stderr | Self::File(_) => Ok(()),
        }
    }
}

/// Ends a line that was torn, so that it spoils no other.
fn open(path: &Path, alone: bool) -> io::Result<File> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(PRIVATE).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if alone {
        // Two writers would each go on from the same line.
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process writes to it"),
            TryLockError::Error(error) => error,
        })?;
    }
    let mut last = [0];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Of the last line that is whole.
fn last_link(file: &mut File) -> io::Result<Link> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let text = String::from_utf8_lossy(&tail);
    let mut tied = text.lines().rev().filter_map(Tied::read);
    match tied.next() {
        Some(last) => Ok(last.link),
        None if text.trim().is_empty() => Ok(Link::none()),
        None => Err(io::Error::other(
            "its last lines are of no chain: move it away, or remove audit.chain",
        )),
    }
}

/// What can be said of the place without making anything there.
pub(crate) fn examine(rules: Option<&Audit>) -> Result<(), CannotWrite> {
    let Some(Audit { to: AuditTo::File(path), .. }) = rules else { return Ok(()) };
    let look = || match OpenOptions::new().append(true).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(()),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let found = fs::metadata(directory)?;
            if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
        }
        Err(error) => Err(error),
    };
    look().map_err(|error| CannotWrite(path.clone(), error))
}

/// Why there is no place for events.
#[derive(Debug, thiserror::Error)]
#[error("audit.to: {path}: it cannot be written to: {1}", path = .0.display())]
pub(crate) struct CannotWrite(PathBuf, #[source] io::Error);

/// For its owner's eyes: it says who does what.
const PRIVATE: u32 = 0o600;
/// More than the longest line, and some that are torn.
const TAIL: u64 = 1 << 20;
