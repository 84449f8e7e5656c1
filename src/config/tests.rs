//! The example settings, read as an operator would; the binary's own words are tested in tests/config.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use orgpipe_actors::settings::{DayWindow, EventShape};
use orgpipe_salesforce::oauth::Flow;
use toml::{Table, Value};

use super::{AdminSettings, Config, Environment, Problem, parse, tables};

const EXAMPLE: &str = include_str!("../../config/example.toml");
const ONE_ORG: &str = include_str!("../../config/one-org.toml");
const KEY: &str = include_str!("../../tests/data/throwaway-key.pem");
const SECRETS: [(&str, &str); 6] = [
    ("WEBHOOK_TOKEN", "hidden-webhook"),
    ("SOURCE_TOKEN", "hidden-token"),
    ("SF_CLIENT_ID", "acme-client"),
    ("GLOBEX_CLIENT_ID", "globex-client"),
    ("GLOBEX_CLIENT_SECRET", "hidden-secret"),
    ("INITECH_JWT_KEY", KEY),
];

/// A certificate and its key, as PEM.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
});

fn environment() -> Environment {
    let variable =
        |name: &str| SECRETS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Environment::from_functions(variable, |path, _| match path.to_str() {
        Some("config/secrets/jwt.key") => Ok(KEY.to_owned()),
        Some("config/secrets/orgpipe.pem") => Ok(CERTIFICATE.0.clone()),
        Some("config/secrets/orgpipe.tls.key") => Ok(CERTIFICATE.1.clone()),
        _ => Err("no such file".to_owned()),
    })
}

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, Path::new("config/example.toml"), &environment())
}

