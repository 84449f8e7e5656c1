//! A customer lets orgpipe in at the consent page: our client on one side, the simulator on the other, a browser between.

use orgpipe_salesforce::{
    http::HttpClient,
    oauth::{
        Flow, Login, Token,
        error::LoginError,
        refusal::LoginClass,
        revocation,
        web_server::{self, Callback, Consent, ConsentRequest},
    },
};
use orgpipe_simulator::{AppStatus, LoginPolicy, Options, OrgHandle, OrgOptions, Simulator};
use reqwest::{Client, Response, Url, header, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};

const REDIRECT: &str = "https://sync.example.com/oauth/callback";

/// One simulated org that knows our callback.
async fn org() -> (Simulator, Login) {
    let options = Options { orgs: vec![OrgOptions::named("acme")], ..Options::default() };
    let simulator = Simulator::start(options).await.expect("a simulator");
    let acme = simulator.org("acme").expect("an org");
    acme.register_redirect_uri(REDIRECT);
    let flow = Flow::RefreshToken {
        client_id: acme.client_id().to_owned(),
        client_secret: Some(acme.client_secret().into()),
        refresh_token: None,
    };
    let login_url = acme.base_url().parse().expect("a URL");
    (simulator, Login { login_url, flow, instance_hosts: Vec::new() })
}

fn acme(simulator: &Simulator) -> &OrgHandle {
    simulator.org("acme").expect("an org")
}

fn redirect() -> Url {
    REDIRECT.parse().expect("a URL")
}

fn consent() -> Consent {
    Consent::from_chance([7; 32], [8; 32])
}

/// Where a response sends the browser, and the cookie that it sets.
fn sent_on(response: &Response) -> (String, Option<String>) {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cookie = text(header::SET_COOKIE).and_then(|cookie| Some(cookie.split(';').next()?.to_owned()));
    (text(header::LOCATION).unwrap_or_default(), cookie)
}

