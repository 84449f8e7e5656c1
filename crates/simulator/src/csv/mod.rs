//! CSV as the Bulk API takes and gives it.
//!
//! Here: reading an upload (`read`) and writing result files (`write`). Not here: what the columns mean (`api/bulk`).

pub(crate) mod read;
pub(crate) mod write;
