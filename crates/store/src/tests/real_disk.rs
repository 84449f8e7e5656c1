//! sled on a real disk: locks, leftovers, dropped and killed stores, broken files.

use std::{
    fs,
    io::{BufRead, BufReader, Write, stdin, stdout},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{OPTIONS, change, request, subject, wait};
use crate::{
    Append, Durability, Lane, NewRequest, Options, Outcome, RegistryWrite, Resolve, Settle, Store,
    StoreError, UnixMs, disk::open_sled,
};

const POWER: Options = Options { durability: Durability::Power, depth_max: 1_000_000, ..OPTIONS };

/// One append of one record, with the position that follows from it.
async fn append_next(store: &Store) -> u64 {
    let number = position(store).await + 1;
    let positions = vec![("channel".to_owned(), number.to_be_bytes().to_vec())];
    let requests = vec![request(Lane::Live, 1, &number.to_string())];
    store.append("acme", Append { positions, requests, ..Append::default() }).await.unwrap();
    number
}

async fn position(store: &Store) -> u64 {
    let stored = store.position("acme", "channel").await.unwrap();
    stored.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
fn a_second_opener_is_told_who_has_the_directory_and_touches_nothing() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), POWER).unwrap();
    let unfinished = dir.path().join("sled/snap.00000000000000FF.generating");
    fs::write(&unfinished, b"half").unwrap();
    let error = Store::open(dir.path(), POWER).unwrap_err();
    let (path, id) = (dir.path().display(), std::process::id());
    assert_eq!(error.to_string(), format!("the data directory `{path}` is in use by process {id}"));
    assert!(error.hint().unwrap().contains("Stop the other orgpipe"));
    assert!(unfinished.exists(), "leftovers are removed only under our lock");
    wait(append_next(&store));
}

#[test]
fn an_unfinished_snapshot_does_not_keep_the_store_from_opening() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), POWER).unwrap();
    wait(append_next(&store));
    wait(store.close()).unwrap();
    let unfinished = dir.path().join("sled/snap.00000000000000FF.generating");
    fs::write(&unfinished, b"half").unwrap();
    let store = Store::open(dir.path(), POWER).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(wait(position(&store)), 1);
}

#[test]
fn a_store_that_is_dropped_without_closing_has_lost_nothing_and_is_free_at_once() {
    let dir = TempDir::new().unwrap();
    for number in 1..6 {
        let store = Store::open(dir.path(), POWER).unwrap();
        assert_eq!(wait(append_next(&store)), number);
        assert_eq!(wait(store.ingress_head("acme", 99)).unwrap().len() as u64, number);
    }
}

fn large(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|at| (at / 251).to_le_bytes()[0]).collect()
}

#[test]
fn long_bodies_are_read_back_and_leave_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let sizes = [0, 6_100, 6_144, 6_200, 12_288, 32_000, 140_000, 4_194_304];
    let requests: Vec<_> = sizes
        .iter()
        .cycle()
        .take(40)
        .map(|bytes| NewRequest { body: large(*bytes), ..request(Lane::Live, 1, "") })
        .collect();
    let store = Store::open(dir.path(), POWER).unwrap();
    wait(async {
        let append = Append { requests: requests.clone(), ..Append::default() };
        store.append("acme", append).await.unwrap();
        for bytes in [200_000, 70_000, 10, 300_000] {
            store.put_job("acme", "750", large(bytes), &[]).await.unwrap();
        }
    });
    drop(store);
    let unsynced = || fs::read_dir(dir.path().join("sled/blobs")).unwrap().count();
    assert_eq!(unsynced(), 0);
    let store = Store::open(dir.path(), POWER).unwrap();
    wait(async {
        assert!(store.jobs("acme").await.unwrap()[0].body == large(300_000));
        let mut left = requests.as_slice();
        while !left.is_empty() {
            let head = store.ingress_head("acme", 99).await.unwrap();
            let (now, later) = left.split_at(head.len());
            assert!(head.iter().map(|request| &request.body).eq(now.iter().map(|request| &request.body)));
            let requests = head.iter().map(|request| request.seq).collect();
            assert!(!now.is_empty(), "one is always given");
            let unchanged = now.iter().map(|_| subject("r", 1)).collect();
            store.settle("acme", Settle { requests, unchanged, ..Settle::default() }).await.unwrap();
            left = later;
        }
        let finished_job = Some("750".to_owned());
        store.resolve("acme", Resolve { finished_job, ..Resolve::default() }).await.unwrap();
    });
    drop(store);
    assert_eq!(unsynced(), 0);
    let db = open_sled(&sled::Config::new().path(dir.path().join("sled"))).unwrap();
    let rows = db.scan_prefix(b"r").count();
    assert_eq!(db.len(), 3 + rows, "format, mark, ledger, and pages of its rows");
}

