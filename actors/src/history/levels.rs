//! What is kept of the history for how long, and what gives way when it takes too much room.
//!
//! Here: the decision, pure: the next thing to do, from the list of what is there. Not here: doing it (`service/history.rs`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_store::HistoryKey;

use super::block::Block;

/// Where the history has values, and the bytes of each.
pub(crate) type HistoryIndex = BTreeMap<HistoryKey, u64>;

/// Bytes for each org.
const ORG_BYTES_MAX: u64 = 5_000;
/// Orgs for which there is room at least, so that a few have the room that they need.
const ORGS_MIN: u64 = 100;
/// Orgs whose samples stand in one value.
const SERIES_MAX: usize = 64;
const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

/// How fine samples are, finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Of one minute, as it comes.
    Journal,
    Minutes,
    Quarters,
    Hours,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// All values of a level from one moment go.
    Drop(Level, u32),
    /// Values become coarser ones from `start`; `keep`: they stay themselves.
    Fold { from: Level, to: Level, start: u32, keep: bool },
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Journal, Self::Minutes, Self::Quarters, Self::Hours];

    pub(crate) fn of(key: &HistoryKey) -> Option<Self> {
        Self::ALL.get(usize::from(key.level)).copied()
    }

    pub(crate) fn key(self, start: u32, name: &str) -> HistoryKey {
        HistoryKey { level: self as u8, start, name: name.to_owned() }
    }

    /// Minutes of a sample.
    pub(crate) fn sample_mins(self) -> u32 {
        match self {
            Self::Journal | Self::Minutes => 1,
            Self::Quarters => 15,
            Self::Hours => HOUR,
        }
    }

    /// Minutes of a value.
    pub(crate) fn value_mins(self) -> u32 {
        match self {
            Self::Journal => 1,
            Self::Minutes => HOUR,
            Self::Quarters => 6 * HOUR,
            Self::Hours => DAY,
        }
    }

    /// Minutes for which a value is kept after its end.
    fn kept_mins(self) -> u32 {
        match self {
            Self::Journal | Self::Minutes => DAY,
            Self::Quarters | Self::Hours => 30 * DAY,
        }
    }
}

/// Bytes that the history of so many orgs may take.
pub(crate) fn bytes_max(orgs: usize) -> u64 {
    ORG_BYTES_MAX * (orgs as u64).max(ORGS_MIN)
}

/// Moments from which a level has values, oldest first.
fn starts(index: &HistoryIndex, level: Level) -> impl Iterator<Item = u32> {
    let range = level.key(0, "")..HistoryKey { level: level as u8 + 1, start: 0, name: String::new() };
    let all: BTreeSet<u32> = index.range(range).map(|(key, _)| key.start).collect();
    all.into_iter()
}

/// The values of a level that begin in `mins` minutes from `start`.
pub(crate) fn keys_in(index: &HistoryIndex, level: Level, start: u32, mins: u32) -> Vec<HistoryKey> {
    let range = level.key(start, "")..level.key(start.saturating_add(mins), "");
    index.range(range).map(|(key, _)| key.clone()).collect()
}

/// The next thing to do in minute `now`; none if all is as it should be. `may_age`: a value may go because it is too old.
///
/// A clock may be wrong for a moment, and the next value is right again. So what is to come by this clock stays until its room is
/// needed, and of what is too old only a little goes at a time, unless its room is needed, too.
pub(crate) fn next(index: &HistoryIndex, now: u32, bytes_max: u64, may_age: bool) -> Option<Chore> {
    let needs_room = index.values().sum::<u64>() > bytes_max;
    if let Some(chore) = aged(index, now).filter(|_| may_age || needs_room) {
        return Some(chore);
    }
    let over = |start: u32, level: Level| whole(start, level).saturating_add(level.value_mins()) <= now;
    if let Some(first) = starts(index, Level::Journal).next().filter(|first| over(*first, Level::Minutes)) {
        let start = whole(first, Level::Minutes);
        return Some(Chore::Fold { from: Level::Journal, to: Level::Minutes, start, keep: false });
    }
    let mut minutes = starts(index, Level::Minutes).filter(|start| over(*start, Level::Quarters));
    if let Some(first) = minutes.find(|start| !has_quarters(index, *start)) {
        let start = whole(first, Level::Quarters);
        return Some(Chore::Fold { from: Level::Minutes, to: Level::Quarters, start, keep: true });
    }
    if needs_room { ahead(index, now).or_else(|| gives_way(index, now)) } else { None }
}

