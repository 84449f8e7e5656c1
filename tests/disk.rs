//! The disk of the data directory gets full, is full, or cannot be written: what the real program says, and that nothing
//! is lost by it. On a file system of its own in memory; skipped with a word where mounting one is not permitted, as in
//! a container without the right to.

mod support;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{order, reachable},
    domain, eventually, request,
};

/// A file system in memory, mounted on a folder for as long as this lives.
struct Mount(PathBuf);

impl Mount {
    /// None, with a word about it, if that is not permitted.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says why")]
    fn new(folder: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self(folder.to_owned())),
            refused => {
                println!("skipped: no file system can be mounted here: {refused:?}");
                None
            }
        }
    }

    /// Fills it with a file until so many megabytes are free.
    fn fill(&self, free_mb: usize) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        let block = vec![1; 64 * 1024];
        while filler.write_all(&block).is_ok() {}
        let size = filler.metadata().expect("its size").len();
        filler.set_len(size.saturating_sub((free_mb as u64) << 20)).expect("shorter");
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("removed");
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        let done = Command::new("mount").args(["-o", &option]).arg(&self.0).status().expect("mount exists");
        assert!(done.success(), "{how}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// One org whose data directory is a file system of 64 MB. Not started yet.
async fn rig(free_min_mb: u32) -> Option<(Rig, Mount)> {
    let least = format!("data_dir = \"data\"\nfree_min_mb = {free_min_mb}");
    let rig = reachable(|text| text.replace("data_dir = \"data\"", &least)).await;
    let mount = Mount::new(&rig.folder.path().join("data"), 64)?;
    Some((rig, mount))
}

/// Publishes a sync request for a new account.
fn publish(rig: &Rig, n: usize) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
}

async fn get(rig: &Rig, path: &str) -> String {
    rig.http.get(format!("{}{path}", rig.admin)).send().await.expect("an answer").text().await.expect("text")
}

async fn data(rig: &Rig) -> Value {
    let all: Value = serde_json::from_str(&get(rig, "/api/v1/orgs").await).expect("JSON");
    all["data"].clone()
}

#[actix_rt::test]
async fn on_a_disk_that_gets_full_events_wait_and_come_when_there_is_room() {
    let Some((mut rig, mount)) = rig(20).await else { return };
    rig.start().await;
    rig.subscribed("acme").await;
    publish(&rig, 1);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    assert_eq!(data(&rig).await["warning"], Value::Null);

    mount.fill(30);
    let warning = data(&rig).await["warning"].as_str().unwrap_or_default().to_owned();
    assert!(warning.contains("gets full") && warning.contains("20 MB must stay"), "{warning}");
    eventually("the status page to say it", async || {
        get(&rig, "/").await.contains("gets full").then_some(())
    })
    .await;
    publish(&rig, 2);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;

    mount.fill(10);
    publish(&rig, 3);
    eventually("the event to be refused", async || {
        let view = rig.view("acme").await.to_string();
        view.contains("the events could not be stored").then_some(())
    })
    .await;
    eventually("the metrics to tell it", async || {
        let metrics = get(&rig, "/metrics").await;
        let free = metrics.lines().find_map(|line| line.strip_prefix("orgpipe_data_free_bytes "))?;
        (free.parse::<f64>().ok()? < 11.0 * 1024.0 * 1024.0).then_some(())
    })
    .await;
    let ready = rig.http.get(format!("{}/readyz", rig.admin)).send().await.expect("an answer");
    assert_eq!(ready.status(), 503);
    let ready: Value = ready.json().await.expect("JSON");
    assert_eq!((&ready["ready"], &ready["reasons"][0]["reason"]), (&false.into(), &"disk".into()), "{ready}");
    assert!(
        data(&rig).await["warning"].as_str().is_some_and(|text| text.contains("Nothing more is taken in"))
    );
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;

    mount.make_room();
    rig.ledger("acme", json!({ "records_in": 3, "written": 3 })).await;
}

#[actix_rt::test]
async fn on_a_full_disk_the_service_ends_with_the_reason_and_after_there_is_room_nothing_is_missing() {
    let Some((mut rig, mount)) = rig(0).await else { return };
    rig.start().await;
    rig.subscribed("acme").await;
    publish(&rig, 0);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    mount.fill(0);
    // More than the log has room for in what it has of the disk already.
    for n in 1..400 {
        publish(&rig, n);
    }
    assert!(!rig.ended().await.success());
    let (done, said) = order(&rig, &["store", "verify"]).await;
    assert!(done || said.contains("make room"), "{said}");

    mount.make_room();
    rig.start().await;
    let ended = json!({ "records_in": 400, "dead_letters": 0, "open": 0 });
    rig.ledger("acme", ended).await;
    assert_eq!(rig.org("acme").rows("Enrichment__c").len(), 400);
}

#[actix_rt::test]
async fn a_directory_that_cannot_be_written_is_an_error_that_names_it() {
    let Some((mut rig, mount)) = rig(0).await else { return };
    rig.start().await;
    rig.subscribed("acme").await;
    assert!(rig.terminate().await.success());
    mount.remount("ro");
    for arguments in [&["run"][..], &["store", "verify"], &["store", "compact"]] {
        let (done, said) = order(&rig, arguments).await;
        assert!(!done && said.contains("orgpipe.lock") && said.contains("Read-only file system"), "{said}");
        assert!(said.contains("Let the service's user read and write"), "{said}");
    }
    mount.remount("rw");
    rig.start().await;
    rig.subscribed("acme").await;
}
