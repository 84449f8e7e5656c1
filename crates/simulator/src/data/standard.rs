//! Standard objects: Account, Contact, Lead, User, Organization.
//!
//! Here: the fields an integration meets most. Not here: the package's own (`package`).
//! Lengths as in Salesforce's Object Reference.

use serde_json::json;

use super::kind::FieldKind;
use super::object::{Field, Object};

pub(crate) fn objects() -> Vec<Object> {
    vec![account(), contact(), lead(), user(), organization()]
}

/// The fields that every record has.
pub(crate) fn system_fields() -> Vec<Field> {
    let user = || lookup("User", "");
    [
        ("Id", FieldKind::Id),
        ("IsDeleted", FieldKind::Checkbox),
        ("CreatedDate", FieldKind::DateTime),
        ("CreatedById", user()),
        ("LastModifiedDate", FieldKind::DateTime),
        ("LastModifiedById", user()),
        ("SystemModstamp", FieldKind::DateTime),
    ]
    .into_iter()
    .map(|(name, kind)| Field::new(name, kind).read_only())
    .collect()
}

/// The fields that every platform event has besides its own.
pub(crate) fn event_fields() -> Vec<Field> {
    [
        ("ReplayId", text(1_000)),
        ("EventUuid", text(36)),
        ("CreatedDate", FieldKind::DateTime),
        ("CreatedById", lookup("User", "")),
    ]
    .into_iter()
    .map(|(name, kind)| Field::new(name, kind).read_only())
    .collect()
}

pub(crate) fn owner() -> Field {
    Field::new("OwnerId", lookup("User", ""))
}

/// Which record took the place of one that lost a merge.
fn merged_into(object: &str) -> Field {
    Field::new("MasterRecordId", lookup(object, "")).read_only()
}

pub(crate) fn text(length: u32) -> FieldKind {
    FieldKind::Text { length }
}

pub(crate) fn lookup(to: &str, children: &str) -> FieldKind {
    FieldKind::Lookup { to: to.to_owned(), children: children.to_owned() }
}

fn picklist(values: &[&str]) -> FieldKind {
    FieldKind::Picklist {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        restricted: false,
    }
}

const INDUSTRIES: [&str; 8] =
    ["Agriculture", "Banking", "Consulting", "Education", "Manufacturing", "Retail", "Technology", "Other"];

fn account() -> Object {
    let mut fields = system_fields();
    fields.extend([
        Field::new("Name", text(255)).required(),
        Field::new("Type", picklist(&["Prospect", "Customer - Direct", "Other"])),
        Field::new("ParentId", lookup("Account", "ChildAccounts")),
        Field::new("AccountNumber", text(40)),
        Field::new("Website", FieldKind::Url),
        Field::new("Industry", picklist(&INDUSTRIES)),
        Field::new("AnnualRevenue", FieldKind::Currency { precision: 18, scale: 0 }),
        Field::new("NumberOfEmployees", FieldKind::Integer { digits: 8 }),
        Field::new("Fax", FieldKind::Phone),
        Field::new("Phone", FieldKind::Phone),
        Field::new("Description", FieldKind::LongText { length: 32_000 }),
        owner(),
        merged_into("Account"),
    ]);
    fields.extend(address("Billing"));
    fields.extend(address("Shipping"));
    Object::new("Account", "001", fields)
}

fn contact() -> Object {
    let mut fields = system_fields();
    fields.extend(person());
    fields.extend([
        Field::new("AccountId", lookup("Account", "Contacts")),
        merged_into("Contact"),
        Field::new("Department", text(80)),
        Field::new("Birthdate", FieldKind::Date),
    ]);
    fields.extend(address("Mailing"));
    Object::new("Contact", "003", fields)
}

fn lead() -> Object {
    let mut fields = system_fields();
    fields.extend(person());
    fields.extend([
        Field::new("Company", text(255)).required(),
        Field::new("Website", FieldKind::Url),
        Field::new("Industry", picklist(&INDUSTRIES)),
        Field::new("AnnualRevenue", FieldKind::Currency { precision: 18, scale: 0 }),
        Field::new("NumberOfEmployees", FieldKind::Integer { digits: 8 }),
        Field::new("LeadSource", picklist(&["Web", "Phone Inquiry", "Partner Referral", "Other"])),
        Field::new(
            "Status",
            picklist(&["Open - Not Contacted", "Working - Contacted", "Closed - Converted"]),
        )
        .default_to("Open - Not Contacted"),
        Field::new("IsConverted", FieldKind::Checkbox).read_only(),
        Field::new("ConvertedAccountId", lookup("Account", "")).read_only(),
        merged_into("Lead"),
    ]);
    fields.extend(address(""));
    Object::new("Lead", "00Q", fields)
}

/// What a Contact and a Lead share; `Name` is put together from the two names.
fn person() -> Vec<Field> {
    vec![
        Field::new("Name", text(121)).read_only(),
        Field::new("LastName", text(80)).required(),
        Field::new("FirstName", text(40)),
        Field::new("Title", text(128)),
        Field::new("Email", FieldKind::Email),
        Field::new("Phone", FieldKind::Phone),
        Field::new("MobilePhone", FieldKind::Phone),
        Field::new("Description", FieldKind::LongText { length: 32_000 }),
        owner(),
    ]
}

fn address(kind: &str) -> Vec<Field> {
    vec![
        Field::new(&format!("{kind}Street"), FieldKind::TextArea),
        Field::new(&format!("{kind}City"), text(40)),
        Field::new(&format!("{kind}State"), text(80)),
        Field::new(&format!("{kind}PostalCode"), text(20)),
        Field::new(&format!("{kind}Country"), text(80)),
    ]
}

fn user() -> Object {
    let mut fields = system_fields();
    fields.extend([
        Field::new("Username", text(80)).required(),
        Field::new("Name", text(121)).read_only(),
        Field::new("LastName", text(80)).required(),
        Field::new("FirstName", text(40)),
        Field::new("Email", FieldKind::Email).required(),
        Field::new("IsActive", FieldKind::Checkbox).default_to(true),
        Field::new("UserType", text(40)).default_to("Standard"),
        Field::new("TimeZoneSidKey", text(40)).default_to("Europe/Berlin"),
        Field::new("LanguageLocaleKey", text(40)).default_to("en_US"),
    ]);
    Object::new("User", "005", fields).read_only()
}

fn organization() -> Object {
    let mut fields = system_fields();
    fields.extend([
        Field::new("Name", text(80)).required(),
        Field::new("OrganizationType", text(40)).default_to("Developer Edition"),
        Field::new("InstanceName", text(5)).default_to("SIM1"),
        Field::new("IsSandbox", FieldKind::Checkbox).default_to(false),
        Field::new("NamespacePrefix", text(15)),
        Field::new("TrialExpirationDate", FieldKind::DateTime),
        Field::new("TimeZoneSidKey", text(40)).default_to(json!("Europe/Berlin")),
        Field::new("LanguageLocaleKey", text(40)).default_to("en_US"),
    ]);
    Object::new("Organization", "00D", fields).read_only()
}
