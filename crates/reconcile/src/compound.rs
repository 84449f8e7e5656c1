//! Compound fields: an address, a person's name, a geolocation, which consist of fields of their own.
//!
//! Here: the name under which a part that change events call `BillingAddress.City` is read and written. Not here: which
//! events there are (`change`). Sources: Change Data Capture Developer Guide, "Change Event Fields" (parts of compound
//! fields are named with a dot); Object Reference, "Compound Fields", "Address Compound Fields", "Geolocation Compound
//! Field" (custom parts end in `__s`).

/// A field's name as change events and people may write it, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName {
    /// The name under which it is read and written.
    pub(crate) flat: String,
    /// The compound field that it is a part of, if the name tells.
    whole: Option<String>,
}

impl FieldName {
    /// Of `BillingAddress.City`, `BillingCity`, `Name.FirstName`, `Place__c.Latitude`, `Place__Latitude__s`, `Website`.
    pub(crate) fn of(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        match name.split_once('.') {
            Some((whole, part)) => Self { flat: flat(whole, part), whole: Some(whole.to_owned()) },
            None => Self { whole: whole(&name), flat: name },
        }
    }

    /// Whether a change of one may be a change of the other: they are one field, or one is a part of the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.flat == other.flat
            || self.whole.as_ref() == Some(&other.flat)
            || other.whole.as_ref() == Some(&self.flat)
    }
}

/// The field that holds a part.
fn flat(whole: &str, part: &str) -> String {
    if let Some(stem) = whole.strip_suffix("__c") {
        return format!("{stem}__{part}__s");
    }
    match whole.strip_suffix("address") {
        // `BillingAddress.City` is `BillingCity`; a lead's `Address.City` is `City`.
        Some(kind) => format!("{kind}{part}"),
        // `Name.FirstName` is `FirstName`.
        None => part.to_owned(),
    }
}

/// The compound field of a part by its own name.
fn whole(name: &str) -> Option<String> {
    const NAMES: [&str; 5] = ["firstname", "lastname", "middlename", "salutation", "suffix"];
    const ADDRESS: [&str; 10] = [
        "street",
        "city",
        "statecode",
        "state",
        "postalcode",
        "countrycode",
        "country",
        "latitude",
        "longitude",
        "geocodeaccuracy",
    ];
    if let Some((stem, _)) = name.strip_suffix("__s").and_then(|stem| stem.rsplit_once("__")) {
        return Some(format!("{stem}__c"));
    }
    if NAMES.contains(&name) {
        return Some("name".to_owned());
    }
    let kind = ADDRESS.iter().find_map(|part| name.strip_suffix(part))?;
    // A custom field that happens to end so is no part of anything.
    (!name.contains("__")).then(|| format!("{kind}address"))
}

#[cfg(test)]
mod tests;
