//! The short history: counted once a minute for all orgs, kept in the store, and told.
//!
//! Here: reading counters, reading and writing values. Not here: the encoding, what is kept for how long and what gives way
//! (`crate::history`, pure).
//!
//! Counters are compared with those of the minute before. One that goes back, as after a purge, counts as nothing for that
//! minute; those of a service that starts begin with what the ledger says then. What a killed service did since the last full
//! minute is not in its history; all else about it is.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use orgpipe_store::{HistoryKey, HistoryWrite, StoreError, UnixMs};
use tokio::task::yield_now;

use super::{
    Service,
    history_keeper::{Counters, KnownHistory},
};
use crate::{
    history::{
        Sample, api_class,
        block::{Block, decode, encode},
        chart::{History, HistorySpan, Timeline, points},
        lag_class,
        levels::{self, Chore, HistoryIndex, Level},
    },
    measure::HistogramView,
    supervise::supervisor::OrgError,
};

/// When a service that has just started counts for the first time, so that one that is killed over and over has a history,
/// too; and how long after the end of a minute it counts at the latest for that minute.
const FIRST: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
/// Orgs counted in a row, before others of the thread have their turn.
const ORGS_IN_A_ROW: usize = 256;
/// Of the lags of a minute.
const PERCENTILE: f64 = 0.95;
/// How old what is told of the last day may be; its points are minutes.
const DAY_AGE_MAX: Duration = Duration::from_secs(10);
/// Moments whose values are read at a time, when the history is told.
const MOMENTS_IN_A_READ: usize = 16;
/// Moments of which values go in one minute because they are too old; there are two in an hour at most. A clock that is wrong is
/// noticed before it has cost more than a few.
const AGED_MAX: u32 = 2;
/// Things to do about what is kept, in one minute: more than there ever should be.
const CHORES_MAX: usize = 10_000;

