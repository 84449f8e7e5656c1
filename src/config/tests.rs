//! The example settings, read as an operator would; the binary's own words are tested in tests/config.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use orgpipe_actors::settings::{DayWindow, EventShape, OnRefusedField, VaultKey};
use orgpipe_salesforce::oauth::Flow;
use secrecy::{ExposeSecret as _, SecretString};
use toml::{Table, Value};

use super::{
    AdminSettings, Config, Environment, MetricsSettings, OrgText, PerOrg, Problem, Sources, load, mapped,
    resolve, tables,
};

const EXAMPLE: &str = include_str!("../../config/example.toml");
const ONE_ORG: &str = include_str!("../../config/one-org.toml");
const KEY: &str = include_str!("../../tests/data/throwaway-key.pem");
const SECRETS: [(&str, &str); 12] = [
    ("ALERTS_SECRET", "hidden-alerts-secret"),
    ("SLACK_URL", "https://hooks.slack.example.com/hidden-slack"),
    ("PAGERDUTY_KEY", "hidden-routing-key"),
    ("WEBHOOK_TOKEN", "hidden-webhook"),
    ("VAULT_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("SOURCE_TOKEN", "hidden-token"),
    ("SF_CLIENT_ID", "acme-client"),
    ("GLOBEX_CLIENT_ID", "globex-client"),
    ("CONNECT_CLIENT_SECRET", "hidden-connect-secret"),
    ("GLOBEX_CLIENT_SECRET", "hidden-secret"),
    ("INITECH_JWT_KEY", KEY),
    ("HOOLI_REFRESH_TOKEN", "hidden-refresh-token"),
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
        Some("config/secrets/client-secret") => Ok("hidden-client-secret\n".to_owned()),
        Some("config/secrets/umbrella.token") => Ok("hidden-umbrella-token\n".to_owned()),
        Some("config/secrets/orgpipe.pem") => Ok(CERTIFICATE.0.clone()),
        Some("config/secrets/orgpipe.tls.key") => Ok(CERTIFICATE.1.clone()),
        _ => Err("no such file".to_owned()),
    })
}

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    read_with(text, &[])
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
fn a_value_that_takes_now_is_a_warning_told_once() {
    let plain = "\nIndustry__c = \"/industry\"\n";
    let cel = "\nIndustry__c = { cel = \"answer.industry + string(now.getFullYear())\" }\n";
    assert!(EXAMPLE.contains(plain));
    let warnings = read(&EXAMPLE.replacen(plain, cel, 1)).unwrap().warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.message.contains("`fields.Industry__c` takes `now`"), "{warning:?}");
    assert!(warning.hint.contains("$meta.synced_at"), "{warning:?}");
}

