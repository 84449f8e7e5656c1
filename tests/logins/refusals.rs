//! What a refused login comes to: the state, the reason and the way out that the admin API tells.

use orgpipe_simulator::{AppStatus, LoginPolicy, OrgHandle, PermittedUsers, Right};

use super::{Flow, login_in, rig};

/// One refusal: how the org logs in, Salesforce's error and text, the state of the login, and a part of what is advised.
type Refusal = (Flow, &'static str, &'static str, &'static str, &'static str);

const REFUSALS: &[Refusal] = &[
    (
        Flow::Jwt,
        "invalid_grant",
        "user hasn't approved this consumer",
        "waiting",
        "permission set that the app",
    ),
    (
        Flow::Jwt,
        "invalid_grant",
        "user is not admin approved to access this app",
        "waiting",
        "permission set",
    ),
    (
        Flow::Jwt,
        "invalid_app_access",
        "user is not admin approved to access this app",
        "waiting",
        "permission set",
    ),
    (Flow::Jwt, "invalid_grant", "audience is invalid", "waiting", "`audience`"),
    (Flow::Jwt, "invalid_grant", "Audience validation failed", "waiting", "`audience`"),
    (Flow::Jwt, "invalid_grant", "invalid assertion", "waiting", "the key belongs to the certificate"),
    (Flow::Jwt, "invalid_client_id", "client identifier invalid", "waiting", "`client_id`"),
    (Flow::Jwt, "invalid_client", "client identifier invalid", "waiting", "`client_id`"),
    (
        Flow::Jwt,
        "app_not_found",
        "External client app is not installed in this org",
        "waiting",
        "Install the external",
    ),
    (Flow::Jwt, "OAUTH_APP_BLOCKED", "this app is blocked by admin", "waiting", "unblock it"),
    (Flow::Jwt, "inactive_user", "inactive user", "waiting", "activate it"),
    (Flow::Jwt, "inactive_org", "inactive organization", "waiting", "talk to Salesforce"),
    (Flow::Jwt, "invalid_grant", "ip restricted or invalid login hours", "waiting", "login IP ranges"),
    (Flow::Jwt, "rate_limit_exceeded", "login rate exceeded", "waiting", "too often"),
    (Flow::Jwt, "unknown_error", "retry your request", "waiting", "by itself"),
    (Flow::Jwt, "invalid_grant", "Data Not Available", "waiting", "gone"),
    (
        Flow::ClientCredentials,
        "invalid_grant",
        "request not supported on this domain",
        "waiting",
        "My Domain",
    ),
    (
        Flow::ClientCredentials,
        "invalid_grant",
        "no client credentials user enabled",
        "waiting",
        "run-as user",
    ),
    (
        Flow::ClientCredentials,
        "invalid_client",
        "invalid client credentials",
        "waiting",
        "`client_id` and secret",
    ),
    (
        Flow::ClientCredentials,
        "unsupported_grant_type",
        "grant type not supported",
        "waiting",
        "Enable this flow",
    ),
    (Flow::ClientCredentials, "invalid_scope", "", "waiting", "the scopes `api`"),
    (
        Flow::RefreshToken,
        "invalid_grant",
        "expired access/refresh token",
        "parked",
        "authorise the app again",
    ),
    (Flow::RefreshToken, "invalid_grant", "", "parked", "authorise the app again"),
    (Flow::RefreshToken, "invalid_client", "invalid client credentials", "waiting", "`client_id` and secret"),
    (
        Flow::RefreshToken,
        "invalid_grant",
        "ip restricted or invalid login hours",
        "waiting",
        "IP restrictions",
    ),
    (Flow::RefreshToken, "inactive_user", "inactive user", "waiting", "activate it"),
    (
        Flow::RefreshToken,
        "app_not_found",
        "External client app is not installed in this org",
        "waiting",
        "Install the",
    ),
];

