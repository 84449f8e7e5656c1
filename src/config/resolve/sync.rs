//! Syncs: checked once by themselves, then once more with the namespace of each org, and with what an org has otherwise.
//!
//! Here: match, write, refresh, and the lines of what `reconcile` says about the mapping.
//! Not here: channel and event (`channel`), rules of the mapping (`reconcile::mapping`), the package (`package`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_actors::settings::{OnDeleted, OnRefusedField, OnSharedKey, RefreshSettings, SyncSettings};
use orgpipe_reconcile::{
    FieldSource, Mapping, MappingSpec, Operation, ValueSpec,
    lookup::RECORDS_MAX,
    mapping::{MappingProblem, Matching},
};

use super::{
    channel::{self, Source},
    package, value,
};
use crate::config::{
    reader::{Section, Written},
    report::Report,
    tables::{self, RefreshTable, SyncTable},
};

/// Characters of a condition: it is sent in a URL, which Salesforce cuts at 16 KB.
const CONDITION_CHARS_MAX: usize = 4_000;
/// Records from which a refresh reads by a Bulk query unless the file says otherwise: there it takes half the API calls
/// of REST pages, and minutes in Salesforce's queue no longer matter.
const REFRESH_BULK_FROM: u32 = 100_000;

/// A sync whose problems are in the report.
pub(super) struct CheckedSync {
    /// Unique, for `org.syncs`.
    pub(super) name: String,
    /// None if something is wrong with it.
    parts: Option<Parts>,
    /// The keys that one org has otherwise; none of a sync as it is for all.
    own: BTreeSet<String>,
}

struct Parts {
    spec: MappingSpec,
    source: Source,
    refresh: Option<RefreshSettings>,
    on_refused_field: OnRefusedField,
    on_shared_key: OnSharedKey,
}

impl CheckedSync {
    /// The sync with an org's namespace; none if it is wrong by itself, which the report says already.
    pub(super) fn for_org(&self, namespace: &str) -> Result<Option<SyncSettings>, Vec<MappingProblem>> {
        let Some(parts) = &self.parts else {
            return Ok(None);
        };
        let (channel, event) = parts.source.for_org(namespace);
        Ok(Some(SyncSettings {
            name: self.name.clone(),
            channel,
            event,
            mapping: Mapping::new(MappingSpec { namespace: namespace.to_owned(), ..parts.spec.clone() })?,
            refresh: parts.refresh.clone(),
            on_refused_field: parts.on_refused_field,
            on_shared_key: parts.on_shared_key,
            own: self.own.clone(),
        }))
    }

    /// The sync as an org with these keys of its own has it; `below` is how it is written for all. None if it is wrong by
    /// itself, which the report says already.
    pub(super) fn with<'t>(
        &self,
        own: &Section<'t>,
        below: &SyncTable<'t>,
        namespace: &str,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        self.parts.as_ref()?;
        let overlaid = own.laid_over(&below.section, tables::ORG_SYNC.1, report);
        let table = tables::sync(overlaid.section(), report);
        let sync = check(&table, &[namespace.to_owned()], &mut BTreeMap::new(), report);
        Some(Self { own: overlaid.own, ..sync })
    }
}

