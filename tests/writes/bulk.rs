//! Bulk jobs: what they leave undone, lose, or cut off.

use std::collections::BTreeMap;

use orgpipe_simulator::JobFault;
use serde_json::json;

use super::{
    known, known_in, orgs, rig,
    support::{Rig, domain, eventually, request},
};

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
