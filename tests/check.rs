//! `orgpipe check` over the network: whoever would not work is named, with a sentence and a hint, and exit code 1.

mod support;

use orgpipe_simulator::{FieldRight, OrgOptions, Right};
use support::Rig;

/// Exit code, standard output, standard error.
async fn check(rig: &Rig) -> (Option<i32>, String, String) {
    let output = rig.command(&["check"]).output().await.expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn rig() -> Rig {
    Rig::with(["acme", "globex"].map(OrgOptions::named).to_vec(), |text| text).await
}

#[actix_rt::test]
async fn where_all_is_well_it_says_so_and_writes_nothing() {
    let rig = rig().await;
    let (code, out, err) = check(&rig).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("your API and every org answered"), "{out}");
    assert!(!rig.folder.path().join("data").exists(), "the store was not opened");
    assert!(rig.org("acme").calls().iter().all(|call| call.method == "GET" || call.path.ends_with("/token")));
}

#[actix_rt::test]
async fn each_trouble_is_named_once_with_its_org_and_what_to_do() {
    let rig = rig().await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let globex = rig.org("globex");
    let refused = settings
        .replace(&format!("username = \"{}\"", globex.username()), "username = \"nobody@globex.example\"");
    let no_field = settings.replace("domain = \"Website\"", "domain = \"Number_Of_Cats__c\"");
    let no_version = settings.replace("id = \"globex\"", "id = \"globex\"\napi_version = \"99.0\"");
    let nobody = "http://127.0.0.1:9";
    let unreachable = settings.replace(&globex.base_url(), nobody);
    let no_api = settings.replace(&rig.simulator.vendor().url(), &format!("{nobody}/lookup"));
    let cases = [
        (
            refused,
            "org globex: Salesforce refused the login with `invalid_grant`",
            "running user the permission set",
        ),
        (unreachable, "org globex: ", "reaches"),
        (no_version, "org globex: it serves versions ", "and not 99.0"),
        (no_field, "No such column 'Number_Of_Cats__c'", ""),
        (no_api, "your API: your API at 127.0.0.1:9 is not answering", "`source.url`"),
    ];
    for (text, problem, hint) in cases {
        rig.write("orgpipe.toml", &text);
        let (code, _, err) = check(&rig).await;
        assert_eq!(code, Some(1), "{problem}: {err}");
        assert!(err.contains(problem) && err.contains(hint), "expected {problem} … {hint}, got {err}");
    }
    rig.write("orgpipe.toml", &settings);
    for (right, problem) in [
        (FieldRight::Edit, "Enrichment__c.Industry__c may not be written"),
        (FieldRight::Read, "Enrichment__c has no field Industry__c, or"),
    ] {
        globex.take_right(Right::Field("Enrichment__c".to_owned(), "Industry__c".to_owned(), right));
        let (code, _, err) = check(&rig).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(problem) && err.contains("assign its permission set"), "{err}");
    }
}

#[actix_rt::test]
async fn an_api_that_answers_rubbish_or_refuses_the_token_is_named() {
    let rig = rig().await;
    rig.simulator.vendor().answer_garbage(true);
    let (code, _, err) = check(&rig).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("your API: the look-up's answer is not JSON"), "{err}");
    rig.simulator.vendor().answer_garbage(false);
    rig.simulator.vendor().fail_next(401, 1);
    let (code, _, err) = check(&rig).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("status 401") && err.contains("`source.token_env`"), "{err}");
}

/// A refresh token that is sent twice may end the customer's whole grant, and the running service has sent it once.
#[actix_rt::test]
async fn an_org_with_a_refresh_token_is_not_asked_and_that_is_said() {
    let rig = rig().await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let globex = rig.org("globex");
    let jwt = format!(
        r#"flow = "jwt", client_id = "{}", username = "{}", key_file = "jwt.key""#,
        globex.client_id(),
        globex.username()
    );
    let refresh = r#"flow = "refresh_token", client_id = "x", refresh_token_file = "token""#;
    assert!(settings.contains(&jwt));
    rig.write_secret("token", "5Aep.hidden");
    rig.write("orgpipe.toml", &settings.replace(&jwt, refresh));
    let (code, out, err) = check(&rig).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("org globex was not asked") && out.contains("`orgpipe doctor globex`"), "{out}");
    assert!(!out.contains("every org answered") && !out.contains("org acme was not asked"), "{out}");
    assert!(globex.calls().is_empty(), "{:?}", globex.calls());
    assert!(!rig.org("acme").calls().is_empty());
}
