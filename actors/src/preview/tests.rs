//! How much is told, what is counted, and what differs, for outlooks that are made up.

use std::{collections::BTreeMap, sync::Arc};

use orgpipe_reconcile::route::Strategy;
use proptest::{
    collection::vec,
    prop_assert_eq, prop_oneof, proptest,
    strategy::{Just, Strategy as _},
};
use serde_json::{Value, json};

use super::{
    cost::{Basis, PreviewCost, PreviewScope, WholeRun},
    difference::PreviewDifference,
    report::{EXAMPLES_MAX, PreviewSide},
    with_sync,
};
use crate::{
    audit_trail::Nothing,
    decide::outlook::{Outlook, PlannedChange, PlannedEnd, PlannedField, PlannedNothing, PlannedWrite},
    org::api::gate::BudgetView,
    settings::{Limits, SyncSettings, tests::org},
};

fn change(n: usize, write: PlannedWrite, fields: &[(&str, Value)]) -> PlannedChange {
    let fields = fields.iter().map(|(field, after)| PlannedField {
        field: (*field).to_owned(),
        before: Value::Null,
        after: after.clone(),
        cut: None,
        set_when_written: false,
    });
    PlannedChange {
        write,
        key: format!("K{n}"),
        target_id: None,
        records: vec![format!("001{n}")],
        fields: fields.collect(),
        cut: Vec::new(),
        units: 1,
        shared: Vec::new(),
    }
}

fn end(n: usize, end: PlannedNothing) -> PlannedEnd {
    PlannedEnd { record: format!("001{n}"), units: 1, end, shared: None, cut: Vec::new(), kept: Vec::new() }
}

fn dead(reason: &str) -> PlannedNothing {
    PlannedNothing::Dead { reason: reason.to_owned(), hint: "Mend it.".to_owned() }
}

fn told(outlook: &Outlook) -> PreviewSide {
    PreviewSide::of(outlook, Vec::new(), None)
}

#[test]
fn letters_are_told_by_reason_and_the_most_frequent_first() {
    let reasons = (0..30).map(|n| if n % 3 == 0 { "rare".to_owned() } else { "frequent".to_owned() });
    let many = (30..100).map(|n| format!("odd {n}"));
    let ends = reasons.chain(many).enumerate().map(|(n, reason)| end(n, dead(&reason)));
    let side = told(&Outlook { ends: ends.collect(), ..Outlook::default() });
    assert_eq!((side.counts.dead_letters, side.dead_letters.len()), (100, EXAMPLES_MAX));
    let first: Vec<(&str, u64, usize)> = side.dead_letters[..3]
        .iter()
        .map(|letters| (letters.reason.as_str(), letters.count, letters.records.len()))
        .collect();
    assert_eq!(first, [("frequent", 20, 10), ("rare", 10, 10), ("odd 30", 1, 1)]);
}

#[test]
fn a_value_is_told_as_a_person_reads_it() {
    let long = "ü".repeat(300);
    for (value, expected) in [
        (json!(10.0), json!(10)),
        (json!(10.5), json!(10.5)),
        (json!(1e300), json!(1e300)),
        (json!("10.0"), json!("10.0")),
        (json!(true), json!(true)),
        (json!(long), json!(format!("{}…", "ü".repeat(200)))),
        (json!(["a"]), json!("[\"a\"]")),
    ] {
        let changes = vec![change(1, PlannedWrite::Create, &[("F__c", value.clone())])];
        let side = told(&Outlook { changes, ..Outlook::default() });
        assert_eq!(side.creates[0].fields[0].after, expected, "{value}");
    }
}

#[test]
fn however_large_the_records_are_what_is_told_is_not() {
    let fields: Vec<(String, Value)> =
        (0..500).map(|n| (format!("Field_{n}__c"), json!("x".repeat(100_000)))).collect();
    let fields: Vec<(&str, Value)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let one = change(1, PlannedWrite::Update, &fields);
    let changes: Vec<PlannedChange> = (0..15).map(|_| one.clone()).collect();
    let ends = (0..15).map(|n| end(n, dead(&format!("{n} {}", "y".repeat(100_000)))));
    let outlook = Outlook { changes, ends: ends.collect(), looked_for: Some(15) };
    let other = Outlook::default();
    let answer = json!([told(&outlook), PreviewDifference::between(&outlook, &other)]).to_string();
    assert!(answer.len() < 1_000_000, "{}", answer.len());
}

