//! A data directory that an earlier version left behind: this version opens it and goes on with the work in it.
//!
//! `tests/data/version-0.1.0` has the database files of version 0.1.0, each compressed with gzip. They were made once,
//! by the program as it was then, and are never made anew: a change of the format on disk has to read them.
//!
//! How they were made. The program ran with the settings of `support::Rig` against a simulator with two orgs. `acme` had
//! 200 accounts, made before anything else, so that a new simulator gives the same record IDs; `globex` had three.
//! 1. An event of `acme` asked for accounts 0 to 3: the look-up answered nothing for account 3 and an answer without a
//!    key for account 0. A second event asked for account 1 again. So two records ended as written, one as unchanged, one
//!    without data, and one as a dead letter.
//! 2. An event of `globex` was written, and `globex` was paused.
//! 3. Bulk jobs were held, and an event asked for accounts 4 to 15: a job with twelve changes stayed open.
//! 4. All rows were locked, and an event asked for account 16: its change was refused and waited to be tried again.
//! 5. The look-up was switched off, and an event asked for accounts 17 and 18: its request stayed on ingress.
//! 6. A refresh was ordered, and a failpoint ended the process with `abort` behind the second of its pages, which had 80
//!    accounts each. So two more requests were on ingress, each longer than one piece of a value on disk.

mod support;

use std::{
    fs::{self, File},
    path::Path,
    time::SystemTime,
};

use flate2::read::GzDecoder;
use orgpipe_simulator::{OrgHandle, OrgOptions, Row};
use orgpipe_store::{Append, Durability, Options, Store};
use serde_json::json;
use support::{Rig, account, answer, cli::ordered, domain, request};

/// Where the files are.
const FILES: &str = "tests/data/version-0.1.0";
/// The channel of both orgs.
const CHANNEL: &str = "/event/Sync_Request__e";
/// The replay IDs that are stored for it.
const ACME_REPLAY: i64 = 528_763;
const GLOBEX_REPLAY: i64 = 937_958;
/// The Bulk job that was under way.
const JOB: &str = "750A1000000003RIAQ";
/// Accounts of `acme`, and those of them that its refresh had read.
const ACCOUNTS: usize = 200;
const READ: usize = 160;
/// Records of `acme` that had come in.
const RECORDS_IN: usize = 180;

#[actix_rt::test]
async fn what_an_earlier_version_left_open_goes_on_and_ends() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    let (acme, globex) = (rig.org("acme").clone(), rig.org("globex").clone());
    let ids = accounts(&acme, ACCOUNTS);
    let others = accounts(&globex, 3);
    for n in 0..10 {
        // They use up record IDs, so that no new Bulk job gets the ID of the stored one.
        acme.create("Contact", name(n)).expect("a contact");
    }
    for n in 0..ACCOUNTS {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 2)));
    }
    last_event(&acme, ACME_REPLAY, &ids[17..19]);
    last_event(&globex, GLOBEX_REPLAY, &others[..1]);
    // Published while no version ran.
    acme.publish("Sync_Request__e", request(&ids[19..20]));
    globex.publish("Sync_Request__e", request(&others[1..2]));

    unpack(&rig.folder.path().join("data/sled"));
    let said = ordered(&rig, &["store", "verify"]).await;
    assert!(said.contains("of 2 orgs: all are as they were written, and every ledger balances"), "{said}");
    stopped_just_now(&rig).await;
    rig.start().await;

    let all = RECORDS_IN + (ACCOUNTS - READ) + 1;
    rig.ledger("acme", json!({ "records_in": all, "open": 0, "dead_letters": 1 })).await;
    rig.through("acme").await;
    // The dead letter's account 0 is read by the refresh, too.
    for n in 0..ACCOUNTS {
        let row = rig.enrichment("acme", &format!("K{n}"));
        assert!(row.is_some_and(|row| row["Employee_Count__c"] == 2.0), "account {n}");
    }
    goes_on_where_it_was(&acme, &ids[READ - 1]);
    rig.order("acme", "dead-letters/retry?all=true").await;
    rig.ledger("acme", json!({ "records_in": all + 1, "open": 0, "dead_letters": 1 })).await;

    assert_eq!(rig.view("globex").await["state"], "paused");
    assert_eq!(globex.subscribes().len(), 0, "a paused org stays paused");
    rig.order("globex", "resume").await;
    rig.ledger("globex", json!({ "records_in": 2, "written": 2, "open": 0 })).await;
    assert_eq!(globex.subscribes().first().map(|asked| asked.replay), Some(GLOBEX_REPLAY));
}

fn accounts(org: &OrgHandle, count: usize) -> Vec<String> {
    (0..count).map(|n| org.create("Account", account(n)).expect("an account")).collect()
}

fn name(n: usize) -> Row {
    Row::from_iter([("LastName".to_owned(), json!(format!("Doe {n}")))])
}

/// Publishes the event that was the last one to be stored, under its replay ID.
fn last_event(org: &OrgHandle, replay: i64, ids: &[String]) {
    // An ID can be told only to a channel that has had an event.
    org.publish("Sync_Request__e", request(ids));
    org.restart_replay_ids(replay);
    assert_eq!(org.publish("Sync_Request__e", request(ids)), replay);
}

/// Unpacks the database files.
fn unpack(to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(FILES).expect("the files") {
        let from = entry.expect("an entry").path();
        let name = from.file_stem().expect("a name").to_owned();
        let mut unpacked = File::create(to.join(name)).expect("a file");
        let mut packed = GzDecoder::new(File::open(&from).expect("readable"));
        std::io::copy(&mut packed, &mut unpacked).expect("unpacked");
    }
}

/// Lets the files be as if the earlier version had been stopped just now: after three days without a word Salesforce
/// would have no events left to go on with.
#[expect(clippy::disallowed_methods, reason = "the service compares it with real time")]
async fn stopped_just_now(rig: &Rig) {
    let options = Options {
        durability: Durability::Process,
        cache_bytes: 8 << 20,
        depth_max: 1_000,
        ledger_days: 30,
        free_bytes_min: 0,
    };
    let store = Store::open(&rig.folder.path().join("data"), options).expect("the store opens");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
    for org in ["acme", "globex"] {
        let positions = vec![(format!("heard {CHANNEL}"), now.to_string().into_bytes())];
        store.append(org, Append { positions, ..Append::default() }).await.expect("stored");
    }
    store.close().await.expect("closed");
}

/// The subscription behind the last stored event, the refresh behind its last page, and the job looked at by its ID.
fn goes_on_where_it_was(acme: &OrgHandle, last_read: &str) {
    let asked = acme.subscribes();
    assert_eq!(asked.first().map(|asked| asked.replay), Some(ACME_REPLAY), "{asked:?}");
    let calls = acme.calls();
    let pages: Vec<&str> = calls
        .iter()
        .filter(|call| call.query.contains("FROM Account") && call.query.contains("ORDER BY"))
        .map(|call| call.query.as_str())
        .collect();
    assert!(pages.len() == 1 && pages[0].contains(&format!("Id > '{last_read}'")), "{pages:#?}");
    assert!(calls.iter().any(|call| call.method == "GET" && call.path.ends_with(JOB)), "{calls:#?}");
}
