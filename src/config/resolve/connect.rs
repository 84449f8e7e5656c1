//! `[connect]`: how customers connect their orgs themselves.
//!
//! Here: where their browsers come to, and the app that they let in. Not here: what happens then (`src/connect`).

use std::{path::Path, time::Duration};

use super::{
    credential::{SecretFiles, credential},
    login::app_secret,
    value::base_url,
};
use crate::config::{
    contents::{ConnectApp, ConnectSettings},
    report::Report,
    secrets::Environment,
    tables::ConnectTable,
};

/// Days for which a link is good unless the file says otherwise.
const LINK_DAYS: u32 = 7;
const HOURS_OF_DAY: u64 = 24;
/// Characters of the vendor's name.
const VENDOR_CHARS_MAX: usize = 80;

pub(super) fn connect(
    table: &ConnectTable<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<ConnectSettings> {
    let section = &table.section;
    let hint = "Write the address under which customers reach this service, such as `base_url = \"https://connect.example.com\"`.";
    let address = section.demand(report, "base_url", table.base_url.as_ref(), hint);
    let address = address.and_then(|written| base_url(section, report, "base_url", written));
    let hint = "Write your name as customers know it, such as `vendor = \"Example Inc.\"`.";
    let vendor = section.demand(report, "vendor", table.vendor.as_ref(), hint).and_then(|written| {
        let name = written.value.trim();
        if name.is_empty() || name.chars().count() > VENDOR_CHARS_MAX || name.chars().any(char::is_control) {
            let message = format!("is no name of 1 to {VENDOR_CHARS_MAX} characters");
            section.problem(report, written.line, "vendor", &message, hint);
            return None;
        }
        Some(name.to_owned())
    });
    let hint = "Write the consumer key of your external client app as `client_id`; it is no secret.";
    let client_id = section.demand(report, "client_id", table.client_id.as_ref(), hint).and_then(|written| {
        let id = written.value.trim();
        if id.is_empty() {
            section.problem(report, written.line, "client_id", "is empty", hint);
        }
        (!id.is_empty()).then(|| id.to_owned())
    });
    let named = app_secret(table.client_secret_env.as_ref(), table.client_secret_file.as_ref());
    // An app without a secret is a public one.
    let client_secret = if named.is_written(section) {
        credential(section, named, folder, environment, &mut SecretFiles::default(), report).map(Some)
    } else {
        Some(None)
    };
    let days = table.link_days.as_ref().map_or(LINK_DAYS, |written| written.value);
    Some(ConnectSettings {
        base_url: address?,
        vendor: vendor?,
        link_life: Duration::from_hours(HOURS_OF_DAY * u64::from(days)),
        app: ConnectApp { client_id: client_id?, client_secret: client_secret? },
    })
}
