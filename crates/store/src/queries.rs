//! What can be asked of the store.
//!
//! Here: the calls that change nothing on disk and nothing in the queues. Not here: reading an entry (`engine.rs`), which
//! changes are taken (`engine.rs`, `egress.rs`).

use std::collections::{BTreeMap, HashMap};

use crate::{
    commands::{
        Change, HEAD_BYTES_MAX, Head, HistoryKey, Job, Lane, LedgerRow, OpenChanges, Progress, PushCounts,
        Request,
    },
    dead_letter::{DeadLetter, LETTER_GROUPS_MAX, LetterGroup, ReasonKey},
    engine::Engine,
    entry::{StoredPage, StoredRequest},
    error::StoreError,
    fingerprints,
    keys::Key,
    ledger::{Counts, KeptCounts},
    seq::Seq,
    sizes,
    unix_ms::UnixMs,
};

/// Pages of rows read for one call; whoever wants more asks again, so that nobody waits long.
const PAGES_READ_MAX: usize = 256;

impl Engine {
    pub(crate) fn position(&mut self, org: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        sizes::org(org)?;
        sizes::name(org, "name of a position", name)?;
        Ok(self.read(&Key::Position { org, name })?.filter(|value| !value.is_empty()))
    }

    pub(crate) fn ingress_head(&mut self, org: &str, records_max: u64) -> Result<Vec<Request>, StoreError> {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        for seq in self.index.orgs.get(org).map(|found| found.head(records_max)).unwrap_or_default() {
            let key = Key::Request(seq);
            let stored = self.must_read(&key, |payload| StoredRequest::decode(seq, payload))?;
            bytes += stored.request.body.len();
            if bytes > HEAD_BYTES_MAX && !requests.is_empty() {
                break;
            }
            requests.push(stored.request);
        }
        Ok(requests)
    }

    pub(crate) fn ingress_behind(
        &mut self,
        org: &str,
        lane: Lane,
        after: Seq,
        records_max: u64,
    ) -> Result<Head, StoreError> {
        let (mut head, mut bytes) = (Head { given: self.index.mark.sequence, ..Head::default() }, 0);
        let found = self.index.orgs.get(org);
        let (numbers, all) = found.map_or((Vec::new(), true), |found| found.behind(lane, after, records_max));
        head.complete = all;
        for seq in numbers {
            let key = Key::Request(seq);
            let stored = self.must_read(&key, |payload| StoredRequest::decode(seq, payload))?;
            bytes += stored.request.body.len();
            if bytes > HEAD_BYTES_MAX && !head.requests.is_empty() {
                head.complete = false;
                break;
            }
            head.requests.push(stored.request);
        }
        Ok(head)
    }

    /// Those of the changes that are on egress.
    pub(crate) fn open_changes_of(&mut self, org: &str, numbers: &[Seq]) -> Result<Vec<Change>, StoreError> {
        let found = self.index.orgs.get(org);
        let known = |seq: &&Seq| found.is_some_and(|found| found.egress.get(**seq).is_some());
        let numbers: Vec<Seq> = numbers.iter().filter(known).copied().collect();
        self.changes(numbers)
    }

    pub(crate) fn open_changes(
        &mut self,
        org: &str,
        target: &str,
        keys: Vec<String>,
    ) -> Result<OpenChanges, StoreError> {
        let mut all = OpenChanges::new();
        for key in keys {
            let found = self.index.orgs.get(org);
            let open: Vec<Seq> =
                found.into_iter().flat_map(|found| found.egress.open(target, &key)).collect();
            if !open.is_empty() {
                let changes = self.changes(open)?;
                all.insert(key, changes.into_iter().map(|change| change.body).collect());
            }
        }
        Ok(all)
    }

    /// What is remembered of those of the records of which something is.
    pub(crate) fn fingerprints(
        &mut self,
        org: &str,
        target: &str,
        keys: Vec<String>,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut all = BTreeMap::new();
        for key in keys {
            let number = fingerprints::number(target, &key);
            if self.index.orgs.get(org).is_some_and(|found| found.fingerprints.has(number))
                && let Some(bytes) = self.read(&Key::Fingerprint { org, number })?
            {
                all.insert(key, bytes);
            }
        }
        Ok(all)
    }

    /// The values of a kind, in the order of their names.
    pub(crate) fn registry(&mut self, kind: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let names = self.index.registry.names(kind).into_iter();
        let values = names.map(|name| {
            let value =
                self.must_read(&Key::Registered { kind, name: &name }, |value| Some(value.to_vec()))?;
            Ok((name, value))
        });
        values.collect()
    }

    /// One value of a kind, if it is there.
    pub(crate) fn registered(&mut self, kind: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.index.registry.has(kind, name) {
            return Ok(None);
        }
        self.must_read(&Key::Registered { kind, name }, |value| Some(value.to_vec())).map(Some)
    }

