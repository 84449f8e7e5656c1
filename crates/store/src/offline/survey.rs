//! A look at all that is in a store.
//!
//! Here: counting entries and naming what is wrong with them. Not here: how a result is printed (the program).

use std::{collections::BTreeMap, path::Path};

use crate::{
    disk::{Disk as _, SledDisk},
    entry::{StoredChange, StoredDeadLetter, StoredPage, StoredRequest},
    error::StoreError,
    files::bytes_in,
    frame,
    index::{Rebuild, check_format},
    keys::Key,
    ledger::{Counts, Ledger},
    options::Options,
};

/// Problems that are named; more are only counted.
const PROBLEMS_MAX: usize = 1_000;

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Each org, by name.
    pub orgs: Vec<OrgSurvey>,
    /// Values of the service as a whole.
    pub registered: u64,
    /// Entries that could be read.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub live_bytes: u64,
    /// Of these, the service's history.
    pub history_bytes: u64,
    /// Bytes of the database's files.
    pub disk_bytes: u64,
    /// What is wrong, in sentences; empty if all is well.
    pub problems: Vec<String>,
    /// Problems beyond those named.
    pub problems_more: u64,
}

/// What is in a store of one org.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgSurvey {
    /// Its name.
    pub org: String,
    /// Where its records are, by its ledger.
    pub counts: Counts,
    /// Requests that wait.
    pub requests: u64,
    /// Changes that wait or are being written.
    pub changes: u64,
    /// Jobs that are not finished.
    pub jobs: u64,
    /// Dead letters kept.
    pub dead_letters: u64,
    /// Bytes of keys and values, all kinds.
    pub bytes: u64,
    /// Of these, rows about ended records.
    pub row_bytes: u64,
}

impl Survey {
    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        } else {
            self.problems_more += 1;
        }
    }
}

/// Reads and checks every entry. What is wrong with entries is in the answer, not an error.
///
/// # Errors
/// A service has the store open, there is none, or it does not open at all.
pub fn survey(dir: &Path) -> Result<Survey, StoreError> {
    let disk = SledDisk::open_existing(dir, Options::OFFLINE)?;
    check_format(&disk)?;
    let (mut survey, mut orgs) = (Survey::default(), BTreeMap::new());
    let mut rebuild = Rebuild::default();
    disk.each_readable(&mut |found| match found {
        Ok((key, value)) => {
            let bytes = (key.len() + value.len()) as u64;
            survey.entries += 1;
            survey.live_bytes += bytes;
            survey.registered += u64::from(matches!(Key::parse(key), Some(Key::Registered { .. })));
            if matches!(Key::parse(key), Some(Key::History { .. })) {
                survey.history_bytes += bytes;
            }
            match rebuild.add(key, value) {
                Err(problem) => survey.problem(problem.to_string()),
                Ok(()) if !rows_are_whole(key, value) => {
                    survey.problem("a page of the ledger's rows has broken rows".to_owned());
                }
                Ok(()) => {}
            }
            count(&mut orgs, key, value, bytes);
            Ok(())
        }
        Err(lost) => {
            survey.problem(lost);
            Ok(())
        }
    })?;
    if let Err(problem) = rebuild.finish(disk.given_before()) {
        survey.problem(problem.to_string());
    }
    survey.disk_bytes = bytes_in(disk.db_dir())?;
    survey.orgs = orgs.into_values().collect();
    Ok(survey)
}

/// A page's rows are decoded only when somebody asks for them.
fn rows_are_whole(key: &[u8], value: &[u8]) -> bool {
    let Some(Key::Page(_)) = Key::parse(key) else { return true };
    let page = frame::open(key, value).ok().and_then(StoredPage::decode);
    page.is_some_and(|page| page.decode_rows().is_some())
}

fn count(orgs: &mut BTreeMap<String, OrgSurvey>, key: &[u8], value: &[u8], bytes: u64) {
    let Some(parsed) = Key::parse(key) else { return };
    let Some(name) = frame::open(key, value).ok().and_then(|payload| owner(parsed, payload)) else { return };
    let org = orgs.entry(name.clone()).or_insert_with(|| OrgSurvey { org: name, ..OrgSurvey::default() });
    org.bytes += bytes;
    match parsed {
        Key::Ledger { .. } => {
            let ledger = frame::open(key, value).ok().and_then(Ledger::decode);
            org.counts = ledger.unwrap_or_default().counts;
        }
        Key::Request(_) => org.requests += 1,
        Key::Change(_) => org.changes += 1,
        Key::DeadLetter(_) => org.dead_letters += 1,
        Key::Page(_) => org.row_bytes += bytes,
        Key::Job { .. } => org.jobs += 1,
        Key::Format
        | Key::Mark
        | Key::Position { .. }
        | Key::JobChanges { .. }
        | Key::Fingerprint { .. }
        | Key::Registered { .. }
        | Key::Push(_)
        | Key::PushCounts { .. }
        | Key::History { .. } => {}
    }
}

/// Whose entry it is; None if it belongs to no org or cannot be decoded.
fn owner(key: Key<'_>, payload: &[u8]) -> Option<String> {
    Some(match key {
        Key::Format | Key::Mark | Key::Registered { .. } | Key::Push(_) | Key::History { .. } => return None,
        Key::Ledger { org }
        | Key::Position { org, .. }
        | Key::Job { org, .. }
        | Key::JobChanges { org, .. }
        | Key::Fingerprint { org, .. }
        | Key::PushCounts { org, .. } => org.to_owned(),
        Key::Request(seq) => StoredRequest::decode(seq, payload)?.org,
        Key::Change(seq) => StoredChange::decode(seq, payload)?.org,
        Key::DeadLetter(seq) => StoredDeadLetter::decode(seq, payload)?.org,
        Key::Page(_) => StoredPage::decode(payload)?.org,
    })
}
