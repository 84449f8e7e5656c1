//! What is done to a database that no service has open: nothing is lost, nothing is written over.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;

use super::{
    OPTIONS, change,
    damage::{fill, put},
    request, wait,
};
use crate::{
    Append, Durability, Lane, Options, Retry, Seq, Settle, Store, StoreError, UnixMs,
    disk::{Disk, SledDisk},
    keys::Key,
    offline,
};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A closed database with an entry of every kind, long values, bytes that are no text, and a letter retried.
fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    wait(async {
        fill(&store).await;
        let letter = store.dead_letters("acme", Seq::MAX, 1).await.unwrap()[0].seq;
        let (requests, by, at_ms) = (vec![request(Lane::Live, 1, "again")], "jo".to_owned(), UnixMs(9));
        store.retry_dead_letter("acme", Retry { letter, requests, by, at_ms }).await.unwrap();
        let positions =
            vec![("binary".to_owned(), vec![0, 0xff, 0xfe]), ("long".to_owned(), vec![b'x'; 100_000])];
        store.append("other", Append { positions, ..Append::default() }).await.unwrap();
        store.close().await.unwrap();
    });
    dir
}

fn entries(dir: &Path) -> Entries {
    let disk = SledDisk::open_existing(dir, OPTIONS).unwrap();
    let mut entries = Entries::new();
    disk.each(&mut |key, value| {
        entries.insert(key.to_vec(), value.to_vec());
        Ok(())
    })
    .unwrap();
    disk.close().unwrap();
    entries
}

/// Does something to the entries of a closed database.
fn harm(dir: &Path, harm: impl FnOnce(&mut Entries)) {
    let before = entries(dir);
    let mut after = before.clone();
    harm(&mut after);
    let mut disk = SledDisk::open(dir, OPTIONS).unwrap();
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), None));
    let gone: Vec<_> = gone.collect();
    disk.commit(gone.into_iter().chain(after.into_iter().map(|(key, value)| (key, Some(value)))).collect())
        .unwrap();
    disk.close().unwrap();
}

fn first(entries: &Entries, kind: u8) -> Vec<u8> {
    entries.keys().find(|key| key[0] == kind).cloned().expect("one of each kind")
}

#[test]
fn what_is_exported_and_imported_is_the_same_to_the_byte() {
    let (dir, to) = (filled(), TempDir::new().unwrap());
    let file = to.path().join("all.jsonl");
    let exported = offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap();
    assert!(exported.lost.is_empty(), "{exported:?}");
    let new = to.path().join("new");
    let imported = offline::import(&file, &new, false).unwrap();
    assert_eq!((imported.entries, imported.losses.len()), (exported.entries, 0));
    assert_eq!(entries(&new), entries(dir.path()));
    Store::open(&new, OPTIONS).unwrap();
    // Nothing is written over.
    assert!(matches!(offline::import(&file, &new, false).unwrap_err(), StoreError::NotEmpty { .. }));
    let again = offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap_err();
    assert!(matches!(again, StoreError::File { doing: "write", .. }), "{again}");
    assert!(matches!(
        offline::export(to.path(), &file, &offline::LeftOut::default()).unwrap_err(),
        StoreError::NoStore { .. }
    ));
    assert!(!to.path().join("orgpipe.lock").exists(), "where there is no database none is made");
}

