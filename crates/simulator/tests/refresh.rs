//! Refresh tokens over HTTP: exchange, rotation and reuse, two at once, limits, revocation, and what refuses a login.

mod support;

use std::net::IpAddr;
use std::time::Duration;

use orgpipe_simulator::{AppStatus, LoginPolicy, Options, OrgHandle, PermittedUsers, Right};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{World, world};

const EXPIRED: (&str, &str) = ("invalid_grant", "expired access/refresh token");

/// Status and JSON of a request to the token endpoint.
async fn ask(world: &World, form: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/services/oauth2/token", world.org().base_url());
    let reply = world.http.post(url).form(form).send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

async fn refresh(world: &World, token: &str) -> (u16, Value) {
    let (id, secret) = (world.org().client_id(), world.org().client_secret());
    let form = [("grant_type", "refresh_token"), ("client_id", id), ("client_secret", secret)];
    ask(world, &[&form[..], &[("refresh_token", token)]].concat()).await
}

/// `error` and `error_description` of a refusal.
fn refusal((status, body): &(u16, Value)) -> (&str, &str) {
    assert_eq!(*status, 400, "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    (text("error"), text("error_description"))
}

fn text<'a>((status, body): &'a (u16, Value), field: &str) -> &'a str {
    assert_eq!(*status, 200, "{body}");
    body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}"))
}

fn approve(org: &OrgHandle) -> String {
    org.grant_refresh_token(org.username()).expect("the integration user is there")
}

/// Whether an access token opens the REST API.
async fn opens(world: &World, token: &str) -> bool {
    let reply = world.http.get(world.url("/limits")).bearer_auth(token).send().await.expect("an answer");
    reply.status() == StatusCode::OK
}

fn statuses(org: &OrgHandle) -> Vec<String> {
    org.login_history().into_iter().map(|login| login.status).collect()
}

#[test]
fn a_refresh_token_gives_access_as_often_as_it_is_shown() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let token = approve(org);
        org.clear_login_history();
        let mut given = Vec::new();
        for _ in 0..2 {
            let reply = refresh(world, &token).await;
            let access = text(&reply, "access_token").to_owned();
            assert!(opens(world, &access).await);
            assert_eq!(text(&reply, "scope"), "api id refresh_token");
            assert_eq!(text(&reply, "instance_url"), org.base_url());
            assert_eq!(
                text(&reply, "id"),
                format!("{}/id/{}/{}", org.base_url(), org.org_id(), org.user_id())
            );
            assert!(reply.1["issued_at"].is_string(), "{}", reply.1);
            for absent in ["refresh_token", "expires_in"] {
                assert!(reply.1.get(absent).is_none(), "{absent} in {}", reply.1);
            }
            given.push(access);
        }
        assert_ne!(given[0], given[1]);
        assert_eq!((org.token_calls(), org.grants()[0].access_tokens), (2, 2));
        let history = org.login_history();
        assert_eq!(history.len(), 2);
        assert_eq!(
            (history[0].username.as_str(), history[0].kind.as_str()),
            (org.username(), "refresh_token")
        );
        assert_eq!((history[0].status.as_str(), history[0].from.as_str()), ("Success", "127.0.0.1"));
        org.revoke_grants();
        assert_eq!(refusal(&refresh(world, &token).await), EXPIRED);
        assert!(!opens(world, &given[0]).await, "the access tokens end with the grant");
        assert!(opens(world, &world.token).await, "what came of an assertion stays");
    });
}

#[test]
fn of_two_requests_at_once_with_one_token_one_is_refused() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        for rotation in [false, true] {
            org.set_rotation(rotation);
            let token = approve(org);
            let replies: [(u16, Value); 2] =
                tokio::join!(refresh(world, &token), refresh(world, &token)).into();
            let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|(status, _)| *status == 200);
            assert_eq!((won.len(), lost.len()), (1, 1), "rotation {rotation}: {replies:?}");
            assert_eq!(refusal(lost[0]), ("invalid_grant", "token request is already being processed"));
            let next = won[0].1["refresh_token"].as_str().unwrap_or(&token).to_owned();
            assert_eq!(next != token, rotation);
            assert_eq!(refresh(world, &next).await.0, 200, "the loser has done no harm");
        }
        let busy = "Failed: Token request is already being processed";
        assert_eq!(statuses(org).iter().filter(|status| *status == busy).count(), 2);
    });
}