#[actix_rt::test]
async fn each_refusal_has_a_state_a_reason_and_a_way_out() {
    let names: Vec<String> = (0..REFUSALS.len()).map(|n| format!("org{n}")).collect();
    let flows: Vec<(&str, Flow)> =
        names.iter().map(String::as_str).zip(REFUSALS.iter().map(|refusal| refusal.0)).collect();
    let mut rig = rig(&flows).await;
    for (name, (_, error, text, _, _)) in names.iter().zip(REFUSALS) {
        rig.org(name).refuse_logins(Some((error, text)));
    }
    rig.start().await;
    for (name, (flow, error, text, state, hint)) in names.iter().zip(REFUSALS) {
        let login = login_in(&rig, name, &["waiting", "parked"]).await;
        assert_eq!(login["state"], *state, "{flow:?} {error}: {login}");
        let (note, advice) =
            (login["note"].as_str().expect("a text"), login["hint"].as_str().expect("a text"));
        assert!(advice.contains(hint), "{flow:?} {error} {text}: {login}");
        if *state == "waiting" {
            assert!(note.contains(error) && note.contains(text), "{flow:?} {error} {text}: {login}");
        } else {
            assert!(note.contains("has to authorise orgpipe again"), "{flow:?} {error} {text}: {login}");
        }
    }
    // What is mended goes on when an operator starts it afresh.
    for name in &names {
        rig.org(name).refuse_logins(None);
        rig.order(name, "restart").await;
    }
    for name in &names {
        login_in(&rig, name, &["running"]).await;
    }
}

/// How the org logs in, what an admin does, and parts of the reason and of what is advised.
type Done = (Flow, fn(&OrgHandle), &'static str, &'static str);

/// What an admin does, as the simulator has it, and not only its words.
#[actix_rt::test]
async fn what_an_admin_has_done_is_named() {
    let done: [Done; 9] = [
        (Flow::Jwt, |org| org.set_app(AppStatus::Blocked), "blocked", "unblock it"),
        (Flow::Jwt, |org| org.set_user_active(org.username(), false), "inactive", "activate it"),
        (Flow::Jwt, nobody_may, "not admin approved", "permission set"),
        (
            Flow::ClientCredentials,
            |org| org.set_app(AppStatus::NotInstalled),
            "not installed",
            "Install the external",
        ),
        (
            Flow::ClientCredentials,
            |org| org.set_login_policy(LoginPolicy { client_credentials_user: false, ..org.login_policy() }),
            "no client credentials user",
            "run-as user",
        ),
        (Flow::RefreshToken, |org| org.set_ip_ranges(&[elsewhere()]), "ip restricted", "login IP ranges"),
        (
            Flow::RefreshToken,
            |org| org.set_app(AppStatus::NotInstalled),
            "not installed",
            "Install the external",
        ),
        (Flow::RefreshToken, |org| org.revoke_grants(), "authorise orgpipe again", "authorise the app again"),
        (
            Flow::RefreshToken,
            |org| org.set_login_policy(LoginPolicy { org_active: false, ..org.login_policy() }),
            "inactive organization",
            "talk to Salesforce",
        ),
    ];
    let names: Vec<String> = (0..done.len()).map(|n| format!("org{n}")).collect();
    let flows: Vec<(&str, Flow)> =
        names.iter().map(String::as_str).zip(done.iter().map(|one| one.0)).collect();
    let mut rig = rig(&flows).await;
    for (name, (_, act, _, _)) in names.iter().zip(done) {
        act(rig.org(name));
    }
    rig.start().await;
    for (name, (flow, _, reason, hint)) in names.iter().zip(done) {
        let login = login_in(&rig, name, &["waiting", "parked"]).await;
        assert!(
            login["note"].as_str().is_some_and(|note| note.contains(reason)),
            "{flow:?} {reason}: {login}"
        );
        assert!(login["hint"].as_str().is_some_and(|told| told.contains(hint)), "{flow:?} {hint}: {login}");
    }
}

fn nobody_may(org: &OrgHandle) {
    org.set_login_policy(LoginPolicy {
        permitted_users: PermittedUsers::AdminApproved,
        ..org.login_policy()
    });
    org.take_right(Right::AppApproved);
}

fn elsewhere() -> (std::net::IpAddr, std::net::IpAddr) {
    let address = std::net::IpAddr::from([10, 0, 0, 1]);
    (address, address)
}