impl Service {
    /// Counts once a minute as long as the service runs; a panic in it costs that minute.
    pub(super) async fn keep_history(self) {
        actix_rt::time::sleep(FIRST).await;
        while self.supervisor.connected() {
            match AssertUnwindSafe(self.count_history()).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("the history lacks a minute: {error}"),
                Err(_) => tracing::error!("the history lacks a minute: it could not be counted"),
            }
            actix_rt::time::sleep(until_next(self.clock.now_ms())).await;
        }
    }

    /// Counts what was done since the last time, and does what is to be done about what is kept.
    pub(super) async fn count_history(&self) -> Result<(), StoreError> {
        let mut known = self.history.0.lock().await;
        let now = self.count_minute(&mut known).await?;
        let (bytes_max, mut aged) = (levels::bytes_max(self.orgs.all().len()), 0);
        for _ in 0..CHORES_MAX {
            let index = known.index.get_or_insert_default();
            let next = levels::next(index, now.saturating_add(1), bytes_max, aged < AGED_MAX);
            // Whoever stops waits for nothing that the next start can do.
            let Some(chore) = next.filter(|_| !self.phase.is_draining()) else { break };
            aged += u32::from(levels::is_aged(chore, now.saturating_add(1)));
            self.do_chore(index, chore).await?;
        }
        Ok(())
    }

    /// The same for a service that stops: what was done since the last time, and nothing else. The history may be folded just
    /// now, and is not waited for any longer than this.
    pub(super) async fn count_last(&self, patience: Duration) {
        let count = async {
            let mut known = self.history.0.lock().await;
            self.count_minute(&mut known).await
        };
        match actix_rt::time::timeout(patience, count).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!("the history lacks the last minute: {error}"),
            Err(_) => {
                tracing::error!("the history lacks the last minute: it was not counted within {patience:?}");
            }
        }
    }

    /// Counts what was done since the last time. Counters go on whatever the clock does, so a minute that was told already has
    /// more to tell after a clock was set back.
    async fn count_minute(&self, known: &mut KnownHistory) -> Result<u32, StoreError> {
        known.told.forget();
        self.know_index(known).await?;
        let now = minute(self.clock.now_ms());
        let block = self.counted(known, now).await;
        known.last = Some(now);
        self.add_to_journal(known, now, block).await?;
        Ok(now)
    }

    /// Asks the store what it has, once.
    async fn know_index(&self, known: &mut KnownHistory) -> Result<(), StoreError> {
        if known.index.is_none() {
            known.index = Some(self.store.history_keys().await?.into_iter().collect());
        }
        Ok(())
    }

    /// Bytes that the history takes in the store; 0 as long as nobody has asked for it.
    pub(super) async fn history_bytes(&self) -> u64 {
        self.history.0.lock().await.index.iter().flat_map(HistoryIndex::values).sum()
    }

    /// What every org did since the last time, and all of them together.
    async fn counted(&self, known: &mut KnownHistory, now: u32) -> Block {
        let (fleet, contexts) = (self.make_fleet().await, self.orgs.all());
        // Once an hour how things stand is told also of those where nothing happens.
        let all_stand = known.last.is_none_or(|last| last / 60 != now / 60);
        let (mut block, mut whole) = (Block::new(), Sample::default());
        for (at, org) in contexts.iter().enumerate() {
            if at % ORGS_IN_A_ROW == ORGS_IN_A_ROW - 1 {
                yield_now().await;
            }
            let Ok(row) = fleet.rows.binary_search_by(|row| row.id.as_str().cmp(org.id())) else { continue };
            let (row, measured) = (&fleet.rows[row], org.measures.view());
            let before = known.orgs.entry(org.id().to_owned()).or_default();
            let now = Counters {
                ledger: row.records.unwrap_or(before.ledger),
                events: measured.events,
                calls: measured.calls_total(),
                lag: measured.lag,
                open: row.records.map_or(before.open, |records| records.open),
                api: api_class(row.api_used, row.api_allowed),
            };
            let sample = now.since(before);
            whole = whole.and(&sample);
            let stands_otherwise = (now.open, now.api) != (before.open, before.api);
            let stands = all_stand && (now.open, now.api) != (0, 0);
            if !sample.is_idle() || stands_otherwise || stands {
                block.insert(org.id().to_owned(), vec![(0, sample)]);
            }
            *before = now;
        }
        let lag = self.measures.view().lag;
        whole.lag = percentile(&lag.since(&known.lag));
        known.lag = lag;
        let (used, allowed) = (fleet.totals.api_used, fleet.totals.api_allowed);
        whole.api = api_class(Some(used), Some(allowed));
        block.insert(String::new(), vec![(0, whole)]);
        block
    }

    /// Adds to what this minute has already, from before a restart.
    async fn add_to_journal(
        &self,
        known: &mut KnownHistory,
        now: u32,
        block: Block,
    ) -> Result<(), StoreError> {
        let (key, index) = (Level::Journal.key(now, ""), known.index.get_or_insert_default());
        let mut all = Block::new();
        if index.contains_key(&key) {
            all = self.blocks(vec![key.clone()]).await?.remove(0);
        }
        levels::fold(&mut all, Level::Journal, now, (Level::Journal, now), block);
        self.write_history(index, vec![(key, encode(&all))], Vec::new()).await
    }

    async fn do_chore(&self, index: &mut HistoryIndex, chore: Chore) -> Result<(), StoreError> {
        let (from, to, start, keep) = match chore {
            Chore::Drop(level, start) => {
                let remove = levels::keys_in(index, level, start, 1);
                return self.write_history(index, Vec::new(), remove).await;
            }
            Chore::Fold { from, to, start, keep } => (from, to, start, keep),
        };
        let mut block = Block::new();
        let (mins, mut remove) = (to.value_mins(), levels::keys_in(index, to, start, to.value_mins()));
        for key in remove.clone() {
            for known in self.blocks(vec![key]).await? {
                block.extend(known);
            }
        }
        let sources = levels::keys_in(index, from, start, mins);
        for key in &sources {
            for source in self.blocks(vec![key.clone()]).await? {
                levels::fold(&mut block, to, start, (from, key.start), source);
            }
            yield_now().await;
        }
        let mut put = Vec::new();
        for (name, value) in levels::values(block) {
            put.push((to.key(start, &name), encode(&value)));
            yield_now().await;
        }
        if !keep {
            remove.extend(sources);
        }
        self.write_history(index, put, remove).await
    }

    /// The values of these keys.
    async fn blocks(&self, keys: Vec<HistoryKey>) -> Result<Vec<Block>, StoreError> {
        let values = self.store.history(keys).await?;
        Ok(values.into_iter().map(|value| read_block(value, |_| true)).collect())
    }

    /// Writes, and notes what is there then.
    async fn write_history(
        &self,
        index: &mut HistoryIndex,
        put: Vec<(HistoryKey, Vec<u8>)>,
        remove: Vec<HistoryKey>,
    ) -> Result<(), StoreError> {
        let sizes: Vec<(HistoryKey, u64)> =
            put.iter().map(|(key, value)| (key.clone(), key.stored_bytes(value.len()))).collect();
        self.store.write_history(HistoryWrite { remove: remove.clone(), put }).await?;
        for key in &remove {
            index.remove(key);
        }
        index.extend(sizes);
        Ok(())
    }

    /// What an org did, or the whole service, in points that are evenly spaced: minutes of the last hour, and so on.
    ///
    /// # Errors
    /// [`OrgError::Unknown`] for an org that is not in the settings.
    pub async fn history(&self, org: Option<&str>, span: HistorySpan) -> Result<History, OrgError> {
        if let Some(org) = org {
            self.known(org)?;
        }
        let mut known = self.history.0.lock().await;
        self.know_index(&mut known).await?;
        let now = minute(self.clock.now_ms());
        let end = known.last.filter(|last| now.saturating_sub(*last) < 2).unwrap_or(now).saturating_add(1);
        if let Some(told) = known.told.find(end, org, span) {
            return Ok(told);
        }
        let (mins, step) = span.mins();
        let none = HistoryIndex::new();
        let index = known.index.as_ref().unwrap_or(&none);
        let needed = levels::needed(index, end.saturating_sub(mins), end, step);
        let lines = self.timelines(index, needed, org.unwrap_or_default()).await?;
        let points = points(span, end, &lines.0, &lines.1);
        let step_secs = u64::from(step) * MINUTE.as_secs();
        let history = History { org: org.map(str::to_owned), span, step_secs, points };
        known.told.keep(end, history.clone());
        Ok(history)
    }

    /// What the whole service did in the last 24 hours, or a little before: one is made for all who ask.
    pub async fn last_day(&self) -> Result<Arc<History>, OrgError> {
        let mut last = self.last_day.0.lock().await;
        let now = self.clock.monotonic();
        if let Some((made, day)) = &*last
            && now.saturating_sub(*made) < DAY_AGE_MAX
        {
            return Ok(Arc::clone(day));
        }
        let day = Arc::new(self.history(None, HistorySpan::Day).await?);
        *last = Some((now, Arc::clone(&day)));
        Ok(day)
    }

    /// The samples of the whole service and of an org in the values of these moments.
    async fn timelines(
        &self,
        index: &HistoryIndex,
        moments: Vec<(Level, u32)>,
        org: &str,
    ) -> Result<(Timeline, Timeline), StoreError> {
        let (mut all, mut one) = (Timeline::default(), Timeline::default());
        for of_level in moments.chunk_by(|(one, _), (other, _)| one == other) {
            for some in of_level.chunks(MOMENTS_IN_A_READ) {
                let keys = |(level, start): &(Level, u32)| {
                    let mut keys = ["", org].map(|name| levels::key_of(index, *level, *start, name)).to_vec();
                    keys.dedup();
                    keys
                };
                let keys: Vec<HistoryKey> = some.iter().flat_map(keys).flatten().collect();
                let values = self.store.history(keys.clone()).await?;
                for (key, value) in keys.iter().zip(values) {
                    let block = read_block(value, |name| name.is_empty() || name == org);
                    for (line, name) in [(&mut all, ""), (&mut one, org)] {
                        if let Some(series) = block.get(name) {
                            line.add(some[0].0, key.start, series);
                        }
                    }
                    yield_now().await;
                }
            }
            for (level, start) in of_level.iter().filter(|(level, _)| *level != Level::Journal) {
                for line in [&mut all, &mut one] {
                    line.cover(*start, level.value_mins());
                }
            }
        }
        Ok((all, one))
    }

    /// Takes an org out of all that is kept.
    pub(super) async fn forget_history(&self, org: &str) -> Result<(), StoreError> {
        let mut known = self.history.0.lock().await;
        known.orgs.remove(org);
        known.told.forget();
        self.know_index(&mut known).await?;
        let index = known.index.get_or_insert_default();
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        let mut moments: Vec<(Level, u32)> =
            index.keys().filter_map(|key| Some((Level::of(key)?, key.start))).collect();
        moments.dedup();
        for (level, start) in moments {
            let Some(key) = levels::key_of(index, level, start, org) else { continue };
            let mut block = self.blocks(vec![key.clone()]).await?.remove(0);
            if block.remove(org).is_none() {
                continue;
            }
            remove.push(key.clone());
            if let Some(first) = block.keys().next() {
                put.push((level.key(start, first), encode(&block)));
            }
        }
        self.write_history(index, put, remove).await
    }
}

