//! The ledger's rows of one org: about every record that ended, how and when. Written in the commit that ends it.
//!
//! ```text
//! rows of a command ─▶ [open page, rewritten] ─ full or a day old ─▶ page ─ days over, or too many ─▶ gone
//! ```
//!
//! Here: when a page is full, and which pages there are. Not here: what a row says (`org.rs`), its bytes (`entry.rs`).

use std::{collections::VecDeque, time::Duration};

use crate::{
    commands::{LedgerRow, TEXT_BYTES_MAX},
    entry::{StoredPage, encode_row},
    keys::Key,
    seq::Seq,
    step::Step,
    unix_ms::UnixMs,
};

/// Bytes from which a page takes no more rows: the open page is written again with each command, and a page is read whole.
const PAGE_BYTES: usize = 2 * 1024;
/// A page takes no rows that end later than this after its first, so that all of it grows old together.
const PAGE_SPAN: Duration = Duration::from_hours(24);
/// Bytes kept of the reason in a row; the dead letter has all of it.
const REASON_BYTES_MAX: usize = 300;
/// Pages kept per org, whatever the days: 64 MiB, some 250,000 records. The oldest make room.
pub(crate) const PAGES_MAX: usize = 32 * 1024;

const _: () = assert!(REASON_BYTES_MAX < TEXT_BYTES_MAX);

/// The pages of one org.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Their numbers, oldest first.
    pub(crate) pages: VecDeque<Seq>,
    /// The last one, as long as it takes more. After a start there is none.
    open: Option<Page>,
    /// Those that the command under way has filled.
    filled: Vec<Page>,
    /// Has the command under way added to the open one?
    added: bool,
}

#[derive(Debug)]
struct Page {
    seq: Seq,
    first_ms: UnixMs,
    last_ms: UnixMs,
    rows: Vec<u8>,
}

impl Rows {
    /// Adds a row; it is written by `write`.
    pub(crate) fn add(&mut self, step: &mut Step<'_>, mut row: LedgerRow) {
        row.reason.truncate(row.reason.floor_char_boundary(REASON_BYTES_MAX));
        let at_ms = row.ended_ms;
        let takes = |page: &Page| page.rows.len() < PAGE_BYTES && at_ms.since(page.first_ms) <= PAGE_SPAN;
        if !self.open.as_ref().is_some_and(takes) {
            self.filled.extend(self.open.take_if(|_| self.added));
            self.open = None;
        }
        let open = self.open.get_or_insert_with(|| {
            let seq = step.number();
            self.pages.push_back(seq);
            Page { seq, first_ms: at_ms, last_ms: at_ms, rows: Vec::new() }
        });
        open.last_ms = open.last_ms.max(at_ms);
        open.rows.extend(encode_row(&row));
        self.added = true;
    }

    /// Writes what the command has changed. Gives back the numbers of the pages written and removed: a page that is
    /// written has a time, that of its newest row.
    pub(crate) fn write(&mut self, step: &mut Step<'_>) -> Vec<(Seq, Option<UnixMs>)> {
        let mut touched = Vec::new();
        let open = self.open.as_ref().filter(|_| self.added);
        for page in self.filled.iter().chain(open) {
            step.put(&Key::Page(page.seq), &StoredPage::encode(step.org, page.last_ms, &page.rows));
            touched.push((page.seq, Some(page.last_ms)));
        }
        self.filled.clear();
        self.added = false;
        while self.pages.len() > PAGES_MAX
            && let Some(oldest) = self.pages.pop_front()
        {
            step.remove(&Key::Page(oldest));
            touched.push((oldest, None));
        }
        touched
    }

    /// Forgets a page that has grown too old.
    pub(crate) fn forget(&mut self, step: &mut Step<'_>, seq: Seq) {
        self.pages.retain(|page| *page != seq);
        self.open.take_if(|open| open.seq == seq);
        step.remove(&Key::Page(seq));
    }
}