#[test]
fn a_request_that_is_held_is_done_though_its_client_has_hung_up() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.set_rotation(true);
        let token = approve(org);
        org.hold_token_requests(true);
        let hung_up = tokio::time::timeout(Duration::from_millis(200), refresh(world, &token)).await;
        assert!(hung_up.is_err(), "it is held");
        assert_eq!(org.token_requests_held(), 1);
        assert_eq!(
            refusal(&refresh(world, &token).await),
            ("invalid_grant", "token request is already being processed"),
        );
        org.hold_token_requests(false);
        for _ in 0..100 {
            if org.grants()[0].refresh_token != token {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_ne!(org.grants()[0].refresh_token, token, "it was exchanged, and nobody has the new one");
        assert_eq!(refusal(&refresh(world, &token).await), EXPIRED);
        assert!(org.grants().is_empty());
    });
}

#[test]
fn a_used_token_that_comes_again_ends_all_that_came_of_it() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.set_rotation(true);
        let (first, other) = (approve(org), approve(org));
        let one = refresh(world, &first).await;
        let two = refresh(world, text(&one, "refresh_token")).await;
        let kept = refresh(world, &other).await;
        assert_ne!(text(&one, "refresh_token"), text(&two, "refresh_token"));
        assert_eq!(refusal(&refresh(world, &first).await), EXPIRED);
        assert_eq!(refusal(&refresh(world, text(&two, "refresh_token")).await), EXPIRED);
        for reply in [&one, &two] {
            assert!(!opens(world, text(reply, "access_token")).await);
        }
        assert!(opens(world, text(&kept, "access_token")).await, "the other approval is another");
        let reused = org.login_history().into_iter().find(|login| login.status.contains("reuse"));
        let reused = reused.expect("the history tells");
        assert_eq!(reused.username, org.username());
        assert_eq!(reused.status, "Failed: Refresh token reuse detected");
    });
}

#[test]
fn a_token_ends_unused_and_a_sixth_approval_ends_the_first() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let days = |days: u64| Duration::from_hours(days * 24);
        let token = approve(org);
        org.age_grants(days(29));
        assert_eq!(refresh(world, &token).await.0, 200);
        org.age_grants(days(29));
        assert_eq!(refresh(world, &token).await.0, 200, "its use has begun the 30 days anew");
        org.set_idle_days(None);
        org.age_grants(days(400));
        assert_eq!(refresh(world, &token).await.0, 200);
        org.set_idle_days(Some(30));
        org.age_grants(days(31));
        assert_eq!(refusal(&refresh(world, &token).await), EXPIRED);
        assert_eq!(
            statuses(org).last().map(String::as_str),
            Some("Failed: Refresh token unused for too long")
        );
        let tokens: Vec<String> = (0..6).map(|_| approve(org)).collect();
        assert_eq!(refusal(&refresh(world, &tokens[0]).await), EXPIRED);
        assert_eq!(refresh(world, &tokens[1]).await.0, 200);
        assert_eq!(org.grants().len(), 5);
    });
}

#[test]
fn revoking_a_refresh_token_ends_its_access_and_revoking_access_that_alone() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let url = format!("{}/services/oauth2/revoke", org.base_url());
        let refresh_token = approve(org);
        let one = refresh(world, &refresh_token).await;
        let two = refresh(world, &refresh_token).await;
        let (one, two) = (text(&one, "access_token"), text(&two, "access_token"));
        let reply = world.http.post(&url).form(&[("token", one)]).send().await.expect("an answer");
        assert_eq!((reply.status().as_u16(), reply.text().await.expect("a body").as_str()), (200, ""));
        assert!(!opens(world, one).await);
        assert!(opens(world, two).await);
        assert_eq!(refresh(world, &refresh_token).await.0, 200);
        let reply = world.http.get(&url).query(&[("token", refresh_token.as_str())]).send().await;
        assert_eq!(reply.expect("an answer").status().as_u16(), 200);
        assert!(!opens(world, two).await);
        assert_eq!(refusal(&refresh(world, &refresh_token).await), EXPIRED);
        for (form, body) in [
            ([("token", two), ("x", "")], "error=invalid_token&error_description=invalid+token"),
            (
                [("token", two), ("token_type_hint", "id_token")],
                "error=unsupported_token_type&error_description=this+token+type+is+not+supported",
            ),
        ] {
            let reply = world.http.post(&url).form(&form).send().await.expect("an answer");
            assert_eq!(reply.status().as_u16(), 400);
            assert_eq!(reply.headers()["content-type"], "application/x-www-form-urlencoded");
            assert_eq!(reply.text().await.expect("a body"), body);
        }
    });
}

