//! A test's hold on one org: what a test may do without HTTP.
//!
//! Here: who the org is, its records, the logs of what clients did. In `streaming`: events and CometD. In `faults`: what
//! goes wrong on request. In `admin`: rights, merges, conversions. In `logins`: approvals of the app and the login policy.
//! Not here: the org itself (`org`), the same over HTTP (`control`).

mod admin;
mod faults;
mod logins;
mod streaming;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::data::{Tables, WriteError, canonical_id};
use crate::log::{LoggedCall, LoggedJob, LoggedWrite};
use crate::org::outcome::{RecordOutcome, RecordWrite, WriteOperation, WriteRules};
use crate::org::{Org, writes};
use crate::row::Row;

/// A test's hold on one org. Clones are the same org. What it writes is written by the org's administrator, so it
/// looks like a customer's work and the package's Flow reacts to it.
#[derive(Clone)]
pub struct OrgHandle {
    pub(crate) org: Arc<Org>,
}

impl std::fmt::Debug for OrgHandle {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("OrgHandle")
            .field("name", &self.name())
            .field("base_url", &self.org.base_url)
            .finish()
    }
}

impl OrgHandle {
    /// The name given in the options.
    pub fn name(&self) -> &str {
        &self.org.facts.name
    }

    /// Login URL and instance URL in one: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        self.org.base_url.clone()
    }

    /// The app's consumer key: the issuer of a JWT.
    pub fn client_id(&self) -> &str {
        &self.org.facts.client_id
    }

    /// The app's secret, for the client-credentials flow.
    pub fn client_secret(&self) -> &str {
        &self.org.facts.client_secret
    }

    /// The integration user: the subject of a JWT.
    pub fn username(&self) -> &str {
        &self.org.facts.username
    }

    /// The org's administrator, who may log in by JWT as well; the Flow reacts to what this user writes.
    pub fn admin_username(&self) -> &str {
        &self.org.facts.admin_username
    }

    /// The key that signs a JWT, PKCS#8 in PEM.
    pub fn private_key_pem(&self) -> &str {
        self.org.keys.private_pem()
    }

    /// The org's 18-character id.
    pub fn org_id(&self) -> String {
        self.org.org_id(&self.org.state())
    }

    /// The integration user's 18-character id: `CreatedById` of what the client writes.
    pub fn user_id(&self) -> &str {
        &self.org.facts.integration_user
    }

    /// Creates a record; the answer is its id.
    pub fn create(&self, object: &str, row: Row) -> Result<String, WriteError> {
        self.write(WriteOperation::Insert, object, row)
    }

    /// Changes a record.
    pub fn update(&self, object: &str, id: &str, row: Row) -> Result<(), WriteError> {
        let mut row = row;
        row.insert("Id".to_owned(), Value::from(id));
        self.write(WriteOperation::Update, object, row).map(|_| ())
    }

    /// Deletes a record.
    pub fn delete(&self, object: &str, id: &str) -> Result<(), WriteError> {
        let mut row = Row::new();
        row.insert("Id".to_owned(), Value::from(id));
        self.write(WriteOperation::Delete, object, row).map(|_| ())
    }

    /// A record with all its fields; `None` if there is no such record or object.
    pub fn get(&self, object: &str, id: &str) -> Option<Row> {
        let state = self.org.state();
        let object = state.tables.schema.object(object)?;
        let row = state.tables.row(&object.name, &canonical_id(id)?)?;
        Some(Tables::whole(object, row))
    }

    /// All records of an object with all their fields, oldest first; none if there is no such object.
    pub fn rows(&self, object: &str) -> Vec<Row> {
        let state = self.org.state();
        let Some(object) = state.tables.schema.object(object) else { return Vec::new() };
        state.tables.rows(&object.name).map(|row| Tables::whole(object, row)).collect()
    }

    /// The requests answered so far, oldest first.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.org.state().calls.all()
    }

    /// The records written by clients so far, oldest first; what a handle writes is not among them.
    pub fn writes(&self) -> Vec<LoggedWrite> {
        self.org.state().writes.all()
    }

    /// Forgets the records written by clients so far.
    pub fn clear_writes(&self) {
        self.org.state().writes.clear();
    }

    /// Forgets the requests answered so far.
    pub fn clear_calls(&self) {
        self.org.state().calls.clear();
    }

    /// The Bulk API 2.0 ingest jobs so far, oldest first.
    pub fn jobs(&self) -> Vec<LoggedJob> {
        self.org.state().jobs.logged()
    }

    /// API calls of the last 24 hours.
    pub fn calls_used(&self) -> u64 {
        let now = self.org.clock.now_ms();
        self.org.state().quota.used(now)
    }

    /// What another process needs to use the org.
    pub(crate) fn connection_info(&self) -> Value {
        json!({
            "name": self.name(), "base_url": self.base_url(), "client_id": self.client_id(),
            "client_secret": self.client_secret(), "username": self.username(), "admin_username": self.admin_username(),
            "private_key_pem": self.private_key_pem(), "org_id": self.org_id(), "namespace": self.org.facts.namespace,
            "password": self.password(),
        })
    }

    fn write(&self, operation: WriteOperation, object: &str, row: Row) -> Result<String, WriteError> {
        let writer = self.org.writer(&self.org.facts.admin_user);
        let mut state = self.org.state();
        let wanted = [RecordWrite { object: object.to_owned(), operation, row }];
        let rules = WriteRules { all_or_none: false, whole_on_wrong_type: false };
        let outcomes = writes::write(&self.org, &mut state, &wanted, rules, &writer)?;
        match outcomes.into_iter().next() {
            Some(RecordOutcome::Written(written)) => Ok(written.id),
            Some(RecordOutcome::Refused(refusal)) => Err(refusal.into()),
            _ => Ok(String::new()),
        }
    }
}
