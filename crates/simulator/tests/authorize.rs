//! The web server flow over HTTP, as a browser and an app go through it: pages, consent, codes, PKCE, refusals.

mod support;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use orgpipe_simulator::{AppStatus, LoginPolicy, Options, OrgHandle, OrgOptions, PermittedUsers, Right};
use reqwest::Response;
use serde_json::Value;
use support::{World, world};
use url::Url;

const CALLBACK: &str = "http://127.0.0.1:7171/oauth/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-RFC-7636.~_";

fn options() -> Options {
    let login_policy = LoginPolicy { redirect_uris: vec![CALLBACK.to_owned()], ..LoginPolicy::default() };
    Options { orgs: vec![OrgOptions { login_policy, ..OrgOptions::default() }], ..Options::default() }
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// What an app asks for, with changes: `None` leaves a parameter out.
fn asked<'a>(org: &'a OrgHandle, changes: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, String)> {
    let mut asked = vec![
        ("response_type", "code".to_owned()),
        ("client_id", org.client_id().to_owned()),
        ("redirect_uri", CALLBACK.to_owned()),
        ("scope", "api refresh_token".to_owned()),
        ("state", "s t/ä".to_owned()),
        ("code_challenge", challenge()),
        ("code_challenge_method", "S256".to_owned()),
    ];
    for (name, value) in changes {
        asked.retain(|(known, _)| known != name);
        asked.extend(value.map(|value| (*name, value.to_owned())));
    }
    asked
}

/// A browser without script: it keeps the cookie and follows redirects within the org.
struct Browser<'a> {
    world: &'a World,
    cookie: String,
}

/// Where a browser has come to.
#[derive(Debug)]
enum Seen {
    Page {
        status: u16,
        html: String,
    },
    /// The app's address, with what is told to it.
    App(Vec<(String, String)>),
}

impl Seen {
    fn page(&self) -> &str {
        match self {
            Self::Page { status: 200, html } => html,
            other => panic!("no page: {other:?}"),
        }
    }

    fn app(&self, name: &str) -> &str {
        match self {
            Self::App(told) => told.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value),
            Self::Page { .. } => panic!("not back at the app: {self:?}"),
        }
    }

    fn refusal(&self) -> (&str, &str) {
        (self.app("error"), self.app("error_description"))
    }

    /// The value of the hidden field of a form.
    fn source(&self) -> &str {
        let rest = self.page().split_once(r#"name="source" value=""#).expect("a hidden field").1;
        rest.split_once('"').expect("a value").0
    }
}

impl<'a> Browser<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, cookie: String::new() }
    }

    async fn open(&mut self, changes: &[(&str, Option<&str>)]) -> Seen {
        let org = self.world.org();
        let request = self.world.http.get(format!("{}/services/oauth2/authorize", org.base_url()));
        let reply = request.query(&asked(org, changes)).header("Cookie", &self.cookie).send().await;
        self.follow(reply.expect("an answer")).await
    }

    async fn submit(&mut self, path: &str, form: &[(&str, &str)]) -> Seen {
        let url = format!("{}{path}", self.world.org().base_url());
        let reply = self.world.http.post(url).form(form).header("Cookie", &self.cookie).send().await;
        self.follow(reply.expect("an answer")).await
    }

    async fn log_in(&mut self, page: &Seen, username: &str, password: &str) -> Seen {
        let form = [("source", page.source()), ("username", username), ("password", password)];
        self.submit("/login", &form).await
    }

    async fn decide(&mut self, page: &Seen, decision: &str) -> Seen {
        let form = [("source", page.source()), ("decision", decision)];
        self.submit("/setup/secur/RemoteAccessAuthorizationPage.apexp", &form).await
    }

    /// The whole way to a code.
    async fn allow(&mut self, changes: &[(&str, Option<&str>)]) -> String {
        let org = self.world.org();
        let login = self.open(changes).await;
        let consent = self.log_in(&login, org.username(), org.password()).await;
        let done = self.decide(&consent, "allow").await;
        done.app("code").to_owned()
    }

    async fn follow(&mut self, reply: Response) -> Seen {
        let mut reply = reply;
        loop {
            if let Some(cookie) = reply.headers().get("set-cookie") {
                let text = cookie.to_str().expect("text");
                assert!(text.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{text}");
                text.split(';').next().expect("a pair").clone_into(&mut self.cookie);
            }
            let Some(to) = reply.headers().get("location") else {
                assert!(
                    reply.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/html"))
                );
                let status = reply.status().as_u16();
                return Seen::Page { status, html: reply.text().await.expect("a body") };
            };
            let to = to.to_str().expect("text").to_owned();
            if let Ok(url) = Url::parse(&to) {
                assert!(to.starts_with(CALLBACK), "{to}");
                assert!(!to.contains("code=") || to.contains("%3D%3D"), "{to}");
                return Seen::App(url.query_pairs().into_owned().collect());
            }
            let url = format!("{}{to}", self.world.org().base_url());
            reply = self.world.http.get(url).header("Cookie", &self.cookie).send().await.expect("an answer");
        }
    }
}

