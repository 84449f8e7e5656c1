//! How fast point A is, beside a bare append of the same bytes with `fdatasync`, and how much of the disk a queue takes.
//!
//! ```text
//! cargo bench -p orgpipe-store                       # events a second, a minute
//! cargo bench -p orgpipe-store -- --space 10000000   # queue items in and out, some minutes
//! ```
//!
//! Both numbers of a line come from the same run on the same disk; only their ratio means something elsewhere.
#![expect(clippy::print_stdout, reason = "it is what a bench is for")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::{
    fs::File,
    io::Write as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use orgpipe_store::{
    Append, Durability, Lane, NewChange, NewRequest, Options, Outcome, Resolve, Settle, Store, Subject,
    UnixMs, offline,
};
use tempfile::TempDir;
use tokio::{runtime::Builder, task::JoinSet};

/// Bytes of one event's request: some record IDs and an event ID in JSON.
const BODY_BYTES: usize = 220;
/// Events in one answer of Salesforce.
const BATCH: usize = 100;
/// How long each number is measured.
const SPAN: Duration = Duration::from_secs(5);
/// Records of one org that wait at the most in the space run.
const WAITING: usize = 20_000;

fn options(durability: Durability) -> Options {
    Options { durability, cache_bytes: 64 << 20, depth_max: u64::MAX, ledger_days: 30, free_bytes_min: 0 }
}

/// A folder on the disk of the build: `/tmp` may be in memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--space").skip(1);
    if let Some(items) = arguments.next().and_then(|items| items.parse().ok()) {
        space(items);
        return;
    }
    println!(
        "events a second through point A in batches of {BATCH}, each with its position, on disk before the answer"
    );
    for orgs in [1, 100, 10_000] {
        let (bare, grouped, store) = (bare(1), bare(orgs), through_a(orgs));
        println!(
            "{orgs:>6} orgs: {store:>9.0}; bare append + fdatasync of each batch {bare:>9.0}, ratio {:.2}; of the batches \
             that wait together {grouped:>9.0}, ratio {:.2}",
            store / bare,
            store / grouped
        );
    }
}

fn body() -> Vec<u8> {
    vec![b'x'; BODY_BYTES]
}

/// Events a second when batches are appended to a file and synced, as many together as orgs wait, up to 2 MiB.
fn bare(orgs: usize) -> f64 {
    let folder = folder();
    let mut log = File::create(folder.path().join("log")).expect("a file");
    let together = orgs.min((2 << 20) / (BATCH * BODY_BYTES));
    let bytes = body().repeat(BATCH * together);
    let (start, mut events) = (Instant::now(), 0_u32);
    while start.elapsed() < SPAN {
        log.write_all(&bytes).expect("written");
        log.sync_data().expect("synced");
        events += u32::try_from(BATCH * together).expect("few");
    }
    f64::from(events) / start.elapsed().as_secs_f64()
}

/// Events a second when each org appends one batch after the other.
fn through_a(orgs: usize) -> f64 {
    let folder = folder();
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let store = Store::open(folder.path(), options(Durability::Power)).expect("a store");
    let (stop, events) =
        (std::sync::Arc::new(AtomicBool::new(false)), std::sync::Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for org in 0..orgs {
            let (store, stop, events) = (store.clone(), stop.clone(), events.clone());
            tasks.spawn(async move {
                let org = format!("org{org}");
                while !stop.load(Ordering::Relaxed) {
                    let requests = (0..BATCH)
                        .map(|_| NewRequest { lane: Lane::Live, records: 1, body: body() })
                        .collect();
                    let positions = vec![("channel".to_owned(), b"0000000012345678".to_vec())];
                    let append = Append { positions, requests, ..Append::default() };
                    store.append(&org, append).await.expect("appended");
                    events.fetch_add(BATCH as u64, Ordering::Relaxed);
                    if start.elapsed() > SPAN {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
    let secs = start.elapsed().as_secs_f64();
    f64::from(u32::try_from(events.load(Ordering::Relaxed)).expect("few")) / secs
}

/// Has so many requests and changes come and go, and looks at the files.
fn space(items: u64) {
    let folder = folder();
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    // What is synced when makes no difference to the space.
    let store = Store::open(folder.path(), options(Durability::Process)).expect("a store");
    let start = Instant::now();
    runtime.block_on(async {
        let (mut done, mut open) = (0, 0);
        while done < items {
            for org in ["acme", "globex", "initech"] {
                done += round(&store, org, done, &mut open).await;
            }
        }
        store.close().await.expect("closed");
    });
    let survey = offline::survey(folder.path()).expect("a survey");
    assert!(survey.problems.is_empty(), "{:?}", survey.problems);
    let (live, disk) = (survey.live_bytes >> 20, survey.disk_bytes >> 20);
    let most = 4 * live + 200;
    println!(
        "{items} queue items in and out in {:.0?}: {live} MB live, {disk} MB of files, at most {most}",
        start.elapsed()
    );
    assert!(disk <= most, "the files have grown past what is promised");
}

/// One batch in and, past a backlog, one through to the end. Gives the queue items that came.
async fn round(store: &Store, org: &str, number: u64, open: &mut usize) -> u64 {
    let requests = (0..BATCH).map(|_| NewRequest { lane: Lane::Live, records: 1, body: body() }).collect();
    store.append(org, Append { requests, ..Append::default() }).await.expect("appended");
    *open += BATCH;
    let mut items = BATCH as u64;
    if *open > WAITING {
        let head = store.ingress_head(org, BATCH as u64).await.expect("a head");
        let change = |(at, _)| {
            let subject = Subject {
                record: format!("001{number:09}{at:06}"),
                units: 1,
                asked_ms: UnixMs(number),
                trail: vec![1; 60],
                pushes: Vec::new(),
            };
            let (target, key) = ("Enrichment__c".to_owned(), format!("key {number} {at}"));
            NewChange { lane: Lane::Live, target, key, subjects: vec![subject], body: body() }
        };
        let changes: Vec<_> = head.iter().enumerate().map(change).collect();
        *open -= changes.len();
        items += changes.len() as u64;
        let requests = head.iter().map(|request| request.seq).collect();
        let settle = Settle { requests, changes, at_ms: UnixMs(number), ..Settle::default() };
        store.settle(org, settle).await.expect("settled");
        let taken = store.egress_take(org, UnixMs(number), 200).await.expect("taken");
        let outcomes = taken.iter().map(|change| (change.seq, Outcome::Written)).collect();
        let resolve =
            Resolve { outcomes, at_ms: UnixMs(number), by: "job 750".to_owned(), ..Resolve::default() };
        store.resolve(org, resolve).await.expect("resolved");
    }
    items
}
