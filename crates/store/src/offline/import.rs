//! An exported file into a new database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::Path,
    sync::Arc,
};

use super::line::{Line, SubjectLine, VERSION, entry};
use crate::{
    disk::{Disk, SledDisk},
    entry::{FORMAT, Mark, encode_numbers},
    error::StoreError,
    files::{self, DATABASE, IMPORT_NEW, file},
    frame::{self, Writer},
    index::Rebuild,
    keys::Key,
    ledger::{Counts, Ledger},
    options::Options,
    seq::Seq,
    step::Write,
};

/// Bytes of a line; the largest entry, written as text with every character escaped, is smaller.
const LINE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bytes in one commit.
const COMMIT_BYTES: usize = 1024 * 1024;

/// What an import has put into the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that are in it.
    pub entries: u64,
    /// Orgs of which something is missing. Empty unless the file is of a damaged database.
    pub losses: Vec<Loss>,
    /// What the export left out on purpose.
    pub left_out: Vec<String>,
}

/// What is missing of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The org.
    pub org: String,
    /// Records that had come in and are nowhere.
    pub records: u64,
    /// Was its ledger missing, so that its counts start anew?
    pub counts: bool,
}

impl Loss {
    /// For an operator to read.
    pub fn sentence(&self) -> String {
        let Self { org, records, counts } = self;
        let counts = if *counts { ", and its counts begin anew" } else { "" };
        format!("org `{org}` lacks {records} records that had come in{counts}")
    }
}

/// Puts an exported file into a directory in which no database is yet. With `incomplete`, also that of a damaged
/// database: the ledgers are then made to agree with what is there.
///
/// # Errors
/// There is a database already; the file is damaged, cut off, of a newer version, or incomplete; the disk is full.
/// The directory has no database then, as before.
pub fn import(from: &Path, dir: &Path, incomplete: bool) -> Result<Imported, StoreError> {
    let opened = File::open(from).map_err(|source| file("read", from, source))?;
    files::create_private_dir(dir)?;
    let lock = files::lock(dir)?;
    if files::has_database(dir) {
        return Err(StoreError::NotEmpty { dir: dir.to_owned() });
    }
    let new_dir = dir.join(IMPORT_NEW);
    files::remove_dir(&new_dir)?;
    let imported = fill(dir, lock, BufReader::new(opened), from, incomplete);
    match imported {
        Ok(_) => {
            files::sync_all(&new_dir)?;
            files::rename(&new_dir, &dir.join(DATABASE))?;
        }
        Err(_) => files::remove_dir(&new_dir)?,
    }
    imported
}

fn fill(
    dir: &Path,
    lock: Arc<File>,
    mut from: impl BufRead,
    path: &Path,
    incomplete: bool,
) -> Result<Imported, StoreError> {
    let mut disk = SledDisk::open_in(dir, IMPORT_NEW, Arc::clone(&lock), Options::OFFLINE)?;
    let wrong = |line: u64, what: &str| {
        let (path, what) = (path.to_owned(), what.to_owned());
        Err(StoreError::Export { path, line, what })
    };
    let (mut collected, mut left_out) = (Collected::default(), Vec::new());
    let (mut crc, mut number, mut end) = (crc32fast::Hasher::new(), 0, None);
    loop {
        let mut text = Vec::new();
        let read = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        if read.map_err(|source| file("read", path, source))? == 0 {
            break;
        }
        number += 1;
        if end.is_some() {
            return wrong(number, "comes after the end");
        }
        // serde's own words may quote what stands in the line.
        let Ok(line) = serde_json::from_slice::<Line>(&text) else {
            return wrong(number, "is not a line of an export of this version, or is cut off");
        };
        if let Some(what) = line.too_large() {
            return wrong(number, &what);
        }
        match line {
            Line::Head { orgpipe_export: found, sequence, left_out: without } if number == 1 => {
                if found > VERSION {
                    return Err(StoreError::ExportVersion { path: path.to_owned(), found, known: VERSION });
                }
                (collected.mark.sequence, left_out) = (sequence, without);
            }
            _ if number == 1 => return wrong(1, "is not how an export begins"),
            Line::Head { .. } => return wrong(number, "begins an export in the middle of another"),
            Line::End { entries, crc32, lost } => {
                if entries != collected.entries || crc32 != crc.clone().finalize() {
                    return wrong(number, "does not fit the lines before it: they were changed");
                }
                end = Some(lost);
            }
            line => {
                if collected.take(line).is_none() {
                    return wrong(number, "has bytes that are no base64");
                }
                if collected.bytes >= COMMIT_BYTES {
                    collected.commit(&mut disk)?;
                }
            }
        }
        crc.update(&text);
    }
    let Some(lost) = end else {
        return wrong(number, "is the last one, but not the end: the file is cut off");
    };
    let losses = collected.finish();
    let missing = lost.first().cloned().or_else(|| losses.first().map(Loss::sentence));
    if let Some(what) = missing.filter(|_| !incomplete) {
        return Err(StoreError::Incomplete { path: path.to_owned(), what });
    }
    let entries = collected.entries;
    collected.commit(&mut disk)?;
    disk.close()?;
    // As the service would: reads and checks all of it.
    let disk = SledDisk::open_in(dir, IMPORT_NEW, lock, Options::OFFLINE)?;
    let mut rebuild = Rebuild::default();
    disk.each(&mut |key, value| rebuild.add(key, value))?;
    rebuild.finish(disk.given_before())?;
    disk.close()?;
    Ok(Imported { entries, losses, left_out })
}