    /// The values of these keys, where there are any.
    pub(crate) fn history(&mut self, keys: &[HistoryKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let known = |engine: &Self, key: &HistoryKey| engine.index.history.has(key);
        let values = keys.iter().map(|key| {
            if !known(self, key) {
                return Ok(None);
            }
            self.must_read(&key.key(), |value| Some(value.to_vec())).map(Some)
        });
        values.collect()
    }

    pub(crate) fn jobs(&mut self, org: &str) -> Result<Vec<Job>, StoreError> {
        let jobs = self.index.orgs.get(org).map(|found| found.jobs.clone()).unwrap_or_default();
        let mut answer = Vec::with_capacity(jobs.len());
        for (id, changes) in jobs {
            let body = self.must_read(&Key::Job { org, id: &id }, |body| Some(body.to_vec()))?;
            answer.push(Job { id: id.to_string(), body, changes: self.changes(changes)? });
        }
        Ok(answer)
    }

    pub(crate) fn orgs(&self) -> Vec<(String, Counts)> {
        let stored = self.index.orgs.iter().filter(|(_, found)| found.has_anything());
        let mut orgs: Vec<_> = stored.map(|(org, found)| (org.clone(), found.ledger.counts)).collect();
        orgs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        orgs
    }

    /// The counts of the same orgs, with the dead letters that are kept of each.
    pub(crate) fn ledgers(&self) -> HashMap<String, KeptCounts> {
        let stored = self.index.orgs.iter().filter(|(_, found)| found.has_anything());
        let kept = stored.map(|(org, found)| {
            let dead_letters = found.letters.standing() as u64;
            (org.clone(), KeptCounts { counts: found.ledger.counts, dead_letters })
        });
        kept.collect()
    }

    /// Numbers of all pushes, oldest first.
    pub(crate) fn pushes(&self) -> Vec<Seq> {
        self.index.pushes.iter().copied().collect()
    }

    /// What the orgs have counted for a push, by name; those in which no record was found for it are not among them.
    pub(crate) fn push_counts(&self, push: Seq) -> Vec<(String, PushCounts)> {
        let counted = self.index.orgs.iter().filter_map(|(org, found)| Some((org, found.pushes.of(push)?)));
        let mut counts: Vec<_> = counted.map(|(org, counts)| (org.clone(), counts)).collect();
        counts.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        counts
    }

    /// How many such counts there are, over all orgs and pushes.
    pub(crate) fn push_counts_kept(&self) -> u64 {
        self.index.mark.push_counts
    }

    pub(crate) fn counts(&self, org: &str) -> Counts {
        self.index.orgs.get(org).map(|found| found.ledger.counts).unwrap_or_default()
    }

    pub(crate) fn progress(&self, org: &str) -> Progress {
        let given = self.index.mark.sequence;
        let none = Progress { given, ..Progress::default() };
        self.index.orgs.get(org).map_or(none, |found| found.progress(given))
    }

    pub(crate) fn next_due_ms(&self, org: &str) -> Option<UnixMs> {
        self.index.orgs.get(org)?.egress.next_due_ms()
    }

    pub(crate) fn dead_letters(
        &mut self,
        org: &str,
        group: Option<ReasonKey>,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let Some(found) = self.index.orgs.get(org) else { return Ok(Vec::new()) };
        let older: Vec<Seq> = found.letters.before(before, group).take(limit).collect();
        older.into_iter().map(|seq| self.letter(seq)).collect()
    }

    /// Reads one letter of each group.
    pub(crate) fn letter_groups(&mut self, org: &str) -> Result<Vec<LetterGroup>, StoreError> {
        let groups = self.index.orgs.get(org).map(|found| found.letters.groups()).unwrap_or_default();
        let read = groups.into_iter().take(LETTER_GROUPS_MAX).map(|group| {
            Ok(LetterGroup {
                key: group.key,
                letters: group.letters,
                records: group.records,
                count: group.count,
                first_ms: group.first_ms,
                last_ms: group.last_ms,
                highest: group.highest,
                sample: self.letter(group.newest)?,
            })
        });
        read.collect()
    }

    /// Rows that are wanted, newest first, from a number of pages before the given one. The second answer is where to
    /// go on; None if there is nothing older. Pages whose newest row ended before `since_ms` are not read.
    pub(crate) fn rows(
        &mut self,
        org: &str,
        wanted: impl Fn(&LedgerRow) -> bool,
        before: Seq,
        since_ms: UnixMs,
    ) -> Result<(Vec<LedgerRow>, Option<Seq>), StoreError> {
        let Some(found) = self.index.orgs.get(org) else { return Ok((Vec::new(), None)) };
        let is_recent = |seq: &Seq| self.index.pages.get(seq).is_none_or(|(_, last_ms)| *last_ms >= since_ms);
        let older = found.rows.pages.iter().rev().copied().filter(|seq| *seq < before).take_while(is_recent);
        let pages: Vec<Seq> = older.take(PAGES_READ_MAX + 1).collect();
        let more = pages.get(PAGES_READ_MAX - 1).copied().filter(|_| pages.len() > PAGES_READ_MAX);
        let mut rows = Vec::new();
        for seq in pages.into_iter().take(PAGES_READ_MAX) {
            let page =
                self.must_read(&Key::Page(seq), |payload| StoredPage::decode(payload)?.decode_rows())?;
            rows.extend(page.into_iter().rev().filter(&wanted));
        }
        Ok((rows, more))
    }

    /// Changes that are wanted of those that wait or are being written, oldest first, from a number of changes after the
    /// given one. The second answer is where to go on.
    pub(crate) fn changes_that(
        &mut self,
        org: &str,
        wanted: impl Fn(&Change) -> bool,
        after: Seq,
    ) -> Result<(Vec<Change>, Option<Seq>), StoreError> {
        let Some(found) = self.index.orgs.get(org) else { return Ok((Vec::new(), None)) };
        let numbers = found.egress.after(after, PAGES_READ_MAX + 1);
        let more = numbers.get(PAGES_READ_MAX - 1).copied().filter(|_| numbers.len() > PAGES_READ_MAX);
        let changes = self.changes(numbers.into_iter().take(PAGES_READ_MAX))?;
        Ok((changes.into_iter().filter(wanted).collect(), more))
    }
}
