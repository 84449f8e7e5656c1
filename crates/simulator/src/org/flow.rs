//! The package's flows: record-triggered, after save; they ask for a look-up by publishing the package's event.
//!
//! Here: of which records and why, as the flows in `salesforce-package` decide. Not here: the writes themselves.
//! A flow runs whoever saves, and with all rights: only a row of the custom setting keeps it quiet.

use serde_json::{Value, json};

use super::outcome::RecordOutcome;
use super::{Org, OrgState};
use crate::data::{Contract, Writer, WrittenRecord, zulu_text};
use crate::rights::Right;
use crate::row::Row;

/// The package's event.
const EVENT: &str = "Sync_Request__e";
/// The package's custom setting.
const SETTING: &str = "Sync_Settings__c";
/// Why a look-up is asked for, in the order in which the events go out.
const REASONS: [&str; 3] = ["Created", "Converted", "Changed"];

/// What the flows publish once records are saved together: one event per reason and so many records.
pub(crate) fn run(org: &Org, state: &OrgState, outcomes: &[RecordOutcome], writer: &Writer) {
    if !org.facts.flow || !state.views.rights.has(Right::Package) {
        return;
    }
    let contract = Contract::built_in();
    let ids_max = contract.events[EVENT].record_ids_max;
    for flow in contract.flows.values() {
        if is_suppressed(org, state, &format!("Suppress_{}__c", flow.object), writer) {
            continue;
        }
        for reason in REASONS {
            let ids: Vec<&str> =
                outcomes
                    .iter()
                    .filter_map(|outcome| {
                        if let RecordOutcome::Written(written) = outcome { Some(written) } else { None }
                    })
                    .filter(|written| written.object == flow.object)
                    .filter(|written| why(state, written, &flow.watched) == Some(reason))
                    .map(|written| written.id.as_str())
                    .collect();
            for ids in ids.chunks(ids_max) {
                let payload = payload(org, &flow.object, ids, reason, writer);
                org.cometd.publish(&org.facts.packaged(EVENT), payload, &writer.user);
            }
        }
    }
}

/// The entry condition and the reason in one. A converted lead is of interest once: when it is converted.
fn why(state: &OrgState, written: &WrittenRecord, watched: &[String]) -> Option<&'static str> {
    let converted = state.tables.row(&written.object, &written.id).and_then(|row| row.get("IsConverted"));
    let is_converted = converted == Some(&Value::Bool(true));
    let has_changed = |field: &str| written.changed.iter().any(|changed| changed == field);
    if written.created {
        return (!is_converted).then_some(REASONS[0]);
    }
    if has_changed("IsConverted") {
        return Some(if is_converted { REASONS[1] } else { REASONS[2] });
    }
    (!is_converted && watched.iter().any(|field| has_changed(field))).then_some(REASONS[2])
}

#[expect(clippy::cast_precision_loss, reason = "at most as many as fit into one event")]
fn payload(org: &Org, object: &str, ids: &[&str], reason: &str, writer: &Writer) -> Row {
    let fields = [
        ("Object_Type__c", json!(object)),
        ("Record_Ids__c", json!(ids.join(","))),
        ("Record_Count__c", json!(ids.len() as f64)),
        ("Reason__c", json!(reason)),
        ("Correlation_Id__c", json!(uuid::Uuid::new_v4().to_string())),
        ("Requested_At__c", json!(zulu_text(writer.now_ms))),
        ("Schema_Version__c", json!(1.0)),
    ];
    fields.into_iter().map(|(name, value)| (org.facts.packaged(name), value)).collect()
}

/// Whether the custom setting silences a flow for the one who saves: of a hierarchy, the user's own row counts; where
/// there is none, the org's.
fn is_suppressed(org: &Org, state: &OrgState, switch: &str, writer: &Writer) -> bool {
    let setting = org.facts.packaged(SETTING);
    let owned_by = |owner: &str| {
        let mut rows = state.tables.rows(&setting);
        rows.find(|row| row.get("SetupOwnerId").and_then(Value::as_str) == Some(owner))
    };
    let row = owned_by(&writer.user).or_else(|| owned_by(&org.facts.org_id));
    let is_set =
        |name: &str| row.and_then(|row| row.get(&org.facts.packaged(name))) == Some(&Value::Bool(true));
    is_set("Suppress_All__c") || is_set(switch)
}
