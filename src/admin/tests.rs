//! The table of paths, walked with every kind of caller, over real HTTP.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use orgpipe_actors::{
    Failpoints,
    settings::{AlertSettings, Settings, SourceSettings},
};
use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{COOKIE, HeaderMap, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE},
    redirect::Policy,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    routes::{RULES, Rule, Who},
    *,
};
use crate::{
    audit_log::{AUDIT_KIND, AuditLog, Deed},
    config::{Config, MetricsSettings, PerOrg},
};

/// A service without orgs, and its admin API.
struct Served {
    service: Service,
    admin: Admin,
    http: Client,
    _folder: TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = SourceSettings {
            url: "http://127.0.0.1:1/".parse().expect("a URL"),
            token: None,
            requests_per_second: 1,
            concurrent_max: 1,
            timeout: Duration::from_secs(1),
        };
        let settings = Settings {
            vault_key: orgpipe_actors::settings::VaultKey::File(folder.path().join("data.key")),
            data_dir: folder.path().join("data"),
            durable_against_power_loss: false,
            cache_bytes: 8 << 20,
            ledger_days: 1,
            free_bytes_min: 0,
            queue_max: 1_000,
            refreshes_max: 1,
            source,
            webhook: None,
            alerts: AlertSettings::default(),
            orgs: Vec::new(),
            traces: orgpipe_actors::Sampling::NONE,
            failpoints: Failpoints::default(),
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = AdminSettings {
            listen,
            hosts: Vec::new(),
            certificate: None,
            behind_proxy: false,
            metrics: MetricsSettings { per_org: PerOrg::All, orgs_max: 1_000 },
        };
        let config = Config {
            admin,
            connect: None,
            orgs_left_out: std::collections::BTreeMap::new(),
            warnings: Vec::new(),
            settings: settings.clone(),
            traces: None,
        };
        let service = Service::start(settings).await.expect("it starts");
        let file =
            SettingsFile::new(Path::new("/nowhere/orgpipe.toml"), crate::config::Sources::default(), &config);
        let listener = super::listener(&file).expect("a port");
        let admin = super::start(file, service.clone(), listener).await.expect("it listens");
        let http = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { service, admin, http, _folder: folder }
    }

    async fn end(self) {
        self.service.drain(Duration::from_secs(1)).await.expect("it ends");
        self.admin.stop().await;
    }

    fn first(&self) -> &str {
        self.admin.first.as_ref().expect("there was none before").secret.expose_secret()
    }

    /// A request by a rule, about an org that there is not.
    fn request(&self, rule: &Rule) -> RequestBuilder {
        let parts = [("{org}", "nobody"), ("{number}", "7"), ("{name}", "nobody"), ("{record}", "001")];
        let path = parts.iter().fold(rule.path.to_owned(), |path, (part, value)| path.replace(part, value));
        self.http.request(method(rule), format!("{}{path}", self.admin.url))
    }

