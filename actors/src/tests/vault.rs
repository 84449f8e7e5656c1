//! The token vault: one login for all, a refresh token that is never lost by us, and nothing asked for in vain.

use std::{sync::Arc, time::Duration};

use actix::Actor as _;
use futures_util::future::join_all;
use orgpipe_salesforce::{
    call::Reply,
    oauth::{Flow, Login},
    rest::limits,
};
use orgpipe_store::Lane;
use secrecy::SecretString;

use super::scene::{Scene, eventually};
use crate::{
    failpoint::Failpoints,
    org::{
        api::client::OrgApi, desired::DesiredState, grant::Grant, grant_store::Grants, part::Part,
        step_error::StepError, store::Position,
    },
    problem::Hint as _,
    sealing::{self, SealingKey},
    settings::OrgSettings,
    supervise::org_actor::OrgActor,
};

const REQUEST: Duration = Duration::from_millis(300);

fn by_grant(settings: &mut OrgSettings) {
    let flow = Flow::RefreshToken { client_id: "id".into(), client_secret: None, refresh_token: None };
    settings.login = Login { flow, ..settings.login.clone() };
}

/// An org that a customer has connected, whose refresh token changes at each use.
async fn connected() -> Scene {
    let scene = Scene::with(by_grant, Failpoints::default());
    scene.org.tokens(|tokens| {
        (tokens.takes, tokens.takes_token, tokens.rotates) = (REQUEST, "first".to_owned(), true);
    });
    scene.context.api.connect("id", &SecretString::from("first")).await.expect("a store");
    scene
}

async fn stored(scene: &Scene) -> Grant {
    let grants = Grants::new(sealing::tests::key());
    let grant = grants.of(scene.context.store.clone(), Failpoints::default()).look().await;
    grant.expect("it opens").expect("a grant")
}

fn requests(scene: &Scene) -> usize {
    scene.org.tokens(|tokens| tokens.requests)
}

#[actix::test]
async fn two_hundred_refused_calls_come_to_one_token_request() {
    let scene = connected().await;
    let session = scene.context.api.session(None).await.expect("a session");
    // It let somebody in before it ended.
    scene.context.api.call(Lane::Live, &limits::limits()).await.expect("an answer");
    let before = requests(&scene);
    let renewed = join_all((0..200).map(|_| scene.context.api.session(Some(session.generation)))).await;
    assert!(renewed.iter().all(|session| session.as_ref().is_ok_and(|session| session.generation == 2)));
    assert_eq!(requests(&scene) - before, 1);
}

#[actix::test]
async fn a_token_request_ends_and_is_stored_though_whoever_asked_has_gone() {
    let scene = connected().await;
    let asked = tokio::time::timeout(REQUEST / 2, scene.context.api.session(None)).await;
    assert!(asked.is_err(), "it is under way");
    scene.context.api.rest().await;
    let next = scene.org.tokens(|tokens| tokens.takes_token.clone());
    assert_eq!(stored(&scene).await.token(), next);
    assert_eq!(scene.context.api.session(None).await.expect("a session").generation, 1);
    assert_eq!(requests(&scene), 1);
}

#[actix::test]
async fn a_stop_waits_for_a_token_request_and_begins_none() {
    let scene = connected().await;
    let asked = tokio::time::timeout(REQUEST / 2, scene.context.api.session(None)).await;
    assert!(asked.is_err(), "it is under way");
    scene.grants.close();
    scene.grants.rest().await;
    let next = scene.org.tokens(|tokens| tokens.takes_token.clone());
    assert_eq!(stored(&scene).await.token(), next, "its answer is stored");
    // A call under way goes on with the session that there is.
    scene.context.api.call(Lane::Live, &limits::limits()).await.expect("an answer");
    let error = scene.context.api.session(Some(1)).await.expect_err("it stops");
    assert!(matches!(&error, StepError::ShuttingDown), "{error}");
    assert_eq!(requests(&scene), 1);
}

