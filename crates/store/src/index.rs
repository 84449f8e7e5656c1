//! All orgs in memory, rebuilt from the entries at opening.
//!
//! Here: reading every entry once, and holding what was found against the ledgers and the highest number given: a
//! damaged database may open with some entries missing, which no checksum tells. Not here: what the orgs do then (`org.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    commands::{Change, HistoryKey, Push, units},
    disk::Disk,
    egress::{Flight, Waiting},
    entry::{
        FORMAT, Mark, StoredChange, StoredDeadLetter, StoredPage, StoredRequest, decode_numbers,
        decode_push_counts, is_known_format,
    },
    error::StoreError,
    frame::{self, Reader},
    history::HistoryList,
    keys::Key,
    ledger::Ledger,
    org::Org,
    registry::Registry,
    seq::Seq,
    unix_ms::UnixMs,
};

/// All orgs, and what is stored about the database as a whole.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) orgs: HashMap<String, Org>,
    pub(crate) mark: Mark,
    /// What belongs to no org.
    pub(crate) registry: Registry,
    /// What the service has done.
    pub(crate) history: HistoryList,
    /// What is asked of several orgs at once, by number.
    pub(crate) pushes: BTreeSet<Seq>,
    /// All pages of rows, with their org and the time of their newest row.
    pub(crate) pages: BTreeMap<Seq, (Arc<str>, UnixMs)>,
}

/// Is the database of a format that we know? To be asked before anything else in it is read. None if it is new, or
/// does not say.
pub(crate) fn check_format(disk: &dyn Disk) -> Result<Option<u32>, StoreError> {
    let key = Key::Format.bytes();
    let Some(value) = disk.get(&key)? else { return Ok(None) };
    let payload = frame::open(&key, &value).map_err(|what| StoreError::damaged(&Key::Format, what))?;
    match Reader::new(payload).u32() {
        Some(found) if !is_known_format(found) => Err(StoreError::Format { found, known: FORMAT }),
        found => Ok(found),
    }
}

/// Collects entries, in any order, into an index.
#[derive(Default)]
pub(crate) struct Rebuild {
    orgs: HashMap<String, FoundOrg>,
    format: Option<u32>,
    mark: Option<Mark>,
    registry: Registry,
    history: HistoryList,
    pushes: BTreeSet<Seq>,
    pages: BTreeMap<Seq, (Arc<str>, UnixMs)>,
    highest: Seq,
    entries: u64,
}

/// What was found of one org.
#[derive(Default)]
struct FoundOrg {
    org: Org,
    changes: BTreeMap<Seq, Waiting>,
    jobs: BTreeSet<String>,
    lists: BTreeMap<String, Vec<Seq>>,
    pages: BTreeSet<Seq>,
}

impl Rebuild {
    /// Takes one entry as it is stored.
    pub(crate) fn add(&mut self, key_bytes: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let Some(key) = Key::parse(key_bytes) else {
            return Err(StoreError::damaged(
                &"an entry",
                format!("has an unknown key of {} bytes", key_bytes.len()),
            ));
        };
        let payload = frame::open(key_bytes, value).map_err(|what| StoreError::damaged(&key, what))?;
        self.entries += 1;
        self.place(key, payload)
            .ok_or_else(|| StoreError::damaged(&key, "does not have the fields it must have"))
    }

    fn place(&mut self, key: Key<'_>, payload: &[u8]) -> Option<()> {
        match key {
            Key::Format => self.format = Some(Reader::new(payload).u32()?),
            Key::Mark => self.mark = Some(Mark::decode(payload)?),
            Key::Ledger { org } => {
                let found = self.found(org);
                found.org.ledger = Ledger::decode(payload)?;
                found.org.stored = true;
            }
            Key::Position { org, name } => {
                self.found(org).org.positions.insert(name.to_owned());
            }
            Key::Request(seq) => {
                let StoredRequest { org, request } = StoredRequest::decode(seq, payload)?;
                self.highest = self.highest.max(seq);
                self.found(&org).org.ingress.insert((request.lane, seq), request.records);
            }
            Key::Change(seq) => {
                let StoredChange { org, due_ms, change } = StoredChange::decode(seq, payload)?;
                self.highest = self.highest.max(seq);
                let Change { lane, target, key, subjects, .. } = change;
                let units = units(&subjects);
                let (target, key) = (Arc::from(target), Arc::from(key));
                let waiting = Waiting { lane, target, key, units, due_ms, flight: Flight::Free };
                self.found(&org).changes.insert(seq, waiting);
            }
            Key::DeadLetter(seq) => {
                let stored = StoredDeadLetter::decode(seq, payload)?;
                self.highest = self.highest.max(seq);
                self.found(&stored.org).org.letters.restore(&stored.letter);
            }
            Key::Page(seq) => {
                let StoredPage { org, last_ms, .. } = StoredPage::decode(payload)?;
                self.highest = self.highest.max(seq);
                self.found(&org).pages.insert(seq);
                self.pages.insert(seq, (Arc::from(org), last_ms));
            }
            Key::Job { org, id } => {
                self.found(org).jobs.insert(id.to_owned());
            }
            Key::JobChanges { org, id } => {
                self.found(org).lists.insert(id.to_owned(), decode_numbers(payload)?);
            }
            Key::Fingerprint { org, number } => {
                self.found(org).org.fingerprints.restore(number, payload.len());
            }
            Key::Registered { kind, name } => self.registry.restore(kind, name, payload.len()),
            Key::History { level, start, name } => {
                let key = HistoryKey { level, start, name: name.to_owned() };
                self.history.restore(key, payload.len());
            }
            Key::Push(seq) => {
                Push::decode(payload)?;
                self.highest = self.highest.max(seq);
                self.pushes.insert(seq);
            }
            Key::PushCounts { org, push } => {
                let counts = decode_push_counts(payload)?;
                self.found(org).org.pushes.restore(push, counts);
            }
        }
        Some(())
    }

