//! Other settings while the service runs: what differs is exchanged, what does not is not touched, and a file with a
//! problem changes nothing.

mod support;

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use orgpipe_simulator::OrgOptions;
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const ORGS: [&str; 3] = ["acme", "calm", "globex"];

/// The settings without the tables of these orgs.
fn without(text: &str, orgs: &[&str]) -> String {
    let mut tables = text.split("\n[[org]]\n");
    let mut kept = tables.next().expect("what comes before the orgs").to_owned();
    for table in tables.filter(|table| !orgs.iter().any(|org| table.starts_with(&format!("id = \"{org}\""))))
    {
        kept.push_str("\n[[org]]\n");
        kept.push_str(table);
    }
    kept
}

/// The simulator with three orgs; the service runs with the first two. Gives the settings with all.
async fn rig() -> (Rig, String) {
    let orgs = ORGS.map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    // On a port that the command line can know from the settings.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    let all = rig.settings().replace("127.0.0.1:0", &free.to_string());
    rig.write("orgpipe.toml", &without(&all, &["globex"]));
    rig.start().await;
    for org in ["acme", "calm"] {
        rig.subscribed(org).await;
    }
    (rig, all)
}

async fn reload(rig: &Rig) -> (StatusCode, Value) {
    let reply = rig.http.post(format!("{}/api/v1/reload", rig.admin)).send().await;
    let reply = reply.expect("an answer");
    (reply.status(), reply.json().await.expect("JSON"))
}

/// The orgs that the admin API lists, and those of which only something stored is left.
async fn listed(rig: &Rig) -> (Vec<String>, Value) {
    let list: Value = rig
        .http
        .get(format!("{}/api/v1/orgs", rig.admin))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let orgs = list["orgs"].as_array().expect("a list").iter();
    (orgs.map(|org| org["id"].as_str().expect("a name").to_owned()).collect(), list["left"].clone())
}

fn handshakes(rig: &Rig, org: &str) -> usize {
    let messages = rig.org(org).cometd_messages().into_iter();
    messages.filter(|message| message.channel == "/meta/handshake").count()
}

/// Has company `n` of an org looked up and written; its key in the org.
fn change(rig: &Rig, org: &str, n: usize, employees: u32) -> String {
    let key = format!("{org}-{n}");
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&key, employees)));
    let id = rig.org(org).create("Account", account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[id]));
    key
}

async fn written(rig: &Rig, org: &str, key: &str) -> Value {
    let row = eventually("the record", async || rig.enrichment(org, key)).await;
    Value::Object(row.into_iter().collect())
}