#[test]
fn what_differs_between_two_mappings_is_told_by_record_and_field() {
    let running = Outlook {
        changes: vec![
            change(1, PlannedWrite::Update, &[("A__c", json!(1)), ("B__c", json!(1))]),
            change(2, PlannedWrite::Update, &[("A__c", json!(1))]),
        ],
        ends: vec![end(3, PlannedNothing::Unchanged), end(4, PlannedNothing::NoData(None))],
        looked_for: Some(3),
    };
    let proposed = Outlook {
        changes: vec![
            change(1, PlannedWrite::Update, &[("A__c", json!(2)), ("B__c", json!(1))]),
            change(2, PlannedWrite::Update, &[("A__c", json!(1))]),
            change(3, PlannedWrite::Update, &[("C__c", Value::Null)]),
        ],
        ends: vec![end(4, dead("it is empty"))],
        looked_for: Some(3),
    };
    let difference = PreviewDifference::between(&running, &proposed);
    assert_eq!((difference.same, difference.different), (1, 3));
    assert_eq!(difference.fields, BTreeMap::from([("A__c".to_owned(), 1), ("C__c".to_owned(), 1)]));
    let told = json!(difference.records);
    let outlook = |end: &str, key: Option<&str>, reason: Option<&str>| {
        let keys: Vec<&str> = key.into_iter().collect();
        json!({ "ends": [end], "keys": keys, "reason": reason })
    };
    let expected = json!([
        { "record": "0011", "running": outlook("update", Some("K1"), None), "proposed": outlook("update", Some("K1"), None),
          "fields": [{ "field": "A__c", "running": 1, "proposed": 2 }] },
        { "record": "0013", "running": outlook("unchanged", None, None), "proposed": outlook("update", Some("K3"), None),
          "fields": [{ "field": "C__c", "proposed": null }] },
        { "record": "0014", "running": outlook("no_data", None, None),
          "proposed": outlook("dead_letter", None, Some("it is empty")), "fields": [] },
    ]);
    assert_eq!(told, expected);
}

fn budget(ours: u64, used: u64) -> BudgetView {
    BudgetView {
        allowed: Some(100_000),
        used: Some(used),
        ours,
        share: 25_000,
        planned: 0,
        reserve: 20_000,
        requests_per_second: 10,
        concurrent_max: 5,
        waits: Vec::new(),
    }
}

#[test]
fn what_all_take_is_reckoned_from_what_a_sample_takes() {
    let org = org();
    let (sync, limits) = (&org.syncs[0], Limits { bulk_from: 10, strategy: Strategy::Count, ..org.limits });
    let refresh = sync.refresh.as_ref().expect("a refresh");
    let whole = |total: u64, parts: [usize; 3], describes: bool| {
        let [writes, unchanged, unasked] = parts;
        let changes = (0..writes).map(|n| change(n, PlannedWrite::Create, &[]));
        let unchanged = (0..unchanged).map(|n| end(n, PlannedNothing::Unchanged));
        let unasked = (0..unasked).map(|n| end(n, PlannedNothing::NoData(Some(Nothing::NoKeys))));
        let ends = unchanged.chain(unasked).collect();
        let looked_for = Some(writes + parts[1]).filter(|wanted| *wanted > 0);
        let outlook = Outlook { changes: changes.collect(), ends, looked_for };
        let basis = Basis { sync, refresh, limits, total, describes, is_own_sample: true };
        WholeRun::of(basis, &outlook, &budget(0, 0))
    };
    // Total, the sample's writes, unchanged and unasked, whether the target is described; then the calls to prepare, read,
    // match and write, the writes, the look-ups, and by what is written.
    for (total, parts, describes, calls, writes, lookups, by) in [
        (200, [0, 200, 0], true, [2, 1, 1, 0], 0, 2, "one"),
        (200, [1, 199, 0], false, [1, 1, 1, 1], 1, 2, "one"),
        (200, [9, 191, 0], false, [1, 1, 1, 1], 9, 2, "collections"),
        (10_000, [1, 99, 100], false, [1, 6, 25, 8], 50, 50, "bulk"),
        (200_000, [100, 100, 0], false, [1, 34, 1_000, 80], 100_000, 2_000, "bulk"),
        (5, [0, 0, 0], true, [1, 1, 0, 0], 0, 0, "one"),
        (0, [0, 0, 0], true, [1, 1, 0, 0], 0, 0, "one"),
    ] {
        let whole = whole(total, parts, describes);
        let found = [whole.preparing_calls, whole.reading_calls, whole.matching_calls, whole.writing_calls];
        assert_eq!(
            (whole.writes, whole.lookups, whole.writes_by),
            (writes, lookups, by),
            "{total} {parts:?}"
        );
        assert_eq!(found, calls, "{total} {parts:?}: {whole:?}");
        assert_eq!(whole.api_calls, found.iter().sum::<u64>());
    }
}