    async fn token(&self, name: &str, role: Role) -> String {
        let request = self.http.post(format!("{}/api/v1/tokens", self.admin.url)).bearer_auth(self.first());
        let made: Value =
            answer(request.json(&json!({ "name": name, "role": role }))).await.json().await.expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// The cookie of a new session.
    async fn cookie(&self, token: &str) -> String {
        let request = self.http.post(format!("{}/login", self.admin.url)).form(&[("token", token)]);
        let answer = answer(request).await;
        assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, "/"));
        let cookie = header(answer.headers(), SET_COOKIE.as_str()).to_owned();
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// As the client names it.
fn method(rule: &Rule) -> Method {
    rule.method().as_str().parse().expect("a method")
}

const ROLES: [Role; 3] = [Role::Read, Role::Operate, Role::Admin];

#[actix_rt::test]
async fn each_path_is_answered_to_the_roles_of_its_line_and_to_nobody_else() {
    let served = Served::start().await;
    let mut tokens = Vec::new();
    for role in ROLES {
        tokens.push((role, served.token(role.name(), role).await));
    }
    let revoked = served.token("gone", Role::Admin).await;
    let revoke = served.http.post(format!("{}/api/v1/tokens/gone/revoke", served.admin.url));
    assert_eq!(answer(revoke.bearer_auth(served.first())).await.status(), 200);
    for rule in RULES {
        let what = format!("{} {}", rule.method(), rule.path);
        for (token, kind) in
            [("", "none"), (&revoked, "revoked"), ("op_guess", "wrong"), (&revoked[..60], "cut")]
        {
            let request = served.request(rule);
            let request = if token.is_empty() { request } else { request.bearer_auth(token) };
            let answer = answer(request).await;
            let status = answer.status().as_u16();
            match rule.who {
                Who::Anyone => assert!(![401, 403, 429].contains(&status), "{what}, {kind}: {status}"),
                Who::With(_) if status == 429 => {
                    assert!(!token.is_empty(), "{what}: who guesses nothing need not wait");
                }
                Who::With(_) => {
                    assert_eq!(status, 401, "{what}, {kind}");
                    assert_eq!(
                        header(answer.headers(), WWW_AUTHENTICATE.as_str()),
                        "Bearer realm=\"orgpipe\""
                    );
                    let said: Value = answer.json().await.expect("JSON");
                    assert!(said["error"] != "" && said["hint"] != "", "{what}: {said}");
                }
            }
        }
        for (role, token) in &tokens {
            let status = answer(served.request(rule).bearer_auth(token)).await.status().as_u16();
            let may = match rule.who {
                Who::Anyone => true,
                Who::With(needed) => *role >= needed,
            };
            assert_eq!(![401, 403, 429].contains(&status), may, "{what} as {role:?}: {status}");
        }
    }
    served.end().await;
}

/// The contract for users, from which the tests of the whole take the paths that they walk.
#[test]
fn the_contract_lists_exactly_the_paths_that_are_served_and_what_they_take() {
    let contract: Value = serde_json::from_str(&document().0).expect("JSON");
    let mut listed = BTreeSet::new();
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let roles = |kind: usize, name: &str| operation["security"][kind][name][0].as_str();
            assert_eq!(roles(0, "token"), roles(1, "session"), "{method} {path}");
            let role = roles(0, "token").unwrap_or("anyone").to_owned();
            let has_body = operation.get("requestBody").is_some();
            listed.insert((method.to_uppercase(), path.clone(), role, has_body));
            // Each part of the path is described, and nothing else.
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let resolved = parameters.iter().map(|parameter| match parameter["$ref"].as_str() {
                Some(place) => contract.pointer(place.trim_start_matches('#')).expect("it is there"),
                None => parameter,
            });
            let in_path = resolved.filter(|parameter| parameter["in"] == "path");
            let described: BTreeSet<&str> =
                in_path.filter_map(|parameter| parameter["name"].as_str()).collect();
            let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            assert_eq!(described, parts.collect(), "{method} {path}");
        }
    }
    let served = RULES.iter().map(|rule| {
        let role = match rule.who {
            Who::Anyone => "anyone",
            Who::With(role) => role.name(),
        };
        (rule.method().to_string(), rule.path.to_owned(), role.to_owned(), rule.reads_body())
    });
    assert_eq!(listed, served.collect());
}

/// Each line of the copy that is kept is the code's, and each operation has a name and a summary of its own.
#[test]
fn the_copy_of_the_document_is_what_the_code_says() {
    let Document(text) = document();
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/admin-openapi.json"));
    let kept = kept.expect("the copy");
    let differs = kept.lines().zip(text.lines()).find(|(kept, line)| kept != line);
    assert!(
        differs.is_none() && kept.lines().count() == text.lines().count(),
        "{differs:?}; make it anew: cargo run -- openapi > config/admin-openapi.json"
    );
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let operations = document["paths"].as_object().expect("paths").values().filter_map(Value::as_object);
    let operations: Vec<&Value> = operations.flat_map(serde_json::Map::values).collect();
    let names: BTreeSet<&str> = operations.iter().filter_map(|one| one["operationId"].as_str()).collect();
    assert_eq!(names.len(), operations.len(), "{names:?}");
    for operation in operations {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{operation}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{operation}");
    }
}

