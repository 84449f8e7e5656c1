//! A list of record IDs as people write it: in an event's text, by hand, by a formula, or as Apex and Flow print one.
//!
//! Here: which entries are IDs, and where the others stand. Not here: which field holds the list (`event`).
//!
//! Invariant: an entry that is no record ID costs only itself.

use std::collections::BTreeSet;

use crate::id::{self, Fault};

/// Characters of the fields that lists are cut at most often: text fields and text formulas.
const CUT_CHARS: usize = 255;

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordIds {
    /// Record IDs of 18 characters, each once, in the list's order.
    pub ids: Vec<String>,
    /// The entries that are none.
    pub bad: Vec<BadId>,
}

/// An entry of a list that is no record ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadId {
    /// Its place in the list, counted from 1.
    pub place: usize,
    /// What is wrong with it.
    pub fault: Fault,
    /// The list ends with it where a text field would have cut it.
    pub cut: bool,
}

impl RecordIds {
    /// Takes one more entry of a list.
    pub(crate) fn add(&mut self, seen: &mut BTreeSet<String>, place: usize, entry: &str) {
        match id::check(entry) {
            Ok(id) => {
                if seen.insert(id.clone()) {
                    self.ids.push(id);
                }
            }
            Err(fault) => self.bad.push(BadId { place, fault, cut: false }),
        }
    }
}

/// Reads a list: IDs between commas, semicolons, bars, line ends or blanks; each of them and the whole may stand in
/// quotes and brackets.
pub fn read(list: &str) -> RecordIds {
    let mut found = RecordIds::default();
    let mut seen = BTreeSet::new();
    let mut place = 0;
    let pieces = list.split([',', ';', '|', '\n', '\r', '\t']).map(bare).filter(|piece| !piece.is_empty());
    for piece in pieces {
        let words = || piece.split_whitespace().map(bare).filter(|word| !word.is_empty());
        // Blanks part IDs, not the words of a sentence.
        if words().any(|word| id::canonical(word).is_some()) {
            for word in words() {
                place += 1;
                found.add(&mut seen, place, word);
            }
        } else {
            place += 1;
            found.add(&mut seen, place, piece);
        }
    }
    let is_cut = list.chars().count() == CUT_CHARS;
    if let Some(last) = found.bad.last_mut().filter(|last| is_cut && last.place == place) {
        last.cut = true;
    }
    found
}

/// Without the quotes, brackets and blanks around it.
fn bare(piece: &str) -> &str {
    piece.trim_matches(|c: char| c.is_whitespace() || "()[]{}<>\"'`\u{feff}\u{200b}“”„‘’".contains(c))
}

#[cfg(test)]
mod tests;
