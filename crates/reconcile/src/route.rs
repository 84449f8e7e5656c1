//! Which of Salesforce's APIs carries a write (DESIGN section 7).

/// Records in one sObject Collections call ("sObject Collections": 200).
pub const COLLECTIONS_MAX: usize = 200;

/// The API for a number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// One record: upsert by external ID.
    One,
    /// A few: sObject Collections, at most [`COLLECTIONS_MAX`] a call.
    Collections,
    /// Many: Bulk API 2.0.
    Bulk,
}

/// The lane for `count` records of one object; `bulk_from` and more go to Bulk API 2.0. A single record never does.
pub fn route(count: usize, bulk_from: usize) -> Lane {
    match count {
        0 | 1 => Lane::One,
        _ if count >= bulk_from => Lane::Bulk,
        _ => Lane::Collections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_decides_the_lane() {
        let cases = [
            (0, 10, Lane::One),
            (1, 10, Lane::One),
            (1, 1, Lane::One),
            (2, 10, Lane::Collections),
            (9, 10, Lane::Collections),
            (10, 10, Lane::Bulk),
            (500, 10, Lane::Bulk),
            (2, 1, Lane::Bulk),
        ];
        for (count, bulk_from, lane) in cases {
            assert_eq!(route(count, bulk_from), lane, "{count} from {bulk_from}");
        }
    }
}
