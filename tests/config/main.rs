//! Settings files, as the program judges them: every sentence an operator may meet, with its line.

mod wrong;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use orgpipe_reconcile::{Mapping, MappingSpec, Row, lookup};
use serde_json::Value;
use tempfile::TempDir;

use crate::wrong::{GOOD, WRONG};

const KEY: &str = include_str!("../data/throwaway-key.pem");
/// Text that must never be printed: a piece of each secret.
fn secrets() -> [&'static str; 5] {
    [
        "hidden-token",
        "hidden-secret",
        "hidden-pasted",
        "hidden-refresh",
        KEY.lines().nth(2).expect("a key has lines"),
    ]
}

struct Judged {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A folder with a key in it, and other things a key may be confused with.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("it is writable");
        let own = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.path().join(name), own).expect("it is ours");
    };
    fs::create_dir(folder.path().join("secrets")).expect("it is writable");
    write("secrets/jwt.key", KEY);
    write("secrets/not-a.key", "not a key, but hidden-pasted");
    write("secrets/secret", "hidden-secret\n");
    write("secrets/token", "hidden-token\n");
    write("secrets/empty", "\n");
    write("secrets/two-words", "hidden-token hidden-token");
    folder
}

fn check(folder: &Path, text: &str) -> Judged {
    fs::write(folder.join("settings.toml"), text).expect("it is writable");
    let output = Command::new(env!("CARGO_BIN_EXE_orgpipe"))
        .args(["check", "--offline", "--config", "settings.toml"])
        .current_dir(folder)
        .env_clear()
        .env("SOURCE_TOKEN", "hidden-token")
        .env("SF_CLIENT_ID", "client")
        .env("SF_CLIENT_SECRET", "hidden-secret")
        .env("JWT_KEY", KEY)
        .env("JWT_KEY_ON_ONE_LINE", format!("\"{}\"", KEY.trim().replace('\n', "\\n")))
        .env("NOT_A_KEY", "hidden-pasted")
        .env("SF_REFRESH_TOKEN", "hidden-refresh")
        .env("EMPTY", " ")
        .env("TWO_LINES", "hidden-token\nhidden-token")
        .output()
        .expect("the program starts");
    let judged = Judged {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    for secret in secrets() {
        assert!(
            !judged.out.contains(secret) && !judged.err.contains(secret),
            "shows `{secret}`:\n{}",
            judged.err
        );
    }
    judged
}

/// The text of each reported line, with the problem told there.
fn told<'a>(err: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let lines: Vec<&str> = text.lines().collect();
    err.lines()
        .filter_map(|line| line.strip_prefix("settings.toml:"))
        .filter_map(|rest| {
            let (number, message) = rest.split_once(": ")?;
            Some((lines[number.parse::<usize>().ok()? - 1], message))
        })
        .collect()
}

#[test]
fn good_settings_are_summed_up() {
    let folder = folder();
    let judged = check(folder.path(), GOOD);
    assert_eq!((judged.code, judged.err.as_str()), (Some(0), ""));
    let expected = [
        "  data    data, survives a power cut",
        "  admin   http://127.0.0.1:8787",
        "  source  https://api.example.com/v1/lookup, 50 requests/s, 16 at once, with a token",
        "  org acme: sync@acme.com at login.salesforce.com (jwt), package acmeco, API 66.0, Europe/Berlin, at most 25% of its calls",
        "    accounts: Account → acmeco__Enrichment__c on /event/acmeco__Sync_Request__e, refreshed at `0 2 * * SAT` within 22:00–04:00",
        "  org globex: an app at globex.my.salesforce.com (client credentials), unmanaged package, API 66.0, UTC, at most 25% of its calls",
        "    accounts: Account → Enrichment__c on /event/Sync_Request__e, refreshed at `0 2 * * SAT` within 22:00–04:00",
        "2 orgs",
        "settings.toml: no problems found; nothing was asked",
    ];
    assert_eq!(judged.out.lines().collect::<Vec<_>>(), expected);
    let files = fs::read_dir(folder.path()).expect("it is readable").count();
    assert_eq!(files, 2, "`check` wrote something");
}

