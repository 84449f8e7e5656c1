//! What an org says of its objects: describe, the object list, event schemas.
//!
//! Here: the JSON. Not here: paths (`api`). Source: REST guide "sObject Describe", SOAP guide "DescribeSObjectResult".

use serde_json::{Value, json};

use super::kind::FieldKind;
use super::object::{Access, Field, Object};
use super::schema::Schema;
use super::value;

/// An object as the list of objects shows it; `base` is `/services/data/vNN.0`.
pub(crate) fn summary(object: &Object, base: &str) -> Value {
    let (records, label) = (!object.is_event(), object.label());
    let url = format!("{base}/sobjects/{}", object.name);
    json!({
        "name": object.name, "label": label, "labelPlural": format!("{label}s"), "keyPrefix": object.prefix,
        "custom": object.is_custom(), "customSetting": object.setting, "activateable": false, "associateEntityType": null,
        "associateParentEntity": null, "createable": object.open_for.create, "deepCloneable": false,
        "deletable": object.open_for.delete && records, "deprecatedAndHidden": false, "feedEnabled": false,
        "hasSubtypes": false, "isInterface": false, "isSubtype": false, "layoutable": records,
        "mergeable": false, "mruEnabled": records, "queryable": records, "replicateable": records,
        "retrieveable": records, "searchable": records, "triggerable": true, "undeletable": records,
        "updateable": object.open_for.edit && records,
        "urls": {
            "sobject": url, "describe": format!("{url}/describe"), "rowTemplate": format!("{url}/{{ID}}"),
        },
    })
}

/// The whole description of an object.
pub(crate) fn describe(schema: &Schema, object: &Object, base: &str) -> Value {
    let mut all = summary(object, base);
    let fields: Vec<Value> = object.fields.iter().map(|field| describe_field(object, field)).collect();
    let children: Vec<Value> = schema
        .all_children(&object.name)
        .into_iter()
        .map(|(child, field, name)| {
            json!({
                "childSObject": child.name, "field": field.name, "relationshipName": name, "cascadeDelete": false,
                "deprecatedAndHidden": false, "restrictedDelete": false, "junctionIdListNames": [],
                "junctionReferenceTo": [],
            })
        })
        .collect();
    all["fields"] = Value::from(fields);
    all["childRelationships"] = Value::from(children);
    all["recordTypeInfos"] = json!([]);
    all["supportedScopes"] = json!([{"label": "All", "name": "everything"}]);
    all["sobjectDescribeOption"] = json!("FULL");
    all
}

fn describe_field(object: &Object, field: &Field) -> Value {
    let (kind, soap) = types(field);
    let length = value::length(&field.kind).unwrap_or(0);
    let (precision, scale) = match field.kind {
        FieldKind::Number { precision, scale }
        | FieldKind::Currency { precision, scale }
        | FieldKind::Percent { precision, scale } => (precision, scale),
        _ => (0, 0),
    };
    let digits = if let FieldKind::Integer { digits } = field.kind { digits } else { 0 };
    let (choices, restricted) = match &field.kind {
        FieldKind::Picklist { values, restricted } | FieldKind::MultiPicklist { values, restricted } => {
            (values.as_slice(), *restricted)
        }
        _ => (&[][..], false),
    };
    let choices: Vec<Value> = choices
        .iter()
        .map(|value| json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value}))
        .collect();
    let reference = field.reference();
    let checkbox = field.kind == FieldKind::Checkbox;
    let name_field = field.name == "Name";
    let identity = field.kind == FieldKind::Id;
    let mut shown = plain_flags();
    let mut set = |name: &str, value: Value| _ = shown.insert(name.to_owned(), value);
    set("name", json!(field.name));
    set("label", json!(field.label()));
    set("type", json!(kind));
    set("soapType", json!(soap));
    set("length", json!(length));
    set("byteLength", json!(length * 3));
    set("precision", json!(precision));
    set("scale", json!(scale));
    set("digits", json!(digits));
    set(
        "nillable",
        json!(
            !(field.required || checkbox || identity)
                && (field.access != Access::SalesforceOnly || name_field)
        ),
    );
    set("calculated", json!(field.is_custom() && field.access == Access::SalesforceOnly));
    set("createable", json!(field.is_writable() && object.open_for.create));
    set("updateable", json!(field.is_writable() && object.open_for.edit && !object.is_event()));
    set("custom", json!(field.is_custom()));
    set("externalId", json!(field.external_id));
    set("unique", json!(field.unique));
    set("caseSensitive", json!(field.case_sensitive));
    set("idLookup", json!(field.external_id || identity));
    set("nameField", json!(name_field));
    set("defaultedOnCreate", json!(checkbox || field.default.is_some() || identity));
    set("defaultValue", if checkbox { json!(false) } else { Value::Null });
    for name in ["filterable", "sortable", "aggregatable"] {
        set(name, json!(field.filterable()));
    }
    set("groupable", json!(field.filterable() && precision == 0));
    set("htmlFormatted", json!(matches!(field.kind, FieldKind::RichText { .. })));
    set("permissionable", json!(field.is_permissionable()));
    set("picklistValues", json!(choices));
    set("restrictedPicklist", json!(restricted));
    set("referenceTo", json!(reference.iter().map(|reference| reference.to).collect::<Vec<_>>()));
    set("relationshipName", json!(reference.as_ref().map(|reference| reference.relationship.as_str())));
    Value::Object(shown)
}

