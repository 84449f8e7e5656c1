//! What is done to a record of the target.
//!
//! Here: the operations, which a mapping names, a plan carries and a route counts. Not here: when which one is due (`plan`,
//! `diff`).

use serde::{Deserialize, Serialize};

/// What a planned change does to its target record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Writes its fields by external ID; a record that is not there is made.
    #[default]
    Upsert,
    /// Writes its fields by record ID; never makes a record.
    Update,
    /// Deletes the record by its ID; it has no fields.
    Delete,
}
