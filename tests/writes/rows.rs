//! Records that are refused while their neighbours are not.

use orgpipe_simulator::RowFault;
use serde_json::{Value, json};

use super::{
    known, rig,
    support::{Rig, eventually, request},
};

/// What is done about a refused record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// Sent again within seconds, and written.
    Again,
    /// A dead letter at once, which names this field; empty where Salesforce names none.
    Dead(&'static str),
    /// Kept, and sent again after a minute or more: somebody has to mend the org first.
    Waits,
}

use Reaction::{Again, Dead, Waits};

/// 2.11, and per record of 2.7: code, message, blamed field, reaction.
const ROWS: &[(&str, &str, &str, Reaction)] = &[
    ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: 001", "", Again),
    ("SERVER_UNAVAILABLE", "Server Unavailable", "", Again),
    ("REQUEST_RUNNING_TOO_LONG", "Your request was running for too long, and has been stopped.", "", Again),
    ("QUERY_TIMEOUT", "Your query request was running for too long.", "", Again),
    ("ALREADY_IN_PROCESS", "x", "", Again),
    ("TOO_MANY_APEX_REQUESTS", "x", "", Again),
    (
        "TXN_SECURITY_METERING_ERROR",
        "We can't complete the action because enabled policies took too long",
        "",
        Again,
    ),
    ("UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 1-1 (1)", "", Again),
    ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "x", "", Again),
    ("API_CURRENTLY_DISABLED", "x", "", Again),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid", "", Again),
    (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "T: execution of AfterInsert caused by: UNABLE_TO_LOCK_ROW",
        "",
        Again,
    ),
    (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "T: System.LimitException: Apex CPU time limit exceeded",
        "",
        Again,
    ),
    ("APEX_ERROR", "caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access", "", Again),
    (
        "DUPLICATE_VALUE",
        "duplicate value found: External_Id__c duplicates value on record with id: a00",
        "",
        Again,
    ),
    ("DUPLICATE_VALUE", "duplicate value found: Industry__c duplicates value", "", Dead("Industry__c")),
    (
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [Industry__c]",
        "Industry__c",
        Dead("Industry__c"),
    ),
    (
        "STRING_TOO_LONG",
        "Industry: data value too large: x (max length=1)",
        "Industry__c",
        Dead("Industry__c"),
    ),
    (
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "Nicht erlaubt: \"ä\"\nzweite Zeile",
        "Employee_Count__c",
        Dead("Employee_Count__c"),
    ),
    (
        "FIELD_INTEGRITY_EXCEPTION",
        "Account: id value of incorrect type: 00Q",
        "Account__c",
        Dead("Account__c"),
    ),
    (
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        "Value does not exist or does not match filter",
        "Account__c",
        Dead("Account__c"),
    ),
    (
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "bad value for restricted picklist field: x",
        "Industry__c",
        Dead("Industry__c"),
    ),
    ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: x", "Industry__c", Dead("Industry__c")),
    (
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        "Employees: value not of required type: x",
        "Employee_Count__c",
        Dead("Employee_Count__c"),
    ),
    (
        "NUMBER_OUTSIDE_VALID_RANGE",
        "Employees: value outside of valid range",
        "Employee_Count__c",
        Dead("Employee_Count__c"),
    ),
    ("MALFORMED_ID", "Account: malformed id x", "Account__c", Dead("Account__c")),
    ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "Account__c", Dead("Account__c")),
    ("ENTITY_IS_DELETED", "entity is deleted", "Account__c", Dead("Account__c")),
    ("ENTITY_IS_ARCHIVED", "x", "", Dead("")),
    ("DUPLICATES_DETECTED", "Use one of these records?", "", Dead("")),
    ("DUPLICATE_EXTERNAL_ID", "More than one record found for external id field: [a00, a00]", "", Dead("")),
    ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", "", Dead("")),
    (
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        "insufficient access rights on cross-reference id: 001",
        "Account__c",
        Dead("Account__c"),
    ),
    (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "T: execution of BeforeInsert caused by: null pointer",
        "",
        Dead(""),
    ),
    (
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        "We can't save this record because the \"X\" process failed.",
        "",
        Dead(""),
    ),
    ("APEX_ERROR", "System.NullPointerException", "", Dead("")),
    ("MISSING_ARGUMENT", "External_Id__c not specified", "", Dead("External_Id__c")),
    ("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", "", Dead("")),
    ("CIRCULAR_DEPENDENCY", "x", "Account__c", Dead("Account__c")),
    ("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", "x", "Industry__c", Dead("Industry__c")),
    ("SOME_CODE_OF_NEXT_YEAR", "x", "Industry__c", Dead("Industry__c")),
    ("INVALID_FIELD", "No such column 'Industry__c' on sobject of type Enrichment__c", "", Waits),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Industry__c.", "Industry__c", Waits),
    ("INVALID_TYPE", "sObject type 'Enrichment__c' is not supported.", "", Waits),
    ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", "", Waits),
    ("ENTITY_IS_LOCKED", "This record is locked by an approval process", "", Waits),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Enrichment", "", Waits),
    ("LIMIT_EXCEEDED", "x", "", Waits),
    ("SINGLE_EMAIL_LIMIT_EXCEEDED", "x", "", Waits),
    ("LICENSE_LIMIT_EXCEEDED", "license limit exceeded", "", Waits),
    ("FUNCTIONALITY_NOT_ENABLED", "x", "", Waits),
];

