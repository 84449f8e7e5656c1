//! What is to be written to an org's records, and what came of it.
//!
//! Here: the types that a request, its writing and its answer share. Not here: the writing (`writes`), answers (`api`).

use crate::data::{Refusal, WrittenRecord};
use crate::row::Row;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteOperation {
    Insert,
    /// The id stands in the row.
    Update,
    Upsert {
        by: String,
        update_only: bool,
    },
    Delete,
}

#[derive(Clone, Debug)]
pub(crate) struct RecordWrite {
    pub(crate) object: String,
    pub(crate) operation: WriteOperation,
    pub(crate) row: Row,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteRules {
    /// One refusal undoes the whole request.
    pub(crate) all_or_none: bool,
    /// A value of a wrong type refuses the whole request (JSON), not only its record (CSV).
    pub(crate) whole_on_wrong_type: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordOutcome {
    Written(WrittenRecord),
    /// An event was queued; it has a number of its own but no record.
    Published {
        id: String,
        uuid: String,
    },
    Deleted {
        id: String,
    },
    /// The external ID leads to several records.
    Many(Vec<String>),
    Refused(Refusal),
}
