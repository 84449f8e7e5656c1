//! What an org's administrator does besides writing records: rights, merges, conversion of leads, the clock.
//!
//! Here: the handle's part of it. Not here: what a right means (`rights`), other writes (`org`).

use serde_json::{Value, json};

use super::OrgHandle;
use crate::data::{Refusal, Tables, WriteError, canonical_id};
use crate::org::outcome::RecordOutcome;
use crate::org::{flow, writes};
use crate::rights::Right;
use crate::row::Row;

/// Objects whose records can be merged. Salesforce merges cases and individuals, too; an org here has none.
const MERGEABLE: [&str; 3] = ["Account", "Contact", "Lead"];
/// Records that one merge takes besides the master (SOAP API Developer Guide, "merge()").
const LOSERS_MAX: usize = 2;

impl OrgHandle {
    /// Takes a right away from the integration user; where it is a part of the org, takes it out.
    pub fn take_right(&self, right: Right) {
        self.org.state().set_right(&self.org.facts, right, false);
    }

    /// Gives the integration user a right, or gives it back.
    pub fn give_right(&self, right: Right) {
        self.org.state().set_right(&self.org.facts, right, true);
    }

    /// The org's clock runs so many seconds ahead of ours, or behind: in the header `Date`, for
    /// logins, and in the times of records and events.
    pub fn set_clock_ahead(&self, secs: i64) {
        self.org.clock.set_ahead(secs);
    }

    /// A flow of the customer's that runs before each save: it keeps this value in a field, whatever is written there. Null
    /// ends it.
    pub fn rewrite(&self, object: &str, field: &str, value: Value) {
        self.org.state().tables.rewrite(object, field, value);
    }

    /// Converts a lead as the administrator does: its company becomes an account, and the lead is closed. The answer
    /// is the account's id.
    pub fn convert_lead(&self, lead: &str) -> Result<String, WriteError> {
        let known = self.get("Lead", lead).unwrap_or_default();
        let taken = [("Name", "Company"), ("Website", "Website")];
        let account = taken.map(|(of, from)| (of.to_owned(), known.get(from).cloned().unwrap_or_default()));
        let account = self.create("Account", Row::from_iter(account))?;
        let closed = [("IsConverted", json!(true)), ("ConvertedAccountId", json!(account))];
        let closed = closed.map(|(name, value)| (name.to_owned(), value));
        let writer = self.org.writer(&self.org.facts.admin_user);
        let mut state = self.org.state();
        let written = state.tables.set("Lead", lead, Row::from_iter(closed), &writer)?;
        flow::run(&self.org, &state, &[RecordOutcome::Written(written)], &writer);
        Ok(account)
    }

    /// Merges records as the administrator does; by REST nobody can. The master keeps its id, and gets the fields in
    /// `row`; the losers are deleted, and what points to them points to the master then. Source: Apex Developer Guide
    /// "Triggers and Merge Statements": the losers are deleted and the master is updated, both with triggers; children
    /// that change their parent have none. So the package's flow asks only for a master whose watched fields change.
    pub fn merge(&self, object: &str, master: &str, losers: &[&str], row: &Row) -> Result<(), WriteError> {
        let object =
            MERGEABLE.into_iter().find(|name| name.eq_ignore_ascii_case(object)).ok_or_else(|| {
                Refusal::new("INVALID_OPERATION", format!("records of {object} cannot be merged"))
            })?;
        if losers.is_empty() || losers.len() > LOSERS_MAX {
            let message = format!("a merge takes 1 to {LOSERS_MAX} records besides the master");
            return Err(Refusal::new("INVALID_OPERATION", message).into());
        }
        let writer = self.org.writer(&self.org.facts.admin_user);
        let mut state = self.org.state();
        let tables = &mut state.tables;
        tables.begin();
        let done = tables.merge(object, master, losers, &writer).and_then(|(gone, master)| {
            let written = tables.update(object, &master, row, &writer)?;
            let gone = gone.into_iter().map(|id| RecordOutcome::Deleted { id });
            Ok(gone.chain([RecordOutcome::Written(written)]).collect::<Vec<_>>())
        });
        match &done {
            Ok(_) => tables.commit(),
            Err(_) => tables.rollback(),
        }
        let outcomes = done?;
        flow::run(&self.org, &state, &outcomes, &writer);
        writes::capture_changes(&self.org, &outcomes, &writer);
        Ok(())
    }

    /// A record in the recycle bin with all its fields; `None` if there is no such record.
    pub fn deleted(&self, object: &str, id: &str) -> Option<Row> {
        let state = self.org.state();
        let object = state.tables.schema.object(object)?;
        let id = canonical_id(id)?;
        let row = state.tables.deleted(&object.name).find(|row| row.get("Id") == Some(&json!(id)))?;
        Some(Tables::whole(object, row))
    }
}