#[actix::test]
async fn a_token_request_that_meets_another_one_is_not_made_again_while_it_stops() {
    let scene = connected().await;
    scene.org.tokens(|tokens| tokens.meets = 5);
    let asked = tokio::time::timeout(REQUEST / 2, scene.context.api.session(None)).await;
    assert!(asked.is_err(), "it is under way");
    scene.grants.close();
    let before = scene.passed();
    scene.grants.rest().await;
    assert_eq!(requests(&scene), 1);
    assert!(scene.passed() <= before + REQUEST, "nobody waits to ask again");
    assert_eq!(stored(&scene).await.token(), "first");
}

#[actix::test]
async fn a_grant_that_was_revoked_is_asked_for_once_and_once_more_when_an_operator_says_so() {
    let scene = connected().await;
    scene.context.api.session(None).await.expect("a session");
    scene.org.tokens(|tokens| tokens.takes_token = "none".to_owned());
    scene.context.api.call(Lane::Live, &limits::limits()).await.expect("an answer");
    let before = requests(&scene);
    for _ in 0..1_000 {
        let error = scene.context.api.session(Some(1)).await.expect_err("revoked");
        assert!(matches!(&error, StepError::NoGrant(_)), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("orgs invite acme")), "{error}");
        tokio::time::sleep(Duration::from_mins(10)).await;
    }
    assert_eq!(requests(&scene) - before, 1);
    let status = scene.context.board.status();
    let login = &status.parts[&Part::Login];
    assert!(login.note.contains("a copy of it was used elsewhere"), "{}", login.note);
    scene.context.api.forgive().await.expect("a store");
    scene.context.api.session(None).await.expect_err("still revoked");
    assert_eq!(requests(&scene) - before, 2);
    scene.org.tokens(|tokens| tokens.takes_token = "again".to_owned());
    scene.context.api.connect("id", &SecretString::from("again")).await.expect("a store");
    scene.context.api.session(None).await.expect("connected again");
}

/// The answer to the next login is lost, and then the refresh token is refused: what is told.
async fn told_after_a_lost_answer(scene: &Scene, refused: Option<u64>) -> String {
    scene.org.tokens(|tokens| tokens.loses_answers = true);
    let before = stored(scene).await.token().to_owned();
    let lost = scene.context.api.session(refused).await.expect_err("the answer is lost");
    assert!(matches!(&lost, StepError::Call(_)), "{lost}");
    assert_eq!(stored(scene).await.token(), before, "the only token that is known");
    scene.org.tokens(|tokens| {
        (tokens.loses_answers, tokens.takes_token) = (false, "another".to_owned());
    });
    let ended = eventually("it is tried again", async || {
        scene.context.api.session(None).await.err().filter(|error| matches!(error, StepError::NoGrant(_)))
    })
    .await;
    let before = requests(scene);
    tokio::time::sleep(Duration::from_hours(24)).await;
    scene.context.api.session(None).await.expect_err("it has ended");
    assert_eq!(requests(scene), before);
    ended.to_string()
}

#[actix::test]
async fn a_lost_answer_is_told_apart_from_a_revocation_as_far_as_that_is_known() {
    for (rotates, calls_before, told, untold) in [
        (true, 1, "this is no revocation by the customer", "not known yet"),
        (true, 0, "which is not known yet", "a copy of it"),
        (false, 0, "which is not known yet", "a copy of it"),
        (false, 1, "it was revoked in the org, or has expired", "cut off"),
    ] {
        let scene = connected().await;
        scene.org.tokens(|tokens| tokens.rotates = rotates);
        for _ in 0..calls_before {
            scene.context.api.call(Lane::Live, &limits::limits()).await.expect("an answer");
        }
        let ended = told_after_a_lost_answer(&scene, (calls_before > 0).then_some(1)).await;
        assert!(ended.contains(told) && !ended.contains(untold), "{rotates} {calls_before}: {ended}");
        // Each scene stops the clock anew.
        tokio::time::resume();
    }
}

#[actix::test]
async fn an_answer_that_is_lost_without_rotation_costs_nothing() {
    let scene = connected().await;
    scene.org.tokens(|tokens| (tokens.rotates, tokens.loses_answers) = (false, true));
    scene.context.api.session(None).await.expect_err("the answer is lost");
    scene.org.tokens(|tokens| tokens.loses_answers = false);
    eventually("it is tried again", async || scene.context.api.session(None).await.ok()).await;
    assert_eq!(stored(&scene).await.token(), "first");
}

