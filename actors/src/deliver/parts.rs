//! Which changes are sent together, and how. Pure.
//!
//! Here: carriers and order. Not here: sending (`send`, `bulk`), what a change did to be sent apart (`outcome`, `group`).
//!
//! Changes of one parent stand together: Salesforce locks the parent for each transaction of 200 rows that writes to
//! its children, so two transactions with the same parent can fail each other (Bulk API 2.0 and Bulk API Developer
//! Guide, "General Guidelines for Data Loads").

use orgpipe_reconcile::route::{BULK_CALLS, WriteLane, route};

use super::{
    group,
    outgoing::Outgoing,
    resend::{HALVINGS_BY_LOCKS_MAX, Way},
};
use crate::settings::Limits;

/// What a part is sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// One call.
    Rest,
    /// One job.
    Bulk,
}

/// Which ways are open just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Routes {
    /// Whether Bulk jobs may be opened.
    pub bulk: bool,
    /// Records of one call, at most.
    pub records_max: usize,
}

/// Changes of one target and operation that go together.
#[derive(Clone, Debug)]
pub(super) struct WritePart {
    /// What they are sent by.
    pub carrier: Carrier,
    /// The changes, at least one.
    pub changes: Vec<Outgoing>,
}

/// All changes of one target, in parts; what has failed before after the others, in smaller parts the oftener it has.
pub(super) fn parts(mut changes: Vec<Outgoing>, limits: Limits, routes: Routes) -> Vec<WritePart> {
    let before = |one: &Outgoing| (one.resend.halvings, one.resend.way == Way::Apart);
    changes.sort_by(|one, other| {
        before(one).cmp(&before(other)).then_with(|| one.entry.source_id.cmp(&other.entry.source_id))
    });
    let mut parts = Vec::new();
    while let Some(first) = changes.first() {
        let (operation, way, halvings) = (first.entry.operation, first.resend.way, first.resend.halvings);
        let alike = |change: &mut Outgoing| {
            let resend = change.resend;
            change.entry.operation == operation && (resend.way, resend.halvings) == (way, halvings)
        };
        let alike: Vec<Outgoing> = changes.extract_if(.., alike).collect();
        add(&mut parts, alike, limits, routes);
    }
    parts
}