#[test]
fn introspection_is_for_the_client_and_tells_of_both_kinds_of_token() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let url = format!("{}/services/oauth2/introspect", org.base_url());
        let refresh_token = approve(org);
        let reply = refresh(world, &refresh_token).await;
        let access = text(&reply, "access_token");
        let (id, secret) = (org.client_id(), org.client_secret());
        let basic = async |token: &str, secret: &str| {
            let request = world.http.post(&url).basic_auth(id, Some(secret)).form(&[("token", token)]);
            let reply = request.send().await.expect("an answer");
            (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
        };
        let form = [("token", access), ("client_id", id), ("client_secret", secret)];
        let in_body: Value =
            world.http.post(&url).form(&form).send().await.expect("an answer").json().await.expect("JSON");
        let (_, in_header) = basic(access, secret).await;
        for known in [&in_body, &in_header] {
            assert_eq!(known["active"], true);
            assert_eq!(known["username"], org.username());
            assert_eq!(known["token_type"], "access_token");
            assert_eq!(known["scope"], "api id refresh_token");
            let lives = known["exp"].as_i64().unwrap_or(0) - known["iat"].as_i64().unwrap_or(0);
            assert!((7_190..=7_210).contains(&lives), "two hours: {known}");
        }
        let (_, known) = basic(&refresh_token, secret).await;
        assert_eq!((&known["active"], &known["token_type"]), (&json!(true), &json!("refresh_token")));
        assert_eq!(basic("nonsense", secret).await, (200, json!({"active": false})));
        let (status, refused) = basic(access, "wrong").await;
        assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
        org.revoke_grants();
        assert_eq!(basic(access, secret).await.1, json!({"active": false}));
        assert_eq!(basic(&refresh_token, secret).await.1, json!({"active": false}));
    });
}

#[test]
fn a_wrong_client_or_a_half_request_is_refused() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let token = approve(org);
        let (id, secret) = (org.client_id(), org.client_secret());
        let grant = ("grant_type", "refresh_token");
        let by = ("client_id", id);
        let with = ("client_secret", secret);
        let shown = ("refresh_token", token.as_str());
        for (form, error) in [
            (vec![grant, by, with, ("refresh_token", "5Aep861never")], EXPIRED),
            (vec![grant, by, with], ("invalid_request", "missing required parameters")),
            (vec![grant, with, shown], ("invalid_request", "missing required parameters")),
            (
                vec![grant, ("client_id", "x"), with, shown],
                ("invalid_client_id", "client identifier invalid"),
            ),
            (
                vec![grant, by, ("client_secret", "x"), shown],
                ("invalid_client", "invalid client credentials"),
            ),
            (vec![grant, by, shown], ("invalid_client", "invalid client credentials")),
        ] {
            assert_eq!(refusal(&ask(world, &form).await), error, "{form:?}");
        }
        org.set_login_policy(LoginPolicy { secret_required: false, ..LoginPolicy::default() });
        assert_eq!(ask(world, &[grant, by, shown]).await.0, 200, "a public client has no secret");
        let wrong = ask(world, &[grant, by, ("client_secret", "x"), shown]).await;
        assert_eq!(refusal(&wrong), ("invalid_client", "invalid client credentials"));
    });
}