    fn found(&mut self, org: &str) -> &mut FoundOrg {
        self.orgs.entry(org.to_owned()).or_default()
    }

    /// Checks that all is there, up to the number in the superblock. None if the database is new.
    pub(crate) fn finish(self, given_before: Option<Seq>) -> Result<Option<Index>, StoreError> {
        if self.entries == 0 {
            return match given_before {
                None => Ok(None),
                Some(_) => Err(StoreError::damaged(&"the database", "is empty, and was not before")),
            };
        }
        match self.format {
            Some(found) if is_known_format(found) => {}
            Some(found) => return Err(StoreError::Format { found, known: FORMAT }),
            None => return Err(StoreError::damaged(&Key::Format, "is missing")),
        }
        let mark = self.mark.ok_or_else(|| StoreError::damaged(&Key::Mark, "is missing"))?;
        if let Some(given) = given_before.filter(|given| *given > mark.sequence) {
            let what = format!(
                "says {} numbers were given, but {given} were: the newest entries are gone",
                mark.sequence
            );
            return Err(StoreError::damaged(&Key::Mark, what));
        }
        if self.highest > mark.sequence {
            let what = format!(
                "says {} numbers were given, but an entry has number {}",
                mark.sequence, self.highest
            );
            return Err(StoreError::damaged(&Key::Mark, what));
        }
        let orgs = self.orgs.values().filter(|found| found.org.stored).count() as u64;
        if orgs != mark.orgs {
            return Err(StoreError::damaged(
                &Key::Mark,
                format!("says there are {} orgs, but there are {orgs}", mark.orgs),
            ));
        }
        let registered = self.registry.len();
        if registered != mark.registered {
            return Err(StoreError::damaged(
                &Key::Mark,
                format!("says there are {} registered values, but there are {registered}", mark.registered),
            ));
        }
        let history = self.history.len();
        if history != mark.history {
            let what =
                format!("says there are {} values of the history, but there are {history}", mark.history);
            return Err(StoreError::damaged(&Key::Mark, what));
        }
        let pushes = (self.pushes.len() as u64, self.orgs.values().map(|found| found.org.pushes.len()).sum());
        if pushes != (mark.pushes, mark.push_counts) {
            let what = format!(
                "says there are {} pushes and {} counts of them, but there are {} and {}",
                mark.pushes, mark.push_counts, pushes.0, pushes.1
            );
            return Err(StoreError::damaged(&Key::Mark, what));
        }
        let orgs = self.orgs.into_iter().map(|(name, found)| {
            let org = found.finish(&name)?;
            Ok((name, org))
        });
        let (registry, history, pushes, pages) = (self.registry, self.history, self.pushes, self.pages);
        let orgs = orgs.collect::<Result<_, StoreError>>()?;
        Ok(Some(Index { orgs, mark, registry, history, pushes, pages }))
    }
}

impl FoundOrg {
    fn finish(self, name: &str) -> Result<Org, StoreError> {
        let Self { mut org, mut changes, jobs, lists, pages } = self;
        for (id, list) in lists {
            let key = Key::JobChanges { org: name, id: &id };
            if !jobs.contains(&id) {
                return Err(StoreError::damaged(&key, "has no job"));
            }
            let id: Arc<str> = Arc::from(id.as_str());
            for seq in &list {
                let Some(waiting) = changes.get_mut(seq) else {
                    return Err(StoreError::damaged(&key, format!("names change {seq}, which is missing")));
                };
                waiting.flight = Flight::Job(Arc::clone(&id));
            }
            org.jobs.insert(Arc::clone(&id), list.into_iter().collect());
        }
        for (seq, waiting) in changes {
            if !org.egress.restore(seq, waiting) {
                return Err(StoreError::damaged(
                    &Key::Change(seq),
                    "stands behind too many, or out of order",
                ));
            }
        }
        org.newest_request = org.ingress.keys().map(|(_, seq)| *seq).max().unwrap_or_default();
        org.rows.pages = pages.into_iter().collect();
        check(name, &org, jobs.len() as u64)?;
        Ok(org)
    }
}

/// Does the ledger say what was found?
fn check(name: &str, org: &Org, jobs: u64) -> Result<(), StoreError> {
    let Ledger { counts, requests, changes, jobs: jobs_kept, dead_letters, positions, pages } = org.ledger;
    let records = org.ingress.values().map(|records| u64::from(*records)).sum();
    let pairs = [
        ("requests", requests, org.ingress.len() as u64),
        ("changes", changes, org.egress.len()),
        ("jobs", jobs_kept, jobs),
        ("lists of a job's changes", jobs_kept, org.jobs.len() as u64),
        ("dead letters", dead_letters, org.letters.stored() as u64),
        ("positions", positions, org.positions.len() as u64),
        ("pages of rows", pages, org.rows.pages.len() as u64),
        ("records in requests", counts.open_ingress, records),
        ("records in changes", counts.open_egress, org.egress.units()),
        ("records in all places", counts.records_in, counts.ended().saturating_add(counts.open())),
    ];
    match pairs.into_iter().find(|(_, expected, found)| expected != found) {
        Some((what, expected, found)) => {
            Err(StoreError::Unaccounted { org: name.to_owned(), what, expected, found })
        }
        None => Ok(()),
    }
}
