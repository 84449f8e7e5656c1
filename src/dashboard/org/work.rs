//! What an org has to do and what it does it with: records, API calls, refreshes, Bulk jobs, gaps, fields in quarantine.
//!
//! Here: what stands in each line; pure. Not here: where the numbers come from (`orgpipe_actors`).

use orgpipe_actors::{BudgetView, OrgView, Reading, Receipt, RefreshPlan};
use orgpipe_store::UnixMs;

use super::parts::{colour, moment};
use crate::{admin::names, dashboard::words};

/// A number with its name.
pub(crate) struct NumberTile {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) under: String,
    pub(crate) kind: &'static str,
}

/// Where the org's records are, and how fast.
pub(crate) fn tiles(org: &OrgView, letters: u64) -> Vec<NumberTile> {
    let records = org.records.unwrap_or_default();
    let tile = |name, value: String, under: String, kind| NumberTile { name, value, under, kind };
    let count = words::count;
    let lag = org.status.last_lag_ms.map_or_else(|| "–".to_owned(), words::millis);
    vec![
        tile("Under way", count(records.open), format!("of {} asked for", count(records.records_in)), ""),
        tile("Written", count(records.written), format!("{} superseded", count(records.superseded)), ""),
        tile("Unchanged", count(records.unchanged), format!("{} without data", count(records.no_data)), ""),
        tile("Lag", lag, "of the last write".to_owned(), ""),
        tile(
            "Dead letters",
            count(letters),
            format!("{} records ever", count(records.dead_letters)),
            if letters > 0 { "bad" } else { "" },
        ),
    ]
}

/// The day's API calls.
pub(crate) struct BudgetLines {
    /// Ours of our share, and all of what the org may: percent, class, words.
    pub(crate) meters: Vec<(&'static str, u8, &'static str, String)>,
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What waits for calls, and until when.
    pub(crate) waits: Vec<(&'static str, String, String)>,
}

pub(crate) fn budget(budget: &BudgetView) -> BudgetLines {
    let percent = |part: u64, whole: u64| {
        let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
        u8::try_from(percent).unwrap_or(100).min(100)
    };
    let mut meters = Vec::new();
    let ours = percent(budget.ours, budget.share);
    if budget.share > 0 {
        let told = format!("{} of {}", words::count(budget.ours), words::count(budget.share));
        meters.push(("Ours, of our share", ours, colour(ours), told));
    }
    if let (Some(used), Some(allowed)) = (budget.used, budget.allowed) {
        let all = percent(used, allowed);
        let told = format!("{} of {}", words::count(used), words::count(allowed));
        meters.push(("Everybody's, of the org's", all, colour(all), told));
    }
    let facts = vec![
        ("Kept free for the customer", format!("{} calls", words::count(budget.reserve))),
        ("Set aside for work under way", format!("{} calls", words::count(budget.planned))),
        ("Speed", format!("{} a second, {} at a time", budget.requests_per_second, budget.concurrent_max)),
    ];
    let wait = |wait: &orgpipe_actors::BudgetWait| {
        (names::priority(wait.work), words::sentence(&wait.why), words::moment(wait.until_ms))
    };
    BudgetLines { meters, facts, waits: budget.waits.iter().map(wait).collect() }
}

/// A sync's refresh.
pub(crate) struct RefreshLine {
    pub(crate) sync: String,
    /// Its badge and its word.
    pub(crate) badge: (&'static str, &'static str),
    /// When it runs by itself, and when it ended last.
    pub(crate) facts: String,
    pub(crate) run: Option<RunLine>,
    pub(crate) is_paused: bool,
}

/// A run under way.
pub(crate) struct RunLine {
    pub(crate) kind: &'static str,
    /// None as long as nobody knows how many there are.
    pub(crate) percent: Option<u8>,
    pub(crate) told: String,
    pub(crate) since: (String, String),
    /// Empty while it reads.
    pub(crate) waits: String,
    pub(crate) ends: String,
}

/// The syncs that can be refreshed.
pub(crate) fn refreshes(plans: &[RefreshPlan], now: UnixMs) -> Vec<RefreshLine> {
    plans.iter().map(|plan| refresh(plan, now)).collect()
}

fn refresh(plan: &RefreshPlan, now: UnixMs) -> RefreshLine {
    let badge = match (&plan.reading, plan.paused_ms) {
        (_, Some(_)) => ("paused", "paused"),
        (Some(reading), None) if !reading.waits.is_empty() => ("waiting", "waiting"),
        (Some(_), None) => ("running", "reading"),
        (None, None) => ("stopped", "not running"),
    };
    let facts = [
        plan.schedule.as_ref().map(|schedule| format!("all by `{schedule}`")),
        plan.changes.as_ref().map(|schedule| format!("changes by `{schedule}`")),
        plan.next_ms.map(|at| format!("next {}", words::moment(at))),
        plan.finished_ms.map(|at| format!("ended last {}", words::ago(at, now))),
        plan.paused_ms.map(|at| format!("paused {}", words::ago(at, now))),
    ];
    RefreshLine {
        sync: plan.sync.clone(),
        badge,
        facts: facts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        run: plan.reading.as_ref().map(|reading| run(reading, now)),
        is_paused: plan.paused_ms.is_some(),
    }
}

fn run(reading: &Reading, now: UnixMs) -> RunLine {
    let percent = reading
        .total
        .filter(|total| *total > 0)
        .map(|total| u8::try_from(reading.records.saturating_mul(100) / total).unwrap_or(100).min(100));
    let told = match reading.total {
        Some(total) => format!("{} of {} read", words::count(reading.records), words::count(total)),
        None => format!("{} read", words::count(reading.records)),
    };
    RunLine {
        kind: if reading.changed { "what has changed" } else { "all records" },
        percent,
        told,
        since: moment(reading.started_ms, now),
        waits: reading.waits.clone(),
        ends: reading.ends_ms.map(words::moment).unwrap_or_default(),
    }
}

/// A gap that is closed.
pub(crate) struct ReceiptLine {
    pub(crate) closed: (String, String),
    pub(crate) reason: &'static str,
    pub(crate) span: String,
    pub(crate) checked: String,
    pub(crate) changed: String,
    pub(crate) failed: u64,
}

pub(crate) fn receipts(receipts: &[Receipt], most: usize, now: UnixMs) -> Vec<ReceiptLine> {
    let line = |receipt: &Receipt| ReceiptLine {
        closed: moment(receipt.closed_ms, now),
        reason: receipt.reason.text(),
        span: format!(
            "{} to {}",
            receipt.from_ms.map_or_else(|| "the beginning".to_owned(), words::moment),
            words::moment(receipt.to_ms)
        ),
        checked: words::count(receipt.checked),
        changed: words::count(receipt.changed),
        failed: receipt.failed,
    };
    receipts.iter().take(most).map(line).collect()
}