#[test]
fn what_is_left_out_of_an_export_is_said_and_missed_by_nobody() {
    let (dir, to) = (filled(), TempDir::new().unwrap());
    let (file, new) = (to.path().join("some.jsonl"), to.path().join("new"));
    let left_out = offline::LeftOut { positions: &["channel", "none"], kinds: &["token"] };
    let exported = offline::export(dir.path(), &file, &left_out).unwrap();
    assert_eq!((exported.left_out, exported.lost.len()), (3, 0), "of two orgs, and of the registry");
    let text = fs::read_to_string(&file).unwrap();
    let names = r#""left_out":["position channel","position none","registry token"]"#;
    assert!(text.lines().next().unwrap().contains(names), "{text}");
    assert!(!text.contains(r#""name":"channel""#) && !text.contains(r#""kind":"registered""#));
    let imported = offline::import(&file, &new, false).unwrap();
    assert_eq!((imported.entries, imported.losses.len()), (exported.entries, 0));
    assert_eq!(imported.left_out, ["position channel", "position none", "registry token"]);
    // The rest is the same; a ledger counts its positions, and the mark what is registered.
    let mut before = entries(dir.path());
    let is_left_out = |key: &[u8]| {
        matches!(Key::parse(key), Some(Key::Position { name: "channel", .. } | Key::Registered { .. }))
    };
    before.retain(|key, _| !is_left_out(key));
    let after = entries(&new);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let differing = before.iter().filter(|(key, value)| after[*key] != **value);
    let differing: Vec<_> = differing.map(|(key, _)| Key::parse(key).unwrap()).collect();
    assert_eq!(differing, [Key::Ledger { org: "acme" }, Key::Ledger { org: "other" }, Key::Mark]);
    let survey = offline::survey(&new).unwrap();
    assert_eq!((survey.problems, survey.registered), (Vec::new(), 0));
    let store = Store::open(&new, OPTIONS).unwrap();
    let before = Store::open(dir.path(), OPTIONS).unwrap();
    assert_eq!(wait(store.orgs()).unwrap(), wait(before.orgs()).unwrap());
}

#[test]
fn an_export_that_was_changed_or_cut_or_is_newer_is_refused_and_leaves_no_database() {
    let (dir, to) = (filled(), TempDir::new().unwrap());
    let (file, new) = (to.path().join("all.jsonl"), to.path().join("new"));
    offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let newer = text.replacen("\"orgpipe_export\":5", "\"orgpipe_export\":6", 1);
    let cases = [
        (join(&lines[..lines.len() - 1]), "the file is cut off"),
        (join(&lines[1..]), "line 1 of the export"),
        (join(&swapped), "they were changed"),
        (text.replacen("again", "Again", 1), "they were changed"),
        (format!("{text}x"), "comes after the end"),
        (text[..text.len() / 2].to_owned(), "is cut off"),
        (text.replacen("\"base64\":\"", "\"base64\":\"?", 1), "no base64"),
        (newer, "has version 6, and this orgpipe reads versions up to 5"),
        (String::new(), "is cut off"),
    ];
    for (text, expected) in cases {
        fs::write(&file, text).unwrap();
        let error = offline::import(&file, &new, true).unwrap_err();
        assert!(error.to_string().contains(expected) && error.hint().is_some(), "{error}: {expected}");
        let left: Vec<_> = fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["orgpipe.lock"], "{expected}");
    }
}

#[test]
fn a_compaction_gives_space_back_and_changes_no_entry() {
    let dir = filled();
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    wait(async {
        for _ in 0..3 {
            let requests = vec![request(Lane::Live, 1, &"x".repeat(4_000_000))];
            store.append("new", Append { requests, ..Append::default() }).await.unwrap();
            let head = store.ingress_head("new", 1).await.unwrap();
            let changes = vec![change(Lane::Live, "T", "k", 1, "small")];
            let settle = Settle { requests: vec![head[0].seq], changes, ..Settle::default() };
            store.settle("new", settle).await.unwrap();
        }
        store.close().await.unwrap();
    });
    let before = entries(dir.path());
    fs::create_dir(dir.path().join("compact.new")).unwrap();
    fs::write(dir.path().join("compact.new/db"), "left by one that was killed").unwrap();
    let done = offline::compact(dir.path()).unwrap();
    assert_eq!(done.entries, before.len() as u64);
    assert!(done.bytes_after < done.bytes_before / 2, "{done:?}");
    assert_eq!(entries(dir.path()), before);
    let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<std::collections::BTreeSet<_>>().len(), 2, "the lock and the database");
}

