//! The mapping of one sync: what is read, what is sent to the vendor, what is written where.
//!
//! Here: checking what the operator wrote, all problems at once. Not here: TOML (`src/config`), values (`plan`).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    name::{is_api_name, is_namespace, is_path, namespaced},
    operation::Operation,
    row::{self, Row},
    system::{self, ID},
    value::{FieldSource, ValueSpec},
};

/// One sync as the operator wrote it; nothing is checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingSpec {
    /// Name of the sync.
    pub sync: String,
    /// The customer's object, such as `Account`.
    pub object: String,
    /// What is sent to the vendor: key = field of the customer's record.
    pub keys: BTreeMap<String, String>,
    /// The object written to, such as `Enrichment__c`; may be left out where the target is the record itself.
    pub target: String,
    /// External ID field of the target; nothing where the target is the record itself.
    pub external_id_field: String,
    /// Where its value comes from; nothing where there is no such field.
    pub external_id_from: ValueSpec,
    /// Target field and where its value comes from.
    pub fields: BTreeMap<String, ValueSpec>,
    /// Whether records of the target are made, too, or only changed.
    pub operation: Operation,
    /// How the target record is found.
    pub matching: Matching,
    /// Namespace of the installed package; empty when unmanaged.
    pub namespace: String,
}

/// A checked mapping with the namespace applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    sync: String,
    object: String,
    keys: Vec<(String, String)>,
    target: String,
    key: TargetKey,
    fields: Vec<(String, FieldSource)>,
    operation: Operation,
    parent_field: Option<String>,
    /// Read beside what the mapping itself needs.
    along: Vec<String>,
    namespace: String,
}

/// By what a record of the target is told from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKey {
    /// By its external ID.
    ExternalId {
        /// The field that has it, namespace applied.
        field: String,
        /// Where its value comes from.
        from: FieldSource,
    },
    /// By its record ID: it is the customer's record itself.
    RecordId,
}

/// How the record of the target that belongs to a customer's record is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// By a query for its external ID.
    #[default]
    ExternalId,
    /// Read with the customer's record, on which it hangs by a lookup; one that hangs elsewhere by its external ID.
    Relationship,
    /// It is the customer's record itself.
    Id,
}

