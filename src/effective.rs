//! A sync as one org has it, with all that is taken from wider tables or left to a default.
//!
//! Here: as JSON under the keys of the settings, and as lines of text. Not here: how it comes about (`config`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_actors::settings::{
    DayWindow, EventShape, OnDeleted, OnRefusedField, OnSharedKey, RefreshSettings, SyncSettings,
};
use orgpipe_reconcile::{EventFields, Operation, mapping::TargetKey};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The keys in the order in which they are read: what is taken, what is made of it, when.
const ORDER: [&str; 12] = [
    "object",
    "keys",
    "target",
    "match",
    "external_id",
    "write",
    "fields",
    "on_refused_field",
    "on_shared_key",
    "channel",
    "event",
    "refresh",
];

/// The sync under the keys of the settings; names of objects and fields with the org's namespace, as the org knows them. A value
/// is a text as in the settings, or a table.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct EffectiveSync {
    name: String,
    channel: String,
    #[schema(value_type = BTreeMap<String, Value>)]
    event: Value,
    object: String,
    keys: BTreeMap<String, String>,
    target: String,
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    external_id: Option<Value>,
    /// How its record of the target is found: `id`, `relationship` or `external_id`.
    #[serde(rename = "match")]
    found_by: &'static str,
    write: &'static str,
    on_refused_field: &'static str,
    on_shared_key: &'static str,
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: Map<String, Value>,
    refresh: Option<EffectiveRefresh>,
    /// Keys that this org has otherwise than the sync says for all.
    own: BTreeSet<String>,
}

/// When it is refreshed, and how.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EffectiveRefresh {
    #[serde(rename = "where")]
    condition: Option<String>,
    schedule: Option<String>,
    changes: Option<String>,
    window: Option<String>,
    batch: usize,
    bulk_from: u64,
    on_deleted: &'static str,
}

impl EffectiveSync {
    /// The sync as its org has it.
    pub(crate) fn of(sync: &SyncSettings) -> Self {
        let mapping = &sync.mapping;
        let fields = mapping.fields().iter().map(|(field, source)| (field.clone(), source.spec().written()));
        let (external_id, found_by) = match mapping.key() {
            TargetKey::RecordId => (None, "id"),
            TargetKey::ExternalId { field, from } => {
                let by = if mapping.parent_field().is_some() { "relationship" } else { "external_id" };
                (Some(json!({ "field": field, "from": from.spec().written() })), by)
            }
        };
        Self {
            name: sync.name.clone(),
            channel: sync.channel.clone(),
            event: event(&sync.event),
            object: mapping.object().to_owned(),
            keys: mapping.keys().iter().cloned().collect(),
            target: mapping.target().to_owned(),
            external_id,
            found_by,
            write: match mapping.operation() {
                Operation::Upsert => "upsert",
                Operation::Update | Operation::Delete => "update",
            },
            on_refused_field: match sync.on_refused_field {
                OnRefusedField::DeadLetter => "dead_letter",
                OnRefusedField::LeaveOut => "leave_out",
            },
            on_shared_key: match sync.on_shared_key {
                OnSharedKey::DeadLetter => "dead_letter",
                OnSharedKey::First => "first",
                OnSharedKey::Newest => "newest",
            },
            fields: fields.collect(),
            refresh: sync.refresh.as_ref().map(refresh),
            own: sync.own.clone(),
        }
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(self).expect("plain values become JSON")
    }
}

fn event(event: &EventShape) -> Value {
    match event {
        EventShape::Request(EventFields { ids, object, reason, correlation_id }) => {
            json!({ "ids": ids, "object": object, "reason": reason, "correlation_id": correlation_id })
        }
        EventShape::Change { watch } => json!({ "watch": watch }),
    }
}

fn refresh(refresh: &RefreshSettings) -> EffectiveRefresh {
    let window = refresh
        .window
        .map(|DayWindow { from, to }| format!("{}-{}", from.format("%H:%M"), to.format("%H:%M")));
    let on_deleted = match refresh.on_deleted {
        OnDeleted::Keep => "keep",
        OnDeleted::Clear => "clear",
        OnDeleted::Delete => "delete",
    };
    EffectiveRefresh {
        condition: refresh.condition.clone(),
        schedule: refresh.schedule.clone(),
        changes: refresh.changes.clone(),
        window,
        batch: refresh.batch,
        bulk_from: refresh.bulk_from,
        on_deleted,
    }
}

