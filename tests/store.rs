//! The data directory on its own: checked, measured, compacted, exported and imported by the real program, and what it
//! says when that cannot be.

mod support;

use std::{fs, path::Path};

use serde_json::json;
use support::{
    Rig, account, answer,
    cli::{order, ordered, reachable},
    domain, eventually, request,
};

/// One org with something in every place: a written record, a dead letter, and a change in a Bulk job that is held.
async fn filled() -> Rig {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let vendor = rig.simulator.vendor();
    vendor.set_answer(&domain(0), Some(json!({ "employees": 1 })));
    publish(&rig, 0, 1);
    vendor.set_answer(&domain(1), Some(answer("K1", 1)));
    publish(&rig, 1, 2);
    rig.ledger("acme", json!({ "written": 1, "dead_letters": 1 })).await;
    rig.org("acme").hold_jobs(true);
    for n in 2..14 {
        vendor.set_answer(&domain(n), Some(answer(&format!("K{n}"), 1)));
    }
    publish(&rig, 2, 14);
    rig.ledger("acme", json!({ "records_in": 14, "open": 12 })).await;
    eventually("the job's upload", async || {
        let calls = rig.org("acme").calls();
        calls.iter().any(|call| call.method == "PUT" && call.path.contains("/jobs/ingest/")).then_some(())
    })
    .await;
    rig
}

fn publish(rig: &Rig, from: usize, to: usize) {
    let ids: Vec<String> =
        (from..to).map(|n| rig.org("acme").create("Account", account(n)).expect("an account")).collect();
    rig.org("acme").publish("Sync_Request__e", request(&ids));
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[actix_rt::test]
async fn a_running_service_keeps_its_directory_to_itself_and_afterwards_all_moves_elsewhere_and_goes_on() {
    let mut rig = filled().await;
    let file = rig.folder.path().join("all.jsonl");
    let actions =
        [&["verify"][..], &["stats"], &["compact"], &["export", shown(&file)], &["import", "Cargo.toml"]];
    for action in actions {
        let (done, said) = order(&rig, &[&["store"], action].concat()).await;
        assert!(!done && said.contains("is in use by process"), "{action:?}: {said}");
        assert!(said.contains("Stop the other orgpipe"), "{said}");
    }
    assert!(!file.exists());

    rig.kill().await;
    let said = ordered(&rig, &["store", "verify"]).await;
    assert!(said.contains("of 1 org: all are as they were written, and every ledger balances"), "{said}");
    let said = ordered(&rig, &["store", "stats"]).await;
    let row = said.lines().find(|line| line.trim_start().starts_with("acme")).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..7], ["14", "12", "0", "12", "1", "1"], "{said}");
    let said = ordered(&rig, &["store", "compact"]).await;
    assert!(said.contains(" before, "), "{said}");
    ordered(&rig, &["store", "export", shown(&file)]).await;
    let (done, said) = order(&rig, &["store", "export", shown(&file)]).await;
    assert!(!done && said.contains("cannot write") && said.contains("exists"), "{said}");
    let (done, said) = order(&rig, &["store", "import", shown(&file)]).await;
    assert!(!done && said.contains("has a database already"), "{said}");

    let settings = fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    rig.write("orgpipe.toml", &settings.replace("data_dir = \"data\"", "data_dir = \"moved\""));
    let (done, said) = order(&rig, &["store", "verify"]).await;
    assert!(!done && said.contains("has no database"), "{said}");
    ordered(&rig, &["store", "import", shown(&file)]).await;
    rig.start().await;
    rig.org("acme").hold_jobs(false);
    rig.ledger("acme", json!({ "records_in": 14, "written": 13, "dead_letters": 1, "open": 0 })).await;
}

#[actix_rt::test]
async fn a_damaged_file_keeps_the_service_from_starting_and_the_error_says_what_to_do() {
    let mut rig = filled().await;
    rig.kill().await;
    let log = rig.folder.path().join("data/sled/db");
    let mut bytes = fs::read(&log).expect("the log");
    // Past the heads, where the entries are.
    let harmed = bytes.len().min(4_000) - 1;
    for byte in &mut bytes[1_000..harmed] {
        *byte ^= 0x5a;
    }
    fs::write(&log, &bytes).expect("written");
    for arguments in [&["run"][..], &["store", "verify"], &["store", "compact"]] {
        let (done, said) = order(&rig, arguments).await;
        assert!(
            !done && (said.contains("damaged") || said.contains("cannot be opened")),
            "{arguments:?}: {said}"
        );
        assert!(said.to_lowercase().contains("keep a copy"), "{said}");
    }
}