#[test]
fn the_example_means_what_it_says() {
    let Config { admin, traces, connect, orgs_left_out, warnings, settings, .. } = read(EXAMPLE).unwrap();
    let traces = traces.unwrap();
    assert_eq!(traces.endpoint.as_str(), "http://localhost:4318/v1/traces");
    assert_eq!((traces.headers.len(), traces.timeout.as_secs()), (0, 10));
    assert_eq!((traces.sample_ratio, settings.traces), (0.01, orgpipe_actors::Sampling::ratio(0.01)));
    let AdminSettings { listen, hosts, certificate, behind_proxy, metrics } = admin;
    assert_eq!(metrics, MetricsSettings { per_org: PerOrg::All, orgs_max: 1_000 });
    assert!(hosts.is_empty() && certificate.is_some() && !behind_proxy);
    assert!(warnings.is_empty() && orgs_left_out.is_empty());
    let connect = connect.unwrap();
    assert_eq!(connect.base_url.as_str(), "https://connect.example.com/");
    assert_eq!((connect.vendor.as_str(), connect.link_life.as_secs()), ("Example Inc.", 7 * 86_400));
    assert_eq!(connect.app.client_id, "3MVG9-example");
    assert!(connect.app.client_secret.is_some());
    assert_eq!(listen.to_string(), "127.0.0.1:8787");
    assert_eq!(settings.data_dir, Path::new("config/data"));
    assert!(settings.durable_against_power_loss);
    assert_eq!(settings.cache_bytes, 64 * 1024 * 1024);
    assert_eq!((settings.ledger_days, settings.queue_max), (30, 1_000_000));
    assert_eq!(settings.free_bytes_min, 200 * 1024 * 1024);
    assert_eq!((settings.source.requests_per_second, settings.source.concurrent_max), (50, 16));
    assert_eq!(settings.source.timeout.as_secs(), 30);
    let [acme, globex, initech, umbrella, hooli] = settings.orgs.as_slice() else { panic!("five orgs") };
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
    assert_eq!(sync.mapping.keys(), [("domain".to_owned(), "Company_Website__c".to_owned())]);
    let fields = sync.mapping.target_fields();
    assert!(fields.contains(&"acmeco__Description__c".to_owned()), "{fields:?}");
    assert!(!fields.contains(&"acmeco__Website__c".to_owned()), "{fields:?}");
    let refresh = sync.refresh.as_ref().unwrap();
    assert_eq!(refresh.condition.as_deref(), Some("Company_Website__c != null"));
    assert_eq!((refresh.changes.as_deref(), sync.on_refused_field), (None, OnRefusedField::LeaveOut));
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

    let Flow::RefreshToken { client_id, client_secret, refresh_token } = &umbrella.login.flow else {
        panic!("refresh token")
    };
    let exposed = |secret: &Option<SecretString>| secret.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(client_id, "3MVG9-example");
    assert_eq!(
        (exposed(client_secret).as_str(), exposed(refresh_token).as_str()),
        ("hidden-client-secret", "hidden-umbrella-token")
    );
    assert!(umbrella.login.instance_hosts.is_empty());
    let Flow::RefreshToken { client_secret: None, refresh_token, .. } = &hooli.login.flow else {
        panic!("refresh token without a secret")
    };
    assert_eq!(exposed(refresh_token), "hidden-refresh-token");
    assert_eq!(hooli.login.instance_hosts, ["salesforce-gateway.example.com"]);
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
fn the_example_tells_of_every_key_of_a_value() {
    for key in mapped::KEYS {
        assert!(EXAMPLE.lines().any(|line| line.starts_with(&format!("#   {key} "))), "{key}");
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
    let hidden = ["hidden-token", "hidden-secret", "hidden-client-secret", "hidden-umbrella-token"];
    for secret in hidden.into_iter().chain([key_line, tls_line]) {
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

fn stored(id: &str, rest: &str) -> OrgText {
    let toml = format!("[[org]]\nid = \"{id}\"\nauth = {{ flow = \"web_server\" }}\n{rest}\n");
    OrgText { id: id.to_owned(), toml, ready: true }
}

fn read_with(text: &str, stored: &[OrgText]) -> Result<Config, Vec<Problem>> {
    let sources = Sources { text: text.to_owned(), orgs: Vec::new() };
    resolve(&sources, Path::new("config/example.toml"), &environment(), stored)
}

#[test]
fn orgs_of_the_store_stand_beside_those_of_the_file_and_have_its_defaults() {
    let config = read_with(EXAMPLE, &[stored("wayne", "time_zone = \"Europe/Berlin\"")]).unwrap();
    let [.., wayne] = config.settings.orgs.as_slice() else { panic!("orgs") };
    assert_eq!((wayne.id.as_str(), wayne.time_zone), ("wayne", chrono_tz::Europe::Berlin));
    let Flow::RefreshToken { client_id, client_secret, refresh_token } = &wayne.login.flow else {
        panic!("{:?}", wayne.login.flow)
    };
    assert_eq!(client_id, "3MVG9-example");
    assert!(client_secret.is_some() && refresh_token.is_none());
    let stands_in_example = &config.settings.orgs[4];
    assert_eq!(wayne.login.login_url.as_str(), "https://login.salesforce.com/");
    assert_eq!(wayne.limits.daily_share.to_bits(), stands_in_example.limits.daily_share.to_bits());
}

#[test]
fn a_wrong_org_of_the_store_leaves_out_itself_alone() {
    let orgs = [
        stored("wayne", "syncs = [\"account_enrichmnt\"]"),
        OrgText { id: "torn".into(), toml: "[[org]\nid = ".into(), ready: true },
        OrgText {
            id: "more".into(),
            toml: "[service]\n[[org]]\nid = \"more\"\nauth = { flow = \"web_server\" }".into(),
            ready: true,
        },
        stored("stark", ""),
    ];
    let config = read_with(EXAMPLE, &orgs).unwrap();
    let names: Vec<&str> = config.settings.orgs.iter().map(|org| org.id.as_str()).collect();
    assert!(names.contains(&"stark") && names.contains(&"acme"), "{names:?}");
    assert!(!names.contains(&"wayne") && !names.contains(&"torn") && !names.contains(&"more"), "{names:?}");
    let left_out: Vec<&str> = config.orgs_left_out.keys().map(String::as_str).collect();
    assert_eq!(left_out, ["more", "torn", "wayne"]);
    let why = config.orgs_left_out["wayne"][0].to_string();
    assert!(why.contains("store, org wayne:4") && why.contains("account_enrichmnt"), "{why}");
}

#[test]
fn an_org_of_the_store_whose_name_is_taken_is_left_out_and_says_so() {
    let reserved = OrgText { ready: false, ..stored("wayne", "") };
    let config = read_with(EXAMPLE, &[stored("Acme", ""), reserved, stored("Wayne", "")]).unwrap();
    let names: Vec<&str> = config.settings.orgs.iter().map(|org| org.id.as_str()).collect();
    assert!(names.contains(&"acme"), "the file's org is worked for: {names:?}");
    assert!(!names.iter().any(|name| ["Acme", "wayne", "Wayne"].contains(name)), "{names:?}");
    let left_out: Vec<&str> = config.orgs_left_out.keys().map(String::as_str).collect();
    assert_eq!(left_out, ["Acme", "Wayne"], "one that is not worked for has its name");
    let why = &config.orgs_left_out["Acme"][0];
    assert!(why.message.contains("is there already, in config/example.toml"), "{why}");
    assert!(why.hint.contains("orgs remove"), "{}", why.hint);
}

#[test]
fn without_connect_nobody_connects_an_org() {
    let (before, after) = EXAMPLE.split_once("\n[connect]\n").unwrap();
    let text = format!("{before}{}", &after[after.find("\n[[sync]]\n").unwrap()..]);
    let config = read_with(&text, &[stored("wayne", "")]).unwrap();
    let why = &config.orgs_left_out["wayne"][0];
    assert!(why.message.contains("no usable `[connect]`") && why.hint.contains("base_url"), "{why}");
}

#[test]
fn what_an_org_has_otherwise_is_laid_over_the_sync_key_by_key() {
    let at = EXAMPLE.find("[org.sync.account_enrichment]").unwrap();
    let end = at + EXAMPLE[at..].find("\n\n").unwrap();
    let with = |own: &str| {
        let text = format!("{}{own}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
        let config = read(&text).unwrap();
        config.settings.orgs[0].syncs[0].clone()
    };
    let plain = with("");
    assert!(plain.own.is_empty());
    let header = "[org.sync.account_enrichment]\n";
    assert_eq!(with(header), plain, "nothing is otherwise");
    let own = with(&format!("{header}target = \"Company__c\"\nexternal_id = {{ from = \"/id\" }}"));
    assert_eq!(own.mapping.target(), "acmeco__Company__c");
    assert_eq!(own.mapping.key_field(), plain.mapping.key_field());
    assert_eq!(own.mapping.fields(), plain.mapping.fields());
    assert_eq!(own.own.iter().collect::<Vec<_>>(), ["external_id.from", "target"]);
    let own = with(&format!(
        "{header}fields = {{ Industry__c = \"/branch\", Website__c = false, Phone__c = \"/phone\" }}"
    ));
    let names = |fields: Vec<String>| fields.into_iter().map(|name| name.replace("acmeco__", ""));
    let left: Vec<String> = names(own.mapping.target_fields()).collect();
    assert_eq!(left, ["Account__c", "Employee_Count__c", "Industry__c", "Phone__c"]);
    assert_eq!(own.refresh, plain.refresh);
    let own = with(&format!("{header}refresh = {{ where = false, schedule = \"0 4 * * *\" }}"));
    let (own, plain_refresh) = (own.refresh.clone().unwrap(), plain.refresh.clone().unwrap());
    assert_eq!((own.condition, own.schedule.as_deref()), (None, Some("0 4 * * *")));
    assert_eq!((own.changes, own.window), (plain_refresh.changes, plain_refresh.window));
    assert_eq!(with(&format!("{header}refresh = false")).refresh, None);
}

#[test]
fn what_else_is_written_to_a_record_that_is_the_target_itself_has_to_agree_with_it() {
    let onto = "[[sync]]\nname = \"onto\"\nchannel = \"/event/Sync_Request__e\"\nobject = \"Account\"\nmatch = \"id\"\n\
                keys = { domain = \"Website\" }\n[sync.fields]\nIndustry = \"/industry\"\n";
    let beside = |target: &str, refresh: &str| {
        format!(
            "[[sync]]\nname = \"beside\"\nchannel = \"/event/Sync_Request__e\"\nobject = \"Contact\"\n\
             target = \"{target}\"\nexternal_id = {{ field = \"Key__c\", from = \"/key\" }}\n\
             keys = {{ mail = \"Email\" }}\n{refresh}[sync.fields]\nContact__c = \"$Id\"\n"
        )
    };
    let told = |target: &str, refresh: &str| {
        let at = ONE_ORG.find("[[sync]]").unwrap();
        let org = ONE_ORG.find("[[org]]").unwrap();
        let text = format!("{}{onto}{}{}", &ONE_ORG[..at], beside(target, refresh), &ONE_ORG[org..]);
        let problems = read(&text).err().unwrap_or_default();
        problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let (spelt, disagrees) =
        ("name one object as `Account` and as `account`", "`refresh.on_deleted` differs from that");
    for (target, refresh, expected) in [
        ("Account", "", None),
        ("account", "", Some(spelt)),
        ("Account", "refresh = { on_deleted = \"delete\" }\n", Some(disagrees)),
    ] {
        let told = told(target, refresh);
        assert_eq!(told.is_empty(), expected.is_none(), "{target} {refresh}: {told}");
        assert!(expected.is_none_or(|part| told.contains(part)), "{target} {refresh}: {told}");
    }
}

#[test]
fn an_org_of_the_store_may_have_a_sync_otherwise_and_a_mistake_leaves_out_it_alone() {
    let header = "[org.sync.account_enrichment.fields]";
    let right = stored("wayne", &format!("{header}\nWebsite__c = false"));
    let wrong = stored("stark", &format!("{header}\nWebsit__c = false"));
    let config = read_with(EXAMPLE, &[right, wrong]).unwrap();
    let wayne = config.settings.orgs.iter().find(|org| org.id == "wayne").unwrap();
    let sync = wayne.syncs.iter().find(|sync| sync.name == "account_enrichment").unwrap();
    assert!(sync.own.contains("fields.Website__c"), "{:?}", sync.own);
    assert!(!sync.mapping.target_fields().contains(&"Website__c".to_owned()));
    let why = &config.orgs_left_out["stark"][0];
    assert_eq!(why.line, Some(5), "{why}");
    assert!(why.message.contains("`fields.Websit__c` is `false`"), "{why}");
}

#[test]
fn files_of_a_folder_are_read_and_their_problems_have_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let orgs = folder.path().join("orgs");
    std::fs::create_dir(&orgs).unwrap();
    let file = folder.path().join("orgpipe.toml");
    let text = EXAMPLE.replace("#orgs_dir = \"\"", "orgs_dir = \"orgs\"");
    let environment = || environment().with_files_of_process();
    let parse = |text: &str| {
        std::fs::write(&file, text).unwrap();
        load(&file, &environment())
    };
    let read = || parse(&text);
    std::fs::write(orgs.join("wayne.toml"), stored("wayne", "").toml).unwrap();
    std::fs::write(orgs.join("notes.txt"), "not read").unwrap();
    let config = read().unwrap();
    assert!(config.settings.orgs.iter().any(|org| org.id == "wayne"));
    std::fs::write(orgs.join("acme.toml"), stored("acme", "").toml).unwrap();
    std::fs::write(orgs.join("stark.toml"), "[service]\n").unwrap();
    let told: Vec<String> = read().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("acme.toml:2") && told[0].contains("orgpipe.toml, line"), "{}", told[0]);
    assert!(told[1].contains("stark.toml:1") && told[1].contains("`service`"), "{}", told[1]);
    let text = text.replace("\"orgs\"", "\"nowhere\"");
    let problems = parse(&text).unwrap_err();
    assert!(problems[0].message.contains("nowhere"), "{problems:?}");
}

#[test]
fn the_vault_key_stands_beside_the_data_directory_or_where_the_file_says_never_in_it() {
    let with = |lines: &str| read(&EXAMPLE.replacen("[service]", &format!("[service]\n{lines}"), 1));
    let key = |lines: &str| with(lines).unwrap().settings.vault_key;
    assert_eq!(key(""), VaultKey::File("config/data.key".into()));
    assert_eq!(key("data_dir = \"kept/here\""), VaultKey::File("config/kept/here.key".into()));
    assert_eq!(
        key("vault_key_file = \"secrets/vault.key\""),
        VaultKey::File("config/secrets/vault.key".into())
    );
    let given = "vault_key_env = \"VAULT_KEY\"";
    assert!(matches!(key(given), VaultKey::Given(_)));
    for (lines, told) in [
        ("vault_key_file = \"data/vault.key\"", "in the data directory"),
        ("vault_key_file = \"\"", "is empty"),
        ("vault_key_env = \"SOURCE_TOKEN\"", "32 random bytes"),
        ("vault_key_env = \"NOWHERE\"", "not set"),
        ("vault_key_env = \"VAULT_KEY\"\nvault_key_file = \"x\"", "stands beside"),
    ] {
        let problems = with(lines).unwrap_err();
        assert!(problems[0].message.contains(told), "{lines}: {problems:?}");
        assert!(!problems[0].to_string().contains("hidden"), "{problems:?}");
    }
}
