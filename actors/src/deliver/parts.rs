//! Which changes are sent together, and how. Pure.
//!
//! Here: lanes, sizes and order. Not here: sending (`rest`, `bulk`), what a change did to be sent apart (`outcome`).
//!
//! Changes of one parent stand together: Salesforce locks the parent for each transaction of 200 rows that writes to
//! its children, so two transactions with the same parent can fail each other (Bulk API 2.0 and Bulk API Developer
//! Guide, "General Guidelines for Data Loads").

use orgpipe_reconcile::{
    Operation,
    route::{BULK_CALLS, COLLECTIONS_MAX, WriteLane, route},
};

use super::outcome::{Outgoing, Resend};
use crate::settings::Limits;

/// Records of the smallest part that is made for those that lost a lock.
const APART_MIN: usize = 10;

/// How a part is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One call.
    Rest,
    /// One job.
    Bulk,
}

/// Changes of one target and operation that go together.
#[derive(Clone, Debug)]
pub(super) struct WritePart {
    /// How they are sent.
    pub way: Way,
    /// The changes, at least one.
    pub changes: Vec<Outgoing>,
}

/// All changes of one target, in parts; what was refused because of a lock after the others, in smaller parts the
/// oftener it was.
pub(super) fn parts(mut changes: Vec<Outgoing>, limits: Limits) -> Vec<WritePart> {
    changes.sort_by(|one, other| one.entry.source_id.cmp(&other.entry.source_id));
    let mut parts = Vec::new();
    for operation in [Operation::Upsert, Operation::Update, Operation::Delete] {
        for resend in [Resend::Usual, Resend::ByRest, Resend::Apart] {
            let alike =
                |change: &mut Outgoing| change.entry.operation == operation && change.resend == resend;
            let alike: Vec<Outgoing> = changes.extract_if(.., alike).collect();
            if !alike.is_empty() {
                add(&mut parts, alike, resend, limits);
            }
        }
    }
    parts
}

fn add(parts: &mut Vec<WritePart>, changes: Vec<Outgoing>, resend: Resend, limits: Limits) {
    let size = match resend {
        Resend::Usual if route(changes.len(), limits.bulk_from, limits.strategy) == WriteLane::Bulk => {
            parts.push(WritePart { way: Way::Bulk, changes });
            return;
        }
        Resend::Usual | Resend::ByRest => COLLECTIONS_MAX,
        Resend::Apart => {
            let attempts = changes.iter().map(|change| change.attempts).max().unwrap_or_default();
            (COLLECTIONS_MAX >> attempts.min(16)).max(APART_MIN)
        }
    };
    // So many small calls would cost more than a job of the losers alone.
    if resend == Resend::Apart && changes.len().div_ceil(size) >= BULK_CALLS {
        parts.push(WritePart { way: Way::Bulk, changes });
        return;
    }
    let mut rest = changes;
    while !rest.is_empty() {
        let tail = rest.split_off(cut(&rest, size));
        parts.push(WritePart { way: Way::Rest, changes: rest });
        rest = tail;
    }
}

/// Where to cut, so that at most `size` stand before it and no parent stands on both sides, if that can be.
fn cut(changes: &[Outgoing], size: usize) -> usize {
    if changes.len() <= size {
        return changes.len();
    }
    let parent = |place: usize| &changes[place].entry.source_id;
    (1..=size).rev().find(|&place| parent(place - 1) != parent(place)).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use orgpipe_reconcile::route::Strategy;

    use super::*;
    use crate::{
        queue_entry::{ChangeEntry, Origin, Row},
        settings::tests::org,
    };

    fn change(seq: u64, parent: usize, operation: Operation, resend: Resend, attempts: u32) -> Outgoing {
        let entry = ChangeEntry {
            v: 1,
            sync: "s".into(),
            target: "T".into(),
            external_id_field: "X".into(),
            external_id: seq.to_string(),
            operation,
            target_id: None,
            fields: Row::new(),
            fingerprint: String::new(),
            source_id: format!("{parent:04}"),
            origin: Origin::Live,
            gap: None,
            received_ms: 1,
        };
        Outgoing { seq, attempts, resend, entry }
    }

    fn alike(count: usize, parents: usize, resend: Resend, attempts: u32) -> Vec<Outgoing> {
        let one = |n: usize| change(n as u64, n % parents, Operation::Upsert, resend, attempts);
        (0..count).map(one).collect()
    }

    fn sizes(changes: Vec<Outgoing>, strategy: Strategy) -> Vec<(Way, usize)> {
        let limits = Limits { strategy, ..org().limits };
        parts(changes, limits).into_iter().map(|part| (part.way, part.changes.len())).collect()
    }

    #[test]
    fn count_and_history_decide_the_parts() {
        use Resend::{Apart, ByRest, Usual};
        use Strategy::{Cost, Count};
        let rest = |size, count| vec![(Way::Rest, size); count];
        let cases = [
            (alike(1, 1, Usual, 0), Count, rest(1, 1)),
            (alike(9, 9, Usual, 0), Count, rest(9, 1)),
            (alike(10, 9, Usual, 0), Count, vec![(Way::Bulk, 10)]),
            (alike(400, 400, Usual, 0), Cost, rest(200, 2)),
            (alike(400, 400, ByRest, 1), Count, rest(200, 2)),
            (alike(200, 200, Apart, 1), Count, rest(100, 2)),
            (alike(200, 200, Apart, 3), Count, vec![(Way::Bulk, 200)]),
            (alike(50, 50, Apart, 9), Count, rest(10, 5)),
            // 4 parents with 50 children each: two whole parents fit in 100, one in 75.
            (alike(200, 4, Apart, 1), Count, rest(100, 2)),
            (alike(120, 3, Apart, 2), Count, rest(40, 3)),
            (alike(60, 1, Apart, 2), Count, vec![(Way::Rest, 50), (Way::Rest, 10)]),
        ];
        for (number, (changes, strategy, expected)) in cases.into_iter().enumerate() {
            assert_eq!(sizes(changes, strategy), expected, "case {number}");
        }
    }

    #[test]
    fn operations_never_mix_and_nothing_is_lost() {
        let all = [Operation::Upsert, Operation::Update, Operation::Delete];
        let resends = [Resend::Usual, Resend::Apart, Resend::ByRest];
        let changes: Vec<Outgoing> =
            (0..450_usize).map(|n| change(n as u64, n % 7, all[n % 3], resends[n / 3 % 3], 1)).collect();
        let parts = parts(changes, org().limits);
        let mut seqs: Vec<u64> = parts.iter().flat_map(|part| &part.changes).map(|one| one.seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..450).collect::<Vec<u64>>());
        for part in parts {
            let first = &part.changes[0];
            let same =
                |one: &Outgoing| (one.entry.operation, one.resend) == (first.entry.operation, first.resend);
            assert!(part.changes.iter().all(same));
            assert!(part.changes.is_sorted_by_key(|one| &one.entry.source_id));
        }
    }
}