#[test]
fn what_is_told_of_all_is_exact_only_if_they_are_one_batch_that_was_looked_at() {
    let org = org();
    let (sync, limits) = (&org.syncs[0], Limits { bulk_from: 50, strategy: Strategy::Count, ..org.limits });
    let refresh = sync.refresh.as_ref().expect("a refresh");
    // All records, those of the sample, how many of these are written, and whether the refresh reads the same ones.
    for (total, sample, writes, is_own_sample, exact) in [
        (100, 100, 49, true, true),
        (101, 100, 1, true, false),
        (101, 101, 1, true, false),
        (100, 100, 50, true, false),
        (100, 100, 1, false, false),
    ] {
        let changes = (0..writes).map(|n| change(n, PlannedWrite::Create, &[]));
        let ends = (writes..sample).map(|n| end(n, PlannedNothing::Unchanged));
        let outlook = Outlook { changes: changes.collect(), ends: ends.collect(), looked_for: Some(sample) };
        let basis = Basis { sync, refresh, limits, total, describes: false, is_own_sample };
        let whole = WholeRun::of(basis, &outlook, &budget(0, 0));
        assert_eq!(whole.exact, exact, "{sample} of {total}, {writes} written, {is_own_sample}");
    }
}

#[test]
fn what_is_set_when_written_is_no_difference() {
    let with = |value: &str, industry: &str| {
        let fields = [("Industry__c", json!(industry)), ("Synced__c", json!(value))];
        let mut change = change(1, PlannedWrite::Update, &fields);
        change.fields[1].set_when_written = true;
        Outlook { changes: vec![change], ..Outlook::default() }
    };
    let difference = PreviewDifference::between(&with("10:00:00", "x"), &with("10:00:01", "x"));
    assert_eq!((difference.same, difference.different), (1, 0));
    let difference = PreviewDifference::between(&with("10:00:00", "x"), &with("10:00:01", "y"));
    assert_eq!(difference.fields, BTreeMap::from([("Industry__c".to_owned(), 1)]));
}

#[test]
fn each_object_of_an_answer_that_cannot_be_written_is_a_letter() {
    let beside = PlannedEnd { units: 0, ..end(1, dead("it is empty")) };
    let outlook = Outlook {
        changes: vec![change(1, PlannedWrite::Create, &[])],
        ends: vec![beside],
        ..Outlook::default()
    };
    let side = told(&outlook);
    assert_eq!((side.counts.records, side.counts.dead_letters, side.counts.letters), (1, 0, 1));
    assert_eq!(side.dead_letters[0].count, 1);
}

