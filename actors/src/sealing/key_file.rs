//! The file of the vault key, beside the data directory and never in it.
//!
//! Here: reading it, and making it at the first start. Not here: a key that comes from elsewhere (`src/config`).

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{NoKey, SealingKey};

/// Only the service's own user reads it.
const MODE: u32 = 0o600;
/// Mode of its folder, if that is not there yet.
const FOLDER_MODE: u32 = 0o700;
/// Bytes that are read at all.
const BYTES_MAX: u64 = 4_096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("the vault key cannot be {what} at {}: {cause}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// It holds something else.
    #[error("{} holds no vault key: {cause}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: NoKey,
    },
    /// There is none, though there was one.
    #[error(
        "there is no vault key at {}, and it seals the refresh tokens of {} in the data directory", path.display(), named(orgs)
    )]
    Lost {
        /// Where it is looked for.
        path: PathBuf,
        /// Orgs whose refresh token it seals.
        orgs: Vec<String>,
    },
    /// A change of the key stopped half-way.
    #[error("the change of the vault key was cut off: {} is still there", path.display())]
    HalfRotated {
        /// The file of the key that comes.
        path: PathBuf,
    },
}

impl KeyFileError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "Let the user that runs orgpipe read and write there, or name another file in `service.vault_key_file`."
            }
            Self::Content { .. } => {
                "Put back the right file. Without it the stored refresh tokens cannot be read, and each customer who \
                 connected in the browser has to connect again."
            }
            Self::Lost { .. } => {
                "Put the file back that this data directory was used with. If it is lost, make another yourself (`umask 077; \
                 openssl rand -base64 32 > FILE`) and start orgpipe: those refresh tokens cannot be read any more then, and \
                 each of the customers has to connect again (`orgpipe orgs invite`)."
            }
            Self::HalfRotated { .. } => {
                "Run `orgpipe vault rotate-key` once more; it goes on where it stopped."
            }
        }
    }
}

/// The file that stands there while the key is changed.
pub(crate) fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

fn named(orgs: &[String]) -> String {
    match orgs {
        [org] => format!("org `{org}`"),
        orgs => format!("{} orgs, such as `{}`", orgs.len(), orgs.first().map_or("", String::as_str)),
    }
}

/// The key of this file to start with, if there is one.
pub(crate) fn find(path: &Path) -> Result<Option<SealingKey>, KeyFileError> {
    let next = next(path);
    if next.exists() {
        return Err(KeyFileError::HalfRotated { path: next });
    }
    read(path)
}

/// The first key; none if there was one before, by which the refresh tokens of these orgs are sealed.
pub(crate) fn make_first(path: &Path, sealed: Vec<String>) -> Result<SealingKey, KeyFileError> {
    if sealed.is_empty() {
        make(path)
    } else {
        Err(KeyFileError::Lost { path: path.to_owned(), orgs: sealed })
    }
}

/// The key of this file, if there is one.
pub(crate) fn read(path: &Path) -> Result<Option<SealingKey>, KeyFileError> {
    let failed = |cause| KeyFileError::Io { what: "read", path: path.to_owned(), cause };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let text = SecretString::from(text);
    let key = SealingKey::parse(text.expose_secret());
    key.map(Some).map_err(|cause| KeyFileError::Content { path: path.to_owned(), cause })
}

/// A new key, durable in a new file before it seals anything. The file is there as a whole or not at all, and takes no
/// other's place.
pub(crate) fn make(path: &Path) -> Result<SealingKey, KeyFileError> {
    let failed = |cause| KeyFileError::Io { what: "made", path: path.to_owned(), cause };
    let text = SealingKey::generate();
    let write = || {
        if let Some(folder) = folder(path) {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        }
        let mut file = tempfile::Builder::new()
            .prefix(".vault-key-")
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(folder(path).unwrap_or(Path::new(".")))?;
        writeln!(file, "{}", text.expose_secret())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        sync_folder(path)
    };
    write().map_err(failed)?;
    tracing::info!(file = %path.display(), "a vault key was made; keep a copy of it where no copy of the data directory is");
    SealingKey::parse(text.expose_secret())
        .map_err(|cause| KeyFileError::Content { path: path.to_owned(), cause })
}

/// The next key takes the place of the present one.
pub(crate) fn replace(path: &Path) -> Result<(), KeyFileError> {
    let renamed = fs::rename(next(path), path).and_then(|()| sync_folder(path));
    renamed.map_err(|cause| KeyFileError::Io { what: "replaced", path: path.to_owned(), cause })
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// A new name survives a power cut once its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path).unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_or_make(path: &Path) -> Result<SealingKey, KeyFileError> {
        match find(path)? {
            Some(key) => Ok(key),
            None => make_first(path, Vec::new()),
        }
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data.key");
        let key = read_or_make(&path).expect("a new key");
        assert_eq!(read_or_make(&path).expect("the same"), key);
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_is_no_key_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data.key");
        fs::write(&path, "something else").expect("written");
        let error = read_or_make(&path).expect_err("no key");
        assert!(
            error.to_string().contains("data.key") && !error.to_string().contains("something"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).expect("a file"), "something else");
    }

    #[test]
    fn no_key_is_made_in_the_place_of_one_that_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data.key");
        for (sealed, told) in
            [(&["acme"][..], "of org `acme`"), (&["acme", "globex"], "of 2 orgs, such as `acme`")]
        {
            let sealed = sealed.iter().map(|org| (*org).to_owned()).collect();
            let error = make_first(&path, sealed).expect_err("it is gone");
            assert!(error.to_string().contains(told) && error.to_string().contains("data.key"), "{error}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_change_that_was_cut_off_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data.key");
        let old = read_or_make(&path).expect("a key");
        let new = make(&next(&path)).expect("the next key");
        assert!(matches!(read_or_make(&path), Err(KeyFileError::HalfRotated { .. })));
        assert!(make(&next(&path)).is_err(), "it takes no other's place");
        assert!(read(&next(&path)).expect("readable").as_ref() == Some(&new));
        replace(&path).expect("replaced");
        let now = read_or_make(&path).expect("the new one");
        assert!(now == new && now != old);
    }
}