/// The hidden field of a page.
fn source(page: &str) -> String {
    let rest = page.split_once(r#"name="source" value=""#).expect("a form").1;
    rest.split_once('"').expect("its end").0.to_owned()
}

/// A user opens the page, logs in and answers it; what came back to the callback.
async fn answered(simulator: &Simulator, login: &Login, decision: &str) -> Callback {
    let browser = Client::builder().redirect(Policy::none()).build().expect("a client");
    let redirect_uri = &redirect();
    let request = ConsentRequest { redirect_uri, prompt: Some("login consent"), login_hint: None };
    let page = consent().page(login, request).expect("a page");
    let opened = browser.get(page).send().await.expect("an answer");
    assert_eq!(opened.status(), 200);
    let org = acme(simulator);
    let source = source(&opened.text().await.expect("a page"));
    let form = [("source", source.as_str()), ("username", org.username()), ("password", org.password())];
    let entered =
        browser.post(format!("{}/login", org.base_url())).form(&form).send().await.expect("an answer");
    let (to, cookie) = sent_on(&entered);
    let asked =
        browser.get(format!("{}{to}", org.base_url())).header("cookie", cookie.clone().expect("a session"));
    let asked = asked.send().await.expect("an answer");
    let back = if asked.status() == 200 {
        let path = to.split('?').next().expect("a path");
        let form = [("source", source.as_str()), ("decision", decision)];
        let answer =
            browser.post(format!("{}{path}", org.base_url())).header("cookie", cookie.expect("a session"));
        sent_on(&answer.form(&form).send().await.expect("an answer")).0
    } else {
        // Who may not approve the app is not asked.
        sent_on(&asked).0
    };
    let back = Url::parse(&back).expect("a URL");
    assert!(back.as_str().starts_with(REDIRECT), "{back}");
    web_server::callback(back.query().unwrap_or_default()).expect("an answer of the page")
}

/// The exchange of a code.
async fn exchanged(login: &Login, consent: &Consent, callback: &Callback) -> Result<Token, LoginError> {
    let code = callback.outcome.as_ref().expect("a code");
    let call = consent.exchange(login, &redirect(), code);
    let reply = HttpClient::new().expect("a client").post_form(login.host(), call).await?;
    web_server::connected(login, &reply)
}

#[actix_rt::test]
async fn a_consent_gives_a_token_that_is_renewed_and_can_be_given_back() {
    let (simulator, login) = org().await;
    let callback = answered(&simulator, &login, "allow").await;
    assert!(consent().is_answered_by(&callback));
    assert!(!Consent::from_chance([9; 32], [8; 32]).is_answered_by(&callback));
    let token = exchanged(&login, &consent(), &callback).await.expect("a token");
    assert_eq!(token.org_id, acme(&simulator).org_id());
    assert_eq!(token.scope.as_deref(), Some("api refresh_token"));
    let refresh_token = token.refresh_token.expect("a refresh token");
    let connected = login.with_refresh_token(refresh_token.clone());
    let http = HttpClient::new().expect("a client");
    let renewed = http.login(&connected, 0).await.expect("a token");
    assert_ne!(renewed.access_token.expose_secret(), token.access_token.expose_secret());
    // The code serves once.
    let again = exchanged(&login, &consent(), &callback).await.expect_err("it is spent");
    assert!(again.class() == LoginClass::Reauthorise && hint(&again).contains("connect again"), "{again}");

    for _ in 0..2 {
        let call = revocation::revoke(&login, refresh_token.clone());
        let reply = http.post_form(login.host(), call).await.expect("an answer");
        assert_eq!(revocation::revoked(&login, &reply), Ok(()));
    }
    let gone = http.login(&connected, 0).await.expect_err("it was given back");
    assert!(gone.class() == LoginClass::Reauthorise && hint(&gone).contains("orgs invite"), "{gone}");
    simulator.stop().await;
}

fn hint(error: &LoginError) -> String {
    error.hint().unwrap_or_default()
}

#[actix_rt::test]
async fn an_answer_that_is_no_yes_says_what_to_do() {
    let (simulator, login) = org().await;
    let denied = answered(&simulator, &login, "deny").await.outcome.expect_err("denied");
    assert!(denied.class() == LoginClass::Reauthorise && hint(&denied).contains("\"Allow\""), "{denied}");
    for (app, class, part) in [
        (AppStatus::NotInstalled, LoginClass::App, "Install the external client app"),
        (AppStatus::Blocked, LoginClass::App, "unblock it"),
    ] {
        acme(&simulator).set_app(app);
        let refused = answered(&simulator, &login, "allow").await.outcome.expect_err("refused");
        assert!(refused.class() == class && hint(&refused).contains(part), "{refused}: {}", hint(&refused));
    }
    simulator.stop().await;
}

#[actix_rt::test]
async fn a_code_is_good_with_its_verifier_its_callback_and_in_its_time_only() {
    let (simulator, login) = org().await;
    let stolen = Consent { verifier: SecretString::from("x".repeat(43)), ..consent() };
    let callback = answered(&simulator, &login, "allow").await;
    let error = exchanged(&login, &stolen, &callback).await.expect_err("another verifier");
    assert!(error.class() == LoginClass::Reauthorise && hint(&error).contains("connect again"), "{error}");
    let elsewhere = "https://sync.example.com/other".parse().expect("a URL");
    let call = consent().exchange(&login, &elsewhere, callback.outcome.as_ref().expect("a code"));
    let reply = HttpClient::new().expect("a client").post_form(login.host(), call).await.expect("an answer");
    let error = web_server::connected(&login, &reply).expect_err("another callback");
    assert!(error.class() == LoginClass::App && hint(&error).contains("callback URLs"), "{error}");

    let late = answered(&simulator, &login, "allow").await;
    acme(&simulator).age_codes(std::time::Duration::from_mins(16));
    let error = exchanged(&login, &consent(), &late).await.expect_err("too late");
    assert!(error.class() == LoginClass::Reauthorise && hint(&error).contains("15 minutes"), "{error}");
    assert!(!error.is_meeting(), "a late code is not waited for");
    simulator.stop().await;
}

/// A public app has no secret; its refresh token changes at each use.
#[actix_rt::test]
async fn a_public_app_connects_without_a_secret_and_is_told_each_new_token() {
    let (simulator, mut login) = org().await;
    let org = acme(&simulator);
    let policy = LoginPolicy { secret_required: false, rotation: true, ..org.login_policy() };
    org.set_login_policy(policy);
    let Flow::RefreshToken { client_secret, .. } = &mut login.flow else { panic!("a refresh token") };
    *client_secret = None;
    let callback = answered(&simulator, &login, "allow").await;
    let token = exchanged(&login, &consent(), &callback).await.expect("a token");
    let first = token.refresh_token.expect("a refresh token");
    let http = HttpClient::new().expect("a client");
    let reply = http.log_in(&login.with_refresh_token(first.clone()), 0).await;
    let second = reply.refresh_token.expect("another one");
    assert_ne!(second.expose_secret(), first.expose_secret());
    assert_eq!(
        reply.token.expect("a token").refresh_token.map(|token| token.expose_secret().to_owned()),
        Some(second.expose_secret().to_owned())
    );
    assert!(http.login(&login.with_refresh_token(second), 0).await.is_ok());
    simulator.stop().await;
}