#[actix_rt::test]
async fn orgs_are_added_changed_and_removed_and_the_others_are_not_touched() {
    let (rig, all) = rig().await;
    let before = ["acme", "calm"].map(|org| handshakes(&rig, org));

    // One more org, and one that writes a field fewer.
    let acme = "id = \"acme\"\nsyncs = [\"narrow\"]\n";
    let narrow = "\n[[sync]]\nname = \"narrow\"\nchannel = \"/event/Sync_Request__e\"\nobject = \"Account\"\n\
                  keys = { domain = \"Website\" }\ntarget = \"Enrichment__c\"\n\
                  external_id = { field = \"External_Id__c\", from = \"/key\" }\n\
                  [sync.fields]\nEmployee_Count__c = \"/employees\"\n\n[org_defaults.limits]";
    let changed = all.replace("id = \"acme\"\n", acme).replace("\n[org_defaults.limits]", narrow);
    let changed = ["calm", "globex"].iter().fold(changed, |text, org| {
        text.replace(&format!("id = \"{org}\"\n"), &format!("id = \"{org}\"\nsyncs = [\"accounts\"]\n"))
    });
    rig.write("orgpipe.toml", &changed);
    let (status, told) = reload(&rig).await;
    assert_eq!(status, 200, "{told}");
    let expected = json!({ "added": ["globex"], "changed": ["acme"], "removed": [], "unchanged": 1,
                           "exchanged": [], "needs_restart": [] });
    assert_eq!(told, expected);
    rig.subscribed("globex").await;
    eventually("acme's new session", async || (handshakes(&rig, "acme") > before[0]).then_some(())).await;
    rig.subscribed("acme").await;
    let key = change(&rig, "acme", 1, 10);
    let row = written(&rig, "acme", &key).await;
    assert_eq!((&row["Employee_Count__c"], &row["Industry__c"]), (&json!(10.0), &Value::Null), "{row}");
    let key = change(&rig, "globex", 2, 20);
    assert_eq!(written(&rig, "globex", &key).await["Industry__c"], "Software");
    assert_eq!(handshakes(&rig, "acme"), before[0] + 1);

    // Gone from the settings while something is open.
    rig.simulator.vendor().set_down(true);
    change(&rig, "globex", 3, 30);
    rig.ledger("globex", json!({ "records_in": 2, "open": 1 })).await;
    rig.write("orgpipe.toml", &without(&changed, &["globex"]));
    let (_, told) = reload(&rig).await;
    assert_eq!((&told["removed"], &told["unchanged"]), (&json!(["globex"]), &json!(2)), "{told}");
    eventually("globex's end", async || (listed(&rig).await.0 == ["acme", "calm"]).then_some(())).await;
    assert_eq!(rig.org("globex").cometd_clients(), 0, "its session was closed");
    let page = rig.http.get(&rig.admin).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("Not in the settings any more") && page.contains("globex (1 open)"), "{page}");
    let left = listed(&rig).await.1;
    assert_eq!((&left[0]["id"], &left[0]["records"]["open"]), (&json!("globex"), &json!(1)), "{left}");

    // It comes back, and its queue with it.
    rig.simulator.vendor().set_down(false);
    rig.write("orgpipe.toml", &changed);
    let (_, told) = reload(&rig).await;
    assert_eq!((&told["added"], &told["unchanged"]), (&json!(["globex"]), &json!(2)), "{told}");
    rig.ledger("globex", json!({ "written": 2, "open": 0 })).await;
    assert_eq!(listed(&rig).await.1, json!([]));

    // Removed for good.
    let purge = async |org: &str| {
        let output = rig.command(&["org", "purge", org]).output().await.expect("the command runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (done, said) = purge("globex").await;
    assert!(!done && said.contains("`globex` is in the settings"), "{said}");
    rig.write("orgpipe.toml", &without(&changed, &["globex"]));
    reload(&rig).await;
    eventually("globex's end", async || (listed(&rig).await.0 == ["acme", "calm"]).then_some(())).await;
    let (done, said) = purge("globex").await;
    assert!(done && said.contains("0 open records"), "{said}");
    assert_eq!(listed(&rig).await.1, json!([]));
    rig.write("orgpipe.toml", &changed);
    reload(&rig).await;
    rig.ledger("globex", json!({ "records_in": 0 })).await;
    assert_eq!(handshakes(&rig, "calm"), before[1], "it was never touched");
}

#[actix_rt::test]
async fn a_file_with_problems_changes_nothing_and_a_right_one_is_taken_by_signal_too() {
    let (rig, all) = rig().await;
    let before = ["acme", "calm"].map(|org| handshakes(&rig, org));
    let wrong =
        all.replace("daily_share = 1.0", "daily_share = 1.5").replace("reserve = 0.0", "reserve = -1.0");
    rig.write("orgpipe.toml", &wrong);
    let (status, told) = reload(&rig).await;
    assert_eq!(
        (status, &told["error"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("the settings have problems (2), so nothing was changed"))
    );
    for (place, key) in ["daily_share", "reserve"].iter().enumerate() {
        assert!(told["problems"][place].as_str().is_some_and(|text| text.contains(key)), "{told}");
    }
    rig.signal("-HUP").await;
    let output = rig.command(&["reload"]).output().await.expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["nothing was changed", "daily_share", "reserve", "Correct the file"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(listed(&rig).await.0, ["acme", "calm"]);

    rig.write("orgpipe.toml", &all);
    rig.signal("-HUP").await;
    eventually("globex", async || listed(&rig).await.0.contains(&"globex".to_owned()).then_some(())).await;
    rig.subscribed("globex").await;
    assert_eq!(["acme", "calm"].map(|org| handshakes(&rig, org)), before);
    let output = rig.command(&["reload"]).output().await.expect("the command runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "orgs not touched: 3\n");
}

/// A look-up API that knows the same of everything.
fn other_source() -> String {
    let server = HttpServer::new(|| {
        App::new().default_service(web::to(async |body: web::Json<Value>| {
            let records = body["records"].as_array().expect("records").iter();
            let data = json!({ "key": "other", "employees": 777 });
            let records: Vec<Value> =
                records.map(|record| json!({ "id": record["id"], "data": data })).collect();
            HttpResponse::Ok().json(json!({ "records": records }))
        }))
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/lookup", server.addrs()[0]);
    actix_rt::spawn(server.run());
    url
}

#[actix_rt::test]
async fn the_look_up_api_is_exchanged_under_running_orgs_and_what_cannot_change_is_named() {
    let (rig, all) = rig().await;
    let before = ["acme", "calm"].map(|org| handshakes(&rig, org));
    let other = without(&all, &["globex"])
        .replace(&rig.simulator.vendor().url(), &other_source())
        .replace(
            "data_dir = \"data\"",
            "data_dir = \"elsewhere\"\ndurability = \"process\"\nqueue_max = 50000\nrefreshes_max = 2",
        )
        .replace(rig.admin.trim_start_matches("http://"), "127.0.0.1:1");
    rig.write("orgpipe.toml", &other);
    for _ in 0..2 {
        let (_, told) = reload(&rig).await;
        let left = ["service.data_dir", "service.durability", "service.queue_max", "service.listen"];
        assert_eq!((&told["needs_restart"], &told["unchanged"]), (&json!(left), &json!(2)), "{told}");
    }
    change(&rig, "acme", 1, 10);
    assert_eq!(written(&rig, "acme", "other").await["Employee_Count__c"], 777.0);
    assert!(!rig.folder.path().join("elsewhere").exists());
    assert_eq!(["acme", "calm"].map(|org| handshakes(&rig, org)), before);
}