#[test]
fn a_compaction_that_was_killed_in_the_middle_of_the_swap_is_undone_or_finished() {
    let dir = filled();
    let before = entries(dir.path());
    let path = |name: &str| dir.path().join(name);
    fs::rename(path("sled"), path("compact.old")).unwrap();
    fs::create_dir(path("compact.new")).unwrap();
    assert!(offline::survey(dir.path()).unwrap().problems.is_empty(), "undone");
    assert!(!path("compact.old").exists());
    fs::create_dir(path("compact.old")).unwrap();
    fs::write(path("compact.old/db"), "what was replaced").unwrap();
    assert_eq!(entries(dir.path()), before, "finished");
    assert!(!path("compact.old").exists());
}

#[test]
fn of_a_damaged_database_all_that_can_be_read_is_taken_out_and_the_ledgers_made_to_agree() {
    let (dir, to) = (filled(), TempDir::new().unwrap());
    assert_eq!(offline::survey(dir.path()).unwrap().problems, [""; 0]);
    let lost_request = first(&entries(dir.path()), b'i');
    harm(dir.path(), |entries| {
        // Missing without a trace, changed, and a list that names what is gone.
        entries.remove(&lost_request);
        let change = first(entries, b'e');
        entries.get_mut(&change).unwrap()[12] ^= 1;
        entries.remove(&Key::Ledger { org: "other" }.bytes());
    });
    let problems = offline::survey(dir.path()).unwrap().problems;
    assert!(problems[0].contains("does not match its checksum"), "{problems:?}");
    assert!(problems.len() >= 2, "{problems:?}");
    let before = entries(dir.path());
    assert!(matches!(offline::compact(dir.path()).unwrap_err(), StoreError::Damaged { .. }));
    assert_eq!(entries(dir.path()), before);

    let (file, new) = (to.path().join("all.jsonl"), to.path().join("new"));
    let exported = offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap();
    assert_eq!(exported.lost.len(), 2, "{exported:?}");
    let error = offline::import(&file, &new, false).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    let imported = offline::import(&file, &new, true).unwrap();
    let lacks: Vec<_> = imported.losses.iter().map(|loss| (loss.org.as_str(), loss.counts)).collect();
    assert_eq!(lacks, [("acme", false), ("other", true)]);
    assert!(imported.losses[0].sentence().contains("org `acme` lacks 3 records"), "{imported:?}");
    assert!(offline::survey(&new).unwrap().problems.is_empty());
    let store = Store::open(&new, OPTIONS).unwrap();
    assert!(wait(store.counts("acme")).unwrap().balanced());
}

#[test]
fn a_database_of_another_format_is_left_alone_by_everything() {
    let (dir, to) = (filled(), TempDir::new().unwrap());
    harm(dir.path(), |entries| put(entries, &Key::Format, &7_u32.to_be_bytes()));
    let before = entries(dir.path());
    let errors = [
        offline::survey(dir.path()).unwrap_err(),
        offline::compact(dir.path()).unwrap_err(),
        offline::export(dir.path(), &to.path().join("x"), &offline::LeftOut::default()).unwrap_err(),
        Store::open(dir.path(), OPTIONS).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Format { found: 7, .. }), "{error}");
    }
    assert_eq!(entries(dir.path()), before);
}

#[test]
fn a_log_that_lost_its_end_or_all_of_it_is_seen_though_what_is_left_fits_together() {
    for (from, expected) in [(0, "was not before"), (1_000, "the newest entries are gone")] {
        let (dir, to) = (filled_for_power(), TempDir::new().unwrap());
        let log = dir.path().join("sled/db");
        let mut bytes = fs::read(&log).unwrap();
        for byte in &mut bytes[from..4_000] {
            *byte ^= 0x5a;
        }
        fs::write(&log, &bytes).unwrap();
        for error in
            [Store::open(dir.path(), OPTIONS).unwrap_err(), offline::compact(dir.path()).unwrap_err()]
        {
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(offline::survey(dir.path()).unwrap().problems[0].contains(expected));
        let exported =
            offline::export(dir.path(), &to.path().join("left.jsonl"), &offline::LeftOut::default()).unwrap();
        assert!(exported.lost[0].contains(expected), "{exported:?}");
    }
}

/// A database whose commits were synced, one after the other.
fn filled_for_power() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Options { durability: Durability::Power, ..OPTIONS }).unwrap();
    wait(async {
        fill(&store).await;
        store.close().await.unwrap();
    });
    dir
}

