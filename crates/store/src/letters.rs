//! The dead letters of one org: which are kept, and what becomes of one when its record is refused again or goes in after all.
//!
//! ```text
//! refused ─▶ letter ─ refused again for the same reason ─▶ the same letter, counted once more
//!              │ retry                                              ▲
//!              ├─▶ set aside until it is known what came of it ─────┤
//!              ├─ written, or nothing is to be written any more ────┼─▶ gone, with a row that says so
//!              └─ discarded, or room is needed ─────────────────────┴─▶ gone
//! ```
//!
//! Here: the index in memory, and those rules. Not here: what a letter says (`dead_letter.rs`), the counts and rows that go
//! with them (`org.rs`), reading one (`engine.rs`).
//!
//! Invariant: of the letters that stand, no two are of one sync, target, record and reason.
//! Invariant: a letter goes by itself only for what was decided after it was seen last.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    commands::NewDead,
    dead_letter::{DEAD_LETTERS_MAX, DeadLetter, LETTER_SUBJECTS_MAX, ReasonKey, cause, hash},
    entry::StoredDeadLetter,
    keys::Key,
    refusal::Mended,
    seq::Seq,
    step::Step,
    unix_ms::UnixMs,
};

/// The letters of one org.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    /// Every one that is stored.
    known: BTreeMap<Seq, Known>,
    /// What letters are looked for by, and which these are.
    names: BTreeSet<(u64, Seq)>,
    /// In the order in which they make room.
    by_seen: BTreeSet<(Seq, Seq)>,
    /// Those that were retried, and of which nothing is known yet.
    aside: usize,
    /// Those that the command under way looks at, as they are by now.
    hand: BTreeMap<Seq, DeadLetter>,
    /// Those that it has changed.
    touched: BTreeSet<Seq>,
}

/// What is known of a letter without reading it.
#[derive(Debug)]
struct Known {
    group: ReasonKey,
    names: Vec<u64>,
    seen: Seq,
    first_ms: UnixMs,
    last_ms: UnixMs,
    count: u64,
    records: u64,
    retried: bool,
}

/// Letters of one reason, by what is known without reading them.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: ReasonKey,
    pub(crate) letters: u64,
    pub(crate) records: u64,
    pub(crate) count: u64,
    pub(crate) first_ms: UnixMs,
    pub(crate) last_ms: UnixMs,
    pub(crate) highest: Seq,
    /// The one that was seen last.
    pub(crate) newest: Seq,
    newest_seen: Seq,
}

/// What a letter, or a refusal, is looked for by.
fn identity(sync: &str, target: &str, name: &str, reason: &str) -> u64 {
    hash(["identity", sync, target, name, &told_by(sync, target, reason)])
}

/// By what of its reason a letter is told from others of its record. Of an event there is a letter for each bad entry, so
/// the numbers of those count.
fn told_by<'a>(sync: &str, target: &str, reason: &'a str) -> Cow<'a, str> {
    if sync.is_empty() && target.is_empty() { Cow::Borrowed(reason) } else { Cow::Owned(cause(reason)) }
}

fn by_key(sync: &str, target: &str, key: &str) -> u64 {
    hash(["key", sync, target, key])
}

/// Of one that ended before its target was known.
fn early(sync: &str, record: &str) -> u64 {
    hash(["early", sync, record])
}

fn by_record(sync: &str, record: &str) -> u64 {
    hash(["record", sync, record])
}

fn names(letter: &DeadLetter) -> Vec<u64> {
    let DeadLetter { sync, target, key, reason, subjects, .. } = letter;
    let mut names = vec![identity(sync, target, letter.name(), reason)];
    names.push(if target.is_empty() { early(sync, letter.name()) } else { by_key(sync, target, key) });
    names.extend(subjects.iter().map(|subject| by_record(sync, &subject.record)));
    names.sort_unstable();
    names.dedup();
    names
}

impl Letters {
    /// How many are stored.
    pub(crate) fn stored(&self) -> usize {
        self.known.len()
    }

    /// How many stand.
    pub(crate) fn standing(&self) -> usize {
        self.known.len() - self.aside
    }

    /// Does it stand?
    pub(crate) fn stands(&self, seq: Seq) -> bool {
        self.known.get(&seq).is_some_and(|known| !known.retried)
    }