#[test]
fn each_mistake_is_told_on_its_line_with_a_way_out() {
    let folder = folder();
    for (find, replace, on, message, hint) in WRONG {
        assert!(GOOD.contains(find), "`{find}` is not in the good settings");
        let text = GOOD.replacen(find, replace, 1);
        let judged = check(folder.path(), &text);
        let shown = format!("{replace}\n{}", judged.err);
        assert_eq!((judged.code, judged.out.as_str()), (Some(2), ""), "{shown}");
        let here = told(&judged.err, &text).into_iter().find(|(_, told)| told.contains(message));
        let (line, _) = here.unwrap_or_else(|| panic!("`{message}` is not told: {shown}"));
        assert!(line.contains(on), "told on the line `{line}`: {shown}");
        assert!(judged.err.contains(hint), "`{hint}` is not advised: {shown}");
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once_in_the_order_of_its_lines() {
    let folder = folder();
    let text = GOOD
        .replace("127.0.0.1:8787", "localhost")
        .replace("https://api", "http://api")
        .replace("SOURCE_TOKEN", "NO_SUCH_TOKEN")
        .replace("object = ", "objekt = ")
        .replace("\"/employees\"", "\"employees\"")
        .replace("0 2 * * SAT", "daily")
        .replace("Europe/Berlin", "Berlin")
        .replace("secrets/jwt.key", "secrets/none.key")
        .replace("SF_CLIENT_SECRET", "NO_SUCH_SECRET");
    let judged = check(folder.path(), &text);
    assert_eq!(judged.code, Some(2));
    let expected = [
        ("listen", "no address with a port"),
        ("url", "http://"),
        ("token_env", "NO_SUCH_TOKEN"),
        ("[[sync]]", "`object` is missing"),
        ("objekt", "not a key"),
        ("refresh", "1 fields instead of 5"),
        ("Employee_Count__c", "neither a field"),
        ("auth", "secrets/none.key"),
        ("time_zone", "no time zone"),
        ("auth", "NO_SUCH_SECRET"),
    ];
    let told = told(&judged.err, &text);
    assert_eq!(told.len(), expected.len(), "{}", judged.err);
    for ((line, message), (on, what)) in told.iter().zip(expected) {
        assert!(line.contains(on) && message.contains(what), "`{what}` on `{on}`: {}", judged.err);
    }
    assert!(judged.err.ends_with("settings.toml: 10 problems; nothing was started\n"), "{}", judged.err);
}

/// The organisation's own ways to hand over a secret: files and variables, for each secret of each flow.
#[test]
fn each_secret_may_stand_in_a_file_or_in_a_variable() {
    let folder = folder();
    let jwt = &GOOD[GOOD.find("auth = ").expect("a login")..GOOD.find("time_zone").expect("a time zone")];
    for (auth, line) in [
        (
            r#"flow = "jwt", client_id = "x", username = "sync@acme.com", key_env = "JWT_KEY_ON_ONE_LINE""#,
            "sync@acme.com at login.salesforce.com (jwt)",
        ),
        (
            r#"flow = "refresh_token", client_id = "x", refresh_token_env = "SF_REFRESH_TOKEN""#,
            "whoever connected it at login.salesforce.com (refresh token)",
        ),
        (
            r#"flow = "refresh_token", client_id_env = "SF_CLIENT_ID", client_secret_file = "secrets/secret", refresh_token_file = "secrets/token""#,
            "whoever connected it at login.salesforce.com (refresh token)",
        ),
        (
            r#"flow = "refresh_token", client_id = "x", client_secret_env = "SF_CLIENT_SECRET", refresh_token_file = "secrets/token""#,
            "whoever connected it at login.salesforce.com (refresh token)",
        ),
    ] {
        let text = GOOD.replacen(jwt, &format!("auth = {{ {auth} }}\n"), 1);
        let text = text.replace(
            "client_secret_env = \"SF_CLIENT_SECRET\" }\n",
            "client_secret_file = \"secrets/secret\" }\n",
        );
        let judged = check(folder.path(), &text);
        assert_eq!((judged.code, judged.err.as_str()), (Some(0), ""), "{text}");
        assert!(judged.out.contains(&format!("org acme: {line}")), "{}", judged.out);
    }
}

#[test]
fn a_secret_that_others_can_read_is_a_warning_told_once() {
    let folder = folder();
    let others = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path().join("secrets").join(name), permissions).expect("it is ours");
    };
    let second = r#"
[[org]]
id = "initech"
auth = { flow = "jwt", client_id = "x", username = "sync@initech.com", key_file = "secrets/jwt.key" }
[[org]]
id = "umbrella"
auth = { flow = "refresh_token", client_id = "x", client_secret_file = "secrets/secret", refresh_token_file = "secrets/token" }
"#;
    let text = format!("{GOOD}{second}");
    others("jwt.key", 0o644);
    others("token", 0o660);
    let judged = check(folder.path(), &text);
    assert_eq!(judged.code, Some(0), "{}", judged.err);
    let warnings: Vec<&str> = judged.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    let [key, token] = warnings[..] else { panic!("{}", judged.err) };
    assert!(key.contains("org \"acme\": `auth.key_file` names `secrets/jwt.key`, which others"), "{key}");
    assert!(token.contains("org \"umbrella\": `auth.refresh_token_file` names `secrets/token`"), "{token}");
    assert!(
        token.contains("(mode 660)") && judged.err.contains("Run `chmod 600 secrets/token`"),
        "{}",
        judged.err
    );
}

