//! Fields that Salesforce keeps by itself ("System Fields": on every object whose records can be changed).
//!
//! Here: their names. Not here: what is read of them (`mapping`), which fields of an org can be written (`describe`).

/// When a record was created.
pub const CREATED_AT: &str = "CreatedDate";
/// User who changed a record last.
pub const CHANGED_BY: &str = "LastModifiedById";
/// When that was, to the second; changes of the system are not among them.
pub const CHANGED_AT: &str = "LastModifiedDate";

/// Those that nobody can write, besides `Id`.
pub const READ_ONLY: [&str; 10] = [
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
];
