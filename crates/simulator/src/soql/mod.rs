//! SOQL: the text of a query to the records it finds.
//!
//! Here: the three steps `parse` (text to tree), `bind` (names to fields, literals to values), `run`.
//! Not here: pages and cursors (`api/query`). Source: SOQL and SOSL Reference; absent on purpose: GROUP BY, other
//! aggregates than COUNT(), semi-joins, date literals such as TODAY, TYPEOF.

mod bind;
mod error;
mod like;
mod parse;
mod run;

pub(crate) use bind::{Plan, ResolvedField};
pub(crate) use error::SoqlError;
pub(crate) use run::{cells, find};

use crate::data::Schema;

/// Longest statement Salesforce takes, in characters.
const STATEMENT_MAX: usize = 100_000;

/// Reads a query against the org as the one who asks sees it.
pub(crate) fn plan(schema: &Schema, text: &str) -> Result<Plan, SoqlError> {
    if text.chars().count() > STATEMENT_MAX {
        return Err(SoqlError::malformed("SOQL statements cannot be longer than 100000 characters."));
    }
    bind::bind(schema, text, &parse::parse(text)?)
}

#[cfg(test)]
mod tests;