    /// Numbers of all that are stored.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Seq> {
        self.known.keys().copied()
    }

    /// Numbers of those that stand below a number, newest first, of one group if there is one.
    pub(crate) fn before(&self, before: Seq, group: Option<ReasonKey>) -> impl Iterator<Item = Seq> {
        let older = self.known.range(..before).rev();
        let wanted = move |known: &Known| !known.retried && group.is_none_or(|group| group == known.group);
        older.filter(move |(_, known)| wanted(known)).map(|(seq, _)| *seq)
    }

    /// Those that stand, by reason, the largest group first.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut groups: BTreeMap<ReasonKey, Group> = BTreeMap::new();
        for (seq, known) in self.known.iter().filter(|(_, known)| !known.retried) {
            let group = groups.entry(known.group).or_insert_with(|| Group {
                key: known.group,
                letters: 0,
                records: 0,
                count: 0,
                first_ms: known.first_ms,
                last_ms: known.last_ms,
                highest: *seq,
                newest: *seq,
                newest_seen: known.seen,
            });
            group.letters += 1;
            group.highest = group.highest.max(*seq);
            group.records += known.records;
            group.count = group.count.saturating_add(known.count);
            group.first_ms = group.first_ms.min(known.first_ms);
            group.last_ms = group.last_ms.max(known.last_ms);
            if known.seen > group.newest_seen {
                (group.newest, group.newest_seen) = (*seq, known.seen);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| other.letters.cmp(&one.letters).then(one.key.cmp(&other.key)));
        groups
    }

    /// One that was found on disk.
    pub(crate) fn restore(&mut self, letter: &DeadLetter) {
        self.index(letter);
    }

    /// Numbers of those that these refusals may be: they are to be taken up before.
    pub(crate) fn of_refusals(&self, dead: &[NewDead]) -> BTreeSet<Seq> {
        let of = |one: &NewDead| self.same("", one.subject.record.as_str(), &one.sync, &one.reason);
        if self.known.is_empty() { BTreeSet::new() } else { dead.iter().flat_map(of).collect() }
    }

    /// Numbers of those that a refusal of a change may be.
    pub(crate) fn of_refusal(&self, sync: &str, target: &str, key: &str, reason: &str) -> Vec<Seq> {
        self.same(target, key, sync, reason)
    }

    /// Numbers of those that are needed no more.
    pub(crate) fn of_mended(&self, mended: &[Mended]) -> BTreeSet<Seq> {
        if self.known.is_empty() {
            return BTreeSet::new();
        }
        mended.iter().flat_map(|one| self.of_one(one)).collect()
    }

    fn of_one(&self, mended: &Mended) -> Vec<Seq> {
        let Mended { sync, record, key } = mended;
        match key {
            None => self.named(by_record(sync, record)).collect(),
            Some((target, key)) => {
                let names = [by_key(sync, target, key), early(sync, record)];
                names.into_iter().flat_map(|name| self.named(name)).collect()
            }
        }
    }

    fn same(&self, target: &str, name: &str, sync: &str, reason: &str) -> Vec<Seq> {
        // Those of a version that did not store the sync are the same one, too.
        let names = [identity(sync, target, name, reason), identity("", target, name, reason)];
        names.into_iter().flat_map(|name| self.named(name)).collect()
    }

    fn named(&self, name: u64) -> impl Iterator<Item = Seq> {
        self.names.range((name, Seq::MIN)..=(name, Seq::MAX)).map(|(_, seq)| *seq)
    }

    /// Begins a command, with those that it may change.
    pub(crate) fn take_up(&mut self, letters: Vec<DeadLetter>) {
        self.touched.clear();
        self.hand = letters.into_iter().map(|letter| (letter.seq, letter)).collect();
    }

    /// Takes a refusal in: `letter` as it would be if it were the first. Gives back the number of the letter that it is.
    pub(crate) fn add(&mut self, step: &mut Step<'_>, mut letter: DeadLetter) -> Seq {
        let same = self.same(&letter.target, letter.name(), &letter.sync, &letter.reason);
        let is_same = |other: &&DeadLetter| {
            (other.sync.is_empty() || other.sync == letter.sync)
                && (&other.target, other.name()) == (&letter.target, letter.name())
                && told_by(&other.sync, &other.target, &other.reason)
                    == told_by(&other.sync, &other.target, &letter.reason)
        };
        match same.iter().filter_map(|seq| self.hand.get(seq)).find(is_same) {
            None => letter.seq = step.number(),
            Some(known) => {
                letter.seq = known.seq;
                letter.first_ms = known.first_ms.min(letter.first_ms);
                letter.last_ms = known.last_ms.max(letter.last_ms);
                // Several refusals of one commit are one.
                let again = u64::from(!self.touched.contains(&known.seq));
                letter.count = known.count.saturating_add(again);
                if !known.retried {
                    let is_there =
                        |record: &str| letter.subjects.iter().any(|subject| subject.record == record);
                    let others = known.subjects.iter().filter(|subject| !is_there(&subject.record));
                    let others: Vec<_> = others.cloned().collect();
                    letter.subjects.extend(others);
                }
            }
        }
        letter.subjects.truncate(LETTER_SUBJECTS_MAX);
        letter.seen = step.mark.sequence;
        self.forget_aside(step, &letter);
        let seq = letter.seq;
        self.put(letter);
        while self.known.len() > DEAD_LETTERS_MAX
            && let Some((_, oldest)) = self.by_seen.first().copied()
        {
            self.remove(step, oldest);
        }
        seq
    }

    /// What was set aside for another reason has come to an end by this one.
    fn forget_aside(&mut self, step: &mut Step<'_>, letter: &DeadLetter) {
        let DeadLetter { seq, sync, target, key, .. } = letter;
        let name = if target.is_empty() { early(sync, letter.name()) } else { by_key(sync, target, key) };
        let is_aside = |other: &Seq| other != seq && self.known.get(other).is_some_and(|known| known.retried);
        let aside: Vec<Seq> = self.named(name).filter(is_aside).collect();
        for seq in aside {
            self.remove(step, seq);
        }
    }

    /// Sets one aside, as its records are asked for once more.
    pub(crate) fn set_aside(&mut self, seq: Seq) {
        if let Some(letter) = self.hand.get(&seq).cloned() {
            self.put(DeadLetter { retried: true, ..letter });
        }
    }

    /// Takes those away that are needed no more by what was decided with numbers from `decided` on; gives back those of them
    /// that stood.
    pub(crate) fn close(&mut self, step: &mut Step<'_>, mended: &Mended, decided: Seq) -> Vec<DeadLetter> {
        let mut closed = Vec::new();
        for seq in self.of_one(mended) {
            let Some(letter) = self.hand.get(&seq) else { continue };
            let is_meant = letter.sync == mended.sync
                && match &mended.key {
                    None => letter.subjects.iter().any(|subject| subject.record == mended.record),
                    Some(_) if letter.target.is_empty() => letter.name() == mended.record,
                    Some((target, key)) => (&letter.target, &letter.key) == (target, key),
                };
            if is_meant && letter.seen < decided && !self.touched.contains(&seq) {
                closed.extend(self.remove(step, seq).filter(|letter| !letter.retried));
            }
        }
        closed
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, step: &mut Step<'_>, seq: Seq) -> Option<DeadLetter> {
        self.unindex(seq);
        self.touched.remove(&seq);
        step.remove(&Key::DeadLetter(seq));
        self.hand.remove(&seq)
    }

    /// Writes what the command has changed.
    pub(crate) fn write(&mut self, step: &mut Step<'_>) {
        for seq in std::mem::take(&mut self.touched) {
            if let Some(letter) = self.hand.remove(&seq) {
                let stored = StoredDeadLetter { org: step.org.to_owned(), letter };
                step.put(&Key::DeadLetter(seq), &stored.encode());
            }
        }
        self.hand.clear();
    }

    fn put(&mut self, letter: DeadLetter) {
        self.unindex(letter.seq);
        self.index(&letter);
        self.touched.insert(letter.seq);
        self.hand.insert(letter.seq, letter);
    }

    fn index(&mut self, letter: &DeadLetter) {
        let (seq, names) = (letter.seq, names(letter));
        self.names.extend(names.iter().map(|name| (*name, seq)));
        self.by_seen.insert((letter.seen, seq));
        self.aside += usize::from(letter.retried);
        let known = Known {
            group: letter.reason_key(),
            names,
            seen: letter.seen,
            first_ms: letter.first_ms,
            last_ms: letter.last_ms,
            count: letter.count,
            records: letter.records(),
            retried: letter.retried,
        };
        self.known.insert(seq, known);
    }

    fn unindex(&mut self, seq: Seq) {
        let Some(known) = self.known.remove(&seq) else { return };
        for name in known.names {
            self.names.remove(&(name, seq));
        }
        self.by_seen.remove(&(known.seen, seq));
        self.aside -= usize::from(known.retried);
    }
}