/// Each refusal that an admin or Salesforce causes, by its real cause, for each way to log in.
#[test]
fn what_an_admin_sets_up_refuses_each_kind_of_login_in_its_words() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let token = approve(org);
        let usual = LoginPolicy::default;
        let elsewhere: IpAddr = "10.0.0.1".parse().expect("an address");
        let not_approved = ("invalid_grant", "user hasn't approved this consumer");
        let no_user = ("invalid_grant", "no client credentials user enabled");
        let gone = ("app_not_found", "External client app is not installed in this org");
        let blocked = ("OAUTH_APP_BLOCKED", "this app is blocked by admin");
        let restricted = ("invalid_grant", "ip restricted or invalid login hours");
        let suspended = ("inactive_org", "inactive organization");
        let frozen = ("inactive_user", "inactive user");
        let too_many = ("rate_limit_exceeded", "login rate exceeded");
        let denied = ("invalid_grant", "user is not admin approved to access this app");
        let admins = PermittedUsers::AdminApproved;
        // In each row: by refresh token, by assertion, by secret.
        for (policy, approved, refusals) in [
            (usual(), true, [None; 3]),
            (usual(), false, [None, None, Some(no_user)]),
            (
                LoginPolicy { app: AppStatus::NotInstalled, ..usual() },
                true,
                [gone, not_approved, gone].map(Some),
            ),
            (LoginPolicy { app: AppStatus::Blocked, ..usual() }, true, [blocked; 3].map(Some)),
            (LoginPolicy { permitted_users: admins, ..usual() }, true, [None; 3]),
            (LoginPolicy { permitted_users: admins, ..usual() }, false, [denied, denied, no_user].map(Some)),
            (
                LoginPolicy { ip_ranges: vec![(elsewhere, elsewhere)], ..usual() },
                true,
                [restricted; 3].map(Some),
            ),
            (LoginPolicy { org_active: false, ..usual() }, true, [suspended; 3].map(Some)),
            (
                LoginPolicy { inactive_users: vec![org.username().to_uppercase()], ..usual() },
                true,
                [frozen; 3].map(Some),
            ),
            (LoginPolicy { client_credentials_user: false, ..usual() }, true, [None, None, Some(no_user)]),
            (LoginPolicy { logins_per_hour: 1, ..usual() }, true, [too_many; 3].map(Some)),
            (
                LoginPolicy { audiences: vec!["https://test.salesforce.com".to_owned()], ..usual() },
                true,
                [None, Some(("invalid_grant", "audience is invalid")), None],
            ),
        ] {
            org.set_login_policy(policy.clone());
            if !approved {
                org.take_right(Right::AppApproved);
            }
            let assertion = support::assertion(org, org.username());
            let by_assertion =
                [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
            let secret = [
                ("grant_type", "client_credentials"),
                ("client_id", org.client_id()),
                ("client_secret", org.client_secret()),
            ];
            let replies =
                [refresh(world, &token).await, ask(world, &by_assertion).await, ask(world, &secret).await];
            for (reply, expected) in replies.iter().zip(refusals) {
                let found = (reply.0 != 200).then(|| refusal(reply));
                assert_eq!(found, expected, "{policy:?}, approved: {approved}: {replies:?}");
            }
            org.give_right(Right::AppApproved);
        }
        org.set_login_policy(usual());
        assert_eq!(refresh(world, &token).await.0, 200, "no refusal has cost the refresh token");
    });
}

#[test]
fn an_address_within_the_ranges_is_let_in() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let token = approve(org);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        org.set_ip_ranges(&[(address("127.0.0.2"), address("127.0.0.9"))]);
        assert_eq!(refusal(&refresh(world, &token).await).1, "ip restricted or invalid login hours");
        org.set_ip_ranges(&[
            (address("127.0.0.2"), address("127.0.0.9")),
            (address("127.0.0.0"), address("127.0.0.1")),
        ]);
        assert_eq!(refresh(world, &token).await.0, 200);
    });
}

