//! What a preview takes, and what a refresh of all that it is a sample of would take. Pure.
//!
//! Here: the numbers of calls. Not here: counting the records (`preview`), the budget (`org/api/budget.rs`).

use orgpipe_reconcile::{
    matching::KEYS_MAX,
    route::{self, WriteLane},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    decide::outlook::Outlook,
    forecast::{pages, thousands, writing},
    org::api::gate::BudgetView,
    priority::Priority,
    settings::{Limits, RefreshSettings, SyncSettings},
};

/// What a preview takes at most, unless something goes wrong on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewCost {
    /// API calls of the org.
    pub api_calls: u64,
    /// Calls of the vendor's API.
    pub lookups: u64,
}

/// Of what a preview is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreviewScope<'a> {
    /// The records of the sample; none: it is one record by its ID.
    pub records: Option<usize>,
    /// The sync that runs, if there is one.
    pub running: Option<&'a SyncSettings>,
    /// The sync that is to be compared with it, or stands alone.
    pub proposed: Option<&'a SyncSettings>,
}

impl PreviewCost {
    /// Of a preview: a count and a page, or one record; and for each side a describe, the matching and the look-ups, which are
    /// shared where both ask for the same.
    pub(super) fn of(scope: PreviewScope<'_>) -> Self {
        let PreviewScope { records, running, proposed } = scope;
        let count = records.unwrap_or(1);
        let sides = || running.into_iter().chain(proposed);
        let counted = sides().filter(|sync| sync.refresh.is_some() && records.is_some()).count();
        let counts = if same_selection(running, proposed) { counted.min(1) } else { counted };
        let shares = running.zip(proposed).is_some_and(|(running, proposed)| {
            let knows = || is_part(&proposed.mapping.read_fields(), &running.mapping.read_fields());
            same_questions(running, proposed) && (records.is_some() || knows())
        });
        let reads = if records.is_some() || shares { 1 } else { sides().count() };
        // A record that is read by its ID is read with what hangs on it, if the sync matches by that.
        let relates =
            sides().filter(|sync| records.is_none() && sync.mapping.parent_field().is_some()).count();
        // A record that is the target itself is not looked for.
        let matches = |sync: &SyncSettings| {
            if sync.mapping.is_record_itself() { 1 } else { 1 + count.div_ceil(KEYS_MAX) }
        };
        let matches: usize = sides().map(matches).sum();
        let looks = sides().take(if shares { 1 } else { 2 });
        let lookups: usize = looks.map(|sync| count.div_ceil(sync.lookup_max())).sum();
        Self { api_calls: (counts + reads + relates + matches) as u64, lookups: lookups as u64 }
    }
}

fn is_part(some: &[String], all: &[String]) -> bool {
    some.iter().all(|one| all.iter().any(|other| other.eq_ignore_ascii_case(one)))
}

/// Whether both read the same records.
pub(super) fn same_selection(running: Option<&SyncSettings>, proposed: Option<&SyncSettings>) -> bool {
    let condition = |sync: &SyncSettings| sync.refresh.as_ref().map(|refresh| refresh.condition.clone());
    match (running, proposed) {
        (Some(running), Some(proposed)) => condition(running) == condition(proposed),
        _ => true,
    }
}

/// Whether the vendor's API is asked the same about a record.
fn same_questions(running: &SyncSettings, proposed: &SyncSettings) -> bool {
    running.mapping.keys() == proposed.mapping.keys()
}