/// One thing wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct MappingProblem {
    /// The key in the sync, such as `fields.Name__c`.
    pub key: String,
    /// What is wrong, with the value in it.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Mapping {
    /// Checks a mapping; reports every problem, not only the first.
    pub fn new(spec: MappingSpec) -> Result<Self, Vec<MappingProblem>> {
        let mut problems = Problems::default();
        if spec.sync.trim().is_empty() {
            problems.add("name", "the sync has no name", "Give it one, such as `account_enrichment`.");
        }
        if !is_namespace(&spec.namespace) {
            problems.add(
                "namespace",
                format!("`{}` is no namespace", spec.namespace),
                "Write the package's namespace without `__` (1 to 15 letters, digits, single underscores), or \"\".",
            );
        }
        problems.check_name("object", &spec.object, "Account");
        let (target, key) = problems.target(&spec);
        let fields = problems.fields(&spec, &namespaced(&spec.namespace, &spec.external_id_field));
        let parent_field = fields.iter().find(|(_, source)| source.is_record_id());
        let parent_field = parent_field.map(|(field, _)| field.clone());
        let parent_field = parent_field.filter(|_| spec.matching == Matching::Relationship);
        if spec.matching == Matching::Relationship && parent_field.is_none() {
            problems.add(
                "match",
                "is `relationship`, but no field of the target is mapped from `$Id`",
                "Map the target's lookup to the record, such as `Account__c = \"$Id\"`, or remove `match`.",
            );
        }
        match key {
            Some(key) if problems.0.is_empty() => Ok(Self {
                target,
                sync: spec.sync,
                object: spec.object,
                keys: spec.keys.into_iter().collect(),
                key,
                fields,
                operation: spec.operation,
                parent_field,
                along: Vec::new(),
                namespace: spec.namespace,
            }),
            _ => Err(problems.0),
        }
    }

    /// Name of the sync.
    pub fn sync(&self) -> &str {
        &self.sync
    }

    /// The customer's object.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The object written to, namespace applied.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// By what a record of the target is told from all others.
    pub fn key(&self) -> &TargetKey {
        &self.key
    }

    /// The field that tells a record of the target from all others, namespace applied.
    pub fn key_field(&self) -> &str {
        match &self.key {
            TargetKey::ExternalId { field, .. } => field,
            TargetKey::RecordId => ID,
        }
    }

    /// External ID field of the target, namespace applied, if its records are told apart by one.
    pub fn external_id_field(&self) -> Option<&str> {
        match &self.key {
            TargetKey::ExternalId { field, .. } => Some(field),
            TargetKey::RecordId => None,
        }
    }

    /// Whether the target is the customer's record itself.
    pub fn is_record_itself(&self) -> bool {
        self.key == TargetKey::RecordId
    }

    /// What is done to a record of the target that differs.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether records of the target are made.
    pub fn makes(&self) -> bool {
        self.operation == Operation::Upsert
    }

    /// The target's lookup to the customer's record, namespace applied, if the target is read by it.
    pub fn parent_field(&self) -> Option<&str> {
        self.parent_field.as_deref()
    }

    /// Namespace of the installed package; empty when unmanaged.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Vendor's key and the record's field it is filled from.
    pub fn keys(&self) -> &[(String, String)] {
        &self.keys
    }

    /// Target field, namespace applied, and where its value comes from.
    pub fn fields(&self) -> &[(String, FieldSource)] {
        &self.fields
    }

    /// Fields of the target that take the ID of the customer's record (`$Id`); a record does not hang on itself.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let links =
            self.fields.iter().filter(|(_, source)| source.is_record_id() && !self.is_record_itself());
        links.map(|(field, _)| field.as_str())
    }

    /// The same mapping, which reads these fields of the customer's record, too.
    #[must_use]
    pub fn reading_along(mut self, fields: impl IntoIterator<Item = String>) -> Self {
        self.along.extend(fields);
        self
    }

    /// Fields to select of the customer's record: `Id` first, each once. Of a record that is the target itself those that are
    /// written are among them, so that one look tells what it is asked with and what it holds.
    pub fn read_fields(&self) -> Vec<String> {
        let keys = self.keys.iter().map(|(_, field)| field);
        let key = match &self.key {
            TargetKey::ExternalId { from, .. } => Some(from),
            TargetKey::RecordId => None,
        };
        let sources = key.into_iter().chain(self.fields.iter().map(|(_, source)| source));
        let from_record = sources.flat_map(FieldSource::record_paths);
        let mut selected = vec![ID.to_owned()];
        let converted = self.converted_field().map(str::to_owned);
        let written = self.fields.iter().map(|(field, _)| field).filter(|_| self.is_record_itself());
        let all = keys.chain(from_record).chain(&converted).chain(written).chain(&self.along);
        for field in all {
            if !selected.iter().any(|known| known.eq_ignore_ascii_case(field)) {
                selected.push(field.clone());
            }
        }
        selected
    }

    /// Whether a record was read with all fields that the mapping takes from it.
    pub fn is_whole(&self, record: &Row) -> bool {
        self.read_fields().iter().all(|path| row::at(record, path).is_some())
    }

    /// The same mapping without what is read of these paths of the record.
    pub(crate) fn without(&self, paths: &BTreeSet<String>) -> Self {
        let mut mapping = self.clone();
        let is_read = |field: &String| !paths.iter().any(|path| path.eq_ignore_ascii_case(field));
        let itself = self.is_record_itself();
        mapping.keys.retain(|(_, path)| is_read(path));
        mapping.fields.retain(|(field, source)| {
            source.record_paths().iter().all(is_read) && (!itself || is_read(field))
        });
        mapping.along.retain(is_read);
        mapping
    }

    /// The field that says that a record has been converted, if the object has one: a converted lead can still be
    /// queried, but nothing may refer to it any more (`CANNOT_UPDATE_CONVERTED_LEAD`; Object Reference "Lead").
    pub fn converted_field(&self) -> Option<&'static str> {
        self.object.eq_ignore_ascii_case("Lead").then_some("IsConverted")
    }

    /// Mapped fields of the target, namespace applied; neither `Id` nor the external ID is among them.
    pub fn target_fields(&self) -> Vec<String> {
        self.fields.iter().map(|(field, _)| field.clone()).collect()
    }
}

