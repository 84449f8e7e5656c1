//! The alert rules as promtool sees them: each fires when it should, and not otherwise.
//!
//! Here: for each rule the numbers with which it fires and those with which it does not. Not here: whether the metrics that it
//! asks for are there (`real`).

use std::{fmt::Write as _, process::Command};

use crate::{has, path, text};

/// Series with their values, a minute apart or as long as the case says, as promtool writes them: `axn` is `a` and n times more, `a+bxn` grows.
type Series = &'static [(&'static str, &'static str)];

struct Case {
    alert: &'static str,
    /// When it is looked at, minutes.
    at: u32,
    /// Minutes between two values, and between two looks of the rules: what takes days is looked at seldom.
    every: u32,
    fires: Series,
    quiet: Series,
}

const fn case(alert: &'static str, at: u32, fires: Series, quiet: Series) -> Case {
    Case { alert, at, every: 1, fires, quiet }
}

/// One that takes days.
const fn slow(alert: &'static str, at: u32, fires: Series, quiet: Series) -> Case {
    Case { every: 30, ..case(alert, at, fires, quiet) }
}

const UP: &str = r#"up{job="orgpipe",instance="a"}"#;
const STARTED: &str = r#"process_start_time_seconds{job="orgpipe",instance="a"}"#;
const FREE: &str = r#"orgpipe_data_free_bytes{instance="a"}"#;
const FREE_MIN: &str = r#"orgpipe_data_free_min_bytes{instance="a"}"#;
const LETTERS: &str = r#"orgpipe_dead_letters_kept{instance="a"}"#;
const CHANNEL_UP: &str = r#"orgpipe_org_channel_up{instance="a",org="acme",channel="/event/A__e"}"#;
const AGE: &str =
    r#"orgpipe_org_channel_position_age_seconds{instance="a",org="acme",channel="/event/A__e"}"#;
const RETENTION: &str =
    r#"orgpipe_org_channel_retention_seconds{instance="a",org="acme",channel="/event/A__e"}"#;

const NOTIFY: &str = r#"orgpipe_notify_failing{instance="a",receiver="ops"}"#;