/// Each of the rows refused once in one write of all of them, with neighbours that nothing is wrong with.
async fn every_row_gets_its_reaction(limits: &str) -> Rig {
    let rig = rig(limits).await;
    let org = rig.org("acme");
    for (n, (code, message, field, reaction)) in ROWS.iter().enumerate() {
        let fields = Some(field).filter(|field| !field.is_empty()).map(|&field| field.to_owned());
        org.refuse_row(RowFault {
            key: format!("K{n}"),
            code: (*code).to_owned(),
            message: (*message).to_owned(),
            fields: fields.into_iter().collect(),
            count: if *reaction == Again { 1 } else { 100 },
            further: Vec::new(),
        });
    }
    let neighbours = 20;
    let ids = known(&rig, 0, ROWS.len() + neighbours);
    org.publish("Sync_Request__e", request(&ids));
    let count = |wanted: fn(&Reaction) -> bool| ROWS.iter().filter(|row| wanted(&row.3)).count();
    let (again, waits) = (count(|row| *row == Again), count(|row| *row == Waits));
    let dead = ROWS.len() - again - waits;
    let records_in = ROWS.len() + neighbours;
    rig.ledger(
        "acme",
        json!({ "records_in": records_in, "written": again + neighbours, "dead_letters": dead, "open": waits }),
    )
    .await;
    let letters = dead_letters(&rig).await;
    for (n, (code, message, _, reaction)) in ROWS.iter().enumerate() {
        let key = format!("K{n}");
        assert_eq!(rig.enrichment("acme", &key).is_some(), *reaction == Again, "{code}: {message}");
        let letter = letters.iter().find(|letter| letter["key"] == json!(key.to_lowercase()));
        let Dead(field) = reaction else {
            assert_eq!(letter, None, "{code}");
            continue;
        };
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {code}"));
        let reason = letter["reason"].as_str().expect("a reason");
        assert!(reason.contains(code) && reason.contains(field), "{code} ({field}): {letter}");
        assert!(!letter["hint"].as_str().expect("a hint").is_empty(), "{letter}");
    }
    for n in ROWS.len()..records_in {
        assert!(rig.enrichment("acme", &format!("K{n}")).is_some(), "a neighbour is held up: K{n}");
    }
    rig
}

async fn dead_letters(rig: &Rig) -> Vec<Value> {
    let url = format!("{}/api/v1/orgs/acme/dead-letters", rig.admin);
    let letters: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    letters["dead_letters"].as_array().unwrap_or_else(|| panic!("no list: {letters}")).clone()
}

/// 2.11, cases 19 and 49: a request that succeeds as a whole and fails record by record.
#[actix_rt::test]
async fn each_class_of_row_failure_gets_its_reaction_by_collections() {
    let rig = every_row_gets_its_reaction("bulk_from = 1000").await;
    assert_eq!(rig.org("acme").jobs(), []);
}

/// 2.11, cases 17, 19, 20 and 49: a job that is complete and has failed records; its results come shuffled, with
/// numbers in another form.
#[actix_rt::test]
async fn each_class_of_row_failure_gets_its_reaction_by_bulk() {
    let rig = every_row_gets_its_reaction("bulk_from = 10").await;
    assert_eq!(rig.org("acme").jobs()[0].state, "JobComplete");
}

/// The same record by record, each written alone, where the refusal is the status of the whole answer.
#[actix_rt::test]
async fn a_record_written_alone_gets_the_same_reaction() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let rows = [
        ("UNABLE_TO_LOCK_ROW", "", Again),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Industry__c", Dead("Industry__c")),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "", Dead("")),
        ("ENTITY_IS_DELETED", "Account__c", Dead("Account__c")),
        ("DUPLICATES_DETECTED", "", Dead("")),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", "Industry__c", Waits),
    ];
    // Several records have the external ID (300): nothing is written.
    org.answer_next("/Enrichment__c/External_Id__c", 300, r#"["/services/data/v66.0/sobjects/E/a"]"#, 1);
    org.publish("Sync_Request__e", request(&known(&rig, 50, 51)));
    rig.ledger("acme", json!({ "dead_letters": 1 })).await;
    let (mut written, mut dead) = (0, 1);
    for (n, (code, field, reaction)) in rows.iter().enumerate() {
        let fields = Some(field).filter(|field| !field.is_empty()).map(|&field| field.to_owned());
        let count = if *reaction == Again { 1 } else { 100 };
        let (key, code) = (format!("K{n}"), (*code).to_owned());
        let fields = fields.into_iter().collect();
        org.refuse_row(RowFault {
            key,
            code: code.clone(),
            message: "x".to_owned(),
            fields,
            count,
            further: Vec::new(),
        });
        org.publish("Sync_Request__e", request(&known(&rig, n, n + 1)));
        match reaction {
            Again => written += 1,
            Dead(_) => dead += 1,
            Waits => {}
        }
        let open = usize::from(*reaction == Waits);
        rig.ledger(
            "acme",
            json!({ "records_in": n + 2, "written": written, "dead_letters": dead, "open": open }),
        )
        .await;
        let refused = async || {
            let calls = org.calls();
            let key = format!("/External_Id__c/K{n}");
            calls.iter().any(|call| call.path.ends_with(&key) && call.status >= 400).then_some(())
        };
        eventually("the refusal", refused).await;
        if let Dead(field) = reaction {
            let reason = dead_letters(&rig).await[0]["reason"].clone();
            assert!(
                reason.as_str().is_some_and(|text| text.contains(&code) && text.contains(field)),
                "{reason}"
            );
        }
    }
}
