//! Which of Salesforce's APIs carries a write, and what that costs the customer in API calls.
//!
//! Here: the choice by the number of records. Not here: the calls themselves (`salesforce::rest`, `salesforce::bulk`), when
//! to make them.

/// Records in one sObject Collections call ("sObject Collections": 200).
pub const COLLECTIONS_MAX: usize = 200;
/// API calls of a Bulk API 2.0 job, whatever its size: create, upload, close, two looks, three result files.
pub const BULK_CALLS: usize = 8;

/// The API for a number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteLane {
    /// One record, written by an upsert by external ID.
    One,
    /// A few records, written by sObject Collections, at most [`COLLECTIONS_MAX`] a call.
    Collections,
    /// Many records, written by a job of Bulk API 2.0.
    Bulk,
}

/// How the lane is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By the number of records: `bulk_from` and more go to Bulk API 2.0.
    #[default]
    Count,
    /// Whatever takes fewer API calls: Collections up to 1,400 records, which are seven calls and done in a second;
    /// a Bulk job, with its [`BULK_CALLS`] and its wait in Salesforce's queue, from there on.
    Cost,
}

/// The lane for `count` records of one object. A single record never goes to Bulk API 2.0.
pub fn route(count: usize, bulk_from: usize, strategy: Strategy) -> WriteLane {
    let bulk = match strategy {
        Strategy::Count => count >= bulk_from,
        Strategy::Cost => count.div_ceil(COLLECTIONS_MAX) >= BULK_CALLS,
    };
    match count {
        0 | 1 => WriteLane::One,
        _ if bulk => WriteLane::Bulk,
        _ => WriteLane::Collections,
    }
}

/// API calls that writing `count` records of one object takes.
pub fn calls(count: usize, bulk_from: usize, strategy: Strategy) -> usize {
    match route(count, bulk_from, strategy) {
        WriteLane::One => count,
        WriteLane::Collections => count.div_ceil(COLLECTIONS_MAX),
        WriteLane::Bulk => BULK_CALLS,
    }
}

#[cfg(test)]
mod tests;