/// Checks all syncs; `namespaces`: those of all orgs.
pub(super) fn all(
    tables: &[SyncTable<'_>],
    namespaces: &[String],
    report: &mut Report<'_>,
) -> Vec<CheckedSync> {
    if tables.is_empty() {
        let hint =
            "Write `[[sync]]` with `name`, `object`, `keys`, `target`, `external_id` and `[sync.fields]`.";
        report.add_at(None, "there is no sync", hint);
    }
    let mut seen = BTreeMap::new();
    let syncs: Vec<_> = tables.iter().map(|table| check(table, namespaces, &mut seen, report)).collect();
    for table in tables {
        warn_of_now(table, report);
    }
    for (sync, message, hint) in disagreements(&syncs.iter().collect::<Vec<_>>()) {
        let refresh = tables[sync].refresh.as_ref();
        if let Some((section, written)) =
            refresh.and_then(|refresh| Some((&refresh.section, refresh.on_deleted.as_ref()?)))
        {
            section.problem(report, written.line, "on_deleted", message, hint);
        }
    }
    syncs
}

/// A value that differs with the time makes a record differ, though nothing else has changed.
fn warn_of_now(table: &SyncTable<'_>, report: &mut Report<'_>) {
    for (field, value) in table.fields.iter().flatten() {
        if FieldSource::new(&value.spec).is_ok_and(|source| source.takes_now()) {
            let message = "takes `now`: each refresh that finds it at another value writes the record";
            let hint = "For the time of the last write map `$meta.synced_at`, which is no reason to write.";
            table.section.warn(report, value.line, &format!("fields.{field}"), message, hint);
        }
    }
}

fn check(
    table: &SyncTable<'_>,
    namespaces: &[String],
    seen: &mut BTreeMap<String, usize>,
    report: &mut Report<'_>,
) -> CheckedSync {
    let section = &table.section;
    let name = match &table.name {
        Some(written) => {
            value::duplicate(section, report, "name", written, seen);
            value::name(section, report, "name", written)
        }
        None => None,
    };
    let source = channel::source(table, namespaces, report);
    let refresh = table.refresh.as_ref().map(|refresh| refresh_settings(refresh, report));
    let refresh = match refresh {
        Some(settings) => settings.map(Some),
        None => Some(None),
    };
    let spec = mapping(table, namespaces, report);
    let on_refused_field = on_refused_field(table, report);
    let on_shared_key = on_shared_key(table, report);
    if spec.as_ref().is_some_and(|spec| spec.matching == Matching::Id) {
        not_of_itself(table, report);
    }
    let parts = match (spec, source, refresh) {
        (Some(spec), Some(source), Some(refresh)) if name.is_some() => {
            Some(Parts { spec, source, refresh, on_refused_field, on_shared_key })
        }
        _ => None,
    };
    let name = table.name.as_ref().map(|written| written.value.clone()).unwrap_or_default();
    CheckedSync { name, parts, own: BTreeSet::new() }
}

fn matching(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> Matching {
    match written.value.as_str() {
        "external_id" => {}
        "relationship" => return Matching::Relationship,
        "id" => return Matching::Id,
        other => {
            let message = format!("is `{other}`, which is no way to match");
            section.problem(
                report,
                written.line,
                "match",
                &message,
                "Write \"external_id\", \"relationship\" or \"id\".",
            );
        }
    }
    Matching::ExternalId
}

fn operation(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> Operation {
    match written.value.as_str() {
        "upsert" => {}
        "update" => return Operation::Update,
        other => {
            let message = format!("is `{other}`, which is no way to write");
            let hint = "Write \"upsert\", or \"update\" if no record shall ever be made.";
            section.problem(report, written.line, "write", &message, hint);
        }
    }
    Operation::Upsert
}

fn on_refused_field(table: &SyncTable<'_>, report: &mut Report<'_>) -> OnRefusedField {
    let Some(written) = &table.on_refused_field else { return OnRefusedField::default() };
    match written.value.as_str() {
        "dead_letter" => {}
        "leave_out" => return OnRefusedField::LeaveOut,
        other => {
            let message = format!("is `{other}`, which is nothing to do about a refused field");
            let hint = "Write \"dead_letter\", or \"leave_out\" to have the rest of the record written.";
            table.section.problem(report, written.line, "on_refused_field", &message, hint);
        }
    }
    OnRefusedField::DeadLetter
}

fn on_shared_key(table: &SyncTable<'_>, report: &mut Report<'_>) -> OnSharedKey {
    let Some(written) = &table.on_shared_key else { return OnSharedKey::default() };
    match written.value.as_str() {
        "dead_letter" => {}
        "first" => return OnSharedKey::First,
        "newest" => return OnSharedKey::Newest,
        other => {
            let message = format!("is `{other}`, which is nothing to do about a key that two records share");
            let hint = "Write \"dead_letter\", \"first\" or \"newest\".";
            table.section.problem(report, written.line, "on_shared_key", &message, hint);
        }
    }
    OnSharedKey::DeadLetter
}

/// Keys that say nothing where the target is the record itself.
fn not_of_itself(table: &SyncTable<'_>, report: &mut Report<'_>) {
    if let Some(written) = &table.on_shared_key {
        let message = "is written, but with `match = \"id\"` no two records share a key";
        table.section.problem(
            report,
            written.line,
            "on_shared_key",
            message,
            "Remove it, or remove `match`.",
        );
    }
    let refresh = table.refresh.as_ref();
    let on_deleted = refresh.and_then(|refresh| Some((&refresh.section, refresh.on_deleted.as_ref()?)));
    if let Some((section, written)) = on_deleted {
        let message = "is written, but with `match = \"id\"` nothing is left of a deleted record";
        section.problem(report, written.line, "on_deleted", message, "Remove it, or remove `match`.");
    }
}

/// What two syncs of one org write to the same field of the same record would be undone by each other at each refresh. That
/// they do is known where one of them is written onto the record itself.
pub(super) fn written_twice(syncs: &[SyncSettings]) -> Option<String> {
    let itself = syncs.iter().filter(|sync| sync.mapping.is_record_itself());
    let mut pairs = itself.flat_map(|one| syncs.iter().map(move |other| (one, other)));
    pairs.find_map(|(one, other)| {
        let same =
            one.name != other.name && one.mapping.target().eq_ignore_ascii_case(other.mapping.target());
        let fields = other.mapping.target_fields();
        let field = one
            .mapping
            .target_fields()
            .into_iter()
            .filter(|_| same)
            .find(|field| fields.iter().any(|other| other.eq_ignore_ascii_case(field)))?;
        let (target, one, other) = (one.mapping.target(), &one.name, &other.name);
        Some(format!("the syncs \"{one}\" and \"{other}\" both write `{target}.{field}`"))
    })
}

/// Changes of one record find each other by the target as it is spelt; a sync that is written onto the record itself takes that
/// from its `object`, where another may have named it otherwise.
pub(super) fn spelt_twice(syncs: &[SyncSettings]) -> Option<String> {
    let itself = syncs.iter().filter(|sync| sync.mapping.is_record_itself());
    let mut pairs = itself.flat_map(|one| syncs.iter().map(move |other| (one, other)));
    pairs.find_map(|(one, other)| {
        let (target, spelt) = (one.mapping.target(), other.mapping.target());
        let twice = target != spelt && target.eq_ignore_ascii_case(spelt);
        let (one, other) = (&one.name, &other.name);
        twice.then(|| {
            format!("the syncs \"{one}\" and \"{other}\" name one object as `{target}` and as `{spelt}`")
        })
    })
}

fn refresh_settings(table: &RefreshTable<'_>, report: &mut Report<'_>) -> Option<RefreshSettings> {
    let section = &table.section;
    let condition = table.condition.as_ref().map(|written| condition(section, written, report));
    let schedule =
        table.schedule.as_ref().map(|written| value::schedule(section, report, "schedule", written));
    let changes = table.changes.as_ref().map(|written| value::schedule(section, report, "changes", written));
    let window = table.window.as_ref().map(|written| value::window(section, report, written));
    // As many as a look-up carries unless the file says otherwise.
    let batch = table.batch.as_ref().map_or(RECORDS_MAX, |written| written.value as usize);
    let on_deleted = table.on_deleted.as_ref().map(|written| on_deleted(section, written, report));
    let wrong =
        [condition == Some(None), schedule == Some(None), changes == Some(None), window == Some(None)];
    (!wrong.contains(&true)).then(|| RefreshSettings {
        condition: condition.flatten(),
        schedule: schedule.flatten(),
        changes: changes.flatten(),
        window: window.flatten(),
        batch,
        bulk_from: table.bulk_from.as_ref().map_or(REFRESH_BULK_FROM, |written| written.value).into(),
        on_deleted: on_deleted.unwrap_or_default(),
    })
}

fn on_deleted(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> OnDeleted {
    match written.value.as_str() {
        "keep" => {}
        "clear" => return OnDeleted::Clear,
        "delete" => return OnDeleted::Delete,
        other => {
            let message = format!("is `{other}`, which is nothing to do about a deleted record");
            section.problem(
                report,
                written.line,
                "on_deleted",
                &message,
                "Write \"keep\", \"clear\" or \"delete\".",
            );
        }
    }
    OnDeleted::Keep
}

/// A record of the target is left over when none of the syncs' links leads anywhere; so all syncs that write to it need a
/// link, and must agree on what becomes of it. Gives the places of those whose `on_deleted` cannot be, with message and hint.
pub(super) fn disagreements(syncs: &[&CheckedSync]) -> Vec<(usize, &'static str, &'static str)> {
    let parts = |sync: &CheckedSync| {
        let parts = sync.parts.as_ref()?;
        let of = parts.refresh.as_ref().map(|refresh| refresh.on_deleted).unwrap_or_default();
        let linked = parts.spec.fields.values().any(ValueSpec::is_record_id);
        // By its ID a record is written onto itself, and the settings need not name it a second time.
        let itself = parts.spec.matching == Matching::Id;
        let target = if itself { &parts.spec.object } else { &parts.spec.target };
        Some((target.to_ascii_lowercase(), of, linked, parts.spec.object.eq_ignore_ascii_case(target)))
    };
    let all: Vec<_> = syncs.iter().filter_map(|sync| parts(sync)).collect();
    let mut found = Vec::new();
    for (place, sync) in syncs.iter().enumerate() {
        let Some((target, of, linked, same)) = parts(sync).filter(|(_, of, ..)| *of != OnDeleted::Keep)
        else {
            continue;
        };
        let mut others = all.iter().filter(|(other, ..)| *other == target);
        if same || !linked {
            found.push((
                place,
                "needs a field of another object that takes the record's ID",
                "Map a lookup of the target to \"$Id\", or remove the key.",
            ));
        } else if others.any(|(_, other, linked, _)| *other != of || !linked) {
            found.push((
                place,
                "differs from that of another sync with the same target, or that one maps no field to `$Id`",
                "Give all syncs of a target the same `on_deleted`, and each a lookup mapped to \"$Id\".",
            ));
        }
    }
    found
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

/// The mapping, if neither `reconcile` nor the package's contract finds anything wrong with it.
fn mapping(table: &SyncTable<'_>, namespaces: &[String], report: &mut Report<'_>) -> Option<MappingSpec> {
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
    // Onto the record itself neither is needed.
    let itself = table.matching.as_ref().is_some_and(|written| written.value == "id");
    let target = match &table.target {
        None if itself => String::new(),
        written => text(section, "target", "target", written.as_ref()),
    };
    let external_id = table.external_id.as_ref();
    let external_id_field = match external_id {
        Some(table) => text(&table.section, "field", "external_id.field", table.field.as_ref()),
        None if itself => String::new(),
        None => text(section, "external_id", "external_id.field", None),
    };
    let hint = |place: &str| format!("Write it; {}.", example(place));
    let external_id_from = external_id.and_then(|table| {
        table.section.demand(report, "from", table.from.as_ref(), hint("external_id.from"))
    });
    let keys = section.demand(report, "keys", table.keys.as_ref(), hint("keys"));
    let fields = section.demand(report, "fields", table.fields.as_ref(), hint("fields"));
    let absent = [
        ("external_id.from", external_id_from.is_none() && !itself),
        ("keys", keys.is_none()),
        ("fields", fields.is_none()),
    ];
    missing.extend(absent.into_iter().filter(|(_, is_absent)| *is_absent).map(|(place, _)| place));
    lines.extend(keys.into_iter().flatten().map(|(name, written)| (format!("keys.{name}"), written.line)));
    lines.extend(
        fields.into_iter().flatten().flat_map(|(name, value)| value.places(&format!("fields.{name}"))),
    );
    lines.extend(external_id_from.into_iter().flat_map(|value| value.places("external_id.from")));
    if let Some(written) = &table.matching {
        lines.insert("match".to_owned(), written.line);
    }
    let matching =
        table.matching.as_ref().map(|written| matching(section, written, report)).unwrap_or_default();
    let operation = match &table.write {
        None if itself => Operation::Update,
        None => Operation::default(),
        Some(written) => {
            lines.insert("write".to_owned(), written.line);
            operation(section, written, report)
        }
    };
    if let Some(table) = external_id {
        lines.insert("external_id".to_owned(), table.section.line);
    }
    let spec = MappingSpec {
        sync,
        object,
        keys: keys.into_iter().flatten().map(|(key, field)| (key.clone(), field.value.clone())).collect(),
        target,
        external_id_field,
        external_id_from: external_id_from.map(|value| value.spec.clone()).unwrap_or_default(),
        fields: fields
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.spec.clone()))
            .collect(),
        operation,
        matching,
        namespace: String::new(),
    };
    let problems = match Mapping::new(spec.clone()) {
        Ok(_) => package::problems(&spec, namespaces),
        Err(problems) => problems,
    };
    if problems.is_empty() {
        return Some(spec);
    }
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