fn add(parts: &mut Vec<WritePart>, changes: Vec<Outgoing>, limits: Limits, routes: Routes) {
    let Some(resend) = changes.first().map(|change| change.resend) else { return };
    let size = group::size(resend).min(routes.records_max);
    let many = match resend.way {
        Way::Usual => route(changes.len(), limits.bulk_from, limits.strategy) == WriteLane::Bulk,
        // So many small calls would cost more than a job of the losers alone.
        Way::Apart => resend.halvings <= HALVINGS_BY_LOCKS_MAX && changes.len().div_ceil(size) >= BULK_CALLS,
        Way::ByRest => false,
    };
    if many && routes.bulk {
        parts.push(WritePart { carrier: Carrier::Bulk, changes });
        return;
    }
    let mut rest = changes;
    while !rest.is_empty() {
        let tail = rest.split_off(cut(&rest, size));
        parts.push(WritePart { carrier: Carrier::Rest, changes: rest });
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
    use orgpipe_reconcile::{
        Operation,
        route::{COLLECTIONS_MAX, Strategy},
    };
    use orgpipe_store::{Seq, UnixMs};

    use super::*;
    use crate::{
        deliver::resend::Resend,
        queue_entry::{ChangeEntry, Origin, Row},
        settings::tests::org,
    };

    const OPEN: Routes = Routes { bulk: true, records_max: COLLECTIONS_MAX };

    fn change(seq: u64, parent: usize, operation: Operation, resend: Resend) -> Outgoing {
        let entry = ChangeEntry {
            v: 1,
            sync: "s".into(),
            target: "T".into(),
            external_id_field: "X".into(),
            external_id: seq.to_string(),
            operation,
            target_id: None,
            fields: Row::new(),
            receipts: Vec::new(),
            fingerprint: String::new(),
            source_id: format!("{parent:04}"),
            origin: Origin::Live,
            gap: None,
            received_ms: UnixMs(1),
        };
        Outgoing { seq: Seq(seq), attempts: 0, resend, entry, left_out: Vec::new() }
    }

    fn alike(count: usize, parents: usize, way: Way, halvings: u8) -> Vec<Outgoing> {
        let resend = Resend { way, halvings, waits: 0 };
        let one = |n: usize| change(n as u64, n % parents, Operation::Upsert, resend);
        (0..count).map(one).collect()
    }

    fn sizes(changes: Vec<Outgoing>, strategy: Strategy, routes: Routes) -> Vec<(Carrier, usize)> {
        let limits = Limits { strategy, ..org().limits };
        parts(changes, limits, routes).into_iter().map(|part| (part.carrier, part.changes.len())).collect()
    }

    #[test]
    fn count_and_history_decide_the_parts() {
        use Strategy::{Cost, Count};
        use Way::{Apart, ByRest, Usual};
        let rest = |size, count| vec![(Carrier::Rest, size); count];
        let bulk = |size| vec![(Carrier::Bulk, size)];
        let cases = [
            (alike(1, 1, Usual, 0), Count, rest(1, 1)),
            (alike(9, 9, Usual, 0), Count, rest(9, 1)),
            (alike(10, 9, Usual, 0), Count, bulk(10)),
            (alike(400, 400, Usual, 0), Cost, rest(200, 2)),
            (alike(400, 400, ByRest, 0), Count, rest(200, 2)),
            (alike(200, 200, Apart, 1), Count, rest(100, 2)),
            (alike(200, 200, Apart, 3), Count, bulk(200)),
            (alike(48, 48, Apart, 4), Count, rest(12, 4)),
            // 4 parents with 50 children each: two whole parents fit in 100, one in 75.
            (alike(200, 4, Apart, 1), Count, rest(100, 2)),
            (alike(120, 3, Apart, 2), Count, rest(40, 3)),
            (alike(60, 1, Apart, 2), Count, vec![(Carrier::Rest, 50), (Carrier::Rest, 10)]),
            // What was too much for a transaction never goes to a job, however many calls it takes.
            (alike(100, 100, ByRest, 5), Count, [rest(6, 16), rest(4, 1)].concat()),
            (alike(30, 30, ByRest, 7), Count, rest(1, 30)),
        ];
        for (number, (changes, strategy, expected)) in cases.into_iter().enumerate() {
            assert_eq!(sizes(changes, strategy, OPEN), expected, "case {number}");
        }
    }

    #[test]
    fn while_jobs_hang_or_calls_are_slow_all_goes_by_rest_and_in_smaller_calls() {
        let closed = Routes { bulk: false, records_max: COLLECTIONS_MAX };
        let many = || alike(400, 400, Way::Usual, 0);
        assert_eq!(sizes(many(), Strategy::Count, closed), [(Carrier::Rest, 200); 2]);
        let slow = Routes { bulk: false, records_max: 50 };
        assert_eq!(sizes(many(), Strategy::Count, slow), [(Carrier::Rest, 50); 8]);
    }

    #[test]
    fn operations_never_mix_nothing_is_lost_and_what_has_failed_comes_last() {
        let all = [Operation::Upsert, Operation::Update, Operation::Delete];
        let ways = [Way::Usual, Way::Apart, Way::ByRest];
        let one = |n: usize| {
            let resend =
                Resend { way: ways[n / 3 % 3], halvings: u8::try_from(n / 9 % 3).expect("few"), waits: 0 };
            change(n as u64, n % 7, all[n % 3], resend)
        };
        let parts = parts((0..450).map(one).collect(), org().limits, OPEN);
        let mut seqs: Vec<u64> = parts.iter().flat_map(|part| &part.changes).map(|one| one.seq.0).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..450).collect::<Vec<u64>>());
        assert!(parts.is_sorted_by_key(|part| part.changes[0].resend.halvings));
        for part in parts {
            let first = &part.changes[0];
            let same =
                |one: &Outgoing| (one.entry.operation, one.resend) == (first.entry.operation, first.resend);
            assert!(part.changes.iter().all(same));
            assert!(part.changes.is_sorted_by_key(|one| &one.entry.source_id));
        }
    }
}
