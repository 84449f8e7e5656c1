//! One org's queues and ledger in memory.
//!
//! Here: what they hold, what can be asked of them, and the dead letters and rows that every command may add. Not here:
//! the commands (`append.rs`, `settle.rs`, `resolve.rs`), reading or writing (`engine.rs`), the order in which changes are
//! offered (`egress.rs`).
//!
//! Invariant: a command checks all it was given first, then changes the memory and says what is to be written; a command
//! that is refused has changed nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    commands::{Change, End, Lane, LedgerRow, NewDead, Progress, Subject, units},
    dead_letter::DeadLetter,
    egress::Egress,
    fingerprints::Fingerprints,
    keys::Key,
    ledger::Ledger,
    letters::Letters,
    pushes::PushLedger,
    refusal::{self, Mended},
    rows::Rows,
    seq::Seq,
    sizes::cut,
    step::Step,
    unix_ms::UnixMs,
};

/// One org.
#[derive(Debug, Default)]
pub(crate) struct Org {
    pub(crate) ledger: Ledger,
    /// Has the ledger ever been written?
    pub(crate) stored: bool,
    pub(crate) positions: BTreeSet<String>,
    /// Waiting requests of both lanes with their records, in the order in which they are offered.
    pub(crate) ingress: BTreeMap<(Lane, Seq), u32>,
    pub(crate) egress: Egress,
    /// Per job its changes that have no outcome yet.
    pub(crate) jobs: BTreeMap<Arc<str>, BTreeSet<Seq>>,
    pub(crate) letters: Letters,
    pub(crate) rows: Rows,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) pushes: PushLedger,
    /// Number of the newest request since the store was opened, or that waited then.
    pub(crate) newest_request: Seq,
}

/// What is known of an ended record beside its subject.
pub(crate) struct Ended<'a> {
    pub(crate) end: End,
    pub(crate) at_ms: UnixMs,
    /// The change that carried it or the dead letter it became, if there was one.
    pub(crate) seq: Option<Seq>,
    pub(crate) tries: u32,
    pub(crate) target: &'a str,
    pub(crate) key: &'a str,
    pub(crate) target_id: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) by: &'a str,
}

impl Org {
    /// Every entry of it is to go.
    /// Also one for which no record has come in has something stored: its positions.
    pub(crate) fn has_anything(&self) -> bool {
        self.ledger.counts.records_in > 0 || !self.positions.is_empty()
    }

    pub(crate) fn forget(&self, step: &mut Step<'_>) {
        let org = step.org;
        step.remove(&Key::Ledger { org });
        for name in &self.positions {
            step.remove(&Key::Position { org, name });
        }
        for id in self.jobs.keys() {
            step.remove(&Key::Job { org, id });
            step.remove(&Key::JobChanges { org, id });
        }
        for number in self.fingerprints.numbers() {
            step.remove(&Key::Fingerprint { org, number });
        }
        self.pushes.forget_all(step);
        let requests = self.ingress.keys().map(|(_, seq)| Key::Request(*seq));
        let changes = self.egress.after(Seq::MIN, usize::MAX).into_iter().map(Key::Change);
        let letters = self.letters.numbers().map(Key::DeadLetter);
        let pages = self.rows.pages.iter().copied().map(Key::Page);
        for key in requests.chain(changes).chain(letters).chain(pages) {
            step.remove(&key);
        }
    }

    pub(crate) fn set_positions(&mut self, step: &mut Step<'_>, positions: Vec<(String, Vec<u8>)>) {
        for (name, value) in positions {
            step.put(&Key::Position { org: step.org, name: &name }, &value);
            self.positions.insert(name);
        }
        self.ledger.positions = self.positions.len() as u64;
    }

    pub(crate) fn end_positions(&mut self, step: &mut Step<'_>, names: Vec<String>) {
        for name in names {
            if self.positions.remove(&name) {
                step.remove(&Key::Position { org: step.org, name: &name });
            }
        }
        self.ledger.positions = self.positions.len() as u64;
    }

    /// How far its work has come.
    pub(crate) fn progress(&self, given: Seq) -> Progress {
        let first =
            |lane| self.ingress.range((lane, Seq::MIN)..=(lane, Seq::MAX)).next().map(|((_, seq), _)| *seq);
        let oldest_request = [Lane::Live, Lane::Refresh].into_iter().filter_map(first).min();
        let (oldest_change, ended_changes) = (self.egress.oldest(), self.egress.ended());
        Progress { given, oldest_request, oldest_change, ended_changes }
    }

    /// Numbers of the oldest requests of a lane behind a number, as far as they fit, and whether these are all.
    pub(crate) fn behind(&self, lane: Lane, after: Seq, records_max: u64) -> (Vec<Seq>, bool) {
        let (mut sum, mut numbers) = (0_u64, Vec::new());
        for ((_, seq), records) in self.ingress.range((lane, after)..=(lane, Seq::MAX)) {
            if *seq == after {
                continue;
            }
            sum = sum.saturating_add(u64::from(*records));
            if sum > records_max && !numbers.is_empty() {
                return (numbers, false);
            }
            numbers.push(*seq);
        }
        (numbers, true)
    }