/// The same org after a reload of settings that name this app.
fn by_app(scene: &Scene, client_id: &str) -> OrgApi {
    let refresh_token = scene.context.settings.login.refresh_token().cloned();
    let flow = Flow::RefreshToken { client_id: client_id.into(), client_secret: None, refresh_token };
    let login = Login { flow, ..scene.context.settings.login.clone() };
    let settings = Arc::new(OrgSettings { login, ..(*scene.context.settings).clone() });
    let (board, clock) = (Arc::clone(&scene.context.board), scene.context.clock);
    let grants = scene.grants.of(scene.context.store.clone(), Failpoints::default());
    OrgApi::new(settings, scene.org.clone(), board, Arc::default(), Some(grants), clock)
}

#[actix::test]
async fn a_grant_is_not_used_by_another_app_than_the_one_that_it_was_given_to() {
    let scene = connected().await;
    let other = by_app(&scene, "another app");
    for _ in 0..3 {
        let error = other.session(None).await.expect_err("not its token");
        let hint = error.hint().unwrap_or_default();
        assert!(matches!(&error, StepError::NoGrant(_)), "{error}");
        assert!(error.to_string().contains("`id`") && error.to_string().contains("`another app`"), "{error}");
        assert!(hint.contains("former client ID back") && hint.contains("orgs invite acme"), "{hint}");
        other.forgive().await.expect("a store");
    }
    assert_eq!(requests(&scene), 0, "Salesforce would end it");
    by_app(&scene, "id").session(None).await.expect("it is as good as before");
    // The customer may also connect to the other one.
    scene.org.tokens(|tokens| tokens.takes_token = "of the other".to_owned());
    other.connect("another app", &SecretString::from("of the other")).await.expect("a store");
    other.session(None).await.expect("its token");
}

#[actix::test]
async fn so_is_a_token_of_the_settings_once_it_was_taken_from_one_app() {
    let of_settings = |settings: &mut OrgSettings| {
        by_grant(settings);
        settings.login = settings.login.with_refresh_token("first".into());
    };
    let scene = Scene::with(of_settings, Failpoints::default());
    scene.org.tokens(|tokens| {
        (tokens.takes_token, tokens.refuses) = ("first".to_owned(), Some("invalid_client_id"));
    });
    let error = by_app(&scene, "mistyped").session(None).await.expect_err("no such app");
    assert!(matches!(&error, StepError::Call(_)), "{error}");
    scene.org.tokens(|tokens| tokens.refuses = None);
    by_app(&scene, "id").session(None).await.expect("it was given to this one");
    let error = by_app(&scene, "another app").session(None).await.expect_err("not its token");
    assert!(error.to_string().contains("`id`"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("to the settings")), "{error}");
    assert_eq!(requests(&scene), 2);
}

#[actix::test]
async fn a_paused_orgs_grant_is_used_before_it_ends_for_want_of_use() {
    let scene = connected().await;
    let paused = Position::DesiredState.json(&DesiredState::Pause);
    scene.context.store.put(vec![paused]).await.expect("a store");
    let _actor = OrgActor::new(Arc::clone(&scene.context)).start();
    tokio::time::sleep(Duration::from_hours(24 * 60)).await;
    let (asked, next) = scene.org.tokens(|tokens| (tokens.requests, tokens.takes_token.clone()));
    assert!((7..=9).contains(&asked), "{asked} in 60 days");
    assert_eq!(stored(&scene).await.token(), next);
}

#[actix::test]
async fn a_session_that_outlives_its_grant_is_used_until_it_is_refused_and_not_once_more() {
    let scene = connected().await;
    let call = async || scene.context.api.call(Lane::Live, &limits::limits()).await;
    call().await.expect("an answer");
    scene.org.tokens(|tokens| tokens.takes_token = "none".to_owned());
    tokio::time::sleep(Duration::from_hours(24 * 8)).await;
    let error = scene.context.api.heartbeat().await.expect_err("revoked");
    assert!(matches!(&error, StepError::NoGrant(_)), "{error}");
    assert!(call().await.is_ok_and(|reply| reply.is_success()), "the session is still good");
    scene.org.tokens(|tokens| tokens.lets_nobody_in = true);
    for _ in 0..10 {
        let error = call().await.expect_err("the session has ended, too");
        assert!(matches!(&error, StepError::NoGrant(_)), "{error}");
    }
    assert_eq!(scene.org.tokens(|tokens| tokens.kept_out), 1);
}