/// What a refresh of all the records would take, as far as a sample tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WholeRun {
    /// Records that the refresh would read.
    pub records: u64,
    /// Whether nothing is estimated: all of them were in the sample, they are one batch, and no Bulk job writes them.
    pub exact: bool,
    /// Records of the target that would be made or changed.
    pub writes: u64,
    /// Calls of the org's API that count the records and describe the target.
    pub preparing_calls: u64,
    /// Calls that read the records.
    pub reading_calls: u64,
    /// Whether they are read by a Bulk query.
    pub reads_by_bulk: bool,
    /// Calls that look for the target's records.
    pub matching_calls: u64,
    /// Calls that write.
    pub writing_calls: u64,
    /// By which of the org's APIs: `one`, `collections` or `bulk`.
    pub writes_by: &'static str,
    /// All of them.
    pub api_calls: u64,
    /// Calls of the vendor's API.
    pub lookups: u64,
    /// How that stands against the org's budget of today, as a sentence.
    pub budget: String,
}

/// What a whole run is estimated from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis<'a> {
    pub sync: &'a SyncSettings,
    pub refresh: &'a RefreshSettings,
    pub limits: Limits,
    /// Records that the selection counts.
    pub total: u64,
    /// Whether the target is to be described first.
    pub describes: bool,
    /// Whether the sample is of the records that it reads itself.
    pub is_own_sample: bool,
}

impl WholeRun {
    /// Estimated from a sample of records.
    pub(super) fn of(basis: Basis<'_>, outlook: &Outlook, budget: &BudgetView) -> Self {
        let Basis { sync, refresh, limits, total, describes, is_own_sample } = basis;
        let sample = outlook.records();
        let all = |part: u64| if sample == 0 { 0 } else { (part * total).div_ceil(sample) };
        let writes = all(outlook.changes.len() as u64);
        let matching_calls = all(outlook.looked_for.unwrap_or(0) as u64).div_ceil(KEYS_MAX as u64);
        let reading_calls = pages(total, refresh.bulk_from);
        let writing_calls = writing(writes, limits.bulk_from, limits.strategy);
        let preparing_calls = 1 + u64::from(describes && outlook.looked_for.is_some());
        let api_calls = preparing_calls + reading_calls + matching_calls + writing_calls;
        let count = usize::try_from(writes).unwrap_or(usize::MAX);
        let lane = route::route(count, limits.bulk_from, limits.strategy);
        let (is_one_batch, by_bulk) = (total <= sync.lookup_max() as u64, matches!(lane, WriteLane::Bulk));
        let writes_by = match lane {
            WriteLane::One => "one",
            WriteLane::Collections => "collections",
            WriteLane::Bulk => "bulk",
        };
        Self {
            records: total,
            exact: is_own_sample && sample == total && is_one_batch && !by_bulk,
            writes,
            preparing_calls,
            reading_calls,
            reads_by_bulk: total >= refresh.bulk_from,
            matching_calls,
            writing_calls,
            writes_by,
            api_calls,
            lookups: all(outlook.looked_up()).div_ceil(sync.lookup_max() as u64),
            budget: budget_sentence(api_calls, budget),
        }
    }
}

/// How so many calls of a refresh stand against what is left of the day.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "call counts stay far below 2^52 and are not negative"
)]
fn budget_sentence(calls: u64, budget: &BudgetView) -> String {
    let BudgetView { allowed, used, ours, share, reserve, .. } = budget;
    let (Some(allowed), Some(used)) = (allowed, used) else {
        return "the org has not told yet how many calls it has a day".to_owned();
    };
    let part = |whole: u64, part: f64| (whole as f64 * part) as u64;
    let of_share = part(*share, Priority::Refresh.of_share()).saturating_sub(*ours);
    let of_day = allowed.saturating_sub(*used).saturating_sub(part(*reserve, Priority::Refresh.of_reserve()));
    let left = of_share.min(of_day);
    let [calls_told, left_told, allowed_told] = [calls, left, *allowed].map(thousands);
    if calls <= left {
        format!(
            "{calls_told} of the {left_told} calls that are left to refreshes today, of {allowed_told} that the org has"
        )
    } else {
        format!(
            "{calls_told} calls, and {left_told} are left to refreshes today, of {allowed_told} that the org has: it would \
             wait, and go on as calls become free"
        )
    }
}
