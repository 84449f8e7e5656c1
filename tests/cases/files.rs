//! Memory, file modes, logs and imports.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::json;

use super::support::{
    Rig, account, answer,
    cli::{order, ordered, reachable},
    domain, eventually, request,
};

/// A list of so many zeros is 60 MB, packed 60 KB; as values it would take a gigabyte.
const ZEROS: usize = 30_000_000;
/// Megabytes that the service may take while it reads such an answer: its bytes come while it is read, not its values.
const MEMORY_MB: u64 = 200;

fn publish(rig: &Rig, ns: std::ops::Range<usize>) {
    let ids: Vec<String> =
        ns.map(|n| rig.org("acme").create("Account", account(n)).expect("an account")).collect();
    rig.org("acme").publish("Sync_Request__e", request(&ids));
}

#[actix_rt::test]
async fn a_small_answer_that_unpacks_to_a_large_one_takes_little_memory() {
    let rig = Rig::acme(false).await;
    for n in 1..=2 {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    }
    // Of the org: a page of records, a description, and a write's results.
    for path in ["/query", "/describe", "/composite/sobjects", "/Enrichment__c/External_Id__c"] {
        rig.org("acme").zeros_next(path, ZEROS, 1);
    }
    publish(&rig, 1..2);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    // Of the look-up API.
    rig.simulator.vendor().answer_zeros(Some(ZEROS));
    publish(&rig, 2..3);
    eventually("the complaint", async || {
        let note = rig.view("acme").await["parts"]["ingest"]["note"].to_string();
        (note.contains("values") || note.contains("bytes")).then_some(())
    })
    .await;
    rig.simulator.vendor().answer_zeros(None);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;
    let peak = rig.peak_memory_mb();
    assert!(peak < MEMORY_MB, "{peak} MB");
}

/// All files and folders in a folder, with their modes.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            // Snapshots of the database come and go.
            let Ok(about) = fs::symlink_metadata(&entry) else { continue };
            found.push((entry.display().to_string(), about.permissions().mode() & 0o777));
            if about.is_dir() {
                folders.push(entry);
            }
        }
    }
    found
}

#[actix_rt::test]
async fn what_orgpipe_writes_only_its_user_may_read() {
    let mut rig = Rig::acme(false).await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 10)));
    publish(&rig, 1..2);
    rig.ledger("acme", json!({ "written": 1 })).await;
    rig.terminate().await;
    let export = rig.folder.path().join("all.jsonl");
    ordered(&rig, &["store", "export", export.to_str().expect("UTF-8")]).await;
    let (data, key) = (rig.folder.path().join("data"), rig.folder.path().join("data.key"));
    let mut all = modes(&data);
    for path in [&data, &key, &export] {
        let mode = fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        all.push((path.display().to_string(), mode));
    }
    assert!(all.len() > 4, "{all:?}");
    for (path, mode) in all {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[actix_rt::test]
async fn what_is_open_to_others_is_named_with_what_shuts_it() {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.terminate().await;
    let said = ordered(&rig, &["check"]).await;
    assert!(!said.contains("is open to others"), "{said}");
    let (data, key) = (rig.folder.path().join("data"), rig.folder.path().join("data.key"));
    for (path, open, hint) in [(&data, 0o755, "chmod 700"), (&key, 0o640, "chmod 600")] {
        fs::set_permissions(path, Permissions::from_mode(open)).expect("it is ours");
        let expected =
            [format!("open to others on this machine (mode {open:o})"), format!("{hint} {}", path.display())];
        let said = ordered(&rig, &["check"]).await;
        assert!(expected.iter().all(|text| said.contains(text)), "{said}");
        rig.start_logged("warn").await;
        rig.terminate().await;
        assert!(expected.iter().all(|text| rig.logged().contains(text)), "{}", rig.logged());
        let mode = fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, open, "who opened it may have meant it");
    }
    for (path, mode) in modes(&data) {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[actix_rt::test]
async fn a_log_of_everything_shows_no_value_of_a_record() {
    let mut rig = reachable(|text| text).await;
    rig.start_logged("trace").await;
    rig.subscribed("acme").await;
    let secret = json!({ "key": "K1", "employees": 4_711, "industry": "Whale watching" });
    rig.simulator.vendor().set_answer(&domain(1), Some(secret));
    publish(&rig, 1..2);
    rig.ledger("acme", json!({ "written": 1 })).await;
    rig.terminate().await;
    let log = rig.logged();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it is a log of everything");
    for value in ["4711", "Whale watching", &domain(1)] {
        // sled shows bytes as numbers, too.
        let bytes: Vec<String> = value.bytes().map(|byte| byte.to_string()).collect();
        for form in [value.to_owned(), bytes.join(", ")] {
            let line = log.lines().find(|line| line.contains(&form));
            assert!(line.is_none(), "{form}: {line:?}");
        }
    }
}

#[actix_rt::test]
async fn what_is_said_is_in_the_transcript_and_said_as_without_one() {
    let rig = reachable(|text| text).await;
    let folder = rig.folder.path().join("transcripts");
    fs::create_dir(&folder).expect("made");
    let wrong = fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    rig.write("orgpipe.toml", &wrong.replace("data_dir", "data_dri"));
    let mut said = Vec::new();
    for transcripts in ["", folder.to_str().expect("UTF-8")] {
        let output =
            rig.command(&["check", "--log", "warn"]).env("ORGPIPE_TEST_TRANSCRIPTS", transcripts).output();
        said.push(String::from_utf8(output.await.expect("it ends").stderr).expect("UTF-8"));
    }
    assert!(said[0].contains("`data_dri` is not a key") && said[0] == said[1], "{said:?}");
    let read = |end: &str| {
        let mut files = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let file = files.find(|file| file.to_string_lossy().ends_with(end)).expect("such a file");
        fs::read_to_string(file).expect("text")
    };
    let printed = read(".out");
    assert!(printed.starts_with("$ orgpipe check") && printed.ends_with(&said[1]), "{printed}");
    assert!(read(".log").contains(" TRACE orgpipe"), "it is a log of everything");
}

#[actix_rt::test]
async fn an_import_with_a_name_that_is_too_long_is_refused_with_a_sentence() {
    let rig = reachable(|text| text).await;
    let file = rig.folder.path().join("all.jsonl");
    for (org, position) in [(70_000, 1), (1, 70_000)] {
        let (org, position) = ("x".repeat(org), "y".repeat(position));
        let head = r#"{"kind":"head","orgpipe_export":1,"sequence":1}"#;
        let line = format!(r#"{{"kind":"position","org":"{org}","name":"{position}","value":"v"}}"#);
        let end = r#"{"kind":"end","entries":1,"crc32":0,"lost":[]}"#;
        rig.write("all.jsonl", &format!("{head}\n{line}\n{end}\n"));
        let (done, said) = order(&rig, &["store", "import", file.to_str().expect("UTF-8")]).await;
        assert!(!done && said.contains("70000 bytes") && !said.contains("panic"), "{said}");
    }
}