#[actix_rt::test]
async fn a_session_may_what_its_token_may_and_commands_only_from_an_own_page() {
    let served = Served::start().await;
    for role in ROLES {
        let token = served.token(role.name(), role).await;
        let cookie = served.cookie(&token).await;
        for rule in RULES.iter().filter(|rule| rule.path != "/logout") {
            let Who::With(needed) = rule.who else { continue };
            let what = format!("{} {} as {role:?}", rule.method(), rule.path);
            let request = || served.request(rule).header(COOKIE, &cookie);
            let own = answer(request().header(ORIGIN, &served.admin.url)).await.status().as_u16();
            assert_eq!(![401, 403, 429].contains(&own), role >= needed, "{what}: {own}");
            if method(rule) != Method::GET {
                for head in [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1:1")] {
                    let request =
                        head.iter().fold(request(), |request, origin| request.header(ORIGIN, *origin));
                    assert_eq!(answer(request).await.status(), 403, "{what} from {head:?}");
                }
            }
        }
        // With the token the session ends.
        let revoke = served.http.post(format!("{}/api/v1/tokens/{}/revoke", served.admin.url, role.name()));
        assert_eq!(answer(revoke.bearer_auth(served.first())).await.status(), 200);
        let after = served.http.get(format!("{}/api/v1/orgs", served.admin.url)).header(COOKIE, &cookie);
        assert_eq!(answer(after).await.status(), 401, "{role:?}");
    }
    served.end().await;
}

#[actix_rt::test]
async fn a_path_that_is_not_in_the_table_tells_nothing_without_a_token() {
    let served = Served::start().await;
    for (method, path) in [
        (Method::GET, "/api/v1/nothing"),
        (Method::GET, "/login/"),
        (Method::GET, "//login"),
        (Method::GET, "/%6cogin"),
        (Method::DELETE, "/api/v1/tokens"),
        (Method::PUT, "/login"),
        (Method::OPTIONS, "/api/v1/orgs"),
        (Method::HEAD, "/api/v1/orgs"),
    ] {
        let url = format!("{}{path}", served.admin.url);
        let status = answer(served.http.request(method.clone(), &url)).await.status();
        assert_eq!(status, 401, "{method} {path}");
    }
    served.end().await;
}

#[actix_rt::test]
async fn a_command_that_cannot_be_stored_is_told_all_the_same_and_does_not_take_the_service_down() {
    let served = Served::start().await;
    let log = AuditLog::load(served.service.clone(), 30).await.expect("what is stored");
    let deed = |command: &str| Deed { command: command.to_owned(), ..Deed::default() };
    log.clone().keep(deed("stored")).await;
    let service = served.service.clone();
    served.end().await;
    log.clone().keep(deed("not stored")).await;
    assert!(service.registry(AUDIT_KIND).await.is_err(), "the store is closed");
    let told: Vec<String> = log.entries(None, None, 10).into_iter().map(|entry| entry.command).collect();
    assert_eq!(told, ["not stored", "stored"]);
}

#[test]
fn a_browser_is_sent_to_where_the_service_is_reached() {
    for (address, tls, behind_proxy, host, expected) in [
        ("127.0.0.1:8787", false, false, None, "http://127.0.0.1:8787"),
        ("[::]:8787", false, false, None, "http://[::1]:8787"),
        ("0.0.0.0:8787", true, false, None, "https://127.0.0.1:8787"),
        ("0.0.0.0:8787", true, false, Some("orgpipe.internal"), "https://orgpipe.internal:8787"),
        ("10.0.0.1:8787", false, true, Some("orgpipe.internal"), "https://orgpipe.internal"),
        ("127.0.0.1:8787", false, true, None, "http://127.0.0.1:8787"),
        ("127.0.0.1:8787", false, false, Some("orgpipe.internal"), "http://127.0.0.1:8787"),
    ] {
        let address: SocketAddr = address.parse().expect("an address");
        assert_eq!(url(address, tls, behind_proxy, host), expected);
    }
}
