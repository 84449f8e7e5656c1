//! What is noted beside the database's own log: its format, and up to where it has come.
//!
//! sled takes the first damaged place of its log for its end. What comes before is a whole database, only an older one,
//! perhaps an empty one, which no checksum and no ledger tells; the note does. It is written after each commit that
//! gave a number, and not synced: what it says is at most too little.
//!
//! ```text
//! DIR/sled/orgpipe.note    FORMAT SEQUENCE CRC32, of fixed width, written in place
//! ```
//!
//! Here: reading and writing it. Not here: what follows from it (`index.rs`).

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::{
    error::StoreError,
    files::{FILE_MODE, file},
};

const NAME: &str = "orgpipe.note";

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Format of the database.
    pub(crate) format: u32,
    /// A number that has been given.
    pub(crate) sequence: u64,
}

/// The note of a database; None if there is none that can be read: one that was cut off says nothing.
pub(crate) fn read(db_dir: &Path) -> Result<Option<Note>, StoreError> {
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
pub(crate) fn write(to: &File, note: Note) -> io::Result<()> {
    to.write_all_at(text(note).as_bytes(), 0)
}

fn text(Note { format, sequence }: Note) -> String {
    let said = format!("{format:>10} {sequence:>20}");
    format!("{said} {:08x}\n", crc32fast::hash(said.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<Note> {
    let said = str::from_utf8(bytes).ok()?;
    let mut parts = said.split_whitespace();
    let note = Note { format: parts.next()?.parse().ok()?, sequence: parts.next()?.parse().ok()? };
    (text(note) == said).then_some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_a_broken_one_says_nothing() {
        for note in [Note { format: 2, sequence: 0 }, Note { format: u32::MAX, sequence: u64::MAX }] {
            let text = text(note);
            assert_eq!(parse(text.as_bytes()), Some(note));
            for at in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..at]), None, "cut at {at}");
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1;
                assert_eq!(parse(&changed), None, "changed at {at}");
            }
        }
    }
}