#[derive(Default)]
struct Problems(Vec<MappingProblem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.0.push(MappingProblem { key: key.into(), message: message.into(), hint: hint.into() });
    }

    fn check_name(&mut self, key: &str, name: &str, example: &str) {
        if name.is_empty() {
            self.add(key, "is empty", format!("Write an API name, such as `{example}`."));
        } else if !is_api_name(name) {
            let hint = format!("Write the API name, such as `{example}`, not the label.");
            self.add(key, format!("`{name}` is no API name"), hint);
        }
    }

    fn check_keys(&mut self, keys: &BTreeMap<String, String>) {
        if keys.is_empty() {
            self.add("keys", "is empty", "Name at least one key, such as `keys = { domain = \"Website\" }`.");
        }
        for (key, field) in keys {
            let place = format!("keys.{key}");
            if key.trim().is_empty() {
                self.add(place.clone(), "has no name", "Name the key as your API expects it.");
            }
            if field.starts_with("$event.") {
                let message = format!("`{field}` takes a key from the event, which is not supported yet");
                self.add(place, message, "Name a field of the record instead, such as `Website`.");
            } else if !is_path(field) {
                let hint = "Write the field's API name, such as `Website` or `Owner.Email`, without `$`.";
                self.add(place, format!("`{field}` is no field"), hint);
            }
        }
    }

    /// The object written to, and by what its records are told apart.
    fn target(&mut self, spec: &MappingSpec) -> (String, Option<TargetKey>) {
        if spec.matching == Matching::Id {
            let key = self.itself(spec);
            self.check_keys(&spec.keys);
            return (spec.object.clone(), key);
        }
        self.check_name("target", &spec.target, "Enrichment__c");
        self.check_name("external_id.field", &spec.external_id_field, "External_Id__c");
        self.check_keys(&spec.keys);
        let field = namespaced(&spec.namespace, &spec.external_id_field);
        let from = self.source("external_id.from", &spec.external_id_from);
        self.check_external_id_from(&spec.external_id_from);
        for flaw in from.iter().flat_map(FieldSource::flaws_as_external_id) {
            self.add(format!("external_id.from.{}", flaw.key), flaw.message, flaw.hint);
        }
        let key = from.map(|from| TargetKey::ExternalId { field, from });
        (namespaced(&spec.namespace, &spec.target), key)
    }

    /// What cannot be said of a target that is the record itself.
    fn itself(&mut self, spec: &MappingSpec) -> Option<TargetKey> {
        let before = self.0.len();
        let others = !spec.target.is_empty()
            && !spec.target.eq_ignore_ascii_case(&spec.object)
            && !namespaced(&spec.namespace, &spec.target).eq_ignore_ascii_case(&spec.object);
        if others {
            let message = format!(
                "is `{}`, but with `match = \"id\"` it is written onto the record itself, which is one of {}",
                spec.target, spec.object
            );
            self.add("target", message, "Remove it, or remove `match`.");
        }
        if !spec.external_id_field.is_empty() || spec.external_id_from != ValueSpec::default() {
            self.add(
                "external_id",
                "is written, but with `match = \"id\"` the record is known by its own ID",
                "Remove it, or remove `match`.",
            );
        }
        if spec.operation != Operation::Update {
            self.add(
                "write",
                "is `upsert`, but with `match = \"id\"` it is written onto the record itself, and none is ever made",
                "Write \"update\", or remove the key.",
            );
        }
        (self.0.len() == before).then_some(TargetKey::RecordId)
    }

    fn fields(&mut self, spec: &MappingSpec, external_id_field: &str) -> Vec<(String, FieldSource)> {
        if spec.fields.is_empty() {
            self.add(
                "fields",
                "is empty",
                "Map at least one field, such as `Employee_Count__c = \"/employees\"`.",
            );
        }
        let mut fields: Vec<(String, FieldSource)> = Vec::with_capacity(spec.fields.len());
        for (field, from) in &spec.fields {
            let place = format!("fields.{field}");
            // Of the record itself they stand as in the org, as its keys do.
            let itself = spec.matching == Matching::Id;
            let name = if itself { field.clone() } else { namespaced(&spec.namespace, field) };
            self.check_name(&place, field, "Employee_Count__c");
            if name.eq_ignore_ascii_case(external_id_field) {
                self.add(place.clone(), "is the external ID", "Remove it: `external_id` already writes it.");
            } else if name.eq_ignore_ascii_case(ID) {
                self.add(
                    place.clone(),
                    "is the record ID",
                    "Remove it: Salesforce gives the target its `Id`.",
                );
            } else if let Some((message, hint)) = system::unwritable(&name) {
                self.add(place.clone(), message, hint);
            } else if fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                self.add(
                    place.clone(),
                    format!("maps `{name}` a second time"),
                    "Remove one of the two lines.",
                );
            }
            if let Some(source) = self.source(&place, from) {
                fields.push((name, source));
            }
        }
        fields
    }

    fn check_external_id_from(&mut self, spec: &ValueSpec) {
        let hint = "Let it come from the answer or the record, such as `/key` or `$Id`.";
        if spec.value.is_some() {
            self.add(
                "external_id.from.value",
                "is the same for all records, which it shall tell apart",
                hint,
            );
        }
        if let Some(from) = spec.from.as_ref().filter(|from| from.starts_with("$meta.")) {
            self.add("external_id.from", format!("`{from}` is another one each time"), hint);
        }
        for (key, is_written) in
            [("default", spec.default.is_some()), ("otherwise", spec.otherwise.is_some())]
        {
            if is_written {
                let message =
                    "is the same for all records that have no other, and an external ID tells them apart";
                let hint = "Remove it: a record without an external ID makes a dead letter.";
                self.add(format!("external_id.from.{key}"), message, hint);
            }
        }
        if spec.overlong.is_some() {
            let hint = "Remove it: an external ID that is too long makes a dead letter.";
            self.add(
                "external_id.from.overlong",
                "is for texts that may be cut, and an external ID never is",
                hint,
            );
        }
    }

    /// A problem with one key of a table is told of that key, one with the value as a whole of the value.
    fn source(&mut self, place: &str, spec: &ValueSpec) -> Option<FieldSource> {
        let problems = match FieldSource::new(spec) {
            Ok(source) => return Some(source),
            Err(problems) => problems,
        };
        for problem in problems {
            let is_whole = problem.key.is_empty() || spec.is_plain();
            let key = if is_whole { place.to_owned() } else { format!("{place}.{}", problem.key) };
            self.add(key, problem.message, problem.hint);
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests;
