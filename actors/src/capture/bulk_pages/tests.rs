//! What follows for the run from looks at a job, from pages of its results and from refusals.

use orgpipe_reconcile::describe::Kind;
use orgpipe_salesforce::error::ApiError;
use serde_json::json;

use super::*;
use crate::{
    capture::run::Run,
    queue_entry::{RequestEntry, pack, unpack},
    settings::tests::org,
};

fn job() -> QueryJob {
    QueryJob {
        id: "750a".into(),
        read_ms: UnixMs(1_000),
        org_read_ms: None,
        looks: 1,
        look_ms: UnixMs(3_000),
        found: Some(10),
        locator: Some("MQ".into()),
        page: PAGE,
        malformed: 1,
        kinds: Kinds::from([("isactive__c".to_owned(), Kind::Checkbox)]),
    }
}

fn info(state: JobState) -> JobInfo {
    JobInfo { id: "750a".into(), state, content_url: String::new(), processed: 7, failed: 0, error: None }
}

#[test]
fn a_look_leads_to_pages_to_another_look_or_to_rest() {
    let (soon, day_over) = (UnixMs(2_000), UnixMs(1_000).saturating_add(WORK_MAX));
    let found = |state, now_ms| match verdict(QueryJob { found: None, ..job() }, info(state), now_ms) {
        JobStep::Looked(job) => Ok(job.found),
        JobStep::Lost(why) => Err(why),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(JobState::UploadComplete, soon), Ok(None));
    assert_eq!(found(JobState::InProgress, day_over), Ok(None));
    assert_eq!(found(JobState::JobComplete, UnixMs::MAX), Ok(Some(7)));
    for (state, now_ms, why) in [
        (JobState::Failed, soon, "failed"),
        (JobState::Aborted, soon, "aborted"),
        (JobState::InProgress, UnixMs(day_over.0 + 1), "within a day"),
    ] {
        assert!(found(state, now_ms).unwrap_err().contains(why), "{state:?}");
    }
}

#[test]
fn only_a_page_that_accounts_for_its_records_is_taken() {
    let came = |told, next, records| {
        let step = behind(&job(), PageHead { records: told, next }, Vec::new(), (6, records, 10));
        match step {
            Ok(JobStep::Page(_, records, next)) => {
                let malformed = next.as_ref().map_or(0, |job| job.malformed);
                assert_eq!(malformed, 0);
                format!("{records}, then {:?}", next.and_then(|job| job.locator))
            }
            Ok(JobStep::Lost(_)) => "lost".to_owned(),
            Err(_) => "again".to_owned(),
            Ok(other) => panic!("{other:?}"),
        }
    };
    for (told, next, records, expected) in [
        (Some(2), Next::Page("Mg".into()), 2, "2, then Some(\"Mg\")"),
        (None, Next::Page("Mg".into()), 2, "2, then Some(\"Mg\")"),
        (Some(3), Next::Page("Mg".into()), 2, "again"),
        (Some(2), Next::Page("MQ".into()), 2, "again"),
        (Some(4), Next::End, 4, "4, then None"),
        (Some(4), Next::Untold, 4, "4, then None"),
        (Some(3), Next::Untold, 3, "again"),
        (Some(3), Next::End, 3, "lost"),
    ] {
        assert_eq!(came(told, next.clone(), records), expected, "{told:?} {next:?} {records}");
    }
}

#[test]
fn what_is_final_is_told_from_what_passes() {
    let refused = |status, code: &str, message: &str| {
        let json = json!({ "errorCode": code, "message": message });
        is_final(&ApiError::from_json(status, &json).expect("an error").into())
    };
    for (status, code, message, lost) in [
        (404, "NOT_FOUND", "The requested resource does not exist", true),
        (409, "API_ERROR", "The job was created with API version 65.0", true),
        (400, "INVALID_QUERY_LOCATOR", "invalid query locator", true),
        (400, "INVALIDENTITY", "Entity 'X' is not supported by the Bulk API.", true),
        (400, "API_ERROR", "Selecting compound data not supported in Bulk Query", true),
        (400, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021).", true),
        (400, "API_ERROR", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021).", true),
        (400, "INVALIDJOBSTATE", "The job is not complete", true),
        (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", false),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            false,
        ),
        (503, "SERVER_UNAVAILABLE", "Server Unavailable", false),
        (401, "INVALID_SESSION_ID", "Session expired or invalid", false),
    ] {
        assert_eq!(refused(status, code, message), lost, "{code}: {message}");
    }
    assert!(!is_final(&CallError::Transport { text: String::new(), sent: true }.into()));
}

#[actix::test]
async fn a_page_becomes_typed_batches_and_what_has_changed_comes_without_its_row() {
    let org = org();
    let id = |n: u32| format!("001{n:012}AAA");
    let mut page = "\"Id\",\"IsActive__c\"\n".to_owned();
    for n in 0..250 {
        page.push_str(&[&id(n), ",true\n"].concat());
    }
    let kinds = &job().kinds;
    let sheet = Sheet { sync: &org.syncs[0], batch: 100, run: "run", kinds, read_ms: UnixMs(5) };
    let changed = BTreeSet::from([id(7), id(9), id(999)]);
    let (requests, records) = sheet.requests(page.as_bytes(), &changed).await.expect("readable");
    assert_eq!(records, 250);
    let counts: Vec<u32> = requests.iter().map(|request| request.records).collect();
    assert_eq!(counts, [100, 100, 48, 2]);
    let parcels: Vec<RequestEntry> =
        requests.iter().map(|request| unpack(&request.body).expect("readable")).collect();
    assert_eq!((parcels[3].ids.as_slice(), &parcels[3].rows), ([id(7), id(9)].as_slice(), &None));
    for entry in &parcels[..3] {
        let rows = entry.rows.as_ref().expect("rows");
        assert!(rows.iter().all(|row| row["IsActive__c"] == json!(true)));
        assert_eq!((rows.len(), entry.received_ms), (entry.ids.len(), UnixMs(5)));
    }
}

#[test]
fn a_run_of_before_is_read_and_one_of_now_comes_back() {
    let before = br#"{"id":"r","after":"001","records":5,"started_ms":9,"total":7}"#;
    let run: Run = unpack(before).expect("readable");
    assert_eq!((run.records, &run.job), (5, &None));
    let now = Run { job: Some(job()), ..run };
    assert_eq!(unpack::<Run>(&pack(&now)).expect("readable"), now);
}