    /// Numbers of the next requests, live first, oldest first, as far as they fit.
    pub(crate) fn head(&self, records_max: u64) -> Vec<Seq> {
        let mut sum = 0_u64;
        let fits = self.ingress.iter().enumerate().take_while(|(at, (_, records))| {
            sum = sum.saturating_add(u64::from(**records));
            *at == 0 || sum <= records_max
        });
        fits.map(|(_, ((_, seq), _))| *seq).collect()
    }

    /// One row per subject, and its end in the counts of the pushes that asked for it.
    pub(crate) fn add_rows(&mut self, step: &mut Step<'_>, ended: &Ended<'_>, subjects: Vec<Subject>) {
        for subject in subjects {
            self.pushes.ended(ended.end, &subject.pushes);
            let row = LedgerRow {
                subject,
                end: ended.end,
                ended_ms: ended.at_ms,
                seq: ended.seq,
                tries: ended.tries,
                target: ended.target.to_owned(),
                key: ended.key.to_owned(),
                target_id: ended.target_id.to_owned(),
                reason: ended.reason.to_owned(),
                by: ended.by.to_owned(),
            };
            self.rows.add(step, row);
        }
    }

    pub(crate) fn add_superseded_rows(
        &mut self,
        step: &mut Step<'_>,
        change: Change,
        at_ms: UnixMs,
        newer: Seq,
    ) {
        let Change { seq, target, key, subjects, attempts: tries, .. } = change;
        let (end, reason) = (End::Superseded, format!("change {newer} came after it"));
        let (seq, target, key, reason) = (Some(seq), &*target, &*key, &*reason);
        let ended = Ended { end, at_ms, seq, tries, target, key, target_id: "", reason, by: "" };
        self.add_rows(step, &ended, subjects);
    }

    pub(crate) fn add_new_dead_letter(&mut self, step: &mut Step<'_>, letter: NewDead) {
        let NewDead { subject, sync, key, reason, hint, errors, body, at_ms } = letter;
        let letter = DeadLetter {
            seq: Seq::MIN,
            sync,
            first_ms: at_ms,
            last_ms: at_ms,
            count: 1,
            subjects: vec![subject],
            target: String::new(),
            key: cut(key),
            reason,
            hint,
            errors,
            attempts: 0,
            body,
            seen: Seq::MIN,
            retried: false,
        };
        self.add_dead_letter(step, letter, "");
    }

    /// Its records end in a dead letter, which may be one that stands already.
    pub(crate) fn add_dead_letter(&mut self, step: &mut Step<'_>, letter: DeadLetter, by: &str) {
        let letter = DeadLetter {
            reason: cut(letter.reason),
            hint: cut(letter.hint),
            errors: refusal::bounded(letter.errors),
            ..letter
        };
        let (subjects, attempts, at_ms) = (letter.subjects.clone(), letter.attempts, letter.last_ms);
        let (target, key, reason) = (letter.target.clone(), letter.key.clone(), letter.reason.clone());
        self.ledger.counts.dead += units(&subjects);
        let seq = self.letters.add(step, letter);
        let tries = if target.is_empty() { 0 } else { attempts.saturating_add(1) };
        let (end, target, key, reason) = (End::Dead, &*target, &*key, &*reason);
        let ended = Ended { end, at_ms, seq: Some(seq), tries, target, key, target_id: "", reason, by };
        self.add_rows(step, &ended, subjects);
        self.ledger.dead_letters = self.letters.stored() as u64;
    }

    /// Is the letter kept, and does it stand?
    pub(crate) fn has_letter(&self, seq: Seq) -> bool {
        self.letters.stands(seq)
    }

    /// The letter goes, by an operator's command: for good, or until it is known what came of its being retried. Its records
    /// stay counted as dead: that is how they ended.
    pub(crate) fn remove_dead_letter(
        &mut self,
        step: &mut Step<'_>,
        letter: DeadLetter,
        end: End,
        at_ms: UnixMs,
        by: &str,
    ) {
        if end == End::Retried {
            self.letters.set_aside(letter.seq);
        } else {
            self.letters.remove(step, letter.seq);
        }
        self.ledger.dead_letters = self.letters.stored() as u64;
        self.add_rows_about(step, letter, end, (at_ms, "", by));
    }

    /// Letters go that are needed no more by what was decided with numbers from `decided` on.
    pub(crate) fn close_letters(
        &mut self,
        step: &mut Step<'_>,
        mended: &Mended,
        decided: Seq,
        (at_ms, reason, by): (UnixMs, &str, &str),
    ) {
        for letter in self.letters.close(step, mended, decided) {
            self.add_rows_about(step, letter, End::Closed, (at_ms, reason, by));
        }
        self.ledger.dead_letters = self.letters.stored() as u64;
    }

    fn add_rows_about(
        &mut self,
        step: &mut Step<'_>,
        letter: DeadLetter,
        end: End,
        (at_ms, reason, by): (UnixMs, &str, &str),
    ) {
        let DeadLetter { seq, subjects, target, key, attempts: tries, .. } = letter;
        let (seq, target, key) = (Some(seq), &*target, &*key);
        let subjects = subjects.into_iter().map(|subject| Subject { units: 0, ..subject }).collect();
        let ended = Ended { end, at_ms, seq, tries, target, key, target_id: "", reason, by };
        self.add_rows(step, &ended, subjects);
    }
}