/// A key of a sync that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As the settings have it; within a table with a dot.
    pub(crate) key: String,
    pub(crate) value: String,
    /// This org has it otherwise than the sync says for all.
    pub(crate) is_own: bool,
}

/// The keys of what [`EffectiveSync::json`] gives, in the order in which they are read.
pub(crate) fn entries(sync: &Value) -> Vec<Entry> {
    let own: Vec<&str> = sync["own"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut told: Vec<(String, String)> = Vec::new();
    for key in ORDER {
        match &sync[key] {
            Value::Object(pairs) => {
                let pairs = pairs.iter().filter(|(_, value)| !value.is_null());
                told.extend(pairs.map(|(name, value)| (format!("{key}.{name}"), text(value))));
            }
            Value::Null if key == "refresh" => told.push((key.to_owned(), "none".to_owned())),
            Value::Null => {}
            value => told.push((key.to_owned(), text(value))),
        }
    }
    for key in &own {
        if !told.iter().any(|(known, _)| is_own(known, key)) {
            told.push(((*key).to_owned(), "taken out".to_owned()));
        }
    }
    let entry = |(key, value): (String, String)| {
        let is_own = own.iter().any(|own| is_own(&key, own));
        Entry { key, value, is_own }
    };
    told.into_iter().map(entry).collect()
}

/// The lines in which what [`EffectiveSync::json`] gives is told: one for each key, those that the org has otherwise marked.
pub(crate) fn lines(org: &str, sync: &Value) -> Vec<String> {
    let entries = entries(sync);
    let width = entries.iter().map(|entry| entry.key.len()).max().unwrap_or_default();
    let head = format!("org {org}, sync {}", text(&sync["name"]));
    let line = |Entry { key, value, is_own }: Entry| {
        let mark = if is_own { OTHERWISE } else { "" };
        format!("  {key:<width$}  {value}{mark}")
    };
    std::iter::once(head).chain(entries.into_iter().map(line)).collect()
}

/// Behind what an org has otherwise.
const OTHERWISE: &str = "   (of this org)";

/// Whether a key of the effective sync is this one of the settings, or one within it: there fields have no namespace.
fn is_own(key: &str, own: &str) -> bool {
    let within = key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let (Some(field), Some(own_field)) = (key.strip_prefix("fields."), own.strip_prefix("fields.")) else {
        return within;
    };
    let bare = match field.split_once("__") {
        Some((_, rest)) if rest.contains("__") => rest,
        _ => field,
    };
    within || field.eq_ignore_ascii_case(own_field) || bare.eq_ignore_ascii_case(own_field)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_line_and_what_an_org_has_otherwise_is_marked() {
        let sync = json!({
            "name": "accounts", "object": "Account", "target": "acme__T__c",
            "keys": { "domain": "Web__c", "company name": "Name", "a__b__c": "A" },
            "fields": { "acme__A__c": "$Id", "acme__B__c": { "value": "x" } }, "refresh": null,
            "own": ["fields.B__c", "fields.C__c", "keys.company name", "keys.domain", "keys.z__b__c", "refresh"],
        });
        let told = lines("acme", &sync);
        for (start, marked) in [
            ("org acme, sync accounts", false),
            ("  object            Account", false),
            ("  keys.domain       Web__c", true),
            ("  keys.company name  Name", true),
            ("  keys.a__b__c      A", false),
            ("  keys.z__b__c      taken out", true),
            ("  fields.acme__A__c  $Id", false),
            ("  fields.acme__B__c  {\"value\":\"x\"}", true),
            ("  refresh           none", true),
            ("  fields.C__c       taken out", true),
        ] {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = told.iter().find(|line| squeezed(line).starts_with(&squeezed(start)));
            let line = line.unwrap_or_else(|| panic!("{start} is not told: {told:#?}"));
            assert_eq!(line.ends_with(OTHERWISE), marked, "{line}");
        }
        assert_eq!(told.len(), 11, "each once: {told:#?}");
    }
}
