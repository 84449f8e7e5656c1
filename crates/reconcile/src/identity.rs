//! When two external IDs are the same one: in the match, on the queue and in the write.
//!
//! Here: the one rule, as the org describes the field. Not here: which records have an ID (`matching`).
//!
//! Invariant: two IDs have one key exactly if Salesforce takes them for one record's, so that no record takes another
//! one's place, and none is written twice in a request.

use serde_json::Number;

use crate::{
    describe::{Describe, Field, Kind},
    number,
};

/// How an external ID field tells its values apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    case_sensitive: bool,
    numeric: bool,
}

impl Identity {
    /// Of a field of this object; of one that is not there, as of most fields.
    pub fn of(describe: &Describe, field: &str) -> Self {
        describe.field(field).map(Self::of_field).unwrap_or_default()
    }

    /// Of this field.
    pub fn of_field(field: &Field) -> Self {
        let numeric = matches!(field.kind, Kind::Int | Kind::Number);
        // Record IDs of 18 characters are spelt in one way.
        let case_sensitive = field.case_sensitive || field.kind == Kind::Reference;
        Self { case_sensitive, numeric }
    }

    /// The form in which external IDs are compared and queued: without outer blanks, in lower case unless the field tells
    /// case apart, and numbers by their value.
    pub fn key(self, external_id: &str) -> String {
        let text = external_id.trim();
        match self {
            Self { numeric: true, .. } => number::plain(text).unwrap_or_else(|| text.to_lowercase()),
            Self { case_sensitive: true, .. } => text.to_owned(),
            Self { .. } => text.to_lowercase(),
        }
    }

    /// Whether the IDs are numbers, which queries name without quotes.
    pub fn is_number(self) -> bool {
        self.numeric
    }

    /// The ID as a number, for requests, if the field's IDs are numbers and it is one.
    pub fn number(self, external_id: &str) -> Option<Number> {
        serde_json::from_str(&self.key(external_id)).ok().filter(|_| self.numeric)
    }
}

#[cfg(test)]
mod tests;