/// The example with every key that is left out written down.
fn all_written() -> String {
    let is_key = |rest: &str| {
        rest.split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let lines =
        EXAMPLE.lines().map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn live_changes_linger_by_strategy_unless_the_file_says_otherwise() {
    let before = "limits = { daily_share = 0.1, concurrent_max = 2 }";
    assert!(EXAMPLE.contains(before));
    for (limits, millis) in
        [("", 1_000), (r#"strategy = "cost""#, 500), (r#"strategy = "cost", linger_millis = 50"#, 50)]
    {
        let text = EXAMPLE.replace(before, &format!("limits = {{ {limits} }}"));
        assert_eq!(read(&text).unwrap().settings.orgs[0].limits.linger.as_millis(), millis, "{limits}");
    }
}

#[test]
fn the_example_means_what_it_says() {
    let Config { admin, settings } = read(EXAMPLE).unwrap();
    let AdminSettings { listen, hosts, certificate, behind_proxy } = admin;
    assert!(hosts.is_empty() && certificate.is_some() && !behind_proxy);
    assert_eq!(listen.to_string(), "127.0.0.1:8787");
    assert_eq!(settings.data_dir, Path::new("config/data"));
    assert!(settings.durable_against_power_loss);
    assert_eq!(settings.cache_bytes, 64 * 1024 * 1024);
    assert_eq!((settings.ledger_days, settings.queue_max), (30, 1_000_000));
    assert_eq!(settings.free_bytes_min, 200 * 1024 * 1024);
    assert_eq!((settings.source.requests_per_second, settings.source.concurrent_max), (50, 16));
    assert_eq!(settings.source.timeout.as_secs(), 30);
    let [acme, globex, initech] = settings.orgs.as_slice() else { panic!("three orgs") };
    assert_eq!(
        (acme.id.as_str(), acme.time_zone, acme.api_version.as_str()),
        ("acme", chrono_tz::Europe::Berlin, "66.0")
    );
    assert_eq!((acme.limits.daily_share, acme.limits.reserve), (0.1, 0.2));
    assert_eq!(acme.limits.linger.as_millis(), 1_000);
    assert_eq!(
        (acme.limits.requests_per_second, acme.limits.concurrent_max, acme.limits.bulk_from),
        (10, 2, 10)
    );
    let [sync] = acme.syncs.as_slice() else { panic!("one sync") };
    assert_eq!(sync.channel, "/event/acmeco__Sync_Request__e");
    let EventShape::Request(fields) = &sync.event else { panic!("{:?}", sync.event) };
    assert_eq!(fields.ids, "acmeco__Record_Ids__c");
    assert_eq!(sync.mapping.target(), "acmeco__Enrichment__c");
    let refresh = sync.refresh.as_ref().unwrap();
    assert_eq!(refresh.condition.as_deref(), Some("Website != null"));
    assert_eq!(refresh.schedule.as_deref(), Some("0 2 * * SAT"));
    let DayWindow { from, to } = refresh.window.unwrap();
    assert_eq!(
        (from.to_string(), to.to_string(), refresh.batch, refresh.bulk_from),
        ("02:00:00".into(), "06:00:00".into(), 100, 100_000)
    );
    let Flow::Jwt { client_id, username, audience: None, .. } = &acme.login.flow else { panic!("jwt") };
    assert_eq!((client_id.as_str(), username.as_str()), ("acme-client", "sync@acme.com"));

    assert!(
        matches!(&globex.login.flow, Flow::ClientCredentials { client_id, .. } if client_id == "globex-client")
    );
    assert_eq!((globex.api_version.as_str(), globex.syncs.len()), ("65.0", 2));
    assert_eq!(globex.syncs[1].channel, "/data/LeadChangeEvent");
    let EventShape::Change { watch } = &globex.syncs[1].event else { panic!("{:?}", globex.syncs[1].event) };
    assert_eq!(watch, &["Website", "Email"]);
    let Flow::Jwt { audience, .. } = &initech.login.flow else { panic!("jwt") };
    assert_eq!(audience.as_deref(), Some("https://test.salesforce.com"));
}

#[test]
fn a_key_left_out_has_the_default_that_the_example_shows() {
    let (left_out, written) = (read(EXAMPLE).unwrap(), read(&all_written()).unwrap());
    assert_eq!(format!("{left_out:#?}"), format!("{written:#?}"));
}

#[test]
fn the_example_shows_every_key() {
    let written: Table = all_written().parse().unwrap();
    for (place, keys) in tables::ALL {
        let mut found = vec![&written];
        for name in place.split('.').filter(|name| !name.is_empty()) {
            let inside = found.into_iter().filter_map(|table| table.get(name));
            found = inside
                .flat_map(|value| match value {
                    Value::Table(table) => vec![table],
                    Value::Array(tables) => tables.iter().filter_map(Value::as_table).collect(),
                    _ => Vec::new(),
                })
                .collect();
        }
        let shown: BTreeSet<&str> = found.iter().flat_map(|table| table.keys()).map(String::as_str).collect();
        assert_eq!(shown, keys.iter().copied().collect(), "[{place}]");
    }
}

#[test]
fn the_shortest_settings_are_enough() {
    let config = read(ONE_ORG).unwrap();
    assert_eq!(config.settings.orgs.len(), 1);
    assert!(config.settings.orgs[0].syncs[0].refresh.is_none());
}

#[test]
fn no_secret_can_be_printed() {
    let shown = format!("{:?}", read(EXAMPLE).unwrap());
    let key_line = KEY.lines().nth(2).unwrap();
    let tls_line = CERTIFICATE.1.lines().nth(1).unwrap();
    for secret in ["hidden-token", "hidden-secret", key_line, tls_line] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// Whatever single line is lost or spoilt: an answer with a place and a way out, never a panic, never an empty list.
#[test]
fn a_spoilt_line_is_explained() {
    let text = all_written();
    let lines: Vec<&str> = text.lines().collect();
    for spoilt in 0..lines.len() {
        let Some((key, _)) = lines[spoilt].split_once(" = ").filter(|(key, _)| !key.starts_with('#')) else {
            continue;
        };
        for replacement in [
            String::new(),
            format!("{key} = []"),
            format!("{key} = \"\""),
            format!("{key} = {{ a = 1 }}"),
            format!("{key} ="),
        ] {
            let mut changed = lines.clone();
            changed[spoilt] = &replacement;
            if let Err(problems) = read(&changed.join("\n")) {
                assert!(!problems.is_empty(), "{replacement}");
                for problem in problems {
                    assert!(problem.line.is_some(), "{problem}");
                    assert!(!problem.hint.is_empty(), "{problem}");
                    assert!(!problem.to_string().contains("hidden"), "{problem}");
                }
            }
        }
    }
}
