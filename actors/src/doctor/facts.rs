//! What was found in an org, before anybody judges it.
//!
//! Here: the types, and reading a describe. Not here: asking (`probe`), judging (`diagnosis`).

use std::collections::BTreeMap;

use orgpipe_reconcile::{FieldSource, describe::Describe, fit::misfits, value::ValueProblem};
use orgpipe_salesforce::{
    Row, error::ApiError, failure::CallError, limits::ApiUsage, oauth::error::LoginError,
};
use serde_json::Value;

use crate::problem::Problem;

/// All that was found. What could not be asked any more is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Why nothing answers.
    pub unreachable: Option<String>,
    /// How far Salesforce's clock is ahead of ours, milliseconds.
    pub clock_ahead_ms: Option<i64>,
    /// Who we are, or why not.
    pub login: Option<Result<Identity, LoginError>>,
    /// Why there is no session that we could ask with, though nobody refused a login just now.
    pub no_session: Option<Problem>,
    /// The API as such is closed to us: nothing more was asked.
    pub closed: Option<ApiError>,
    /// Why we make no more calls: our budget of the day, or the service is stopping. Nothing more was asked.
    pub held: Option<String>,
    /// The org's calls of the day.
    pub usage: Option<ApiUsage>,
    /// Event deliveries of the day: left, allowed.
    pub deliveries: Option<(u64, u64)>,
    /// By name; `None` = there is no such object for us.
    pub objects: BTreeMap<String, Option<ObjectFacts>>,
    /// Objects that we see, asked for when one was not there.
    pub names: Vec<String>,
    /// By sync: whether a record is seen, or why the query fails.
    pub queries: BTreeMap<String, Result<bool, CallError>>,
    /// By channel: why it is refused, and what Salesforce's words mean.
    pub subscriptions: BTreeMap<String, Result<(), Problem>>,
    /// The custom setting.
    pub setting: Option<SettingFacts>,
    /// The installed package's version, if we may see it.
    pub package_version: Option<[u64; 3]>,
}

/// Whom a login led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub org_id: String,
    pub user_id: String,
}

/// An object as the running user sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectFacts {
    pub createable: bool,
    pub updateable: bool,
    /// By name in lower case.
    fields: BTreeMap<String, FieldFacts>,
    /// How its fields keep values, if the describe can be read.
    described: Option<Describe>,
}

/// A field as the running user sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are Salesforce's flags")]
pub(super) struct FieldFacts {
    pub createable: bool,
    pub updateable: bool,
    pub external_id: bool,
    /// Nobody writes it: a formula, or a number that Salesforce counts up.
    pub computed: bool,
    /// Permission sets may list it: required fields and those every record has come with the object.
    pub permissionable: bool,
}

/// The custom setting as the running user sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingFacts {
    /// It is not there for us.
    Hidden,
    /// `own`: whether our user's row keeps the flows quiet, none = there is no row; `org`: whether the org's row keeps
    /// them quiet for everybody.
    Rows { own: Option<bool>, org: bool },
}

impl Facts {
    /// Who we are, if there was a login.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.login.as_ref()?.as_ref().ok()
    }
}

impl ObjectFacts {
    /// Reads a describe.
    pub(super) fn of(describe: &Row) -> Self {
        let flag = |row: &Row, name: &str| row.get(name).and_then(Value::as_bool).unwrap_or_default();
        let fields = describe.get("fields").and_then(Value::as_array).into_iter().flatten();
        let fields = fields.filter_map(|field| {
            let field = field.as_object()?;
            let name = field.get("name")?.as_str()?.to_ascii_lowercase();
            let facts = FieldFacts {
                createable: flag(field, "createable"),
                updateable: flag(field, "updateable"),
                external_id: flag(field, "externalId"),
                permissionable: flag(field, "permissionable"),
                computed: flag(field, "calculated") || flag(field, "autoNumber"),
            };
            Some((name, facts))
        });
        Self {
            createable: flag(describe, "createable"),
            updateable: flag(describe, "updateable"),
            fields: fields.collect(),
            described: Describe::from_json(describe).ok(),
        }
    }

    /// What a field cannot keep of what is written to it.
    pub(super) fn misfits(&self, name: &str, source: &FieldSource) -> Vec<ValueProblem> {
        let field = self.described.as_ref().and_then(|described| described.field(name));
        field.map(|field| misfits(source, field)).unwrap_or_default()
    }

    /// A field, if it is there for us.
    pub(super) fn field(&self, name: &str) -> Option<FieldFacts> {
        self.fields.get(&name.to_ascii_lowercase()).copied()
    }
}
