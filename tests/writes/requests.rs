//! Requests that are refused as a whole, answered with nonsense, or done without an answer.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    known, known_in, orgs, rig,
    support::{eventually, request},
};

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

/// 1.11, case 32: a session that a new login does not cure is renewed once, then again after waits, not for ever.
#[actix_rt::test]
async fn a_refusal_that_a_login_does_not_cure_costs_fewer_logins_than_refusals() {
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
    assert_eq!(
        logins, 3,
        "of four refusals the second was of a new session, which waits before the next login"
    );
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