async fn exchange(world: &World, code: &str, changes: &[(&str, Option<&str>)]) -> (u16, Value) {
    let org = world.org();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("client_id", org.client_id()),
        ("client_secret", org.client_secret()),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        form.extend(value.map(|value| (*name, value)));
    }
    let url = format!("{}/services/oauth2/token", org.base_url());
    let reply = world.http.post(url).form(&form).send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

fn refusal((status, body): &(u16, Value)) -> (&str, &str) {
    assert_eq!(*status, 400, "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    (text("error"), text("error_description"))
}

#[test]
fn a_user_logs_in_allows_and_the_app_gets_its_tokens() {
    world(options(), async |world: &World| {
        let org = world.org();
        let mut browser = Browser::new(world);
        let login = browser.open(&[("login_hint", Some("<sync>@acme.example"))]).await;
        for part in
            [r#"<form method="post" action="/login">"#, r#"type="password""#, "value=\"&#60;sync&#62;@acme"]
        {
            assert!(login.page().contains(part), "{part} in {}", login.page());
        }
        assert!(!login.page().contains("<script"), "it works without a script");
        let wrong = browser.log_in(&login, org.username(), "wrong").await;
        assert!(wrong.page().contains("Please check your username and password"));
        assert_eq!(browser.cookie, "", "nobody is logged in by it");
        let consent = browser.log_in(&wrong, org.username(), org.password()).await;
        for part in
            [org.app_name(), org.username(), "Manage user data via APIs", "Perform requests at any time"]
        {
            assert!(consent.page().contains(part), "{part} in {}", consent.page());
        }
        assert!(!consent.page().contains("(web)"), "what is not asked for is not shown");
        let done = browser.decide(&consent, "allow").await;
        assert_eq!(done.app("state"), "s t/ä");
        let code = done.app("code");
        assert!(code.ends_with("=="), "{code}");
        assert!(org.grants().is_empty(), "nothing is given before the exchange");
        let (status, token) = exchange(world, code, &[]).await;
        assert_eq!(status, 200, "{token}");
        assert_eq!((&token["scope"], &token["token_type"]), (&"api refresh_token".into(), &"Bearer".into()));
        assert_eq!(token["refresh_token"], org.grants()[0].refresh_token);
        assert_eq!(token["id"], format!("{}/id/{}/{}", org.base_url(), org.org_id(), org.user_id()));
        let access = token["access_token"].as_str().expect("a token");
        let limits =
            world.http.get(world.url("/limits")).bearer_auth(access).send().await.expect("an answer");
        assert_eq!(limits.status().as_u16(), 200);
        let history: Vec<_> =
            org.login_history().into_iter().skip(1).map(|login| (login.kind, login.status)).collect();
        let history: Vec<_> = history.iter().map(|(kind, status)| (kind.as_str(), status.as_str())).collect();
        assert_eq!(
            history,
            [
                ("browser", "Failed: invalid password"),
                ("browser", "Success"),
                ("authorization_code", "Success")
            ],
        );
    });
}

#[test]
fn a_code_is_good_once_for_its_app_its_address_and_fifteen_minutes() {
    world(options(), async |world: &World| {
        let org = world.org();
        let code = Browser::new(world).allow(&[]).await;
        for (changes, error) in [
            (
                vec![("redirect_uri", Some("http://127.0.0.1:7171/other"))],
                ("redirect_uri_mismatch", "redirect_uri must match configuration"),
            ),
            (vec![("redirect_uri", None)], ("invalid_request", "missing required parameters")),
            (vec![("code", Some("aPrx=="))], ("invalid_grant", "invalid authorization code")),
            (vec![("client_id", Some("x"))], ("invalid_client_id", "client identifier invalid")),
            (vec![("client_secret", Some("x"))], ("invalid_client", "invalid client credentials")),
            (vec![("client_secret", None)], ("invalid_client", "invalid client credentials")),
            (vec![("code_verifier", None)], ("invalid_grant", "missing required code verifier")),
            (vec![("code_verifier", Some("short"))], ("invalid_request", "invalid code verifier")),
            (
                vec![("code_verifier", Some("another-verifier-that-is-long-enough-for-it.~_"))],
                ("invalid_request", "invalid code verifier"),
            ),
        ] {
            assert_eq!(refusal(&exchange(world, &code, &changes).await), error, "{changes:?}");
        }
        assert_eq!(exchange(world, &code, &[]).await.0, 200);
        let over = ("invalid_grant", "expired authorization code");
        assert_eq!(refusal(&exchange(world, &code, &[]).await), over);
        let code = Browser::new(world).allow(&[("prompt", Some("consent"))]).await;
        org.age_codes(Duration::from_secs(15 * 60 + 1));
        assert_eq!(refusal(&exchange(world, &code, &[]).await), over);
        assert_eq!(org.grants().len(), 1);
    });
}

#[test]
fn a_public_app_shows_no_secret_and_without_the_scope_there_is_no_refresh_token() {
    world(options(), async |world: &World| {
        let org = world.org();
        org.set_login_policy(LoginPolicy {
            secret_required: false,
            pkce_required: false,
            ..org.login_policy()
        });
        let plain = [("code_challenge", None), ("code_challenge_method", None), ("scope", Some("api"))];
        let code = Browser::new(world).allow(&plain).await;
        let (status, token) =
            exchange(world, &code, &[("client_secret", None), ("code_verifier", None)]).await;
        assert_eq!((status, token.get("refresh_token")), (200, None), "{token}");
        assert!(org.grants().is_empty());
        // Without any scope it is all that the app has.
        let code = Browser::new(world).allow(&[("scope", None)]).await;
        let (_, token) = exchange(world, &code, &[]).await;
        assert_eq!(token["scope"], "id api refresh_token openid profile email web");
        // A token without the scope for it does not open the API, and a new one would not either.
        let narrow = [("scope", Some("id offline_access")), ("prompt", Some("consent"))];
        let code = Browser::new(world).allow(&narrow).await;
        let (_, token) = exchange(world, &code, &[]).await;
        assert_eq!(token["scope"], "id refresh_token");
        let access = token["access_token"].as_str().expect("a token");
        let reply = world.http.get(world.url("/limits")).bearer_auth(access).send().await.expect("an answer");
        assert_eq!(reply.status().as_u16(), 401);
        let body: Value = reply.json().await.expect("JSON");
        assert_eq!(body[0]["errorCode"], "INVALID_SESSION_ID");
        assert_eq!(body[0]["message"], "This session is not valid for use with the REST API");
    });
}

#[test]
fn a_browser_is_asked_again_only_if_it_has_to_be() {
    world(options(), async |world: &World| {
        let org = world.org();
        let mut browser = Browser::new(world);
        let code = browser.allow(&[]).await;
        let again = browser.open(&[]).await;
        assert!(again.page().contains("Allow access?"), "logged in, and nothing was exchanged yet");
        assert_eq!(exchange(world, &code, &[]).await.0, 200);
        assert_ne!(browser.open(&[]).await.app("code"), "", "approved before");
        assert!(browser.open(&[("prompt", Some("consent"))]).await.page().contains("Allow access?"));
        assert!(browser.open(&[("scope", Some("api refresh_token web"))]).await.page().contains("(web)"));
        let login = browser.open(&[("prompt", Some("login"))]).await;
        assert!(login.page().contains("Log in to acme"));
        let consent = format!("/setup/secur/RemoteAccessAuthorizationPage.apexp?source={}", login.source());
        let early = world.http.get(format!("{}{consent}", org.base_url())).header("Cookie", &browser.cookie);
        let early = early.send().await.expect("an answer").text().await.expect("a body");
        assert!(early.contains("Log in to acme"), "an old session does not do where a login is asked for");
        assert_ne!(browser.log_in(&login, org.username(), org.password()).await.app("code"), "");
        let both = browser.open(&[("prompt", Some("login consent"))]).await;
        let both = browser.log_in(&both, org.username(), org.password()).await;
        assert!(both.page().contains("Allow access?"));
        let immediate = [("immediate", Some("true"))];
        assert_ne!(browser.open(&immediate).await.app("code"), "");
        org.revoke_grants();
        assert_eq!(browser.open(&immediate).await.refusal().0, "immediate_unsuccessful");
        org.end_browser_sessions();
        assert_eq!(browser.open(&immediate).await.refusal().0, "immediate_unsuccessful");
        assert!(browser.open(&[]).await.page().contains("Log in to acme"));
    });
}

#[test]
fn what_is_wrong_with_app_or_address_is_shown_to_the_user_alone() {
    world(options(), async |world: &World| {
        for (changes, error) in [
            (
                ("redirect_uri", Some("http://127.0.0.1:7171/oauth/callback/")),
                "redirect_uri_mismatch : redirect_uri must match configuration",
            ),
            (
                ("redirect_uri", Some("http://evil.example/<b>")),
                "redirect_uri_mismatch : redirect_uri must match configuration",
            ),
            (("redirect_uri", None), "redirect_uri_mismatch : redirect_uri must match configuration"),
            (("client_id", Some("x")), "invalid_client_id : client identifier invalid"),
            (("client_id", None), "invalid_client_id : client identifier invalid"),
        ] {
            match Browser::new(world).open(&[changes]).await {
                Seen::Page { status, html } => {
                    assert!(status == 400 && html.contains(error), "{changes:?}: {status} {html}");
                    assert!(!html.contains("evil"), "{html}");
                }
                app @ Seen::App(_) => panic!("{changes:?}: {app:?}"),
            }
        }
    });
}

#[test]
fn what_is_wrong_with_the_rest_is_told_to_the_app() {
    world(options(), async |world: &World| {
        let short = "x".repeat(42);
        let strange = "x".repeat(42) + "+";
        for (changes, error) in [
            (("response_type", Some("token")), ("unsupported_response_type", "response type not supported")),
            (("scope", Some("api sudo")), ("invalid_scope", "the requested scope is not allowed")),
            (("code_challenge", None), ("invalid_request", "missing required code challenge")),
            (("code_challenge", Some(short.as_str())), ("invalid_request", "invalid code challenge")),
            (("code_challenge", Some(strange.as_str())), ("invalid_request", "invalid code challenge")),
            (
                ("code_challenge_method", Some("plain")),
                ("invalid_request", "code challenge method not supported"),
            ),
        ] {
            let seen = Browser::new(world).open(&[changes]).await;
            assert_eq!(seen.refusal(), error, "{changes:?}");
            assert_eq!(seen.app("state"), "s t/ä");
        }
        let code = Browser::new(world).allow(&[("code_challenge_method", None)]).await;
        assert_eq!(exchange(world, &code, &[]).await.0, 200, "S256 is what is meant without a method");
    });
}

#[test]
fn a_no_and_what_an_admin_forbids_lead_back_to_the_app() {
    world(options(), async |world: &World| {
        let org = world.org();
        let usual = org.login_policy();
        let admins = PermittedUsers::AdminApproved;
        for (policy, error) in [
            (usual.clone(), ("access_denied", "end-user denied authorization")),
            (
                LoginPolicy { app: AppStatus::NotInstalled, ..usual.clone() },
                ("invalid_client", "app must be installed into org"),
            ),
            (
                LoginPolicy { app: AppStatus::Blocked, ..usual.clone() },
                ("OAUTH_APP_BLOCKED", "this app is blocked by admin"),
            ),
            (
                LoginPolicy { permitted_users: admins, ..usual.clone() },
                ("OAUTH_APP_ACCESS_DENIED", "user is not admin approved to access this app"),
            ),
        ] {
            org.take_right(Right::AppApproved);
            let mut browser = Browser::new(world);
            let login = browser.open(&[]).await;
            org.set_login_policy(usual.clone());
            let consent = browser.log_in(&login, org.username(), org.password()).await;
            // The user has the page open when the admin decides.
            org.set_login_policy(policy.clone());
            let decision = if policy == usual { "deny" } else { "allow" };
            let source = consent.source().to_owned();
            let seen = browser.decide(&consent, decision).await;
            assert_eq!(seen.refusal(), error);
            assert_eq!(seen.app("state"), "s t/ä");
            let form = [("source", source.as_str()), ("decision", "allow")];
            let late = browser.submit("/setup/secur/RemoteAccessAuthorizationPage.apexp", &form).await;
            assert!(matches!(late, Seen::Page { status: 400, .. }), "one answer is all there is: {late:?}");
            if policy != usual {
                assert_eq!(browser.open(&[]).await.refusal(), error, "before any page, too");
            }
            org.give_right(Right::AppApproved);
        }
        org.set_login_policy(LoginPolicy { permitted_users: admins, ..usual });
        let mut browser = Browser::new(world);
        let login = browser.open(&[]).await;
        let done = browser.log_in(&login, org.username(), org.password()).await;
        assert_ne!(done.app("code"), "", "who is approved by the admin is not asked");
    });
}

#[test]
fn nobody_else_can_answer_for_the_user() {
    world(options(), async |world: &World| {
        let org = world.org();
        let mut victim = Browser::new(world);
        let login = victim.open(&[]).await;
        let consent = victim.log_in(&login, org.username(), org.password()).await;
        let mut stranger = Browser::new(world);
        let without = stranger.decide(&consent, "allow").await;
        assert!(without.page().contains("Log in to acme"), "no cookie, no answer");
        let own = stranger.open(&[]).await;
        stranger.log_in(&own, org.admin_username(), org.password()).await;
        let other = stranger.decide(&consent, "allow").await;
        assert!(other.page().contains("Log in to acme"), "nor that of another");
        // Without its page's name a form does nothing.
        for path in ["/login", "/setup/secur/RemoteAccessAuthorizationPage.apexp"] {
            let form = [("username", org.username()), ("password", org.password()), ("decision", "allow")];
            assert!(matches!(victim.submit(path, &form).await, Seen::Page { status: 400, .. }), "{path}");
        }
        assert_ne!(victim.decide(&consent, "allow").await.app("code"), "");
    });
}

#[test]
fn who_may_not_log_in_gets_no_further_than_the_login_page() {
    world(options(), async |world: &World| {
        let org = world.org();
        let usual = org.login_policy();
        let elsewhere = "10.0.0.1".parse().expect("an address");
        for (policy, username, status) in [
            (usual.clone(), "nobody@acme.example", "Failed: invalid password"),
            (
                LoginPolicy { org_active: false, ..usual.clone() },
                org.username(),
                "Failed: inactive organization",
            ),
            (
                LoginPolicy { inactive_users: vec![org.username().to_owned()], ..usual.clone() },
                org.username(),
                "Failed: inactive user",
            ),
            (
                LoginPolicy { ip_ranges: vec![(elsewhere, elsewhere)], ..usual.clone() },
                org.username(),
                "Failed: ip restricted or invalid login hours",
            ),
            (
                LoginPolicy { logins_per_hour: 0, ..usual.clone() },
                org.username(),
                "Failed: login rate exceeded",
            ),
        ] {
            org.set_login_policy(policy);
            let mut browser = Browser::new(world);
            let login = browser.open(&[]).await;
            let seen = browser.log_in(&login, username, org.password()).await;
            assert!(seen.page().contains("Please check your username and password"), "{status}");
            assert_eq!(org.login_history().last().map(|login| login.status.clone()).as_deref(), Some(status));
        }
        org.set_login_policy(usual);
        let mut browser = Browser::new(world);
        browser.allow(&[]).await;
        org.set_user_active(org.username(), false);
        assert!(
            browser.open(&[]).await.page().contains("Log in to acme"),
            "an inactive user's session has ended"
        );
    });
}
