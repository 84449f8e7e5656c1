//! The channel of a sync and what its events say: a platform event with fields of record IDs, or a change event.
//!
//! Here: names of channels, `event`. Not here: the other keys of a sync (`sync`).

use orgpipe_actors::settings::EventShape;
use orgpipe_reconcile::{
    EventFields,
    name::{is_api_name, namespaced, namespaced_channel},
};

use super::package;
use crate::config::{
    reader::{Section, Written},
    report::Report,
    tables::{EventTable, SyncTable},
};

/// The event of the package.
const CHANNEL: &str = "/event/Sync_Request__e";
/// How the name of an object's change event ends, and of that of all objects.
const CHANGE_EVENT: &str = "ChangeEvent";

/// Where a sync's events come from, namespace not applied.
#[derive(Clone, Debug)]
pub(super) struct Source {
    channel: String,
    event: EventShape,
}

impl Source {
    /// With an org's namespace. The change event of an object is the customer's, as the object is.
    pub(super) fn for_org(&self, namespace: &str) -> (String, EventShape) {
        let apply = |name: &String| namespaced(namespace, name);
        let channel = if self.channel.ends_with(CHANGE_EVENT) {
            self.channel.clone()
        } else {
            namespaced_channel(namespace, &self.channel)
        };
        let event = match &self.event {
            EventShape::Request(EventFields { ids, object, reason, correlation_id }) => {
                EventShape::Request(EventFields {
                    ids: apply(ids),
                    object: object.as_ref().map(apply),
                    reason: reason.as_ref().map(apply),
                    correlation_id: correlation_id.as_ref().map(apply),
                })
            }
            EventShape::Change { watch } => EventShape::Change { watch: watch.clone() },
        };
        (channel, event)
    }
}

/// What `channel` and `event` of a sync say; none if something is wrong, which is in the report then.
pub(super) fn source(
    table: &SyncTable<'_>,
    namespaces: &[String],
    report: &mut Report<'_>,
) -> Option<Source> {
    let object = table.object.as_ref().map(|written| written.value.as_str());
    let channel = match &table.channel {
        Some(written) => channel(&table.section, written, object, report),
        None => Some(CHANNEL.to_owned()),
    };
    let changes = table.channel.as_ref().is_some_and(|written| written.value.starts_with("/data/"));
    let name = channel.as_deref().unwrap_or_default();
    let event = match &table.event {
        Some(event) if changes => watched(event, report),
        Some(event) => event_fields(event, name, namespaces, report),
        None if changes => Some(EventShape::Change { watch: Vec::new() }),
        None => Some(package_event()),
    };
    Some(Source { channel: channel?, event: event? })
}

fn channel(
    section: &Section<'_>,
    written: &Written<String>,
    object: Option<&str>,
    report: &mut Report<'_>,
) -> Option<String> {
    let ends = |name: &str, endings: &[&str]| {
        let lower = name.to_ascii_lowercase();
        is_api_name(name) && endings.iter().any(|ending| lower.ends_with(ending))
    };
    let problem = |report: &mut Report<'_>, message: &str, hint: &str| {
        section.problem(report, written.line, "channel", message, hint);
        None
    };
    let found = written.value.strip_prefix('/').and_then(|path| path.split_once('/'));
    match found {
        Some(("event", name)) if ends(name, &["__e", "__chn"]) => {}
        Some(("data", name)) if name == "ChangeEvents" || ends(name, &["__chn"]) => {}
        Some(("data", name)) if is_api_name(name) && name.ends_with(CHANGE_EVENT) => {
            let stem = name.trim_end_matches(CHANGE_EVENT);
            let of = if stem.ends_with("__") { format!("{stem}c") } else { stem.to_owned() };
            if let Some(object) = object.filter(|object| !object.eq_ignore_ascii_case(&of)) {
                let message = format!("carries changes of `{of}`, but the sync's `object` is `{object}`");
                return problem(report, &message, "Name the change event of the sync's object.");
            }
        }
        _ => {
            let value = &written.value;
            let message = format!("is `{value}`, which is no channel of Platform Events or change events");
            let hint = "Write `/event/` and an event's API name, such as \"/event/Sync_Request__e\", or `/data/` and \
                        a change event, such as \"/data/AccountChangeEvent\".";
            return problem(report, &message, hint);
        }
    }
    Some(written.value.clone())
}

fn package_event() -> EventShape {
    EventShape::Request(EventFields {
        ids: "Record_Ids__c".to_owned(),
        object: Some("Object_Type__c".to_owned()),
        reason: Some("Reason__c".to_owned()),
        correlation_id: Some("Correlation_Id__c".to_owned()),
    })
}

/// A name of a field, or a problem.
fn field(
    section: &Section<'_>,
    key: &str,
    written: &Written<String>,
    hint: &str,
    report: &mut Report<'_>,
) -> Option<String> {
    if is_api_name(&written.value) {
        return Some(written.value.clone());
    }
    let message = format!("is `{}`, which is no API name", written.value);
    section.problem(report, written.line, key, &message, hint);
    None
}

/// Change events have a shape of their own; only which fields matter can be said.
fn watched(table: &EventTable<'_>, report: &mut Report<'_>) -> Option<EventShape> {
    let section = &table.section;
    let mut right = true;
    for key in ["ids", "object", "reason", "correlation_id"].into_iter().filter(|key| section.has(key)) {
        let hint = "Remove the key: change events name their records by themselves.";
        section.problem(report, section.line, key, "makes no sense on a channel of change events", hint);
        right = false;
    }
    right &= table.watch.is_some() || !section.has("watch");
    let hint = "Write the API name of a field of the sync's `object`, such as `Website`.";
    let names = table.watch.iter().flatten().map(|written| field(section, "watch", written, hint, report));
    let names: Vec<Option<String>> = names.collect();
    let watch: Option<Vec<String>> = names.into_iter().collect();
    watch.filter(|_| right).map(|watch| EventShape::Change { watch })
}

/// An event of the vendor's own has only the fields that are named.
fn event_fields(
    table: &EventTable<'_>,
    channel: &str,
    namespaces: &[String],
    report: &mut Report<'_>,
) -> Option<EventShape> {
    let section = &table.section;
    let mut right = true;
    if section.has("watch") {
        let hint = "Remove the key: a platform event is published only when a sync is wanted.";
        let message = "makes sense only on a channel of change events, such as `/data/AccountChangeEvent`";
        section.problem(report, section.line, "watch", message, hint);
        right = false;
    }
    let mut optional = |key: &str, written: &Option<Written<String>>| {
        let Some(written) = written else {
            right &= !section.has(key);
            return None;
        };
        let hint = "Write the API name of a field of the event, such as `Record_Ids__c`.";
        let name = field(section, key, written, hint, report);
        let lacking = name.as_deref().and_then(|name| package::event_field(channel, name, namespaces));
        if let Some((message, hint)) = &lacking {
            section.problem(report, written.line, key, &format!("is wrong: {message}"), hint.clone());
        }
        right &= name.is_some() && lacking.is_none();
        name
    };
    let fields = (
        optional("ids", &table.ids),
        optional("object", &table.object),
        optional("reason", &table.reason),
        optional("correlation_id", &table.correlation_id),
    );
    let hint = "Name the event's field of record IDs, such as `ids = \"Record_Ids__c\"`.";
    section.demand(report, "ids", table.ids.as_ref(), hint);
    match fields {
        (Some(ids), object, reason, correlation_id) if right => {
            Some(EventShape::Request(EventFields { ids, object, reason, correlation_id }))
        }
        _ => None,
    }
}
