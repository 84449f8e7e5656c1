//! The pages of a query that are still to be read.
//!
//! Here: keeping them under a locator. Not here: running the query (`api/query`).
//! The records are those of the moment the query ran. Salesforce too keeps ten open cursors for a user and drops the
//! oldest.

use std::collections::VecDeque;

use serde_json::Value;

const OPEN_MAX: usize = 10;

#[derive(Debug)]
struct Cursor {
    id: String,
    user: String,
    page: usize,
    records: Vec<Value>,
}

#[derive(Debug)]
pub(crate) struct Cursors {
    open: VecDeque<Cursor>,
    /// Records of a page at most, whatever is asked for.
    pub(crate) records_max: usize,
    /// So many requests for a further page find their cursor gone.
    pub(crate) lose: u32,
}

impl Default for Cursors {
    fn default() -> Self {
        Self { open: VecDeque::new(), records_max: usize::MAX, lose: 0 }
    }
}

/// Some records of a query.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) total: usize,
    pub(crate) records: Vec<Value>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<String>,
}

impl Cursors {
    /// Keeps what a first page of this size leaves over, and returns that page. `id` names the cursor if one is needed.
    pub(crate) fn open(&mut self, id: String, user: &str, page: usize, records: Vec<Value>) -> Page {
        let page = page.min(self.records_max).max(1);
        if records.len() <= page {
            return Page { total: records.len(), records, next: None };
        }
        if self.open.iter().filter(|cursor| cursor.user == user).count() >= OPEN_MAX
            && let Some(oldest) = self.open.iter().position(|cursor| cursor.user == user)
        {
            self.open.remove(oldest);
        }
        let cursor = Cursor { id, user: user.to_owned(), page, records };
        let first = cut(&cursor, 0);
        self.open.push_back(cursor);
        first
    }

    /// The page at `<id>-<offset>`; `None` if the cursor is gone or somebody else's.
    pub(crate) fn page(&mut self, locator: &str, user: &str) -> Option<Page> {
        let (id, offset) = locator.rsplit_once('-')?;
        if self.lose > 0 {
            self.lose -= 1;
            self.open.retain(|cursor| cursor.id != id);
        }
        let cursor = self.open.iter().find(|cursor| cursor.id == id && cursor.user == user)?;
        let offset = offset.parse().ok()?;
        (offset < cursor.records.len()).then(|| cut(cursor, offset))
    }
}

fn cut(cursor: &Cursor, from: usize) -> Page {
    let to = (from + cursor.page).min(cursor.records.len());
    let next = (to < cursor.records.len()).then(|| format!("{}-{to}", cursor.id));
    Page { total: cursor.records.len(), records: cursor.records[from..to].to_vec(), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_and_old_cursors_go() {
        let records: Vec<Value> = (0..5).map(Value::from).collect();
        let mut cursors = Cursors::default();
        let first = cursors.open("0r8A".to_owned(), "ann", 2, records.clone());
        let second = cursors.page(first.next.as_deref().expect("a second page"), "ann").expect("it is open");
        let third = cursors.page(second.next.as_deref().expect("a third page"), "ann").expect("it is open");
        assert_eq!((third.next, third.total), (None, 5));
        assert_eq!([first.records, second.records, third.records].concat(), records);
        assert!(cursors.page("0r8A-2", "bob").is_none(), "a cursor is its user's");
        for n in 0..OPEN_MAX {
            cursors.open(format!("0r8B{n}"), "ann", 2, records.clone());
        }
        assert!(cursors.page("0r8A-2", "ann").is_none());
    }
}