/// The keys that are the same for every field here.
fn plain_flags() -> serde_json::Map<String, Value> {
    let no = [
        "caseSensitive",
        "namePointing",
        "calculated",
        "autoNumber",
        "deprecatedAndHidden",
        "encrypted",
        "htmlFormatted",
        "polymorphicForeignKey",
        "aiPredictionField",
        "cascadeDelete",
        "dependentPicklist",
        "displayLocationInDecimal",
        "formulaTreatNullNumberAsZero",
        "highScaleNumber",
        "queryByDistance",
        "restrictedDelete",
        "searchPrefilterable",
        "writeRequiresMasterRead",
    ];
    let nothing = [
        "calculatedFormula",
        "defaultValueFormula",
        "compoundFieldName",
        "controllerName",
        "extraTypeInfo",
        "filteredLookupInfo",
        "inlineHelpText",
        "mask",
        "maskType",
        "referenceTargetField",
        "relationshipOrder",
    ];
    let no = no.into_iter().map(|name| (name.to_owned(), Value::Bool(false)));
    no.chain(nothing.into_iter().map(|name| (name.to_owned(), Value::Null))).collect()
}

/// The names of a field's type in REST and in SOAP.
fn types(field: &Field) -> (&'static str, &'static str) {
    match field.kind {
        FieldKind::Text { .. } => ("string", "xsd:string"),
        FieldKind::TextArea | FieldKind::LongText { .. } | FieldKind::RichText { .. } => {
            ("textarea", "xsd:string")
        }
        FieldKind::Encrypted { .. } => ("encryptedstring", "xsd:string"),
        FieldKind::Url => ("url", "xsd:string"),
        FieldKind::Phone => ("phone", "xsd:string"),
        FieldKind::Email => ("email", "xsd:string"),
        FieldKind::Picklist { .. } => ("picklist", "xsd:string"),
        FieldKind::MultiPicklist { .. } => ("multipicklist", "xsd:string"),
        FieldKind::Number { .. } => ("double", "xsd:double"),
        FieldKind::Currency { .. } => ("currency", "xsd:double"),
        FieldKind::Percent { .. } => ("percent", "xsd:double"),
        FieldKind::Integer { .. } => ("int", "xsd:int"),
        FieldKind::Checkbox => ("boolean", "xsd:boolean"),
        FieldKind::Date => ("date", "xsd:date"),
        FieldKind::DateTime => ("datetime", "xsd:dateTime"),
        FieldKind::Lookup { .. } => ("reference", "tns:ID"),
        FieldKind::Id => ("id", "tns:ID"),
    }
}

/// The Avro-like schema of an event.
pub(crate) fn event_schema(object: &Object) -> Value {
    let fields: Vec<Value> = object
        .fields
        .iter()
        .filter(|field| field.is_writable() || field.name.starts_with("Created"))
        .map(|field| {
            let kind = match types(field).1 {
                "xsd:double" => "double",
                "xsd:int" => "int",
                "xsd:boolean" => "boolean",
                _ => "string",
            };
            json!({"name": field.name, "type": ["null", kind], "default": null})
        })
        .collect();
    json!({"name": object.name, "namespace": "com.sforce.eventbus", "type": "record", "fields": fields})
}