/// Whether a chore is what only so many may be of at a time.
pub(crate) fn is_aged(chore: Chore, now: u32) -> bool {
    match chore {
        Chore::Drop(level, start) => is_old(level, start, now),
        Chore::Fold { .. } => false,
    }
}

/// The first moment of a value of a level, of that which has this minute.
fn whole(minute: u32, level: Level) -> u32 {
    minute / level.value_mins() * level.value_mins()
}

fn is_old(level: Level, start: u32, now: u32) -> bool {
    start.saturating_add(level.value_mins() + level.kept_mins()) <= now
}

/// What is older than anything is kept.
fn aged(index: &HistoryIndex, now: u32) -> Option<Chore> {
    Level::ALL.into_iter().find_map(|level| {
        let first = starts(index, level).next().filter(|start| is_old(level, *start, now))?;
        Some(Chore::Drop(level, first))
    })
}

/// What is to come, of a clock that ran ahead.
fn ahead(index: &HistoryIndex, now: u32) -> Option<Chore> {
    Level::ALL.into_iter().find_map(|level| {
        let last = starts(index, level).last().filter(|start| *start > now.saturating_add(HOUR))?;
        Some(Chore::Drop(level, last))
    })
}

fn has_quarters(index: &HistoryIndex, minute: u32) -> bool {
    !keys_in(index, Level::Quarters, whole(minute, Level::Quarters), 1).is_empty()
}

/// What gives way first: minutes of which there are quarters, then the fineness of older quarters, then what is old.
fn gives_way(index: &HistoryIndex, now: u32) -> Option<Chore> {
    let first = |level| starts(index, level).next();
    if let Some(start) = first(Level::Minutes).filter(|start| has_quarters(index, *start)) {
        return Some(Chore::Drop(Level::Minutes, start));
    }
    let day_older = |level: Level, days: u32| {
        let day = first(level)? / DAY * DAY;
        Some(day).filter(|day| day.saturating_add(DAY * (days + 1)) <= now)
    };
    let coarser = |start| Chore::Fold { from: Level::Quarters, to: Level::Hours, start, keep: false };
    if let Some(day) = day_older(Level::Quarters, 2) {
        return Some(coarser(day));
    }
    if let Some(day) = day_older(Level::Hours, 7) {
        return Some(Chore::Drop(Level::Hours, day));
    }
    if let Some(day) = day_older(Level::Quarters, 0) {
        return Some(coarser(day));
    }
    let oldest = [Level::Hours, Level::Quarters, Level::Minutes, Level::Journal];
    oldest.into_iter().find_map(|level| Some(Chore::Drop(level, first(level)?)))
}

/// Adds samples of a value to those of a coarser one, which may hold some already.
pub(crate) fn fold(into: &mut Block, level: Level, start: u32, from: (Level, u32), block: Block) {
    for (name, series) in block {
        let coarse = into.entry(name).or_default();
        for (slot, sample) in series {
            let minute = from.1 + slot * from.0.sample_mins();
            let slot = minute.saturating_sub(start) / level.sample_mins();
            match coarse.binary_search_by_key(&slot, |(slot, _)| *slot) {
                Ok(at) => coarse[at].1 = coarse[at].1.then(sample),
                Err(at) => coarse.insert(at, (slot, sample)),
            }
        }
    }
}

/// The moments of which values are read for points of `step` minutes from `from` to `until`, finest levels first but
/// minutes before the journal; with some before, as how an org stands at the first point is told in the hour before it.
///
/// Minutes are left out where points are no finer than the quarters that there are of them, and what is coarser where there is
/// something finer for all of it.
pub(crate) fn needed(index: &HistoryIndex, from: u32, until: u32, step: u32) -> Vec<(Level, u32)> {
    let first = from.saturating_sub(2 * HOUR);
    let mut needed = Vec::new();
    let mut covered: BTreeSet<u32> = BTreeSet::new();
    for level in [Level::Minutes, Level::Journal, Level::Quarters, Level::Hours] {
        let mins = level.value_mins();
        for start in starts(index, level).filter(|start| *start < until && start.saturating_add(mins) > first)
        {
            let hours = (start.max(first) / HOUR..start.saturating_add(mins).min(until).div_ceil(HOUR))
                .map(|hour| hour * HOUR);
            let is_told = match level {
                Level::Minutes => step >= Level::Quarters.sample_mins() && has_quarters(index, start),
                Level::Journal => false,
                Level::Quarters | Level::Hours => hours.clone().all(|hour| covered.contains(&hour)),
            };
            if !is_told {
                needed.push((level, start));
                if level != Level::Journal {
                    covered.extend(hours);
                }
            }
        }
    }
    needed
}