/// What was read of the file: entries that wait to be written, and what the ledgers must say.
#[derive(Default)]
struct Collected {
    writes: Vec<Write>,
    bytes: usize,
    entries: u64,
    mark: Mark,
    orgs: BTreeMap<String, Found>,
}

#[derive(Default)]
struct Found {
    ledger: Ledger,
    has_ledger: bool,
    changes: BTreeSet<Seq>,
    jobs: BTreeSet<String>,
    lists: BTreeMap<String, Vec<Seq>>,
}

impl Collected {
    fn take(&mut self, line: Line) -> Option<()> {
        self.entries += 1;
        let seq = match &line {
            Line::Head { .. } | Line::End { .. } => Seq::MIN,
            Line::Ledger { org, records_in, written, unchanged, no_data, superseded, dead } => {
                let found = self.found(org);
                let Counts { open_ingress, open_egress, .. } = found.ledger.counts;
                let counts = Counts {
                    records_in: *records_in,
                    written: *written,
                    unchanged: *unchanged,
                    no_data: *no_data,
                    superseded: *superseded,
                    dead: *dead,
                    open_ingress,
                    open_egress,
                };
                (found.ledger.counts, found.has_ledger) = (counts, true);
                return Some(());
            }
            Line::Position { org, .. } => {
                self.found(org).ledger.positions += 1;
                Seq::MIN
            }
            Line::Request { org, seq, records, .. } => {
                let ledger = &mut self.found(org).ledger;
                ledger.requests += 1;
                ledger.counts.open_ingress += u64::from(*records);
                *seq
            }
            Line::Change { org, seq, subjects, .. } => {
                let found = self.found(org);
                found.ledger.changes += 1;
                found.ledger.counts.open_egress += subjects.iter().map(SubjectLine::units).sum::<u64>();
                found.changes.insert(*seq);
                *seq
            }
            Line::DeadLetter { org, seq, .. } => {
                self.found(org).ledger.dead_letters += 1;
                *seq
            }
            Line::Rows { org, seq, .. } => {
                self.found(org).ledger.pages += 1;
                *seq
            }
            Line::Job { org, id, .. } => {
                self.found(org).jobs.insert(id.clone());
                Seq::MIN
            }
            Line::Fingerprint { org, .. } => {
                self.found(org);
                Seq::MIN
            }
            Line::Registered { .. } => {
                self.mark.registered += 1;
                Seq::MIN
            }
            Line::Push { seq, .. } => {
                self.mark.pushes += 1;
                *seq
            }
            Line::PushCounts { org, .. } => {
                self.mark.push_counts += 1;
                self.found(org);
                Seq::MIN
            }
            Line::JobChanges { org, id, changes } => {
                self.found(org).lists.insert(id.clone(), changes.clone());
                return Some(());
            }
        };
        self.mark.sequence = self.mark.sequence.max(seq);
        let (key, value) = entry(line)?;
        self.push(key, value);
        Some(())
    }

    fn found(&mut self, org: &str) -> &mut Found {
        self.orgs.entry(org.to_owned()).or_default()
    }

    fn push(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.writes.push((key, value));
    }

    fn put(&mut self, key: &Key<'_>, payload: &[u8]) {
        let key = key.bytes();
        let value = frame::seal(&key, payload);
        self.push(key, Some(value));
    }

    fn commit(&mut self, disk: &mut SledDisk) -> Result<(), StoreError> {
        self.bytes = 0;
        let writes = std::mem::take(&mut self.writes);
        disk.commit(writes).map_err(|text| StoreError::Write { dir: disk.db_dir().to_owned(), text })
    }

    /// Adds what makes it a database: the jobs' lists, the ledgers, the mark, and at last the format, without which it
    /// does not open. Says what is missing.
    fn finish(&mut self) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (org, mut found) in std::mem::take(&mut self.orgs) {
            let mut broken = false;
            for (id, list) in &found.lists {
                broken |= !found.jobs.contains(id) || list.iter().any(|seq| !found.changes.contains(seq));
            }
            for id in &found.jobs {
                broken |= !found.lists.contains_key(id);
                let list = found.lists.get(id).into_iter().flatten();
                let list: Vec<Seq> = list.filter(|seq| found.changes.contains(seq)).copied().collect();
                self.put(&Key::JobChanges { org: &org, id }, &encode_numbers(list.iter()));
            }
            found.ledger.jobs = found.jobs.len() as u64;
            let counts = &mut found.ledger.counts;
            let records = counts.records_in.saturating_sub(counts.ended() + counts.open());
            let was = counts.records_in;
            counts.records_in = counts.ended() + counts.open();
            if broken || !found.has_ledger || was != counts.records_in {
                losses.push(Loss { org: org.clone(), records, counts: !found.has_ledger });
            }
            self.put(&Key::Ledger { org: &org }, &found.ledger.encode());
            self.mark.orgs += 1;
        }
        let mark = self.mark.encode();
        self.put(&Key::Mark, &mark);
        self.put(&Key::Format, &Writer::default().u32(FORMAT).done());
        losses
    }
}
