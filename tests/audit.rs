//! Who gave which command: kept over a kill, told by org and page by page, without secrets and without what was only asked.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Rig, account,
    cli::{order_as, ordered, reachable},
    client,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

async fn running() -> Rig {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// Who gave which commands, the newest first, with the org, the details and the status.
async fn told(rig: &Rig, path: &str) -> Vec<Value> {
    let answer = rig.get(path).await;
    let commands = answer["commands"].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
    let keys = ["by", "command", "org", "details", "status"];
    commands.iter().map(|one| keys.iter().map(|key| one[*key].clone()).collect()).collect()
}

#[actix_rt::test]
async fn each_command_is_kept_with_who_gave_it_and_nothing_that_was_only_asked_or_refused() {
    let mut rig = running().await;
    rig.org("acme").create("Account", account(1)).expect("an account");
    let jo = rig.token("jo", "operate").await;
    let read = rig.token("grafana", "read").await;
    for arguments in [
        &["org", "pause", "acme"][..],
        &["org", "resume", "acme"],
        &["refresh", "acme", "--sync", "accounts", "--changed"],
        &["refresh", "acme", "--pause"],
        &["reload"],
        &["push", "--sync", "accounts", "--external-id", "K1", "--idempotency-key", "k"],
        // The same push again, looks, and what changes nothing.
        &["push", "--sync", "accounts", "--external-id", "K1", "--idempotency-key", "k"],
        &["dead-letters", "retry", "acme", "--reason", "Jane Doe"],
        &["limits", "acme"],
        &["tree"],
    ] {
        let (done, said) = order_as(&rig, &jo, arguments).await;
        assert!(done, "{arguments:?}: {said}");
    }
    for refused in [
        &["org", "pause", "nobody"][..],
        &["org", "purge", "acme"],
        &["tokens", "add", "x", "--role", "admin"],
        &["dead-letters", "retry", "acme", "7"],
    ] {
        assert!(!order_as(&rig, &jo, refused).await.0, "{refused:?}");
    }
    let (status, _) = rig.post("orgs/acme/dead-letters/discard?all=true&dry_run=true").await;
    assert_eq!(status, 200);
    ordered(&rig, &["tokens", "revoke", "grafana"]).await;

    rig.kill().await;
    rig.start().await;
    let push = json!({ "items": "1", "number": "1", "orgs": "1", "sync": "accounts" });
    let mut expected = vec![
        json!(["first", "revoke token", null, { "name": "grafana" }, 200]),
        json!(["jo", "push changes", null, push, 202]),
        json!(["jo", "reload settings", null, {}, 200]),
        json!(["jo", "pause refresh", "acme", {}, 202]),
        json!(["jo", "refresh", "acme", { "changed": "true", "sync": "accounts" }, 202]),
        json!(["jo", "resume", "acme", {}, 202]),
        json!(["jo", "pause", "acme", {}, 202]),
        json!(["first", "add token", null, { "name": "grafana", "role": "read" }, 201]),
        json!(["first", "add token", null, { "name": "jo", "role": "operate" }, 201]),
    ];
    let mut all = told(&rig, "audit").await;
    // Its number is any.
    for line in [&mut all[1], &mut expected[1]] {
        line[3]["number"] = Value::Null;
    }
    assert_eq!(all, expected);
    let whole = rig.get("audit").await.to_string();
    assert!(![&jo, &read].iter().any(|token| whole.contains(&token["op_".len()..])), "{whole}");

    assert_eq!(told(&rig, "orgs/acme/audit").await, expected[3..7]);
    let page = rig.get("audit?limit=3").await;
    let last = page["commands"][2]["number"].to_string();
    assert_eq!(told(&rig, &format!("audit?limit=2&before={last}")).await, expected[3..5]);
    let (status, answer) = {
        let reply = rig.http.get(format!("{}/api/v1/orgs/nobody/audit", rig.admin)).send().await;
        let reply = reply.expect("an answer");
        (reply.status(), reply.json::<Value>().await.expect("JSON"))
    };
    assert!(status == 404 && answer["hint"] != "", "{answer}");

    let said = ordered(&rig, &["audit", "acme", "--limit", "3"]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with(" UTC  pause refresh of org acme by jo: status 202"), "{said}");
    assert!(lines[1].contains("refresh, changed true, sync accounts of org acme by jo"), "{said}");
    assert!(lines[3].starts_with("There may be more; go on with --before "), "{said}");
    let said = ordered(&rig, &["audit"]).await;
    assert!(said.contains("add token, name jo, role operate by first: status 201"), "{said}");
    let page = rig.http.get(format!("{}/orgs/acme/audit", rig.admin)).send().await.expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(page.contains("refresh, changed true, sync accounts (status 202)"), "{page}");

    // Who may look sees what was done in an org, and not the names of tokens.
    let look = rig.token("look", "read").await;
    for (path, expected) in [("orgs/acme/audit", 200), ("audit", 403)] {
        let url = format!("{}/api/v1/{path}", rig.admin);
        assert_eq!(client(&look).get(url).send().await.expect("an answer").status(), expected, "{path}");
    }
}

#[actix_rt::test]
async fn dead_letters_are_counted_and_the_text_that_chose_them_is_not_kept() {
    let rig = running().await;
    rig.simulator.vendor().set_answer(&support::domain(1), Some(json!({ "employees": 7 })));
    let id = rig.org("acme").create("Account", account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", support::request(&[id]));
    rig.ledger("acme", json!({ "records_in": 1, "dead_letters": 1 })).await;
    ordered(&rig, &["dead-letters", "retry", "acme", "--reason", "external_id"]).await;
    rig.ledger("acme", json!({ "records_in": 2, "dead_letters": 2, "open": 0 })).await;
    let list = rig.get("orgs/acme/dead-letters").await;
    let number = list["dead_letters"][0]["number"].to_string();
    // As the page does it.
    let url = format!("{}/orgs/acme/dead-letters", rig.admin);
    let form = |act: &str| rig.http.post(&url).form(&[("number", number.as_str()), ("act", act)]);
    assert_eq!(form("burn").send().await.expect("an answer").status(), 200);
    assert_eq!(form("discard").send().await.expect("an answer").status(), 200);
    let expected = [
        json!(["first", "act on dead letters", "acme", { "act": "discard", "letters": "1" }, 200]),
        json!(["first", "retry dead letters", "acme", { "letters": "1", "reason": "…" }, 202]),
    ];
    assert_eq!(told(&rig, "orgs/acme/audit").await, expected);
}

#[actix_rt::test]
async fn the_command_of_whoever_hangs_up_is_kept() {
    let rig = running().await;
    let address = rig.admin.strip_prefix("http://").expect("an address");
    let token = rig.first_token();
    let request = format!(
        "POST /api/v1/orgs/acme/doctor HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    // Each examination logs in, and none is answered.
    rig.org("acme").hold_token_requests(true);
    let mut kept = Vec::new();
    // What was not read yet when the connection is reset never comes, so that it may take some more time.
    for attempt in 1..=5 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        actix_rt::time::sleep(Duration::from_millis(200) * attempt).await;
        stream.set_zero_linger().expect("it is reset");
        drop(stream);
        actix_rt::time::sleep(Duration::from_millis(200) * attempt).await;
        kept = told(&rig, "orgs/acme/audit").await;
        if !kept.is_empty() {
            break;
        }
    }
    assert_eq!(kept, [json!(["first", "examine", "acme", {}, null])]);
}

#[actix_rt::test]
async fn what_is_done_while_no_service_runs_is_kept_too() {
    let mut rig = running().await;
    rig.terminate().await;
    let folder = rig.folder.path().join("data");
    ordered(&rig, &["vault", "rotate-key"]).await;
    ordered(&rig, &["tokens", "reset", "--data-dir", folder.to_str().expect("UTF-8")]).await;
    rig.start().await;
    let said = ordered(&rig, &["audit"]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(" UTC  reset tokens by command line: "), "{said}");
    assert!(lines[1].contains(" UTC  rotate vault key by command line: "), "{said}");
}
