//! Fields that Salesforce keeps by itself ("System Fields": on every object whose records can be changed).
//!
//! Here: their names, and which names can be written in no org. Not here: what is read of them (`mapping`), what one org
//! says of its fields (`describe`).

/// A record's ID.
pub const ID: &str = "Id";
/// When a record was created.
pub const CREATED_AT: &str = "CreatedDate";
/// User who changed a record last.
pub const CHANGED_BY: &str = "LastModifiedById";
/// When that was, to the second; changes of the system are not among them.
pub const CHANGED_AT: &str = "LastModifiedDate";

/// Those that nobody can write.
const READ_ONLY: [&str; 13] = [
    CREATED_AT,
    "CreatedById",
    CHANGED_AT,
    CHANGED_BY,
    "SystemModstamp",
    "IsDeleted",
    "LastActivityDate",
    "LastViewedDate",
    "LastReferencedDate",
    "MasterRecordId",
    "PhotoUrl",
    "IsConverted",
    "IsPersonAccount",
];
/// Addresses, which are written by their parts ("Address Compound Fields"), and one such part.
const ADDRESSES: [(&str, &str); 5] = [
    ("BillingAddress", "BillingCity"),
    ("ShippingAddress", "ShippingCity"),
    ("MailingAddress", "MailingCity"),
    ("OtherAddress", "OtherCity"),
    ("Address", "City"),
];

/// What is wrong with writing a field of this name, whatever its object, and what to do about it.
pub fn unwritable(field: &str) -> Option<(String, String)> {
    if READ_ONLY.iter().any(|known| known.eq_ignore_ascii_case(field)) {
        let message = "is kept by Salesforce itself: nobody can write it";
        return Some((message.to_owned(), "Remove it, or map a field of your own.".to_owned()));
    }
    let (_, part) = ADDRESSES.iter().find(|(whole, _)| whole.eq_ignore_ascii_case(field))?;
    let message = "is an address as a whole, which cannot be written";
    Some((message.to_owned(), format!("Map its parts, such as `{part}`.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_salesforce_keeps_and_whole_addresses_cannot_be_written_and_their_parts_can() {
        for (field, wrong) in [
            ("createddate", true),
            ("LastModifiedById", true),
            ("BillingAddress", true),
            ("BillingCity", false),
            ("Name", false),
            ("Created_Date__c", false),
        ] {
            assert_eq!(unwritable(field).is_some(), wrong, "{field}");
        }
    }
}