/// Splits a block into values: that of the whole service, then orgs by name, so many to a value.
pub(crate) fn values(block: Block) -> Vec<(String, Block)> {
    let mut values: Vec<(String, Block)> = Vec::new();
    for (name, series) in block {
        let full = |value: &(String, Block)| value.0.is_empty() || value.1.len() >= SERIES_MAX;
        if values.last().is_none_or(full) {
            values.push((name.clone(), Block::new()));
        }
        if let Some((_, last)) = values.last_mut() {
            last.insert(name, series);
        }
    }
    values
}

/// The value of a moment in which an org is, if it is in any.
pub(crate) fn key_of(index: &HistoryIndex, level: Level, start: u32, org: &str) -> Option<HistoryKey> {
    let found = index.range(level.key(start, "")..=level.key(start, org)).next_back()?.0;
    // That of the whole service has no other in it, but for a minute's, which has all.
    let fits = level == Level::Journal || found.name.is_empty() == org.is_empty();
    fits.then(|| found.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::history::{
        Sample,
        block::{decode, encode},
        tests::any_sample,
    };

    /// What the service does, without a store.
    #[derive(Default)]
    struct Kept {
        index: HistoryIndex,
        values: HashMap<HistoryKey, Vec<u8>>,
    }

    impl Kept {
        fn put(&mut self, level: Level, start: u32, block: Block) {
            let values = if level == Level::Journal { vec![(String::new(), block)] } else { values(block) };
            for (name, block) in values {
                let (key, value) = (level.key(start, &name), encode(&block));
                self.index.insert(key.clone(), key.stored_bytes(value.len()));
                self.values.insert(key, value);
            }
        }

        fn remove(&mut self, keys: &[HistoryKey]) -> Vec<(HistoryKey, Block)> {
            let read = keys.iter().map(|key| {
                self.index.remove(key);
                (key.clone(), decode(&self.values.remove(key).expect("a value"), |_| true).expect("a block"))
            });
            read.collect()
        }

        /// Does all that is to be done; says how often the history was longer than it may be afterwards.
        fn tidy(&mut self, now: u32, bytes_max: u64) {
            let mut aged = 0;
            while let Some(chore) = next(&self.index, now, bytes_max, aged < AGED) {
                aged += u32::from(is_aged(chore, now));
                match chore {
                    Chore::Drop(level, start) => drop(self.remove(&keys_in(&self.index, level, start, 1))),
                    Chore::Fold { from, to, start, keep } => {
                        let mut block = Block::new();
                        let there = keys_in(&self.index, to, start, to.value_mins());
                        self.remove(&there).into_iter().for_each(|(_, known)| block.extend(known));
                        let sources = keys_in(&self.index, from, start, to.value_mins());
                        for (key, source) in self.remove(&sources) {
                            fold(&mut block, to, start, (from, key.start), source.clone());
                            if keep {
                                let (key, value) = (key, encode(&source));
                                self.index.insert(key.clone(), key.stored_bytes(value.len()));
                                self.values.insert(key, value);
                            }
                        }
                        self.put(to, start, block);
                    }
                }
            }
            assert!(self.bytes() <= bytes_max, "{} of {bytes_max} bytes", self.bytes());
        }

        fn bytes(&self) -> u64 {
            self.index.values().sum()
        }

        /// Minutes of which there are samples of a level.
        fn mins(&self, level: Level) -> u32 {
            starts(&self.index, level).map(|_| level.value_mins()).sum()
        }

        fn sum(&self, level: Level, org: &str) -> Sample {
            let keys = self.index.keys().filter(|key| Level::of(key) == Some(level));
            let blocks = keys.filter_map(|key| decode(&self.values[key], |_| true)?.remove(org));
            blocks.flatten().map(|(_, sample)| sample).fold(Sample::default(), Sample::then)
        }
    }

    /// Values that may go at a time because they are too old.
    const AGED: u32 = 2;
    /// Begins with a day.
    const BEGIN: u32 = 20_000 * DAY;

    fn minute_of(orgs: impl Iterator<Item = (String, Sample)>) -> Block {
        orgs.map(|(org, sample)| (org, vec![(0, sample)])).collect()
    }

    #[test]
    fn a_day_of_minutes_and_thirty_of_quarters_are_kept_and_nothing_else() {
        let mut kept = Kept::default();
        let sample = Sample { events: 1, calls: 2, open: 3, ..Sample::default() };
        for minute in (BEGIN..BEGIN + 40 * DAY).filter(|minute| minute % 7 == 0) {
            let orgs = ["", "acme", "globex"].map(|org| (org.to_owned(), sample));
            kept.put(Level::Journal, minute, minute_of(orgs.into_iter()));
            kept.tidy(minute + 1, bytes_max(3));
        }
        assert_eq!(kept.mins(Level::Minutes), DAY);
        assert_eq!(kept.mins(Level::Quarters), 30 * DAY);
        assert_eq!((kept.mins(Level::Hours), kept.mins(Level::Journal)), (0, 9));
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_takes_next_to_nothing() {
        let mut kept = Kept::default();
        let sample = Sample { events: 1, ..Sample::default() };
        let end = BEGIN + 10 * DAY;
        for hour in (BEGIN..end).step_by(60) {
            kept.put(
                Level::Minutes,
                hour,
                minute_of(["", "acme"].map(|org| (org.to_owned(), sample)).into_iter()),
            );
            kept.tidy(hour + 60, u64::MAX);
        }
        let moments = |kept: &Kept| Level::ALL.map(|level| starts(&kept.index, level).count());
        let before = moments(&kept);
        assert_eq!(before, [0, 24, 40, 0]);
        kept.tidy(BEGIN, u64::MAX);
        assert_eq!(moments(&kept), before, "a clock that is behind");
        kept.tidy(end + 60 * DAY, u64::MAX);
        assert_eq!(
            moments(&kept).iter().sum::<usize>() + AGED as usize,
            before.iter().sum::<usize>(),
            "one that is ahead"
        );
        // What its room is needed for goes at once, the latest first.
        let (bytes, last) = (kept.bytes(), starts(&kept.index, Level::Minutes).last());
        kept.tidy(BEGIN, bytes - 1);
        assert!(starts(&kept.index, Level::Minutes).last() < last, "{last:?}");
        kept.tidy(end + 60 * DAY, 0);
        assert!(kept.index.is_empty(), "the bound is what counts");
    }

    #[test]
    fn only_levels_that_points_need_are_read() {
        let mut kept = Kept::default();
        let sample = Sample { events: 1, ..Sample::default() };
        let end = BEGIN + 3 * DAY + 10;
        for minute in
            (BEGIN..end).filter(|minute| minute % 5 == 0 && !(BEGIN + DAY..BEGIN + DAY + 30).contains(minute))
        {
            kept.put(
                Level::Journal,
                minute,
                minute_of(["", "acme"].map(|org| (org.to_owned(), sample)).into_iter()),
            );
            kept.tidy(minute + 1, u64::MAX);
        }
        // A clock that ran ahead.
        kept.put(Level::Hours, BEGIN + 300 * DAY, minute_of([(String::new(), sample)].into_iter()));
        let read = |mins: u32, step: u32| {
            let needed = needed(&kept.index, end - mins, end, step);
            Level::ALL.map(|level| needed.iter().filter(|(of, _)| *of == level).count())
        };
        assert_eq!(read(60, 1), [2, 3, 0, 0], "minutes of the hour before, too");
        assert_eq!(read(DAY, 5), [2, 24, 1, 0], "quarters for what is older than the minutes");
        assert_eq!(read(7 * DAY, 30), [2, 0, 12, 0]);
        let day = keys_in(&kept.index, Level::Quarters, BEGIN + DAY, DAY);
        for key in day {
            kept.index.remove(&key);
        }
        kept.put(Level::Hours, BEGIN + DAY, minute_of([(String::new(), sample)].into_iter()));
        let needed = needed(&kept.index, end - 7 * DAY, end, 30);
        assert!(needed.contains(&(Level::Hours, BEGIN + DAY)), "{needed:?}");
    }

    /// Bytes for each org are what a thousand orgs would have each; all of them do something in every minute.
    #[test]
    fn where_all_orgs_are_busy_all_the_time_the_bound_holds_for_thirty_days() {
        let (orgs, mut dice, mut kept) = (16, StdRng::seed_from_u64(7), Kept::default());
        let bound = ORG_BYTES_MAX * orgs;
        let mut api: Vec<u16> = (0..orgs).map(|_| dice.random_range(1..300)).collect();
        for hour in (BEGIN..BEGIN + 31 * DAY).step_by(60) {
            let mut block = Block::new();
            for (org, api) in api.iter_mut().enumerate() {
                let series = (0..60).map(|slot| {
                    let events = dice.random_range(0..20);
                    *api = (*api + u16::from(dice.random_bool(0.2))) % 900;
                    let sample = Sample {
                        events,
                        records_in: events + dice.random_range(0..3),
                        written: events.saturating_sub(dice.random_range(0..3)),
                        failed: u64::from(dice.random_bool(0.02)),
                        calls: dice.random_range(3..9),
                        lag: dice.random_range(90..96),
                        open: dice.random_range(0..6),
                        api: *api,
                    };
                    (slot, sample)
                });
                block.insert(format!("customer-{org:04}"), series.collect());
            }
            block.insert(String::new(), (0..60).map(|slot| (slot, Sample::default())).collect());
            kept.put(Level::Minutes, hour, block);
            kept.tidy(hour + 60, bound);
        }
        let [_, minutes, quarters, hours] = Level::ALL.map(|level| kept.mins(level) / HOUR);
        // What is said of it in GUARANTEES.md.
        assert!(
            minutes >= 1 && quarters >= 24 && quarters + hours >= 14 * 24,
            "{minutes} {quarters} {hours}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn folding_keeps_sums(minutes in vec(any_sample(), 1..400)) {
            let mut kept = Kept::default();
            let whole = minutes.iter().copied().fold(Sample::default(), Sample::then);
            let start = (BEGIN..).zip(&minutes);
            for (minute, sample) in start {
                kept.put(Level::Journal, minute, minute_of([("acme".to_owned(), *sample)].into_iter()));
            }
            kept.tidy(BEGIN + 6 * HOUR * 2, u64::MAX);
            prop_assert_eq!(kept.sum(Level::Minutes, "acme"), whole);
            prop_assert_eq!(kept.sum(Level::Quarters, "acme"), whole);
            let mut hours = Block::new();
            for (key, block) in kept.remove(&keys_in(&kept.index, Level::Quarters, BEGIN, DAY)) {
                fold(&mut hours, Level::Hours, BEGIN, (Level::Quarters, key.start), block);
            }
            let hours = hours["acme"].iter().fold(Sample::default(), |sum, (_, sample)| sum.then(*sample));
            prop_assert_eq!(hours, whole);
        }

        #[test]
        fn the_bound_holds_whatever_is_done_and_however_the_clock_goes(
            steps in vec((0..4_000_u32, any::<bool>(), vec(any_sample(), 0..30)), 1..60),
            bytes_max in 2_000..20_000_u64,
        ) {
            let (mut kept, mut now) = (Kept::default(), BEGIN);
            for (mins, back, samples) in steps {
                now = if back { now - mins / 20 } else { now + mins };
                let orgs = samples.into_iter().enumerate().map(|(at, sample)| (format!("org-{at}"), sample));
                kept.put(Level::Journal, now, minute_of(orgs));
                kept.tidy(now + 1, bytes_max);
            }
        }
    }

    #[test]
    fn an_org_is_found_in_the_value_that_has_it() {
        let mut kept = Kept::default();
        let orgs: Vec<String> = (0..200).map(|at| format!("org-{at:03}")).collect();
        let sample = Sample { events: 1, ..Sample::default() };
        let block: Block =
            orgs.iter().chain([&String::new()]).map(|org| (org.clone(), vec![(0, sample)])).collect();
        kept.put(Level::Minutes, BEGIN, block);
        assert_eq!(kept.index.len(), 5, "the whole service, and 200 orgs by 64");
        for org in orgs.iter().map(String::as_str).chain([""]) {
            let key = key_of(&kept.index, Level::Minutes, BEGIN, org).expect("a value");
            assert!(decode(&kept.values[&key], |_| true).expect("a block").contains_key(org), "{org}");
        }
        assert_eq!(key_of(&kept.index, Level::Minutes, BEGIN, "a"), None, "before the first of them");
        assert_eq!(key_of(&kept.index, Level::Minutes, BEGIN + HOUR, ""), None);
    }
}