/// Two customers' orgs of one app differ by their tokens alone.
#[test]
fn one_refresh_token_for_two_orgs_is_refused_and_two_tokens_are_not() {
    let folder = folder();
    let org = |id: &str, token: &str| {
        format!("[[org]]\nid = \"{id}\"\nauth = {{ flow = \"refresh_token\", client_id = \"x\", {token} }}\n")
    };
    let (file, variable, same) = (
        r#"refresh_token_file = "secrets/token""#,
        r#"refresh_token_env = "SF_REFRESH_TOKEN""#,
        r#"refresh_token_env = "SOURCE_TOKEN""#,
    );
    let two = check(folder.path(), &format!("{GOOD}{}{}", org("umbrella", file), org("hooli", variable)));
    assert_eq!((two.code, two.err.as_str()), (Some(0), ""));
    let one = check(folder.path(), &format!("{GOOD}{}{}", org("umbrella", file), org("hooli", same)));
    assert!(
        one.code == Some(2) && one.err.contains("org \"hooli\": logs in as the org on line"),
        "{}",
        one.err
    );
}

#[test]
fn two_entries_for_one_org_are_refused() {
    let folder = folder();
    let acme = &GOOD[GOOD.find("[[org]]").expect("an org")..GOOD.rfind("[[org]]").expect("an org")];
    let text = format!("{GOOD}\n{}", acme.replace("\"acme\"", "\"acme2\""));
    let judged = check(folder.path(), &text);
    let [(line, message)] = told(&judged.err, &text)[..] else { panic!("{}", judged.err) };
    assert_eq!((line, judged.code), ("[[org]]", Some(2)));
    assert!(message.starts_with("org \"acme2\": logs in as the org on line 26 does"), "{message}");
}

#[test]
fn empty_settings_say_what_is_needed() {
    let folder = folder();
    let judged = check(folder.path(), "");
    for what in ["`[source]` is missing", "there is no sync"] {
        assert!(judged.err.contains(&format!("settings.toml: {what}")), "{}", judged.err);
    }
    assert_eq!(judged.code, Some(2));
}

#[test]
fn many_problems_are_counted_not_all_shown() {
    let folder = folder();
    let orgs: Vec<String> = (0..150).map(|n| format!("[[org]]\nid = \"org-{n}\"\n")).collect();
    let judged = check(folder.path(), &format!("{GOOD}{}", orgs.concat()));
    assert!(judged.err.contains("… and 50 more\n"), "{}", judged.err);
    assert!(judged.err.ends_with("settings.toml: 150 problems; nothing was started\n"), "{}", judged.err);
}

/// The published contract against the code that asks and reads.
#[test]
fn the_look_up_is_as_published() {
    let contract: Value = serde_json::from_str(include_str!("../../config/openapi.json")).expect("JSON");
    let post = &contract["paths"]["/"]["post"];
    let question = &post["requestBody"]["content"]["application/json"]["example"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mapping = Mapping::new(MappingSpec {
        sync: text(&question["sync"]),
        object: text(&question["object"]),
        keys: [("domain".to_owned(), "Website".to_owned())].into(),
        target: "Enrichment__c".to_owned(),
        external_id_field: "External_Id__c".to_owned(),
        external_id_from: "/key".into(),
        fields: [("Employee_Count__c".to_owned(), "/employees".into())].into(),
        operation: orgpipe_reconcile::Operation::Upsert,
        matching: orgpipe_reconcile::mapping::Matching::ExternalId,
        namespace: String::new(),
    })
    .expect("a right mapping");
    let asked = question["records"].as_array().expect("a list");
    let rows: Vec<Row> = asked
        .iter()
        .map(|record| {
            Row::from_iter([
                ("Id".to_owned(), record["id"].clone()),
                ("Website".to_owned(), record["keys"]["domain"].clone()),
            ])
        })
        .collect();
    assert!(rows.iter().all(|row| lookup::has_keys(&mapping, row)));
    assert_eq!(&lookup::body(&mapping, &text(&question["org"]), &rows), question);
    let records_max = &contract["components"]["schemas"]["Question"]["properties"]["records"]["maxItems"];
    assert_eq!(records_max, lookup::RECORDS_MAX);

    let answer = &post["responses"]["200"]["content"]["application/json"]["example"];
    let found = lookup::parse(answer.to_string().as_bytes(), usize::MAX).expect("an answer");
    let counts: Vec<usize> =
        asked.iter().map(|record| found[&text(&record["id"])].as_ref().map_or(0, Vec::len)).collect();
    assert_eq!(counts, [1, 2, 0]);
}
