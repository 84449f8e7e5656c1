//! Syncs: checked once by themselves, then once more with the namespace of each org.
//!
//! Here: channel, event, match, refresh, and the lines of what `reconcile` says about the mapping.
//! Not here: rules of the mapping (`reconcile::mapping`).

use std::collections::BTreeMap;

use orgpipe_actors::settings::{RefreshSettings, SyncSettings};
use orgpipe_reconcile::{
    EventFields, Mapping, MappingSpec,
    mapping::MappingProblem,
    name::{is_api_name, namespaced, namespaced_channel},
};

use super::value;
use crate::config::{
    reader::{Section, Written},
    report::Report,
    tables::{EventTable, RefreshTable, SyncTable},
};

/// The event of the package.
const CHANNEL: &str = "/event/Sync_Request__e";
/// Characters of a condition: it is sent in a URL, which Salesforce cuts at 16 KB.
const CONDITION_CHARS_MAX: usize = 4_000;
/// Records per request of a refresh unless the file says otherwise.
const REFRESH_BATCH: u32 = 100;

/// A sync whose problems are in the report.
pub(super) struct CheckedSync {
    /// Unique, for `org.syncs`.
    pub(super) name: String,
    /// None if something is wrong with it.
    parts: Option<Parts>,
}

struct Parts {
    spec: MappingSpec,
    channel: String,
    event: EventFields,
    refresh: Option<RefreshSettings>,
}

impl CheckedSync {
    /// The sync with an org's namespace; none if it is wrong by itself, which the report says already.
    pub(super) fn for_org(&self, namespace: &str) -> Result<Option<SyncSettings>, Vec<MappingProblem>> {
        let Some(parts) = &self.parts else {
            return Ok(None);
        };
        let apply = |name: &String| namespaced(namespace, name);
        let EventFields { ids, object, reason, correlation_id } = &parts.event;
        Ok(Some(SyncSettings {
            name: self.name.clone(),
            channel: namespaced_channel(namespace, &parts.channel),
            event: EventFields {
                ids: apply(ids),
                object: object.as_ref().map(apply),
                reason: reason.as_ref().map(apply),
                correlation_id: correlation_id.as_ref().map(apply),
            },
            mapping: Mapping::new(MappingSpec { namespace: namespace.to_owned(), ..parts.spec.clone() })?,
            refresh: parts.refresh.clone(),
        }))
    }
}

/// Checks all syncs.
pub(super) fn all(tables: Vec<SyncTable<'_>>, report: &mut Report<'_>) -> Vec<CheckedSync> {
    if tables.is_empty() {
        let hint =
            "Write `[[sync]]` with `name`, `object`, `keys`, `target`, `external_id` and `[sync.fields]`.";
        report.add_at(None, "there is no sync", hint);
    }
    let mut seen = BTreeMap::new();
    tables.into_iter().map(|table| check(&table, &mut seen, report)).collect()
}

fn check(table: &SyncTable<'_>, seen: &mut BTreeMap<String, usize>, report: &mut Report<'_>) -> CheckedSync {
    let section = &table.section;
    let name = match &table.name {
        Some(written) => {
            value::duplicate(section, report, "name", written, seen);
            value::name(section, report, "name", written)
        }
        None => None,
    };
    if let Some(written) = &table.matching {
        matching(section, written, report);
    }
    let channel = match &table.channel {
        Some(written) => channel(section, written, report),
        None => Some(CHANNEL.to_owned()),
    };
    let event = match &table.event {
        Some(event) => event_fields(event, report),
        None => Some(package_event()),
    };
    let refresh = table.refresh.as_ref().map(|refresh| refresh_settings(refresh, report));
    let refresh = match refresh {
        Some(settings) => settings.map(Some),
        None => Some(None),
    };
    let spec = mapping(table, report);
    let parts = match (spec, channel, event, refresh) {
        (Some(spec), Some(channel), Some(event), Some(refresh)) if name.is_some() => {
            Some(Parts { spec, channel, event, refresh })
        }
        _ => None,
    };
    CheckedSync { name: table.name.as_ref().map(|written| written.value.clone()).unwrap_or_default(), parts }
}

fn matching(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) {
    let (message, hint) = match written.value.as_str() {
        "external_id" => return,
        "relationship" => (
            "is `relationship`, which is planned but not there yet".to_owned(),
            "Remove the key: matching by external ID finds the same records with one call more.",
        ),
        other => {
            (format!("is `{other}`, which is no way to match"), "Remove the key, or write \"external_id\".")
        }
    };
    section.problem(report, written.line, "match", &message, hint);
}