const CASES: &[Case] = &[
    case("OrgpipeDown", 10, &[(UP, "0x60")], &[(UP, "1x8 0 1x60")]),
    case(
        "OrgpipeNotReady",
        10,
        &[(r#"orgpipe_ready{instance="a"}"#, "0x60")],
        &[(r#"orgpipe_ready{instance="a"}"#, "0x4 1x3 0x60")],
    ),
    case("OrgpipeRestarts", 15, &[(STARTED, "1 1 2 2 3 3 4 4 5x60")], &[(STARTED, "1x5 2x60")]),
    case(
        "OrgpipeDiskFull",
        5,
        &[(FREE, "50x60"), (FREE_MIN, "100x60")],
        &[(FREE, "150x60"), (FREE_MIN, "100x60")],
    ),
    case(
        "OrgpipeDiskLow",
        20,
        &[(FREE, "150x60"), (FREE_MIN, "100x60")],
        &[(FREE, "250x60"), (FREE_MIN, "100x60")],
    ),
    case(
        "OrgpipeThreadStuck",
        5,
        &[(r#"orgpipe_thread_up{instance="a",thread="orgs 1"}"#, "0x60")],
        &[(r#"orgpipe_thread_up{instance="a",thread="orgs 1"}"#, "1x60")],
    ),
    case(
        "OrgpipeLedgerImbalance",
        20,
        &[(r#"orgpipe_ledger_imbalance{instance="a"}"#, "0x3 -1x60")],
        &[(r#"orgpipe_ledger_imbalance{instance="a"}"#, "0x17 1 0x60")],
    ),
    case("OrgpipeAlertsNotDelivered", 15, &[(NOTIFY, "1x60")], &[(NOTIFY, "1x8 0 1x60")]),
    case(
        "OrgpipeSlowCommits",
        30,
        &[
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="1.0"}"#, "0+90x60"),
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="2.5"}"#, "0+100x60"),
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x60"),
        ],
        &[
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="1.0"}"#, "0+1000x60"),
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="2.5"}"#, "0+1001x60"),
            (r#"orgpipe_store_commit_duration_seconds_bucket{instance="a",le="+Inf"}"#, "0+1001x60"),
        ],
    ),
    case(
        "OrgpipeSlowWrites",
        30,
        &[
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="60.0"}"#, "0+90x60"),
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="120.0"}"#, "0+100x60"),
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x60"),
        ],
        &[
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="60.0"}"#, "0+99x60"),
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="120.0"}"#, "0+100x60"),
            (r#"orgpipe_event_to_written_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x60"),
        ],
    ),
    case(
        "OrgpipeLookupDown",
        10,
        &[(r#"orgpipe_lookup_breaker_state{instance="a",state="closed"}"#, "0x60")],
        &[(r#"orgpipe_lookup_breaker_state{instance="a",state="closed"}"#, "0x5 1 0x60")],
    ),
    case(
        "OrgpipeLookupErrors",
        30,
        &[
            (r#"orgpipe_lookups_total{instance="a",result="ok"}"#, "0+80x60"),
            (r#"orgpipe_lookups_total{instance="a",result="timeout"}"#, "0+20x60"),
        ],
        &[
            (r#"orgpipe_lookups_total{instance="a",result="ok"}"#, "0+95x60"),
            (r#"orgpipe_lookups_total{instance="a",result="timeout"}"#, "0+5x60"),
        ],
    ),
    case(
        "OrgpipeLookupSlow",
        40,
        &[
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="10.0"}"#, "0+90x60"),
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="30.0"}"#, "0+100x60"),
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x60"),
        ],
        &[
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="10.0"}"#, "0+99x60"),
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="30.0"}"#, "0+100x60"),
            (r#"orgpipe_lookup_duration_seconds_bucket{instance="a",le="+Inf"}"#, "0+100x60"),
        ],
    ),
    case(
        "OrgpipeSalesforceErrors",
        40,
        &[
            (r#"orgpipe_salesforce_calls_total{instance="a",kind="query",result="ok"}"#, "0+50x60"),
            (r#"orgpipe_salesforce_calls_total{instance="a",kind="query",result="server_error"}"#, "0+50x60"),
        ],
        &[
            (r#"orgpipe_salesforce_calls_total{instance="a",kind="query",result="ok"}"#, "0+50x60"),
            (r#"orgpipe_salesforce_calls_total{instance="a",kind="query",result="refused"}"#, "0+50x60"),
        ],
    ),
    case(
        "OrgpipeOrgsParked",
        10,
        &[(r#"orgpipe_orgs{instance="a",state="parked"}"#, "2x60")],
        &[
            (r#"orgpipe_orgs{instance="a",state="parked"}"#, "0x60"),
            (r#"orgpipe_orgs{instance="a",state="running"}"#, "2x60"),
        ],
    ),
    case("OrgpipeDeadLettersGrow", 70, &[(LETTERS, "0+3x120")], &[(LETTERS, "500+1x120")]),
    slow("OrgpipeDeadLettersWait", 4_410, &[(LETTERS, "5x200")], &[(LETTERS, "5x130 0x70")]),
    case(
        "OrgpipeCallsUsedUp",
        70,
        &[(r#"orgpipe_orgs_waiting_for_calls{instance="a"}"#, "1x120")],
        &[(r#"orgpipe_orgs_waiting_for_calls{instance="a"}"#, "1x30 0 1x120")],
    ),
    case(
        "OrgpipeQuarantinedFields",
        20,
        &[(r#"orgpipe_quarantined_fields{instance="a"}"#, "1x60")],
        &[(r#"orgpipe_quarantined_fields{instance="a"}"#, "0x60")],
    ),
    case(
        "OrgpipeGapOpen",
        130,
        &[(r#"orgpipe_gaps_open{instance="a"}"#, "1x180")],
        &[(r#"orgpipe_gaps_open{instance="a"}"#, "1x60 0 1x180")],
    ),
    case("OrgpipeChannelDeaf", 20, &[(CHANNEL_UP, "0x60")], &[(CHANNEL_UP, "0x10 1 0x60")]),
    case(
        "OrgpipeEventsAboutToBeLost",
        20,
        &[(CHANNEL_UP, "0x60"), (AGE, "200000x60"), (RETENTION, "259200x60")],
        &[(CHANNEL_UP, "1x60"), (AGE, "250000x60"), (RETENTION, "259200x60")],
    ),
];

fn alerts(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn promtool_takes_the_rules_and_the_example() {
    if !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["prometheus.yml", "alerts.yml"] {
        std::fs::copy(path("config/prometheus").join(name), folder.path().join(name)).expect("a copy");
    }
    std::fs::write(folder.path().join("orgpipe.token"), "a token").expect("a file");
    for (what, file) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let output = Command::new("promtool").args(["check", what, file]).current_dir(folder.path()).output();
        let output = output.expect("promtool runs");
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn each_alert_fires_when_it_should_and_not_otherwise() {
    let rules = text("config/prometheus/alerts.yml");
    let told: Vec<&str> = CASES.iter().map(|case| case.alert).collect();
    assert_eq!(alerts(&rules), told, "each rule has a case, in the order of the rules");
    for part in ["summary:", "description:", "severity:"] {
        assert_eq!(
            rules.matches(part).count() - usize::from(part == "severity:"),
            told.len(),
            "each rule has `{part}`"
        );
    }
    if !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("alerts.yml"), rules).expect("a file");
    for every in [1, 30] {
        let mut tests = format!("rule_files: [alerts.yml]\nevaluation_interval: {every}m\ntests:\n");
        for case in CASES.iter().filter(|case| case.every == every) {
            add(&mut tests, case, case.fires, true);
            add(&mut tests, case, case.quiet, false);
        }
        std::fs::write(folder.path().join("tests.yml"), &tests).expect("a file");
        let mut promtool = Command::new("promtool");
        let output = promtool.args(["test", "rules", "tests.yml"]).current_dir(folder.path()).output();
        let output = output.expect("promtool runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

fn add(tests: &mut String, case: &Case, series: Series, fires: bool) {
    let Case { alert, at, every, .. } = case;
    let name = if fires { "fires" } else { "is quiet" };
    let mut say = |line: &str| writeln!(tests, "{line}").expect("a text takes all");
    say(&format!("  - name: {alert} {name}\n    interval: {every}m\n    input_series:"));
    for (series, values) in series {
        say(&format!("      - series: '{series}'\n        values: '{values}'"));
    }
    say(&format!(
        "    promql_expr_test:\n      - expr: count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})\n        eval_time: {at}m"
    ));
    say(if fires { "        exp_samples: [{ labels: '{}', value: 1 }]" } else { "        exp_samples: []" });
}
