//! What a command wants written.
//!
//! Here: giving out numbers, and collecting the entries that go to disk in one commit. Not here: which entries those
//! are (`append.rs`, `settle.rs`, `resolve.rs`, `rows.rs`), writing them (`disk.rs`).

use crate::{entry::Mark, frame, keys::Key, seq::Seq};

/// A key, and its new framed value or None to remove it.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

/// What a move has at hand: the org's name, the numbers already given, and the list of what is to be written.
pub(crate) struct Step<'a> {
    pub(crate) org: &'a str,
    pub(crate) mark: &'a mut Mark,
    pub(crate) writes: &'a mut Vec<Write>,
}

impl Step<'_> {
    pub(crate) fn number(&mut self) -> Seq {
        self.mark.sequence.0 += 1;
        self.mark.sequence
    }

    pub(crate) fn put(&mut self, key: &Key<'_>, payload: &[u8]) {
        let key = key.bytes();
        let value = frame::seal(&key, payload);
        self.writes.push((key, Some(value)));
    }

    pub(crate) fn remove(&mut self, key: &Key<'_>) {
        self.writes.push((key.bytes(), None));
    }
}