#[test]
fn a_missing_piece_of_a_long_body_is_seen() {
    let dir = TempDir::new().unwrap();
    for number in 1..=2_u16 {
        let store = Store::open(&dir.path().join(number.to_string()), POWER).unwrap();
        let long = NewRequest { body: large(80_000), ..request(Lane::Live, 1, "") };
        wait(store.append("acme", Append { requests: vec![long], ..Append::default() })).unwrap();
        drop(store);
        let path = dir.path().join(number.to_string());
        let db = open_sled(&sled::Config::new().path(path.join("sled"))).unwrap();
        let mut pieces = db.scan_prefix(b"x");
        let (piece, _) = if number == 1 { pieces.next() } else { pieces.next_back() }.unwrap().unwrap();
        drop(pieces);
        db.remove(piece).unwrap();
        drop(db);
        let error = Store::open(&path, POWER).unwrap_err();
        assert!(error.to_string().starts_with("the database is damaged: request 1 says it has"), "{error}");
    }
}

#[test]
fn a_garbled_entry_keeps_the_store_from_opening_with_a_sentence() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), POWER).unwrap();
    wait(append_next(&store));
    drop(store);
    let db = open_sled(&sled::Config::new().path(dir.path().join("sled"))).unwrap();
    let (key, value) = db.scan_prefix(b"i").next().unwrap().unwrap();
    db.insert(key, &value[..value.len() / 2]).unwrap();
    drop(db);
    let error = Store::open(dir.path(), POWER).unwrap_err();
    assert!(error.to_string().starts_with("the database is damaged: request 1 says it has"), "{error}");
}

#[test]
fn a_broken_log_is_an_error_or_harmless_never_a_panic() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), POWER).unwrap();
    wait(async {
        for _ in 0..50 {
            append_next(&store).await;
        }
    });
    drop(store);
    let log = fs::read(dir.path().join("sled/db")).unwrap();
    for at in (0..log.len()).step_by(log.len() / 24 + 1) {
        let copy = TempDir::new().unwrap();
        copy_dir(&dir.path().join("sled"), &copy.path().join("sled"));
        let mut broken = log.clone();
        broken[at] ^= 0x40;
        fs::write(copy.path().join("sled/db"), broken).unwrap();
        match Store::open(copy.path(), POWER) {
            Ok(store) => {
                assert!(wait(store.counts("acme")).unwrap().balanced(), "byte {at}");
                assert_eq!(wait(position(&store)), 50, "byte {at}: nothing is lost silently");
            }
            Err(error) => assert!(error.hint().is_some(), "byte {at}: {error}"),
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = TempDir::new().unwrap();
    let mut last = 0;
    for lines in [1, 30, 77, 160] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::real_disk::the_process_that_is_killed", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{}", dir.path().display()).unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let said: Vec<_> = said.filter(|line| line.starts_with("acknowledged ")).take(lines).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said.len(), lines, "the child ended by itself");
        let numbers: Vec<u64> =
            said.last().unwrap().split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
        let [appended, written] = numbers[..] else { panic!("{said:?}") };
        assert!(appended > last);

        let store = Store::open(dir.path(), POWER).unwrap();
        let (counts, position) =
            wait(async { (store.counts("acme").await.unwrap(), position(&store).await) });
        assert!(counts.balanced(), "{counts:?}");
        assert!(position >= appended, "position {position}, acknowledged {appended}");
        assert_eq!(counts.records_in, position, "a position is set in the commit of its requests");
        let registered = wait(store.registry("written")).unwrap();
        let registered =
            registered.into_iter().map(|(_, value)| u64::from_be_bytes(value.try_into().unwrap()));
        let registered: Vec<u64> = registered.collect();
        assert!(registered.iter().all(|number| *number >= written), "{registered:?}, acknowledged {written}");
        assert!(
            registered.windows(2).all(|pair| pair[0] == pair[1]),
            "{registered:?} were registered at once"
        );
        assert!(counts.written >= written, "{counts:?}, acknowledged {written}");
        let head = wait(store.ingress_head("acme", u64::MAX)).unwrap();
        let bodies: Vec<u64> =
            head.iter().map(|r| str::from_utf8(&r.body).unwrap().parse().unwrap()).collect();
        let expected: Vec<u64> = (position - counts.open_ingress + 1..=position).collect();
        assert_eq!(bodies, expected, "the newest requests wait, in order, none twice");
        last = appended;
    }
}

