//! Writes, over HTTP: what Salesforce may answer for a record, a request or a Bulk job, what is done about it, and that
//! the records end right. What a number such as `2.11` or `case 14` stands for is told beside each test.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use orgpipe_simulator::{JobFault, LoggedJob, OrgOptions, Row, RowFault};
use orgpipe_store::{Append, Durability, Lane, NewChange, NewRequest, Options, Settle, Store, Subject};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// An org whose records are written as `limits` says.
async fn rig(limits: &str) -> Rig {
    let limits = format!("requests_per_second = 100\n{limits}");
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| {
        text.replace("requests_per_second = 100\n", &limits)
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// Accounts `from..to` in the org, with answers for each; gives their record IDs.
fn known(rig: &Rig, from: usize, to: usize) -> Vec<String> {
    known_in(rig, "acme", from, to)
}

fn known_in(rig: &Rig, org: &str, from: usize, to: usize) -> Vec<String> {
    (from..to)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
            rig.org(org).create("Account", account(n)).expect("an account")
        })
        .collect()
}

/// So many orgs, `o0` and on, each for one row of a table, as the rows wait for seconds.
async fn orgs(count: usize) -> Rig {
    let one = |n: usize| OrgOptions { flow: false, ..OrgOptions::named(&format!("o{n}")) };
    let mut rig = Rig::with((0..count).map(one).collect(), |text| text).await;
    rig.start().await;
    for n in 0..count {
        rig.subscribed(&format!("o{n}")).await;
    }
    rig
}

/// An enrichment that the customer has made.
fn made_by_hand(rig: &Rig, key: &str) -> String {
    let row = Row::from_iter([("External_Id__c".to_owned(), json!(key))]);
    rig.org("acme").create("Enrichment__c", row).expect("an enrichment")
}

fn operations(jobs: &[LoggedJob]) -> Vec<&str> {
    jobs.iter().map(|job| job.operation.as_str()).collect()
}

#[actix_rt::test]
async fn with_write_update_records_are_changed_and_none_is_made() {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| {
        text.replace("\n[sync.fields]", "write = \"update\"\n\n[sync.fields]")
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    let ids = known(&rig, 0, 40);
    // One alone, then few, then many: by Collections and by a Bulk job, always by record ID.
    let mut written = 0;
    for (asked, there) in [(0..2, 0..1), (2..10, 2..8), (10..40, 10..25)] {
        there.clone().for_each(|n| drop(made_by_hand(&rig, &format!("K{n}"))));
        written += there.len();
        rig.org("acme").publish("Sync_Request__e", request(&ids[asked.clone()]));
        let unchanged = asked.end - written;
        rig.ledger("acme", json!({ "records_in": asked.end, "written": written, "unchanged": unchanged }))
            .await;
    }
    let rows = rig.org("acme").rows("Enrichment__c");
    assert_eq!(rows.len(), written, "none was made");
    assert!(rows.iter().all(|row| row["Employee_Count__c"] == json!(10.0)), "{rows:?}");
    assert_eq!(operations(&rig.org("acme").jobs()), ["update"]);
}

/// Puts deletions on the queue of a service that does not run.
async fn queue_deletions(folder: &Path, targets: &[(String, String)]) {
    let options = Options {
        durability: Durability::Process,
        cache_bytes: 8 * 1024 * 1024,
        depth_max: 100_000,
        ledger_days: 30,
        free_bytes_min: 0,
    };
    let store = Store::open(&folder.join("data"), options).expect("a store");
    let records = u32::try_from(targets.len()).expect("few");
    let requests = vec![NewRequest { lane: Lane::Refresh, records, body: b"{}".to_vec() }];
    store.append("acme", Append { requests, ..Append::default() }).await.expect("appended");
    let requests = store.ingress_head("acme", 1).await.expect("readable").iter().map(|one| one.seq).collect();
    let change = |(key, id): &(String, String)| {
        let parcel = json!({
            "v": 1, "sync": "accounts", "target": "Enrichment__c", "external_id_field": "External_Id__c",
            "external_id": key, "operation": "delete", "target_id": id, "fields": {},
            "source_id": "001000000000001AAA", "origin": "refresh", "received_ms": 1,
        });
        let subject = Subject { record: key.clone(), units: 1, ..Subject::default() };
        NewChange {
            lane: Lane::Refresh,
            target: "Enrichment__c".to_owned(),
            key: key.to_lowercase(),
            subjects: vec![subject],
            body: parcel.to_string().into_bytes(),
        }
    };
    let changes = targets.iter().map(change).collect();
    store.settle("acme", Settle { requests, changes, ..Settle::default() }).await.expect("settled");
    store.close().await.expect("closed");
}

#[actix_rt::test]
async fn deletions_go_by_record_id_and_a_record_that_is_gone_is_deleted() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| text).await;
    let keep = made_by_hand(&rig, "keep");
    let mut done = 0;
    for (count, by) in [(3, vec![]), (30, vec!["delete"])] {
        let targets: Vec<(String, String)> =
            (done..done + count).map(|n| (format!("K{n}"), made_by_hand(&rig, &format!("K{n}")))).collect();
        // One of them is deleted by somebody else meanwhile, and its answer may have been lost as well.
        rig.org("acme").delete("Enrichment__c", &targets[0].1).expect("deleted");
        queue_deletions(rig.folder.path(), &targets).await;
        rig.start().await;
        done += count;
        rig.ledger("acme", json!({ "records_in": done, "written": done, "dead_letters": 0 })).await;
        let left: Vec<Value> =
            rig.org("acme").rows("Enrichment__c").iter().map(|row| row["Id"].clone()).collect();
        assert_eq!(left, [json!(keep)]);
        assert_eq!(operations(&rig.org("acme").jobs()), by);
        rig.terminate().await;
    }
}

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

