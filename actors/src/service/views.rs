//! What is told of your API and of the process itself.
//!
//! Here: two views, put together from counters. Not here: counting (`measure`), how they are shown (the program).

use std::{collections::BTreeMap, time::Duration};

use orgpipe_store::{UnixMs, offline::database_bytes};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Service, ledger::RoomView};
use crate::{
    measure::{HistogramView, LookupEnd},
    runtime::watchdog::ThreadStatus,
    vendor::lookup::BreakerState,
};

/// Your API, as all orgs ask it. Counters start with the service.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LookupView {
    /// Host and port.
    pub host: String,
    /// Whether it is asked now.
    pub breaker: BreakerState,
    /// Look-ups, also those that were not sent.
    pub calls: u64,
    /// Of these, those that brought nothing usable.
    pub failed: u64,
    /// Look-ups by how they ended.
    pub ends: BTreeMap<&'static str, u64>,
    /// Answers that came whole and could not be used.
    pub unusable: u64,
    /// How long an answer takes.
    pub latency: Latency,
    /// Look-ups under way.
    pub in_flight: u64,
    /// Those that wait for their turn.
    pub waiting: u64,
    /// At most so many at a time.
    pub concurrent_max: u64,
    /// At most so many a second.
    pub requests_per_second: u32,
}

/// How long something took, since the service started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// How often it was measured.
    pub count: u64,
    /// Half of them took no longer, in seconds; none if there were none.
    pub p50_secs: Option<f64>,
    /// Nineteen of twenty.
    pub p95_secs: Option<f64>,
    /// All but one in a hundred.
    pub p99_secs: Option<f64>,
    /// On average.
    pub mean_secs: Option<f64>,
}

impl From<&HistogramView> for Latency {
    fn from(view: &HistogramView) -> Self {
        Self {
            count: view.count,
            p50_secs: view.quantile(0.5),
            p95_secs: view.quantile(0.95),
            p99_secs: view.quantile(0.99),
            mean_secs: view.mean(),
        }
    }
}

/// The process itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProcessView {
    /// When this was true.
    pub at_ms: UnixMs,
    /// Version of orgpipe.
    pub version: &'static str,
    /// When the service was started.
    pub started_ms: UnixMs,
    /// How long ago that was.
    pub uptime_secs: u64,
    /// Memory that the process holds; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// The threads that actors run on.
    pub threads: Vec<ThreadStatus>,
    /// What survives a crash.
    pub store: StoreView,
    /// Room on its disk.
    pub data: RoomView,
}

/// The store. Counters start with the service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct StoreView {
    /// Bytes of the database's files; none if they cannot be looked at.
    pub disk_bytes: Option<u64>,
    /// Of what is in them, the short history.
    pub history_bytes: u64,
    /// Commits.
    pub commits: u64,
    /// Commits a second, on average.
    pub commits_per_sec: f64,
    /// How long a commit takes, flush included.
    pub commit_latency: Latency,
    /// Calls that share a commit, on average.
    pub calls_per_commit: Option<f64>,
    /// Calls that read.
    pub reads: u64,
}

impl Service {
    /// Your API: how it answers, and what waits for it.
    pub async fn lookup_view(&self) -> LookupView {
        let lookup = self.in_force.lock().await.common.shared.clients().lookup;
        let measured = self.measures().lookups;
        let ends: BTreeMap<&'static str, u64> =
            LookupEnd::ALL.into_iter().map(|end| (end.name(), measured.of(end))).collect();
        let turns = lookup.turns();
        LookupView {
            host: turns.host,
            breaker: lookup.breaker_state(),
            calls: ends.values().sum(),
            failed: measured.failed(),
            ends,
            unusable: measured.unusable,
            latency: Latency::from(&measured.duration),
            in_flight: turns.in_flight,
            waiting: turns.waiting,
            concurrent_max: turns.concurrent_max,
            requests_per_second: turns.requests_per_second,
        }
    }

    /// The process: threads, store, disk and memory.
    pub async fn process_view(&self) -> ProcessView {
        let at_ms = self.clock.now_ms();
        let uptime = at_ms.since(self.started_ms);
        let dir = self.data_dir.to_path_buf();
        let disk_bytes = tokio::task::spawn_blocking(move || database_bytes(&dir).ok());
        let commits = self.store_commits();
        let store = StoreView {
            disk_bytes: disk_bytes.await.ok().flatten(),
            history_bytes: self.history_bytes().await,
            commits: commits.duration.count,
            commits_per_sec: per_second(commits.duration.count, uptime),
            commit_latency: Latency::from(&commits.duration),
            calls_per_commit: commits.calls.mean(),
            reads: self.store_reads().total(),
        };
        ProcessView {
            at_ms,
            version: env!("CARGO_PKG_VERSION"),
            started_ms: self.started_ms,
            uptime_secs: uptime.as_secs(),
            memory_bytes: memory_bytes(),
            threads: self.threads(),
            store,
            data: self.room().await,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1.0)
}

/// What Linux says of this process.
fn memory_bytes() -> Option<u64> {
    resident_bytes(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_linux_says() {
        assert_eq!(resident_bytes("Name:\torgpipe\nVmRSS:\t  12 kB\nThreads:\t3\n"), Some(12 * 1024));
        assert_eq!(resident_bytes("Name:\torgpipe\n"), None);
    }
}