fn channel(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> Option<String> {
    let event = written.value.strip_prefix("/event/");
    let custom = |name: &str| {
        let lower = name.to_ascii_lowercase();
        is_api_name(name) && (lower.ends_with("__e") || lower.ends_with("__chn"))
    };
    if event.is_some_and(custom) {
        return Some(written.value.clone());
    }
    let message = format!("is `{}`, which is no channel of Platform Events", written.value);
    let hint = "Write `/event/` and the event's API name, such as \"/event/Sync_Request__e\".";
    section.problem(report, written.line, "channel", &message, hint);
    None
}

fn package_event() -> EventFields {
    EventFields {
        ids: "Record_Ids__c".to_owned(),
        object: Some("Object_Type__c".to_owned()),
        reason: Some("Reason__c".to_owned()),
        correlation_id: Some("Correlation_Id__c".to_owned()),
    }
}

/// An event of the vendor's own has only the fields that are named.
fn event_fields(table: &EventTable<'_>, report: &mut Report<'_>) -> Option<EventFields> {
    let section = &table.section;
    let mut right = true;
    let mut field = |key: &str, written: &Option<Written<String>>| {
        let Some(written) = written else {
            right &= !section.has(key);
            return None;
        };
        if is_api_name(&written.value) {
            return Some(written.value.clone());
        }
        let message = format!("is `{}`, which is no API name", written.value);
        let hint = "Write the API name of a field of the event, such as `Record_Ids__c`.";
        section.problem(report, written.line, key, &message, hint);
        right = false;
        None
    };
    let fields = (
        field("ids", &table.ids),
        field("object", &table.object),
        field("reason", &table.reason),
        field("correlation_id", &table.correlation_id),
    );
    let hint = "Name the event's field of record IDs, such as `ids = \"Record_Ids__c\"`.";
    section.demand(report, "ids", table.ids.as_ref(), hint);
    match fields {
        (Some(ids), object, reason, correlation_id) if right => {
            Some(EventFields { ids, object, reason, correlation_id })
        }
        _ => None,
    }
}

fn refresh_settings(table: &RefreshTable<'_>, report: &mut Report<'_>) -> Option<RefreshSettings> {
    let section = &table.section;
    let condition = table.condition.as_ref().map(|written| condition(section, written, report));
    let schedule = table.schedule.as_ref().map(|written| value::schedule(section, report, written));
    let window = table.window.as_ref().map(|written| value::window(section, report, written));
    let batch = table.batch.as_ref().map_or(REFRESH_BATCH, |written| written.value);
    let wrong = [condition == Some(None), schedule == Some(None), window == Some(None)];
    (!wrong.contains(&true)).then(|| RefreshSettings {
        condition: condition.flatten(),
        schedule: schedule.flatten(),
        window: window.flatten(),
        batch: usize::try_from(batch).unwrap_or(usize::MAX),
    })
}

/// What stands behind WHERE; Salesforce alone can judge it, so only what is surely wrong is refused.
fn condition(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> Option<String> {
    let text = written.value.trim();
    let first = text.split_whitespace().next().unwrap_or_default();
    let (message, hint) = if text.is_empty() {
        ("is empty".to_owned(), "Remove the key to refresh all records.")
    } else if first.eq_ignore_ascii_case("where") || first.eq_ignore_ascii_case("select") {
        (
            format!("starts with `{first}`"),
            "Write only what stands behind WHERE, such as \"Website != null\".",
        )
    } else if text.chars().count() > CONDITION_CHARS_MAX {
        (format!("is longer than {CONDITION_CHARS_MAX} characters"), "Shorten it: it has to fit into a URL.")
    } else {
        return Some(text.to_owned());
    };
    section.problem(report, written.line, "where", &message, hint);
    None
}

/// The mapping, if `reconcile` finds nothing wrong with it.
fn mapping(table: &SyncTable<'_>, report: &mut Report<'_>) -> Option<MappingSpec> {
    let section = &table.section;
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut missing: Vec<&str> = Vec::new();
    let mut text =
        |section: &Section<'_>, key: &str, place: &'static str, written: Option<&Written<String>>| {
            let hint = format!("Write it; {}.", example(place));
            if let Some(written) = section.demand(report, key, written, hint) {
                lines.insert(place.to_owned(), written.line);
                return written.value.clone();
            }
            missing.push(place);
            String::new()
        };
    let sync = text(section, "name", "name", table.name.as_ref());
    let object = text(section, "object", "object", table.object.as_ref());
    let target = text(section, "target", "target", table.target.as_ref());
    let (external_id_field, external_id_from) = if let Some(table) = &table.external_id {
        let field = text(&table.section, "field", "external_id.field", table.field.as_ref());
        (field, text(&table.section, "from", "external_id.from", table.from.as_ref()))
    } else {
        text(section, "external_id", "external_id.field", None);
        missing.push("external_id.from");
        (String::new(), String::new())
    };
    let mut pairs = |key: &'static str, written: Option<&BTreeMap<String, Written<String>>>| {
        let hint = format!("Write it; {}.", example(key));
        let Some(pairs) = section.demand(report, key, written, hint) else {
            missing.push(key);
            return BTreeMap::new();
        };
        let pair = |(name, written): (&String, &Written<String>)| {
            lines.insert(format!("{key}.{name}"), written.line);
            (name.clone(), written.value.clone())
        };
        pairs.iter().map(pair).collect()
    };
    let keys = pairs("keys", table.keys.as_ref());
    let fields = pairs("fields", table.fields.as_ref());
    let namespace = String::new();
    let spec =
        MappingSpec { sync, object, keys, target, external_id_field, external_id_from, fields, namespace };
    let Err(problems) = Mapping::new(spec.clone()) else {
        return Some(spec);
    };
    for problem in problems.into_iter().filter(|problem| !missing.contains(&problem.key.as_str())) {
        let line = lines.get(&problem.key).copied().unwrap_or(section.line);
        section.say(report, line, &problem.to_string(), problem.hint.clone());
    }
    None
}

fn example(place: &str) -> &'static str {
    match place {
        "name" => "for example `name = \"account_enrichment\"`",
        "object" => "for example `object = \"Account\"`, the customer's record",
        "target" => "for example `target = \"Enrichment__c\"`, the object written to",
        "keys" => "for example `keys = { domain = \"Website\" }`: what is sent to your API",
        "fields" => "for example `[sync.fields]` with `Employee_Count__c = \"/employees\"`",
        _ => "for example `external_id = { field = \"External_Id__c\", from = \"/key\" }`",
    }
}
