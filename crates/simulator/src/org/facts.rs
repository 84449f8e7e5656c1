//! What never changes about an org once it has started.
//!
//! Here: ids, users, the app. Not here: records (`data`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::data::{Tables, Writer, packaged_name};
use crate::options::OrgOptions;
use crate::row::Row;

/// One app, installed in every org, as a vendor's is.
const CLIENT_ID: &str = "3MVG9SimulatedConsumerKey.OfTheVendorsApp";
const CLIENT_SECRET: &str = "simulated-consumer-secret-0001";
/// The app's name, as the page has it on which a user approves it.
pub(crate) const APP_NAME: &str = "Vendor Sync (simulated)";
/// Every user's password.
pub(crate) const PASSWORD: &str = "simulated-password-1";

/// The channel of Account's change events.
pub(crate) const CHANGE_CHANNEL: &str = "/data/AccountChangeEvent";

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    /// When the org was made, real Unix milliseconds.
    pub(crate) began_ms: i64,
    pub(crate) namespace: String,
    pub(crate) package_version: [u32; 3],
    pub(crate) flow: bool,
    pub(crate) change_data: bool,
    pub(crate) per_app_usage: bool,
    pub(crate) bulk_step: Duration,
    pub(crate) answer_after: Duration,
    pub(crate) org_id: String,
    pub(crate) integration_user: String,
    pub(crate) admin_user: String,
    pub(crate) username: String,
    pub(crate) admin_username: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    started_ms: i64,
}

impl Facts {
    /// Writes the org's own records: the organization, two users, and the custom setting's row for one of them.
    pub(crate) fn seed(options: &OrgOptions, tables: &mut Tables, now_ms: i64) -> Self {
        let writer = |user: &str| Writer { user: user.to_owned(), now_ms, sees: None, origin: String::new() };
        let user = |first: &str, last: &str, name: &str| {
            let username = format!("{name}@{}.example", options.name);
            (
                username.clone(),
                row(&json!({"FirstName": first, "LastName": last, "Username": username, "Email": username})),
            )
        };
        let (admin_username, admin) = user("Ada", "Admin", "admin");
        let (username, integration) = user("Sync", "Integration", "sync");
        let admin_user = tables.seed("User", admin, &writer(""));
        let integration_user = tables.seed("User", integration, &writer(&admin_user));
        let org_id = tables.seed("Organization", row(&json!({"Name": options.name})), &writer(&admin_user));
        let facts = Self {
            name: options.name.clone(),
            began_ms: now_ms,
            namespace: options.namespace.clone(),
            package_version: options.package_version,
            flow: options.flow,
            change_data: options.change_data,
            per_app_usage: options.per_app_usage,
            bulk_step: options.bulk_step,
            answer_after: options.answer_after,
            org_id,
            integration_user,
            admin_user,
            username,
            admin_username,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            started_ms: now_ms,
        };
        facts.set_exemption(tables, true);
        facts
    }

    /// Writes or deletes the row of the package's custom setting that keeps its flows quiet about what the integration
    /// user saves.
    pub(crate) fn set_exemption(&self, tables: &mut Tables, exempt: bool) {
        let setting = self.packaged("Sync_Settings__c");
        let owner = json!(self.integration_user);
        let mut rows = tables.rows(&setting);
        let row = rows.find(|row| row.get("SetupOwnerId") == Some(&owner)).and_then(|row| row.get("Id"));
        let row = row.and_then(Value::as_str).map(str::to_owned);
        drop(rows);
        match row {
            Some(id) if !exempt => tables.remove(&setting, &id),
            None if exempt => {
                let fields = [("SetupOwnerId", owner), ("Suppress_All__c", json!(true))];
                let fields = fields.into_iter().map(|(name, value)| (self.packaged(name), value)).collect();
                let writer = Writer {
                    user: self.admin_user.clone(),
                    now_ms: self.started_ms,
                    sees: None,
                    origin: String::new(),
                };
                tables.seed(&setting, fields, &writer);
            }
            _ => {}
        }
    }

    /// A name of the package under the namespace it is installed with.
    pub(crate) fn packaged(&self, name: &str) -> String {
        packaged_name(&self.namespace, name)
    }
}

fn row(value: &serde_json::Value) -> Row {
    value.as_object().cloned().unwrap_or_default()
}
