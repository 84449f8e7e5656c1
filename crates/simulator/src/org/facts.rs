//! What never changes about an org once it has started.
//!
//! Here: ids, users, the app. Not here: records (`data`).

use std::time::Duration;

use serde_json::json;

use crate::data::{Tables, Writer, packaged_name};
use crate::{OrgOptions, Row};

/// One app, installed in every org, as a vendor's is.
const CLIENT_ID: &str = "3MVG9SimulatedConsumerKey.OfTheVendorsApp";
const CLIENT_SECRET: &str = "simulated-consumer-secret-0001";

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) flow: bool,
    pub(crate) change_data: bool,
    pub(crate) per_app_usage: bool,
    pub(crate) bulk_step: Duration,
    pub(crate) session_idle: Duration,
    pub(crate) answer_after: Duration,
    pub(crate) org_id: String,
    pub(crate) integration_user: String,
    pub(crate) admin_user: String,
    pub(crate) username: String,
    pub(crate) admin_username: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Facts {
    /// Writes the org's own records: the organization and two users.
    pub(crate) fn seed(options: &OrgOptions, tables: &mut Tables, now_ms: i64) -> Self {
        let writer = |user: &str| Writer { user: user.to_owned(), now_ms };
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
        Self {
            name: options.name.clone(),
            namespace: options.namespace.clone(),
            flow: options.flow,
            change_data: options.change_data,
            per_app_usage: options.per_app_usage,
            bulk_step: options.bulk_step,
            session_idle: options.session_idle,
            answer_after: options.answer_after,
            org_id,
            integration_user,
            admin_user,
            username,
            admin_username,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
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
