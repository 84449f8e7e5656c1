//! What lies in a data directory beside the database itself.
//!
//! ```text
//! DIR/orgpipe.lock      held as long as a store is open; has the process id in it
//! DIR/sled/             the database; orgpipe.note in it is the superblock: see `superblock.rs`
//! DIR/compact.new/      a compaction under way; DIR/import.new/ an import under way
//! DIR/compact.old/      the database before a compaction, until the new one is in its place
//! ```
//!
//! Here: the lock, leftovers, and one database in the place of another. Not here: anything in the database (`disk.rs`).

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use fs4::fs_std::FileExt;

use crate::error::StoreError;

/// The database.
pub(crate) const DATABASE: &str = "sled";
/// A compacted copy that is not complete yet.
pub(crate) const COMPACT_NEW: &str = "compact.new";
/// The database that was compacted.
const COMPACT_OLD: &str = "compact.old";
/// An import that is not complete yet.
pub(crate) const IMPORT_NEW: &str = "import.new";
/// Times we look whether a file is free, and time between them.
const LOOKS: (u32, Duration) = (200, Duration::from_millis(25));

/// Mode of the directories that we make: records of customers lie in them.
const DIR_MODE: u32 = 0o700;
/// Mode of the files that we make.
pub(crate) const FILE_MODE: u32 = 0o600;

/// What makes a file this one and no other, whatever its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

/// Which file a path leads to now.
pub(crate) fn identity(path: &Path) -> Result<FileIdentity, StoreError> {
    let about = fs::metadata(path).map_err(|source| file("read", path, source))?;
    Ok(FileIdentity { device: about.dev(), inode: about.ino() })
}

/// The rights of everybody but the owner.
const OF_OTHERS: u32 = 0o077;

/// Makes a directory that only its owner may look into. One that is there stays as it is.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir);
    made.map_err(|source| file("create", dir, source))
}

/// Shuts a directory that is ours alone to everybody else; earlier versions left it open.
pub(crate) fn make_private(dir: &Path) -> Result<(), StoreError> {
    let about = fs::metadata(dir).map_err(|source| file("read", dir, source))?;
    if about.permissions().mode() & OF_OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(dir, Permissions::from_mode(DIR_MODE)).map_err(|source| file("protect", dir, source))
}

/// Is there a database, also one that a compaction has put aside?
pub(crate) fn has_database(dir: &Path) -> bool {
    dir.join(DATABASE).join("db").exists() || dir.join(COMPACT_OLD).exists()
}

/// A compaction that broke off: what it replaced goes if the new one is in its place, and comes back if not.
pub(crate) fn finish_swap(dir: &Path) -> Result<(), StoreError> {
    let (now, old) = (dir.join(DATABASE), dir.join(COMPACT_OLD));
    if old.exists() && !now.exists() {
        rename(&old, &now)?;
        tracing::warn!("a compaction broke off; the database is as it was before");
    }
    remove_dir(&old)
}

/// Puts a complete new database in the place of the old one.
pub(crate) fn swap(dir: &Path, new: &str) -> Result<(), StoreError> {
    sync_all(&dir.join(new))?;
    rename(&dir.join(DATABASE), &dir.join(COMPACT_OLD))?;
    rename(&dir.join(new), &dir.join(DATABASE))?;
    remove_dir(&dir.join(COMPACT_OLD))
}

/// Waits until a directory with all that is in it would survive a power cut.
pub(crate) fn sync_all(dir: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(dir).map_err(|source| file("read", dir, source))? {
        let path = entry.map_err(|source| file("read", dir, source))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            File::open(&path)
                .and_then(|open| open.sync_all())
                .map_err(|source| file("sync", &path, source))?;
        }
    }
    File::open(dir).and_then(|open| open.sync_all()).map_err(|source| file("sync", dir, source))
}

/// Renames, and waits until it would survive a power cut.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| file("rename", from, source))?;
    let dir = to.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| file("sync", dir, source))
}

/// Removes a directory, if it is there.
pub(crate) fn remove_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(file("remove", dir, source)),
        _ => Ok(()),
    }
}

/// Bytes of the files of the database in a data directory, whoever has it open. Blocks for the disk.
///
/// # Errors
/// There is none, or it cannot be looked at.
pub fn database_bytes(dir: &Path) -> Result<u64, StoreError> {
    bytes_in(&dir.join(DATABASE))
}

/// Bytes of all files of a database.
pub(crate) fn bytes_in(dir: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).map_err(|source| file("read", dir, source))? {
        let entry = entry.map_err(|source| file("read", dir, source))?;
        let about = entry.metadata().map_err(|source| file("read", &entry.path(), source))?;
        bytes += if about.is_dir() { bytes_in(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

/// Waits until nobody in this process has the database of a directory open any more.
pub(crate) fn wait_until_free(db_dir: &Path) -> Result<(), StoreError> {
    let path = db_dir.join("db");
    let log = File::open(&path).map_err(|source| file("open", &path, source))?;
    let (looks, pause) = LOOKS;
    for _ in 0..looks {
        if FileExt::try_lock_exclusive(&log).map_err(|source| file("lock", &path, source))? {
            return Ok(());
        }
        thread::sleep(pause);
    }
    let still = io::Error::new(io::ErrorKind::WouldBlock, "it is still in use");
    Err(file("close", &path, still))
}

/// Takes the lock that makes us the only user of the directory.
pub(crate) fn lock(dir: &Path) -> Result<Arc<File>, StoreError> {
    let path = dir.join("orgpipe.lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    let mut lock = options.open(&path).map_err(|source| file("open", &path, source))?;
    if !FileExt::try_lock_exclusive(&lock).map_err(|source| file("lock", &path, source))? {
        let mut holder = String::new();
        // Who it is only helps the reader of the error: without it the error stands as well.
        let _ = lock.take(20).read_to_string(&mut holder);
        let holder = Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty());
        return Err(StoreError::Locked { dir: dir.to_owned(), holder });
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(|source| file("write", &path, source))?;
    Ok(Arc::new(lock))
}

/// A process that dies while sled writes a snapshot leaves `snap.*.generating`, which sled then takes for a broken
/// snapshot and refuses to open. The one before it is removed only after the new one is complete, so the unfinished
/// one is not needed.
pub(crate) fn remove_unfinished_snapshots(db_dir: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(db_dir).map_err(|source| file("read", db_dir, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| file("read", db_dir, source))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let path = entry.path();
            fs::remove_file(&path).map_err(|source| file("remove", &path, source))?;
            tracing::warn!(file = %name, "removed an unfinished snapshot of the database");
        }
    }
    Ok(())
}

pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::File { doing, path: PathBuf::from(path), source }
}