/// `rest.md` 2.11, and per record of 2.7: code, message, blamed field, reaction.
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
    ("ENTITY_IS_LOCKED", "This record is locked by an approval process", "", Dead("")),
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
    let letters: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
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
        org.refuse_row(RowFault { key, code: code.clone(), message: "x".to_owned(), fields, count });
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

/// What is done about a refused request, besides that its records are written in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// It is sent again after a short wait.
    Retried,
    /// A new session, once, and at once.
    Renewed,
    /// The org is called less.
    Slower,
}

/// 2.3, 2.4, 2.10, 2.11 and section 7: status and body of the answer to a whole request.
const REQUESTS: &[(u16, &str, Answered)] = &[
    (
        401,
        r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#,
        Answered::Renewed,
    ),
    (401, r#"[{"message":"x","errorCode":"INVALID_AUTH_HEADER"}]"#, Answered::Renewed),
    (403, "Bad_OAuth_Token", Answered::Renewed),
    (
        400,
        r#"{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}"#,
        Answered::Renewed,
    ),
    (302, "", Answered::Renewed),
    (
        403,
        r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded."}]"#,
        Answered::Slower,
    ),
    (
        403,
        r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentPerOrgLongTxn Limit exceeded"}]"#,
        Answered::Slower,
    ),
    (406, "", Answered::Retried),
    (420, "<html><body>We are setting things up</body></html>", Answered::Retried),
    (429, r#"[{"errorCode":"TOO_MANY","message":"x"}]"#, Answered::Retried),
    (500, r#"[{"errorCode":"UNKNOWN_EXCEPTION","message":"ErrorId: 1-1 (1)"}]"#, Answered::Retried),
    (500, "Unexpected internal servlet state", Answered::Retried),
    (502, "<html>Bad Gateway</html>", Answered::Retried),
    (503, r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"x"}]"#, Answered::Retried),
    (503, r#"[{"errorCode":"REQUEST_RUNNING_TOO_LONG","message":"x"}]"#, Answered::Retried),
    (503, r#"{"errorCode":"SERVER_UNAVAILABLE","message":"a bare object"}"#, Answered::Retried),
    (504, "<html>", Answered::Retried),
    (403, r#"[{"errorCode":"TXN_SECURITY_METERING_ERROR","message":"x"}]"#, Answered::Retried),
    (403, r#"[{"errorCode":"API_DISABLED_FOR_ORG","message":"x"}]"#, Answered::Retried),
    (403, r#"[{"errorCode":"INVALID_OPERATION_WITH_EXPIRED_PASSWORD","message":"x"}]"#, Answered::Retried),
    (410, r#"[{"errorCode":"UNSUPPORTED_API_VERSION","message":"x"}]"#, Answered::Retried),
    (400, "<html>Bad Request</html>", Answered::Retried),
    (200, "<html><title>Login</title></html>", Answered::Retried),
    (200, "", Answered::Retried),
    (200, r#"{"id":"a00"#, Answered::Retried),
];

/// The two ways to write over REST: one record, some records.
const BY_REST: [(&str, usize); 2] =
    [("/data/v66.0/sobjects/Enrichment__c/External_Id__c", 1), ("/data/v66.0/composite/sobjects/", 3)];

#[actix_rt::test]
async fn each_refusal_of_a_request_gets_its_reaction_and_the_records_are_written() {
    let rig = orgs(REQUESTS.len()).await;
    // By turns, as both ways share what reads an answer.
    let way = |place: usize| BY_REST[place % 2];
    for (place, (status, body, _)) in REQUESTS.iter().enumerate() {
        let name = format!("o{place}");
        let (org, (path, count)) = (rig.org(&name), way(place));
        org.clear_calls();
        org.answer_next(path, *status, body, 1);
        org.publish("Sync_Request__e", request(&known_in(&rig, &name, 0, count)));
    }
    for (place, (status, body, reaction)) in REQUESTS.iter().enumerate() {
        let name = format!("o{place}");
        let (path, count) = way(place);
        rig.ledger(&name, json!({ "records_in": count, "written": count, "dead_letters": 0 })).await;
        let calls = rig.org(&name).calls();
        let to = |part: &str| calls.iter().filter(|call| call.path.contains(part)).count();
        assert_eq!(to(path), 2, "{status} {body}: {calls:?}");
        let logins = usize::from(*reaction == Answered::Renewed);
        assert_eq!(to("/oauth2/token"), logins, "{status} {body}");
        let budget = rig.view(&name).await["budget"].clone();
        let slower = budget["requests_per_second"] == json!(50);
        assert_eq!(slower, *reaction == Answered::Slower, "{status} {body}: {budget}");
    }
}

/// Case 12: the org commits, and the connection breaks before its answer is there.
#[actix_rt::test]
async fn a_commit_followed_by_a_dropped_connection_has_no_second_effect() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let mut n = 0;
    for (path, count) in BY_REST {
        for broken in [OrgFault::Lost, OrgFault::Half] {
            org.clear_writes();
            match broken {
                OrgFault::Lost => org.lose_answers(path, 1),
                OrgFault::Half => org.halve_answers(path, 1),
            }
            org.publish("Sync_Request__e", request(&known(&rig, n, n + count)));
            n += count;
            rig.ledger("acme", json!({ "records_in": n, "written": n })).await;
            let writes = org.writes();
            assert_eq!(writes.len(), 2 * count, "{broken:?}: written twice, {writes:?}");
            let ids: BTreeSet<&str> = writes.iter().map(|write| write.id.as_str()).collect();
            assert_eq!(ids.len(), count, "the same records");
            assert!(
                writes.iter().all(|write| writes.iter().filter(|other| other.row == write.row).count() == 2)
            );
        }
    }
    assert_eq!(org.rows("Enrichment__c").len(), n, "no record was made twice");
}

#[derive(Clone, Copy, Debug)]
enum OrgFault {
    Lost,
    Half,
}

/// 1.11, case 32: a session that a new login does not cure is renewed once for each request, not for ever.
#[actix_rt::test]
async fn a_refusal_that_a_login_does_not_cure_costs_one_login_per_try() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let refused = r#"[{"errorCode":"INVALID_SESSION_ID","message":"This session is not valid for use with the REST API"}]"#;
    org.clear_calls();
    org.answer_next("/Enrichment__c/External_Id__c", 401, refused, 4);
    org.publish("Sync_Request__e", request(&known(&rig, 0, 1)));
    let hint = eventually("the writer to wait", async || {
        let writer = rig.view("acme").await["parts"]["writer"].clone();
        (writer["state"] == "waiting").then(|| writer["hint"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert!(hint.contains("scope `api`"), "{hint}");
    rig.ledger("acme", json!({ "written": 1 })).await;
    let logins = org.calls().iter().filter(|call| call.path.contains("/oauth2/token")).count();
    assert_eq!(logins, 2, "two tries were refused twice each");
}

/// 2.10, case 43: the day's calls are used up. Nothing is called any more, and nothing is lost.
#[actix_rt::test]
async fn when_the_days_calls_are_used_up_writes_wait_and_the_org_is_left_alone() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let refused = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    org.answer_next("/Enrichment__c/External_Id__c", 403, refused, 1);
    org.publish("Sync_Request__e", request(&known(&rig, 0, 1)));
    let note = eventually("the writer to wait", async || {
        let writer = rig.view("acme").await["parts"]["writer"].clone();
        (writer["state"] == "waiting").then(|| writer["note"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    org.clear_calls();
    org.publish("Sync_Request__e", request(&known(&rig, 1, 2)));
    rig.ledger("acme", json!({ "records_in": 2, "open": 2, "dead_letters": 0 })).await;
    let waits = rig.view("acme").await["budget"]["waits"].clone();
    assert_eq!(waits.as_array().map(Vec::len), Some(3), "live, heal and refresh: {waits}");
    let counted = org.calls().iter().filter(|call| call.counted).count();
    assert_eq!(counted, 0, "{note}: {:?}", org.calls());
}

fn job_states(rig: &Rig) -> Vec<String> {
    rig.org("acme").jobs().into_iter().map(|job| job.state).collect()
}

/// The keys that were written, with how often each.
fn written_keys(rig: &Rig, org: &str) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for write in rig.org(org).writes() {
        let key = write.row["External_Id__c"].as_str().unwrap_or_default().to_owned();
        *keys.entry(key).or_default() += 1;
    }
    keys
}

/// Case 13: rows that no result file names are unknown, and are sent again. Nobody calls them written.
#[actix_rt::test]
async fn rows_in_none_of_the_result_files_are_sent_again() {
    let rig = rig("").await;
    rig.org("acme").lose_bulk_rows(12);
    rig.org("acme").publish("Sync_Request__e", request(&known(&rig, 0, 30)));
    rig.ledger("acme", json!({ "records_in": 30, "written": 30 })).await;
    let once = written_keys(&rig, "acme");
    assert_eq!((once.len(), once.values().sum::<usize>()), (30, 30), "{once:?}");
    assert_eq!(job_states(&rig), ["JobComplete", "JobComplete"]);
}

/// Cases 14 and 42: what is done is done, what is not is done later, whatever the job's state says.
#[actix_rt::test]
async fn a_job_that_ends_half_way_is_gone_on_with_from_where_it_ended() {
    let ends = [
        (true, ""),
        (false, ""),
        (false, "InternalServerError : Retried more than 20 times"),
        (false, "TooManyLockFailure : gave up"),
        (false, "Timeout : took too long"),
        (false, "ExceededQuota : ApiBatchItems Limit exceeded"),
        (false, "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF"),
        (false, "InvalidBatch : Field name not found : Industry__c"),
    ];
    let rig = orgs(ends.len()).await;
    for (n, (aborted, message)) in ends.into_iter().enumerate() {
        let name = format!("o{n}");
        rig.org(&name).end_next_job(JobFault { after_rows: 8, aborted, message: message.to_owned() });
        rig.org(&name).publish("Sync_Request__e", request(&known_in(&rig, &name, 0, 20)));
    }
    for (n, (_, message)) in ends.into_iter().enumerate() {
        let name = format!("o{n}");
        rig.ledger(&name, json!({ "records_in": 20, "written": 20, "dead_letters": 0 })).await;
        let once = written_keys(&rig, &name);
        assert_eq!((once.len(), once.values().sum::<usize>()), (20, 20), "{message}: {once:?}");
    }
}

/// Case 33: the session ends while the job runs, while it is uploaded to, and while its results are read.
#[actix_rt::test]
async fn a_session_that_ends_in_mid_job_is_renewed_and_nothing_is_sent_twice() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let expired = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
    org.answer_next("/batches", 401, expired, 1);
    org.answer_next("/failedResults", 401, expired, 1);
    org.hold_jobs(true);
    org.clear_calls();
    org.publish("Sync_Request__e", request(&known(&rig, 0, 20)));
    eventually("the job", async || (job_states(&rig) == ["InProgress"]).then_some(())).await;
    org.revoke_tokens();
    org.hold_jobs(false);
    rig.ledger("acme", json!({ "records_in": 20, "written": 20, "dead_letters": 0 })).await;
    let once = written_keys(&rig, "acme");
    assert_eq!((once.len(), once.values().sum::<usize>()), (20, 20), "{once:?}");
    assert_eq!(job_states(&rig), ["JobComplete"]);
    let logins = org.calls().iter().filter(|call| call.path.contains("/oauth2/token")).count();
    assert_eq!(logins, 3, "one for each time");
}

/// Case 41: a job that takes long is neither given up nor sent again, nor by a service that has been killed meanwhile:
/// it goes on with the job by its ID.
#[actix_rt::test]
async fn a_job_is_gone_on_with_by_its_id_after_a_kill() {
    let mut rig = rig("").await;
    rig.org("acme").hold_jobs(true);
    rig.org("acme").publish("Sync_Request__e", request(&known(&rig, 0, 20)));
    eventually("the job", async || (job_states(&rig) == ["InProgress"]).then_some(())).await;
    rig.kill().await;
    rig.start().await;
    let looks = async || {
        let calls = rig.org("acme").calls();
        let looks =
            calls.iter().filter(|call| call.method == "GET" && call.path.contains("/jobs/ingest/750"));
        (looks.count() >= 3).then_some(())
    };
    eventually("some looks at the job", looks).await;
    rig.ledger("acme", json!({ "records_in": 20, "written": 0, "open": 20 })).await;
    rig.org("acme").hold_jobs(false);
    rig.ledger("acme", json!({ "records_in": 20, "written": 20 })).await;
    assert_eq!(job_states(&rig), ["JobComplete"]);
    assert_eq!(rig.org("acme").writes().len(), 20);
}

/// A job that is open and whose ID was lost, by a crash or with an answer, does not stay open in the customer's org.
#[actix_rt::test]
async fn jobs_left_open_are_aborted() {
    let mut rig = rig("").await;
    rig.terminate().await;
    rig.start_failing("before-put-job=abort").await;
    rig.org("acme").publish("Sync_Request__e", request(&known(&rig, 0, 20)));
    rig.ended().await;
    assert_eq!(job_states(&rig), ["Open"]);
    rig.start().await;
    rig.ledger("acme", json!({ "records_in": 20, "written": 20 })).await;
    assert_eq!(job_states(&rig), ["Aborted", "JobComplete"]);

    rig.org("acme").lose_answers("/jobs/ingest", 1);
    rig.org("acme").publish("Sync_Request__e", request(&known(&rig, 20, 40)));
    rig.ledger("acme", json!({ "records_in": 40, "written": 40 })).await;
    assert_eq!(job_states(&rig), ["Aborted", "JobComplete", "Aborted", "JobComplete"]);

    // Uploaded, but it is not known whether: the rows are written by another job, this one is aborted.
    rig.org("acme").lose_answers("/batches", 1);
    rig.org("acme").publish("Sync_Request__e", request(&known(&rig, 40, 60)));
    rig.ledger("acme", json!({ "records_in": 60, "written": 60 })).await;
    assert_eq!(job_states(&rig)[4..], ["Aborted", "JobComplete"]);
    assert_eq!(rig.org("acme").writes().len(), 60, "nothing was written twice");
}

/// Cases 50 and 52: a result file that lacks its end, or is none, is read again; until then nothing counts as written.
#[actix_rt::test]
async fn a_result_file_that_is_cut_is_read_again() {
    let rig = orgs(4).await;
    for (n, file) in ["successfulResults", "failedResults", "unprocessedrecords"].into_iter().enumerate() {
        let org = rig.org(&format!("o{n}"));
        org.lose_answers(file, 1);
        if n == 0 {
            org.halve_answers(file, 1);
        }
    }
    rig.org("o3").answer_next("successfulResults", 200, "<html><title>Login</title></html>", 1);
    for n in 0..4 {
        let name = format!("o{n}");
        rig.org(&name).publish("Sync_Request__e", request(&known_in(&rig, &name, 0, 40)));
    }
    for n in 0..4 {
        let name = format!("o{n}");
        rig.ledger(&name, json!({ "records_in": 40, "written": 40 })).await;
        assert!(rig.enrichment(&name, "K39").is_some());
        assert_eq!(rig.org(&name).jobs()[0].state, "JobComplete");
        // Half a file of whole lines cannot be told from a whole one: its missing rows are unknown, and written again
        // with the same values.
        let writes = rig.org(&name).writes().len();
        assert!(writes == 40 || n == 0 && writes < 80, "{name}: {writes} writes");
        assert_eq!(rig.org(&name).rows("Enrichment__c").len(), 40);
    }
}

/// Cases 15 to 17: what a CSV file, a shell or a spreadsheet would take for something else arrives as it is.
#[actix_rt::test]
async fn odd_values_arrive_as_they_are_by_bulk() {
    let rig = rig("").await;
    let texts = [
        "N/A",
        "#N/A",
        "NULL",
        "null",
        "NaN",
        "=1+1",
        "a,b",
        "say \"hi\"",
        "two\nlines",
        "cr\rlf\r\nend",
        "tab\tx",
        "\u{feff}mark",
        "line\u{2028}separator",
        "\u{b}\u{1c}control",
        "00123",
        "9.1E8",
        "Zoë Müller 株式会社",
        "😀",
        "\\N",
        "true",
    ];
    let ids = known(&rig, 0, texts.len());
    for (n, text) in texts.iter().enumerate() {
        // The external ID is as odd, as far as it may be: numbers are rewritten in the results.
        let key = format!("{n:09}");
        rig.simulator
            .vendor()
            .set_answer(&domain(n), Some(json!({ "key": key, "employees": n, "industry": text })));
    }
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": texts.len(), "written": texts.len(), "dead_letters": 0 })).await;
    for (n, text) in texts.iter().enumerate() {
        let row = rig.enrichment("acme", &format!("{n:09}")).expect("written");
        assert_eq!(row["Industry__c"].as_str().map(str::trim), Some(text.trim()), "{text:?}");
    }
    assert_eq!(rig.org("acme").jobs().len(), 1);
    // Read and compared again, nothing differs.
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 2 * texts.len(), "unchanged": texts.len() })).await;
}

/// Case 49: many locks at once. All rows are written, and what they cost stays bounded.
#[actix_rt::test]
async fn a_storm_of_locks_ends_with_all_rows_written() {
    let rig = rig("").await;
    let org = rig.org("acme");
    let ids = known(&rig, 0, 100);
    org.lock_next_rows(160);
    org.clear_calls();
    org.publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 100, "written": 100, "dead_letters": 0 })).await;
    let once = written_keys(&rig, "acme");
    assert_eq!((once.len(), once.values().sum::<usize>()), (100, 100));
    let (jobs, calls) = (org.jobs().len(), org.calls());
    let rest = calls.iter().filter(|call| call.method == "PATCH" && call.path.contains("sobjects")).count();
    assert!(jobs == 1 && (2..=20).contains(&rest), "the losers go by REST: {jobs} jobs, {rest} calls");
}