/// An export of one line between its first and its last.
fn export_of(line: &str) -> String {
    let head = "{\"kind\":\"head\",\"orgpipe_export\":1,\"sequence\":9}\n";
    let before = format!("{head}{line}\n");
    let crc32 = crc32fast::hash(before.as_bytes());
    format!("{before}{{\"kind\":\"end\",\"entries\":1,\"crc32\":{crc32},\"lost\":[]}}\n")
}

#[test]
fn an_export_with_something_larger_than_is_stored_is_refused_with_a_sentence() {
    let dir = TempDir::new().unwrap();
    let (file, new) = (dir.path().join("all.jsonl"), dir.path().join("new"));
    let name = |bytes: usize| "x".repeat(bytes);
    let position = |org: &str, position: &str, value: &str| {
        format!(r#"{{"kind":"position","org":"{org}","name":"{position}","value":"{value}"}}"#)
    };
    let cases = [
        (position(&name(70_000), "p", "v"), "a name of an org of 70000 bytes is larger than the 1024"),
        (position(&name(1_025), "p", "v"), "a name of an org of 1025 bytes"),
        (position("acme", &name(70_000), "v"), "a name of a position of 70000 bytes"),
        (position("acme", "p", &name(4_194_305)), "a body of 4194305 bytes is larger than the 4194304"),
        (
            format!(r#"{{"kind":"job","org":"acme","id":"{}","body":"b"}}"#, name(1_025)),
            "a id of a job of 1025 bytes",
        ),
        (
            format!(
                r#"{{"kind":"dead_letter","org":"acme","seq":1,"at_ms":1,"target":"t","key":"k","reason":"{}",
                    "hint":"","attempts":1,"subjects":[],"body":"b"}}"#,
                name(2_001)
            )
            .replace('\n', " "),
            "a text of 2001 bytes",
        ),
        (
            r#"{"kind":"request","org":"acme","seq":18446744073709551615,"lane":"live","records":1,"body":"b"}"#
                .to_owned(),
            "has the number 18446744073709551615",
        ),
        (
            r#"{"kind":"ledger","org":"acme","records_in":18446744073709551615,"written":1,"unchanged":0,
                "no_data":0,"superseded":0,"dead":0}"#
                .replace('\n', " "),
            "has the number 18446744073709551615",
        ),
    ];
    for (line, expected) in cases {
        fs::write(&file, export_of(&line)).unwrap();
        let error = offline::import(&file, &new, true).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains(expected), "{expected}: {text}");
        assert!(!new.join("sled").exists(), "{expected}");
    }
    fs::write(&file, export_of(&position(&name(1_024), &name(1_024), &name(4_194_304)))).unwrap();
    assert_eq!(offline::import(&file, &new, true).unwrap().entries, 1, "at the bounds");
}

#[test]
fn only_the_owner_may_read_what_is_made() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (data, file, new) = (dir.path().join("a/data"), to.path().join("all.jsonl"), to.path().join("new"));
    drop(Store::open(&data, OPTIONS).unwrap());
    offline::export(&data, &file, &offline::LeftOut::default()).unwrap();
    offline::import(&file, &new, false).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [&data, &data.join("sled"), &new, &new.join("sled")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    for file in [&file, &data.join("orgpipe.lock"), &data.join("sled/orgpipe.note")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    // A database that an earlier version left open to others is shut.
    fs::set_permissions(data.join("sled"), fs::Permissions::from_mode(0o755)).unwrap();
    drop(Store::open(&data, OPTIONS).unwrap());
    assert_eq!(mode(&data.join("sled")), 0o700);
}