impl Counters {
    /// What was done since, and how things stand.
    fn since(&self, before: &Self) -> Sample {
        let (now, then) = (&self.ledger, &before.ledger);
        Sample {
            events: self.events.saturating_sub(before.events),
            records_in: now.records_in.saturating_sub(then.records_in),
            written: now.written.saturating_sub(then.written),
            failed: now.dead_letters.saturating_sub(then.dead_letters),
            calls: self.calls.saturating_sub(before.calls),
            lag: percentile(&self.lag.since(&before.lag)),
            open: self.open,
            api: self.api,
        }
    }
}

impl Sample {
    /// Of two orgs at the same time; what does not add up is left as it is.
    fn and(self, other: &Self) -> Self {
        Self {
            events: self.events + other.events,
            records_in: self.records_in + other.records_in,
            written: self.written + other.written,
            failed: self.failed + other.failed,
            calls: self.calls + other.calls,
            open: self.open + other.open,
            ..self
        }
    }
}

/// Those that are wanted of a value. One that nobody can read is told of and counts as empty.
fn read_block(value: Option<Vec<u8>>, wanted: impl Fn(&str) -> bool) -> Block {
    let Some(value) = value else { return Block::new() };
    let block = decode(&value, wanted);
    if block.is_none() {
        tracing::error!("a value of the history cannot be read; it is left out");
    }
    block.unwrap_or_default()
}

fn percentile(lag: &HistogramView) -> u8 {
    lag.quantile(PERCENTILE).map_or(0, lag_class)
}

/// The minute that is counted at a moment: just behind its end still the last one.
fn minute(at: UnixMs) -> u32 {
    u32::try_from(at.saturating_sub(FIRST).0 / 60_000).unwrap_or(u32::MAX)
}

/// How long it is to the next full minute.
fn until_next(now: UnixMs) -> Duration {
    Duration::from_millis(60_000 - now.0 % 60_000)
}
