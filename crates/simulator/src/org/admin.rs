//! What an org's administrator does besides writing records: rights, conversion of leads, the clock.
//!
//! Here: the handle's part of it. Not here: what a right means (`rights`), other writes (`org`).

use serde_json::json;

use super::writes::Outcome;
use super::{Facts, OrgHandle, State, flow};
use crate::Row;
use crate::data::WriteError;
use crate::rights::Right;

impl State {
    /// Takes a right away, or gives it.
    pub(super) fn set_right(&mut self, facts: &Facts, right: Right, given: bool) {
        if right == Right::SettingRow {
            facts.set_exemption(&mut self.tables, given);
        }
        if given {
            self.views.rights.give(right);
        } else {
            self.views.rights.take(right);
        }
        self.views.renew(&self.tables.schema);
    }
}

impl OrgHandle {
    /// Takes a right away from the integration user; where it is a part of the org, takes it out.
    pub fn take_right(&self, right: Right) {
        self.org.state().set_right(&self.org.facts, right, false);
    }

    /// Gives the integration user a right, or gives it back.
    pub fn give_right(&self, right: Right) {
        self.org.state().set_right(&self.org.facts, right, true);
    }

    /// The org's clock runs so many seconds ahead of ours, or behind: in the header `Date`, and for logins.
    pub fn set_clock_ahead(&self, secs: i64) {
        self.org.state().clock_ahead_secs = secs;
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
        flow::run(&self.org, &state, &[Outcome::Written(written)], &writer);
        Ok(account)
    }
}
