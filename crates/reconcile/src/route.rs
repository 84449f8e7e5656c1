//! Which of Salesforce's APIs carries a write (DESIGN section 7).

/// Records in one sObject Collections call ("sObject Collections": 200).
pub const COLLECTIONS_MAX: usize = 200;

/// The API for a number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteLane {
    /// One record: upsert by external ID.
    One,
    /// A few: sObject Collections, at most [`COLLECTIONS_MAX`] a call.
    Collections,
    /// Many: Bulk API 2.0.
    Bulk,
}

/// The lane for `count` records of one object; `bulk_from` and more go to Bulk API 2.0. A single record never does.
pub fn route(count: usize, bulk_from: usize) -> WriteLane {
    match count {
        0 | 1 => WriteLane::One,
        _ if count >= bulk_from => WriteLane::Bulk,
        _ => WriteLane::Collections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_decides_the_lane() {
        let cases = [
            (0, 10, WriteLane::One),
            (1, 10, WriteLane::One),
            (1, 1, WriteLane::One),
            (2, 10, WriteLane::Collections),
            (9, 10, WriteLane::Collections),
            (10, 10, WriteLane::Bulk),
            (500, 10, WriteLane::Bulk),
            (2, 1, WriteLane::Bulk),
        ];
        for (count, bulk_from, lane) in cases {
            assert_eq!(route(count, bulk_from), lane, "{count} from {bulk_from}");
        }
    }
}
