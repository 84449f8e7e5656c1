//! What the org says about an object's fields ("sObject Describe").
//!
//! Here: reading the part we need. Not here: fetching it (`salesforce::rest::describe`), using it (`stored`, `diff`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::row::Row;

/// Fields of one object by name, case ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe {
    object: String,
    rights: Rights,
    fields: BTreeMap<String, Field>,
}

/// What the running user may do with records of the object; what describe does not say is allowed (RESTDOC,
/// "sObject Describe": `createable`, `updateable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rights {
    create: bool,
    update: bool,
}

/// One field as an org describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
// These are Salesforce's own flags, under its names.
#[allow(clippy::struct_excessive_bools)]
pub struct Field {
    /// API name as the org spells it.
    pub name: String,
    /// How values are kept.
    pub kind: Kind,
    /// Characters a text may have; 0 = not bounded by describe.
    pub length: usize,
    /// Digits after the point; `None` = describe does not say.
    pub scale: Option<u32>,
    /// Digits in all; 0 = not bounded by describe.
    pub precision: u32,
    /// May be null.
    pub nillable: bool,
    /// May be set when a record is created.
    pub createable: bool,
    /// May be changed later.
    pub updateable: bool,
    /// Nobody writes it: a formula, or a number that Salesforce counts up.
    pub computed: bool,
    /// Salesforce fills it on create if it is left out.
    pub defaulted_on_create: bool,
    /// Is an external ID (or another field upsert may match by).
    pub external_id: bool,
    /// Text that differs in case is different.
    pub case_sensitive: bool,
}

/// How Salesforce keeps a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text on one line.
    Text,
    /// Text on several lines.
    TextArea,
    /// Email, phone, URL and encrypted text: text that must not be cut.
    ExactText,
    /// One value of a list.
    Picklist,
    /// A set of values of a list.
    MultiPicklist,
    /// True or false, never null.
    Checkbox,
    /// A whole number of 32 bits.
    Int,
    /// A number, a currency or a percentage.
    Number,
    /// A day.
    Date,
    /// An instant.
    DateTime,
    /// A time of day.
    Time,
    /// The ID of a record.
    Reference,
    /// Compound, binary or unknown: cannot be written by a mapping.
    Unsupported,
}

/// Why a describe cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeProblem {
    /// Not a describe of an object.
    #[error("the describe has no list `fields`")]
    NoFields,
    /// A field without name or type.
    #[error("the describe's field {place} has no `{key}`")]
    Incomplete {
        /// The field's index in `fields`.
        place: usize,
        /// The missing key.
        key: &'static str,
    },
}

impl Describe {
    /// Reads the JSON that Salesforce answers.
    pub fn from_json(describe: &Row) -> Result<Self, DescribeProblem> {
        let list = describe.get("fields").and_then(Value::as_array).ok_or(DescribeProblem::NoFields)?;
        let mut fields = BTreeMap::new();
        for (place, value) in list.iter().enumerate() {
            let field = field(place, value)?;
            fields.insert(field.name.to_ascii_lowercase(), field);
        }
        let object = describe.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |name: &str| describe.get(name).and_then(Value::as_bool).unwrap_or(true);
        let rights = Rights { create: flag("createable"), update: flag("updateable") };
        Ok(Self { object, rights, fields })
    }

    /// Whether the running user may make records of the object.
    pub fn may_create(&self) -> bool {
        self.rights.create
    }

    /// Whether the running user may change records of the object.
    pub fn may_update(&self) -> bool {
        self.rights.update
    }

    /// The name under which an object's describe lists the records of `child` that hang on it by `field`; `None` if it
    /// lists none, or without a name.
    pub fn child_relationship(describe: &Row, child: &str, field: &str) -> Option<String> {
        let all = describe.get("childRelationships")?.as_array()?;
        let is = |listed: &Value, key: &str, name: &str| {
            listed.get(key).and_then(Value::as_str).is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        let found =
            all.iter().find(|listed| is(listed, "childSObject", child) && is(listed, "field", field))?;
        found.get("relationshipName").and_then(Value::as_str).map(str::to_owned)
    }

    /// The object that a dotted path through `relationship` leads to, such as `User` for `Owner`; `None` if there is no
    /// such relationship. One that leads to several objects has the fields of `Name` (Object Reference, "Name").
    pub fn parent_object<'d>(describe: &'d Row, relationship: &str) -> Option<&'d str> {
        let fields = describe.get("fields")?.as_array()?;
        let is_it = |field: &&Value| {
            let name = field.get("relationshipName").and_then(Value::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case(relationship))
        };
        match fields.iter().find(is_it)?.get("referenceTo")?.as_array()?.as_slice() {
            [] => None,
            [one] => one.as_str(),
            _ => Some("Name"),
        }
    }

    /// API name of the object; empty if describe does not say.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// A field by name, case ignored. `None`: it does not exist or the integration user may not see it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(&name.to_ascii_lowercase())
    }
}

fn field(place: usize, value: &Value) -> Result<Field, DescribeProblem> {
    let text = |key: &'static str| {
        value.get(key).and_then(Value::as_str).ok_or(DescribeProblem::Incomplete { place, key })
    };
    let flag = |key: &str, absent: bool| value.get(key).and_then(Value::as_bool).unwrap_or(absent);
    let number = |key: &str| value.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let kind = kind(text("type")?);
    Ok(Field {
        name: text("name")?.to_owned(),
        kind,
        length: number("length").unwrap_or(0) as usize,
        scale: if kind == Kind::Int { Some(0) } else { number("scale") },
        precision: number("precision").unwrap_or(0),
        nillable: flag("nillable", true),
        createable: flag("createable", true),
        updateable: flag("updateable", true),
        computed: flag("calculated", false) || flag("autoNumber", false),
        defaulted_on_create: flag("defaultedOnCreate", false),
        external_id: flag("externalId", false) || flag("idLookup", false),
        case_sensitive: flag("caseSensitive", false),
    })
}

fn kind(name: &str) -> Kind {
    match name.to_ascii_lowercase().as_str() {
        "string" => Kind::Text,
        "textarea" => Kind::TextArea,
        "email" | "phone" | "url" | "encryptedstring" => Kind::ExactText,
        "picklist" | "combobox" => Kind::Picklist,
        "multipicklist" => Kind::MultiPicklist,
        "boolean" => Kind::Checkbox,
        "int" => Kind::Int,
        "double" | "currency" | "percent" => Kind::Number,
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "time" => Kind::Time,
        "reference" | "id" => Kind::Reference,
        _ => Kind::Unsupported,
    }
}

#[cfg(test)]
mod tests;
