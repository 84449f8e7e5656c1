//! The database written anew, because its files only grow: what was removed leaves gaps that are used again but not
//! given back.

use std::path::Path;

use crate::{
    disk::{Disk, SledDisk},
    error::StoreError,
    files::{self, COMPACT_NEW, DATABASE, bytes_in},
    index::{Rebuild, check_format},
    options::Options,
    step::Write,
};

/// Bytes in one commit.
const COMMIT_BYTES: usize = 1024 * 1024;

/// What a compaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Entries of the database.
    pub entries: u64,
    /// Bytes of its files before.
    pub bytes_before: u64,
    /// Bytes of its files now.
    pub bytes_after: u64,
}

/// Copies every entry into a new database beside, reads it back, and puts it in the place of the old one. Needs room
/// for both meanwhile.
///
/// # Errors
/// A service has the database open, there is none, or it is damaged; or there is no room. The old one is as it was then.
pub fn compact(dir: &Path) -> Result<Compacted, StoreError> {
    let old = SledDisk::open_existing(dir, Options::OFFLINE)?;
    check_format(&old)?;
    let mut rebuild = Rebuild::default();
    old.each(&mut |key, value| rebuild.add(key, value))?;
    rebuild.finish(old.given_before())?;
    let bytes_before = bytes_in(old.db_dir())?;
    let new_dir = dir.join(COMPACT_NEW);
    files::remove_dir(&new_dir)?;
    let entries = match copy(&old).and_then(|entries| compare(&old, entries)) {
        Ok(entries) => entries,
        Err(error) => {
            files::remove_dir(&new_dir)?;
            return Err(error);
        }
    };
    let _lock = old.close()?;
    files::swap(dir, COMPACT_NEW)?;
    let bytes_after = bytes_in(&dir.join(DATABASE))?;
    Ok(Compacted { entries, bytes_before, bytes_after })
}

/// Copies all entries; says how many.
fn copy(old: &SledDisk) -> Result<u64, StoreError> {
    let mut new = old.beside(COMPACT_NEW, Options::OFFLINE)?;
    let new_dir = new.db_dir().to_owned();
    let full = |text| StoreError::Write { dir: new_dir.clone(), text };
    let (mut writes, mut bytes, mut entries) = (Vec::<Write>::new(), 0, 0);
    old.each(&mut |key, value| {
        (bytes, entries) = (bytes + key.len() + value.len(), entries + 1);
        writes.push((key.to_vec(), Some(value.to_vec())));
        if bytes >= COMMIT_BYTES {
            bytes = 0;
            new.commit(std::mem::take(&mut writes)).map_err(&full)?;
        }
        Ok(())
    })?;
    new.commit(writes).map_err(full)?;
    new.close()?;
    Ok(entries)
}

/// Reads the copy back from disk.
fn compare(old: &SledDisk, entries: u64) -> Result<u64, StoreError> {
    let new = old.beside(COMPACT_NEW, Options::OFFLINE)?;
    let mut copied = 0;
    new.each(&mut |key, value| {
        copied += 1;
        match old.get(key)? {
            Some(before) if before == value => Ok(()),
            _ => Err(StoreError::damaged(&"an entry of the copy", "is not as it was")),
        }
    })?;
    new.close()?;
    if copied == entries { Ok(entries) } else { Err(StoreError::damaged(&"the copy", "lacks entries")) }
}
