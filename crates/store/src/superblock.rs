//! The superblock: the database's format and a number it has given, written beside the database's own log.
//!
//! sled takes the first damaged place of its log for its end. What comes before is a whole database, only an older one,
//! perhaps an empty one, which no checksum and no ledger tells; the superblock does. It is written after each commit that
//! gave a number, and it is not synced: the number in it is at most too low.
//!
//! ```text
//! DIR/sled/orgpipe.note    FORMAT SEQUENCE CRC32, of fixed width, written in place
//! ```
//!
//! Here: reading and writing it. Not here: what follows from it (`index.rs`).
//!
//! Invariant: a number in it was given in a commit that ended before it was written.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::{
    error::StoreError,
    files::{FILE_MODE, file},
    seq::Seq,
};

/// Its file, named as the first version named it.
const NAME: &str = "orgpipe.note";

/// What is written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Format of the database.
    pub(crate) format: u32,
    /// A number that has been given.
    pub(crate) sequence: Seq,
}

/// The superblock of a database; None if there is none that can be read: one that was cut off says nothing.
pub(crate) fn read(db_dir: &Path) -> Result<Option<Superblock>, StoreError> {
    let path = db_dir.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(file("read", &path, source)),
    }
}

/// The file, to be written to.
pub(crate) fn open(db_dir: &Path) -> Result<File, StoreError> {
    let path = db_dir.join(NAME);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    opened.map_err(|source| file("open", &path, source))
}

/// Writes it.
pub(crate) fn write(to: &File, superblock: Superblock) -> io::Result<()> {
    to.write_all_at(text(superblock).as_bytes(), 0)
}

fn text(Superblock { format, sequence }: Superblock) -> String {
    let said = format!("{format:>10} {:>20}", sequence.0);
    format!("{said} {:08x}\n", crc32fast::hash(said.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<Superblock> {
    let said = str::from_utf8(bytes).ok()?;
    let mut parts = said.split_whitespace();
    let superblock =
        Superblock { format: parts.next()?.parse().ok()?, sequence: Seq(parts.next()?.parse().ok()?) };
    (text(superblock) == said).then_some(superblock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_is_read_back_and_a_broken_one_says_nothing() {
        for superblock in [
            Superblock { format: 2, sequence: Seq::MIN },
            Superblock { format: u32::MAX, sequence: Seq::MAX },
        ] {
            let text = text(superblock);
            assert_eq!(parse(text.as_bytes()), Some(superblock));
            for at in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..at]), None, "cut at {at}");
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1;
                assert_eq!(parse(&changed), None, "changed at {at}");
            }
        }
    }
}
