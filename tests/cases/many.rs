//! Very many records of which one in a hundred is odd: whatever the oddity, all the others are written at the usual price.
//!
//! Here: the odd records by a seed (`ORGPIPE_SEED=n` for another one), 2,000 in all, or 10,000 with `ORGPIPE_LONG_TESTS=1`.
//! Not here: each kind by itself, with its own words (the other files).
#![expect(clippy::disallowed_methods, reason = "the environment says how long the test shall run")]

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_simulator::{HALF_EMOJI, OrgOptions, RowFault};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::support::{Rig, account, answer, domain, eventually, request};

/// Of a hundred records one is odd.
const ODD_EVERY: usize = 100;
/// Records named by one event.
const EVENT: usize = 100;
/// Look-ups that it may take to find one odd record among a hundred: two halves at each of seven steps, and tries.
const LOOKUPS_PER_ODD: usize = 30;

/// What is odd about a record, and a part of the reason in its letter; none: it is written all the same.
type Oddity = (&'static str, fn(&Rig, usize), Option<&'static str>);

const ODDITIES: [Oddity; 19] = [
    ("a number that is none", |rig, n| raw(rig, n, r#""employees":NaN"#), Some("look-up")),
    ("a number beyond all bounds", |rig, n| raw(rig, n, r#""employees":1e400"#), Some("")),
    (
        "nesting without end",
        |rig, n| raw(rig, n, &format!(r#""deep":{}{}"#, "[".repeat(200), "]".repeat(200))),
        Some("/data/deep"),
    ),
    ("data that is text", |rig, n| rig.simulator.vendor().set_raw(&domain(n), r#""nothing""#), Some("data")),
    ("a number as data", |rig, n| rig.simulator.vendor().set_raw(&domain(n), "17"), Some("data")),
    ("the look-up breaks off", |rig, n| rig.simulator.vendor().refuse(&domain(n), 500), Some("500")),
    ("the look-up ends with it", |rig, n| rig.simulator.vendor().refuse(&domain(n), 502), Some("502")),
    (
        "the look-up's answer breaks off",
        |rig, n| rig.simulator.vendor().break_off(&domain(n)),
        Some("failed"),
    ),
    (
        "an answer beyond all bounds",
        |rig, n| raw(rig, n, &format!(r#""name":"{}""#, "x".repeat(17 << 20))),
        Some("larger than"),
    ),
    ("the look-up refuses it", |rig, n| rig.simulator.vendor().refuse(&domain(n), 400), Some("400")),
    (
        "the look-up calls it unprocessable",
        |rig, n| rig.simulator.vendor().refuse(&domain(n), 422),
        Some("422"),
    ),
    (
        "no key",
        |rig, n| rig.simulator.vendor().set_raw(&domain(n), r#"{"employees":7}"#),
        Some("External_Id__c"),
    ),
    (
        "a key without end",
        |rig, n| known(rig, n, json!({ "key": "k".repeat(20_000), "employees": 7 })),
        Some("External_Id__c"),
    ),
    (
        "a list as a number",
        |rig, n| known(rig, n, json!({ "key": key(n), "employees": [1, 2] })),
        Some("Employee_Count__c"),
    ),
    (
        "a validation rule",
        |rig, n| refused(rig, n, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Employees must be under 5"),
        Some("must be under 5"),
    ),
    (
        "a restricted picklist",
        |rig, n| {
            refused(
                rig,
                n,
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                "bad value for restricted picklist field",
            );
        },
        Some("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
    ),
    (
        "a duplicate rule",
        |rig, n| refused(rig, n, "DUPLICATES_DETECTED", "Use one of these records?"),
        Some("DUPLICATES_DETECTED"),
    ),
    ("half an emoji in the answer", |rig, n| raw(rig, n, r#""name":"x\ud83d","employees":7"#), None),
    ("half an emoji in the org", half_emoji, None),
];

fn key(n: usize) -> String {
    format!("K{n}")
}

fn known(rig: &Rig, n: usize, data: Value) {
    rig.simulator.vendor().set_answer(&domain(n), Some(data));
}

/// An answer with these members beside its key.
fn raw(rig: &Rig, n: usize, members: &str) {
    rig.simulator.vendor().set_raw(&domain(n), &format!(r#"{{"key":"{}",{members}}}"#, key(n)));
}

fn refused(rig: &Rig, n: usize, code: &str, message: &str) {
    let (code, message) = (code.to_owned(), message.to_owned());
    rig.org("acme").refuse_row(RowFault {
        key: key(n),
        code,
        message,
        fields: Vec::new(),
        count: u32::MAX,
        further: Vec::new(),
    });
}

fn half_emoji(rig: &Rig, n: usize) {
    let rows = rig.org("acme").rows("Account");
    let id = rows.iter().find(|row| row["Website"] == json!(domain(n))).expect("an account")["Id"].clone();
    let name = json!(format!("Company {n} {HALF_EMOJI}"));
    let row = [("Name".to_owned(), name)].into_iter().collect();
    rig.org("acme").update("Account", id.as_str().expect("an ID"), row).expect("changed");
}

/// What a run came to.
struct Run {
    /// API calls of the org.
    calls: usize,
    lookups: usize,
}

/// Accounts `0..count` of which these are odd, asked for by events and to their end.
async fn run(count: usize, odd: &BTreeMap<usize, Oddity>) -> (Rig, Run) {
    let org = OrgOptions { flow: false, daily_calls: 1_000_000, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text).await;
    let create = |n: usize| {
        known(&rig, n, answer(&key(n), 7));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    let ids: Vec<String> = (0..count).map(create).collect();
    for (n, (_, spoil, _)) in odd {
        spoil(&rig, *n);
    }
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").clear_calls();
    rig.simulator.vendor().clear_requests();
    for ids in ids.chunks(EVENT) {
        rig.org("acme").publish("Sync_Request__e", request(ids));
    }
    let letters = odd.values().filter(|(_, _, told)| told.is_some()).count();
    let soon = || {
        rig.ledger(
            "acme",
            json!({ "open": 0, "records_in": count, "dead_letters": letters, "written": count - letters }),
        )
    };
    soon().await;
    let calls = rig.org("acme").calls().iter().filter(|call| call.counted).count();
    let lookups = rig.simulator.vendor().requests().len();
    (rig, Run { calls, lookups })
}

/// By the record's number, the reason and the hint of its letter.
async fn letters(rig: &Rig) -> BTreeMap<usize, (String, String)> {
    let url = format!("{}/api/v1/orgs/acme/dead-letters?limit=1000", rig.admin);
    let listed: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    let accounts = rig.org("acme").rows("Account");
    let number = |id: &Value| {
        let row = accounts.iter().find(|row| row["Id"] == *id)?;
        row["Website"].as_str()?.strip_prefix("company")?.strip_suffix(".example")?.parse::<usize>().ok()
    };
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap_or_default().to_owned();
    let one = |letter: &Value| {
        let n = letter["record_ids"].as_array().into_iter().flatten().find_map(number);
        let said = letter["errors"].as_array().into_iter().flatten().map(|error| text(error, "message"));
        let reason = [text(letter, "reason")].into_iter().chain(said).collect::<Vec<_>>().join(" ");
        (n.unwrap_or_else(|| panic!("no account: {letter}")), (reason, text(letter, "hint")))
    };
    listed["dead_letters"].as_array().expect("a list").iter().map(one).collect()
}

#[actix_rt::test]
async fn among_very_many_records_each_odd_one_is_told_apart_and_all_others_are_written() {
    let count = if std::env::var_os("ORGPIPE_LONG_TESTS").is_some() { 10_000 } else { 2_000 };
    let seed = std::env::var("ORGPIPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut odd: BTreeMap<usize, Oddity> = BTreeMap::new();
    while odd.len() < count / ODD_EVERY {
        // Each kind at least once, while there is room.
        let kind = if odd.len() < ODDITIES.len() { odd.len() } else { rng.random_range(0..ODDITIES.len()) };
        odd.entry(rng.random_range(0..count)).or_insert(ODDITIES[kind]);
    }
    let (_, clean) = run(count, &BTreeMap::new()).await;
    let (rig, spoilt) = run(count, &odd).await;
    let rows = rig.org("acme").rows("Enrichment__c");
    let written: BTreeSet<&str> = rows.iter().filter_map(|row| row["External_Id__c"].as_str()).collect();
    let letters = letters(&rig).await;
    for n in 0..count {
        let told = odd.get(&n).and_then(|(_, _, told)| *told);
        let what = odd.get(&n).map_or("sound", |(what, _, _)| what);
        assert_eq!(written.contains(key(n).as_str()), told.is_none(), "seed {seed}, record {n}: {what}");
        match (told, letters.get(&n)) {
            (Some(told), Some((reason, hint))) => {
                assert!(
                    (reason.contains(told) || hint.contains(told)) && !reason.is_empty() && !hint.is_empty(),
                    "{what}: {reason} / {hint}"
                );
            }
            (None, None) => {}
            (told, letter) => panic!("seed {seed}, record {n} ({what}): {told:?}, {letter:?}"),
        }
    }
    assert!(
        2 * spoilt.calls <= 3 * clean.calls,
        "seed {seed}: {} calls, {} of a clean run",
        spoilt.calls,
        clean.calls
    );
    let lookups_max = clean.lookups + LOOKUPS_PER_ODD * odd.len();
    assert!(
        spoilt.lookups <= lookups_max,
        "seed {seed}: {} look-ups, {} of a clean run",
        spoilt.lookups,
        clean.lookups
    );
}

/// Record IDs that are none, in the midst of those of an event.
#[actix_rt::test]
async fn among_very_many_record_ids_those_that_are_none_are_named() {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| text).await;
    let create = |n: usize| {
        known(&rig, n, answer(&key(n), 7));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    let mut ids: Vec<String> = (0..300).map(create).collect();
    let mut rng = StdRng::seed_from_u64(3);
    for n in 0..3 {
        let spoilt = ["001000000000001ZZZ", "not-an-ID", "00100000000000"][n].to_owned();
        ids.insert(100 * n + rng.random_range(0..90), spoilt);
    }
    rig.start().await;
    rig.subscribed("acme").await;
    for ids in ids.chunks(101) {
        rig.org("acme").publish("Sync_Request__e", request(ids));
    }
    rig.ledger("acme", json!({ "open": 0, "written": 300, "dead_letters": 3 })).await;
    eventually("all", async || (rig.org("acme").rows("Enrichment__c").len() == 300).then_some(())).await;
}