#[test]
fn client_credentials_are_for_the_orgs_own_domain() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let url = format!("{}/services/oauth2/token", org.base_url());
        for host in ["login.salesforce.com", "test.salesforce.com"] {
            let form = [("grant_type", "client_credentials")];
            let request = world.http.post(&url).header("Host", host).form(&form);
            let request = request.basic_auth(org.client_id(), Some(org.client_secret()));
            let reply = request.send().await.expect("an answer");
            let reply = (reply.status().as_u16(), reply.json().await.expect("JSON"));
            assert_eq!(refusal(&reply), ("invalid_grant", "request not supported on this domain"));
        }
    });
}

#[test]
fn an_approval_of_old_lets_assertions_in() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.take_right(Right::AppApproved);
        let assertion = support::assertion(org, org.username());
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        assert_eq!(refusal(&ask(world, &form).await).1, "user hasn't approved this consumer");
        approve(org);
        assert_eq!(ask(world, &form).await.0, 200);
    });
}

#[test]
fn the_control_api_does_what_the_handle_does() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        let url = |path: &str| format!("{}/orgs/acme/{path}", world.simulator.control_url());
        let policy = json!({"rotation": true, "refresh_token_idle_days": 7, "app": "installed"});
        let put = async |path: &str, body: Value| {
            let reply = world.http.put(url(path)).json(&body).send().await.expect("an answer");
            assert_eq!(reply.status().as_u16(), 204);
        };
        let get = async |path: &str| {
            let reply = world.http.get(url(path)).send().await.expect("an answer");
            reply.json::<Value>().await.expect("JSON")
        };
        put("login-policy", policy).await;
        assert_eq!(org.login_policy().refresh_token_idle_days, Some(7));
        assert_eq!(get("login-policy").await["rotation"], true);
        let made = world.http.post(url("grants")).json(&org.username()).send().await.expect("an answer");
        let made: Value = made.json().await.expect("JSON");
        let token = made["refresh_token"].as_str().expect("a token");
        assert_eq!(refresh(world, token).await.0, 200);
        assert_eq!(get("grants").await[0]["access_tokens"], 1);
        let history = get("login-history").await;
        assert_eq!(history["token_calls"], 2, "with that of the world's own login");
        assert_eq!(history["logins"][1]["status"], "Success");
        put("held-token-requests", json!(true)).await;
        put("held-token-requests", json!(false)).await;
        world.http.delete(url("grants")).send().await.expect("an answer");
        assert!(org.grants().is_empty());
        let reply = world.http.put(url("login-policy")).json(&json!({"rotatoin": true})).send().await;
        assert_eq!(reply.expect("an answer").status().as_u16(), 400, "a name that is not known is told");
    });
}

/// Errors of other orgs, of other years, and of flows that there are none of here: word for word, by a fault.
#[test]
fn refusals_without_a_cause_here_come_by_a_fault_and_cost_nothing() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.set_rotation(true);
        let token = approve(org);
        let url = "/services/oauth2/token";
        for error in [
            ("invalid_grant", "Audience validation failed"),
            ("invalid_client", "client identifier invalid"),
            ("invalid_app_access", "user is not admin approved to access this app"),
            ("invalid_grant", "IP restricted or invalid login hours"),
            ("invalid_grant", "authentication failure"),
            ("invalid_grant", "authentication failure - Invalid Password"),
            ("invalid_grant", "Data Not Available"),
            ("invalid_grant", "Data Not Found"),
            ("inactive_org", ""),
            ("invalid_scope", "the requested scope is not allowed"),
        ] {
            org.refuse_logins(Some(error));
            assert_eq!(refusal(&refresh(world, &token).await), error);
            org.refuse_logins(None);
            let body = json!({"error": error.0, "error_description": error.1}).to_string();
            org.answer_next(url, 400, &body, 1);
            assert_eq!(refusal(&refresh(world, &token).await), error, "just once");
        }
        org.lose_answers(url, 1);
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", org.client_id()),
            ("client_secret", org.client_secret()),
            ("refresh_token", &token),
        ];
        let lost = world.http.post(format!("{}{url}", org.base_url())).form(&form).send().await;
        let lost = match lost {
            Ok(reply) => reply.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(lost, "the answer broke off");
        assert_ne!(
            org.grants()[0].refresh_token,
            token,
            "no refusal has cost the token, and the lost answer has"
        );
    });
}