#[test]
fn what_is_left_of_the_day_is_told() {
    let org = org();
    let sync = &org.syncs[0];
    let refresh = sync.refresh.as_ref().expect("a refresh");
    let basis = Basis { sync, refresh, limits: org.limits, total: 1, describes: false, is_own_sample: true };
    for (budget, part) in [
        (budget(0, 0), "of the 20,000 calls that are left to refreshes today, of 100,000"),
        (budget(19_999, 30_000), "2 calls, and 1 are left to refreshes today"),
        (budget(0, 80_000), "and 0 are left"),
        (BudgetView { allowed: None, ..budget(0, 0) }, "has not told yet"),
    ] {
        let whole = WholeRun::of(basis, &Outlook::default(), &budget);
        assert!(whole.budget.contains(part), "{part}: {}", whole.budget);
    }
}

/// The sync of the tests, with another mapping or selection.
fn other(edit: impl FnOnce(&mut SyncSettings)) -> Arc<SyncSettings> {
    let mut sync = SyncSettings::clone(&org().syncs[0]);
    edit(&mut sync);
    Arc::new(sync)
}

#[test]
fn a_preview_takes_a_count_and_a_page_and_for_each_mapping_a_describe_the_matching_and_what_is_not_asked_yet()
{
    let running = &*org().syncs[0];
    let same = &*other(|_| {});
    let live = &*other(|sync| sync.refresh = None);
    let elsewhere = &*other(|sync| {
        if let Some(refresh) = &mut sync.refresh {
            refresh.condition = Some("Website != null".to_owned());
        }
    });
    for (records, running, proposed, api_calls, lookups) in [
        (Some(200), Some(running), None, 4, 2),
        (Some(1), Some(running), None, 4, 1),
        (Some(2_000), Some(running), None, 13, 20),
        (Some(200), Some(live), None, 3, 2),
        (None, Some(running), None, 3, 1),
        (Some(200), None, Some(running), 4, 2),
        (Some(200), Some(running), Some(same), 6, 2),
        (Some(200), Some(running), Some(elsewhere), 7, 2),
        (None, Some(running), Some(same), 5, 1),
    ] {
        let cost = PreviewCost::of(PreviewScope { records, running, proposed });
        assert_eq!(cost, PreviewCost { api_calls, lookups }, "{records:?}");
    }
}

#[test]
fn a_new_mapping_stands_in_the_place_of_the_one_of_its_name() {
    let org = org();
    let replaced = with_sync(&org, &other(|sync| sync.refresh = None));
    assert_eq!((replaced.syncs.len(), replaced.syncs[0].refresh.is_none()), (1, true));
    let added = with_sync(&org, &other(|sync| sync.name = "others".to_owned()));
    assert_eq!((added.syncs.len(), &*added.syncs[1].name), (2, "others"));
}

fn any_end() -> impl proptest::strategy::Strategy<Value = PlannedNothing> {
    prop_oneof![
        Just(PlannedNothing::Unchanged),
        Just(PlannedNothing::Absent),
        Just(PlannedNothing::NoData(Some(Nothing::Unknown))),
        Just(PlannedNothing::NoData(None)),
        "[ab]".prop_map(|reason| dead(&reason)),
    ]
}

proptest! {
    /// Each record is counted once, and what is told of some does not change what is counted of all.
    #[test]
    fn counts_add_up(writes in vec((0..3_u8, 0..2_u64), 0..40), ends in vec((any_end(), 0..3_u64), 0..40)) {
        let changes = writes.iter().enumerate().map(|(n, (write, units))| {
            let write = [PlannedWrite::Create, PlannedWrite::Update, PlannedWrite::Behind][usize::from(*write)];
            PlannedChange { units: *units, ..change(n, write, &[]) }
        });
        let planned = ends.iter().enumerate().map(|(n, (kind, units))| {
            PlannedEnd { units: *units, ..end(n + 100, kind.clone()) }
        });
        let outlook = Outlook { changes: changes.collect(), ends: planned.collect(), looked_for: None };
        let counts = told(&outlook).counts;
        prop_assert_eq!(counts.records, counts.written + counts.unchanged + counts.no_data + counts.dead_letters);
        prop_assert_eq!(counts.creates + counts.updates, writes.len() as u64);
        prop_assert_eq!(outlook.looked_up(), counts.records);
        prop_assert_eq!(PreviewDifference::between(&outlook, &outlook).different, 0);
    }
}