#[actix::test]
async fn what_somebody_has_to_mend_first_is_asked_for_more_and_more_seldom() {
    let scene = connected().await;
    scene.org.tokens(|tokens| tokens.refuses = Some("inactive_user"));
    let asked_in = async |time: Duration| {
        let (before, until) = (requests(&scene), scene.passed() + time);
        while scene.passed() < until {
            let error = scene.context.api.session(None).await.expect_err("refused");
            assert!(matches!(&error, StepError::Call(_)), "{error}");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        requests(&scene) - before
    };
    let retried = async || {
        let asked = asked_in(Duration::from_secs(25)).await;
        assert_eq!(asked, 1, "and not at once again");
        let asked = asked_in(Duration::from_secs(45)).await;
        assert_eq!(asked, 1, "about a minute later");
    };
    retried().await;
    let asked = asked_in(Duration::from_hours(48)).await;
    assert!((48..=110).contains(&asked), "{asked} in 48 hours");
    // Whoever says that it is mended, or connects the org anew, begins the waits anew.
    scene.context.api.forgive().await.expect("a store");
    retried().await;
    asked_in(Duration::from_hours(12)).await;
    scene.context.api.connect("id", &SecretString::from("first")).await.expect("a store");
    retried().await;
    // So does a login.
    asked_in(Duration::from_hours(12)).await;
    scene.org.tokens(|tokens| tokens.refuses = None);
    let session = eventually("it works", async || scene.context.api.session(None).await.ok()).await;
    scene.context.api.call(Lane::Live, &limits::limits()).await.expect("an answer");
    scene.org.tokens(|tokens| tokens.refuses = Some("inactive_user"));
    scene.context.api.session(Some(session.generation)).await.expect_err("refused");
    assert_eq!(asked_in(Duration::from_secs(65)).await, 1);
}

#[actix::test]
async fn an_org_that_lets_no_call_in_is_logged_in_to_more_and_more_seldom() {
    lets_nobody_in(&connected().await).await;
}

#[actix::test]
async fn so_is_one_that_is_logged_in_to_by_a_secret() {
    lets_nobody_in(&Scene::new()).await;
}

async fn lets_nobody_in(scene: &Scene) {
    scene.org.tokens(|tokens| tokens.lets_nobody_in = true);
    let until = scene.passed() + Duration::from_hours(12);
    let mut told = None;
    while scene.passed() < until {
        if let Err(error) = scene.context.api.call(Lane::Live, &limits::limits()).await {
            told = Some(error);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let asked = requests(scene);
    assert!((20..=150).contains(&asked), "{asked} logins in 12 hours");
    assert!(matches!(told, Some(StepError::TokenRefused)), "{told:?}");
    scene.org.tokens(|tokens| tokens.lets_nobody_in = false);
    eventually("it is let in", async || {
        let answer = scene.context.api.call(Lane::Live, &limits::limits()).await;
        answer.ok().filter(Reply::is_success)
    })
    .await;
}

#[actix::test]
async fn without_its_key_a_grant_is_not_used_and_not_replaced() {
    let scene = connected().await;
    let before = scene.context.store.bytes(Position::Grant).await.expect("a store");
    let other = SealingKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("a key");
    let grants = Grants::new(other).of(scene.context.store.clone(), Failpoints::default());
    grants.look().await.expect_err("another key");
    let settings = Arc::clone(&scene.context.settings);
    let (board, clock) = (Arc::clone(&scene.context.board), scene.context.clock);
    let api = OrgApi::new(settings, scene.org.clone(), board, Arc::default(), Some(grants), clock);
    let error = api.session(None).await.expect_err("no token");
    let hint = error.hint().unwrap_or_default();
    assert!(
        error.to_string().contains("another vault key") && hint.contains("start orgpipe again"),
        "{error}"
    );
    assert_eq!(requests(&scene), 0);
    assert_eq!(scene.context.store.bytes(Position::Grant).await.expect("a store"), before);
}