/// Runs in a process of its own, started by the test above, which gives the directory on standard input.
#[test]
#[ignore = "it is the other half of `what_was_acknowledged_survives_a_kill`"]
fn the_process_that_is_killed() {
    let mut dir = String::new();
    stdin().read_line(&mut dir).unwrap();
    if dir.trim().is_empty() {
        return;
    }
    let store = Store::open(Path::new(dir.trim()), POWER).unwrap();
    wait(async {
        let mut written = 0;
        for round in 0_u64..100_000 {
            let appended = append_next(&store).await;
            writeln!(stdout(), "acknowledged {appended} {written}").unwrap();
            if round % 4 == 3 {
                deliver(&store).await.unwrap();
                written = store.counts("acme").await.unwrap().written;
                store.register(["one", "two"].map(|name| registered(name, written)).to_vec()).await.unwrap();
            }
        }
    });
}

/// The count of written records under a name.
fn registered(name: &str, written: u64) -> RegistryWrite {
    let value = Some(written.to_be_bytes().to_vec());
    RegistryWrite { kind: "written".to_owned(), name: name.to_owned(), value }
}

async fn deliver(store: &Store) -> Result<(), StoreError> {
    let head = store.ingress_head("acme", 3).await?;
    let changes = head.iter().map(|request| {
        let key = str::from_utf8(&request.body).expect("a number");
        change(Lane::Live, "Enrichment__c", key, 1, "fields")
    });
    let settle = Settle {
        requests: head.iter().map(|request| request.seq).collect(),
        changes: changes.collect(),
        ..Settle::default()
    };
    store.settle("acme", settle).await?;
    let taken = store.egress_take("acme", UnixMs(0), 2).await?;
    let numbers: Vec<_> = taken.iter().map(|change| change.seq).collect();
    store.put_job("acme", "750", Vec::new(), &numbers).await?;
    let outcomes = numbers.into_iter().map(|seq| (seq, Outcome::Written)).collect();
    store
        .resolve("acme", Resolve { outcomes, finished_job: Some("750".to_owned()), ..Resolve::default() })
        .await
}

/// Deleted, moved away, or replaced by a copy: nothing that is written reaches anybody, so nothing is acknowledged.
#[test]
fn a_database_that_is_deleted_or_replaced_under_the_store_ends_it() {
    let harms: [fn(&Path); 4] = [
        |data| fs::remove_dir_all(data).unwrap(),
        |data| fs::remove_dir_all(data.join("sled")).unwrap(),
        |data| fs::rename(data, data.with_extension("away")).unwrap(),
        |data| {
            let (log, copy) = (data.join("sled/db"), data.join("copy"));
            fs::copy(&log, &copy).unwrap();
            fs::rename(&copy, &log).unwrap();
        },
    ];
    for durability in [Durability::Power, Durability::Process] {
        for (at, harm) in harms.iter().enumerate() {
            let dir = TempDir::new().unwrap();
            let data = dir.path().join("data");
            let store = Store::open(&data, Options { durability, ..POWER }).unwrap();
            wait(append_next(&store));
            harm(&data);
            let error = wait(store.position("acme", "channel")).unwrap_err();
            assert!(matches!(error, StoreError::Gone { .. }), "{durability:?} {at}: {error}");
            assert!(matches!(wait(store.failed()), StoreError::Gone { .. }));
        }
    }
}
