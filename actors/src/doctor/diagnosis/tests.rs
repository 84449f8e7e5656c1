//! One cause, one finding: the facts of a sound org, malformed one by one.

use orgpipe_reconcile::{FieldSource, ValueSpec};
use orgpipe_salesforce::{
    error::ApiError,
    failure::CallError,
    limits::ApiUsage,
    oauth::{error::LoginError, refusal::Grant},
};
use serde_json::{Value, json};

use super::*;
use crate::{doctor::facts::Identity, problem::Problem, severity::Severity};

const EVENT: &str = "Sync_Request__e";

fn needs() -> Needs {
    Needs::of(&crate::settings::tests::org())
}

fn described(fields: &[&str]) -> ObjectFacts {
    let fields: Vec<Value> = fields
        .iter()
        .map(|name| json!({"name": name, "createable": true, "updateable": true, "externalId": *name == "External_Id__c"}))
        .collect();
    let row = json!({"createable": true, "updateable": true, "fields": fields});
    ObjectFacts::of(row.as_object().expect("an object"))
}

fn sound() -> Facts {
    let identity = Identity { org_id: "00D".into(), user_id: "005".into() };
    let enrichment = described(&["External_Id__c", "Account__c", "Employee_Count__c"]);
    Facts {
        login: Some(Ok(identity)),
        clock_ahead_ms: Some(400),
        usage: Some(ApiUsage { used: 10, max: 100 }),
        deliveries: Some((90, 100)),
        objects: [
            ("Account".to_owned(), Some(described(&["Id", "Website"]))),
            ("Enrichment__c".to_owned(), Some(enrichment)),
            (EVENT.to_owned(), Some(described(&[]))),
        ]
        .into(),
        queries: [("accounts".to_owned(), Ok(true))].into(),
        subscriptions: [(format!("/event/{EVENT}"), Ok(()))].into(),
        setting: Some(SettingFacts::Rows { own: Some(true), org: false }),
        ..Facts::default()
    }
}

fn refused(status: u16, code: &str, message: &str) -> ApiError {
    ApiError { status, code: code.into(), message: message.into(), fields: Vec::new(), also: Vec::new() }
}

fn denied(description: &str) -> Result<Identity, LoginError> {
    let (code, description) = ("invalid_grant".into(), description.into());
    Err(LoginError::Refused { status: 400, grant: Grant::Assertion, code, description })
}

#[test]
fn a_sound_org_has_no_finding() {
    assert_eq!(findings(&needs(), &sound()), []);
}

#[test]
fn what_a_field_cannot_keep_of_what_the_settings_say_is_told_with_the_sync() {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "length": 5, "createable": true, "updateable": true, "externalId": true});
    let fields = [
        field("External_Id__c", "string"),
        field("Account__c", "reference"),
        field("Employee_Count__c", "date"),
    ];
    let row = json!({"createable": true, "updateable": true, "fields": fields});
    let mut facts = sound();
    let object = ObjectFacts::of(row.as_object().expect("an object"));
    facts.objects.insert("Enrichment__c".to_owned(), Some(object));
    assert_eq!(findings(&needs(), &facts), [], "an answer may hold a date");
    let mut needs = needs();
    let spec = ValueSpec { cel: Some("size(answer.x)".to_owned()), ..ValueSpec::default() };
    let source = FieldSource::new(&spec).expect("a right value");
    let need = needs.objects.get_mut("Enrichment__c").expect("the target");
    need.values.push(("accounts".to_owned(), "Employee_Count__c".to_owned(), source));
    let found = findings(&needs, &facts);
    let [
        Finding {
            severity: Severity::Error, topic: Topic::Value, subject, message, grantable: false, ..
        },
    ] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(subject, "Enrichment__c.Employee_Count__c");
    assert!(message.contains("`fields.Employee_Count__c.cel` of sync accounts comes to a int"), "{message}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn each_cause_is_told_once_by_its_name() {
    type Spoil = fn(&mut Facts);
    let cases: [(Spoil, Severity, Topic, &str, &str); 19] = [
        (
            |facts| facts.unreachable = Some("refused".into()),
            Severity::Error,
            Topic::Unreachable,
            "",
            "HTTPS",
        ),
        (|facts| facts.clock_ahead_ms = Some(-90_000), Severity::Warning, Topic::Clock, "", "NTP"),
        (
            |facts| {
                facts.clock_ahead_ms = Some(600_000);
                facts.login = Some(denied("invalid assertion"));
            },
            Severity::Error,
            Topic::Clock,
            "",
            "NTP",
        ),
        (
            |facts| facts.login = Some(denied("ip restricted")),
            Severity::Error,
            Topic::Login,
            "",
            "login IP ranges",
        ),
        (
            |facts| facts.login = Some(denied("user hasn't approved this consumer")),
            Severity::Error,
            Topic::App,
            "",
            "Admin approved users are pre-authorized",
        ),
        (
            |facts| facts.closed = Some(refused(403, "API_DISABLED_FOR_ORG", "")),
            Severity::Error,
            Topic::ApiEnabled,
            "",
            "API Enabled",
        ),
        (
            |facts| {
                facts.closed = Some(refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."));
            },
            Severity::Error,
            Topic::Allowance,
            "",
            "Company Information",
        ),
        (
            |facts| facts.usage = Some(ApiUsage { used: 85, max: 100 }),
            Severity::Warning,
            Topic::Allowance,
            "",
            "Company Information",
        ),
        (|facts| facts.deliveries = Some((0, 100)), Severity::Error, Topic::Deliveries, "", "Usage"),
        (
            |facts| {
                facts.objects.insert("Account".into(), None);
                facts.queries.clear();
            },
            Severity::Error,
            Topic::Object,
            "Account",
            "Account → Edit: Read and View All Records",
        ),
        (
            |facts| {
                facts.objects.insert("Account".into(), Some(described(&["Id"])));
                let error = CallError::Refused(refused(400, "INVALID_FIELD", "No such column 'Website'"));
                facts.queries.insert("accounts".into(), Err(error));
            },
            Severity::Error,
            Topic::Field,
            "Account.Website",
            "Field Permissions → Website: Read",
        ),
        (
            |facts| {
                let error = CallError::Refused(refused(400, "MALFORMED_QUERY", "unexpected token"));
                facts.queries.insert("accounts".into(), Err(error));
            },
            Severity::Error,
            Topic::Query,
            "accounts",
            "",
        ),
        (
            |facts| _ = facts.queries.insert("accounts".into(), Ok(false)),
            Severity::Warning,
            Topic::Records,
            "Account",
            "View All Records",
        ),
        (
            |facts| {
                let fields = json!([{"name": "External_Id__c", "createable": true, "updateable": true},
                    {"name": "Account__c", "createable": true, "updateable": true},
                    {"name": "Employee_Count__c", "createable": true, "updateable": true}]);
                let row = json!({"createable": true, "updateable": true, "fields": fields});
                let object = ObjectFacts::of(row.as_object().expect("an object"));
                facts.objects.insert("Enrichment__c".into(), Some(object));
            },
            Severity::Error,
            Topic::ExternalId,
            "Enrichment__c.External_Id__c",
            "External ID and Unique",
        ),
        (
            |facts| {
                facts.objects.insert(EVENT.into(), None);
                let why = Problem::passing("400::The channel you requested to subscribe to does not exist");
                facts.subscriptions.insert(format!("/event/{EVENT}"), Err(why));
            },
            Severity::Error,
            Topic::Event,
            EVENT,
            "Sync Request → Edit: Read",
        ),
        (
            |facts| {
                let why = Problem::new("403::Organization total events daily limit exceeded", "Wait.");
                facts.subscriptions.insert(format!("/event/{EVENT}"), Err(why));
            },
            Severity::Error,
            Topic::Subscription,
            "/event/Sync_Request__e",
            "Wait.",
        ),
        (
            |facts| facts.setting = Some(SettingFacts::Hidden),
            Severity::Warning,
            Topic::Setting,
            "Sync_Settings__c",
            "Custom Setting Definitions",
        ),
        (
            |facts| facts.setting = Some(SettingFacts::Rows { own: None, org: false }),
            Severity::Warning,
            Topic::SettingRow,
            "Sync_Settings__c",
            "Suppress All on",
        ),
        (
            |facts| facts.setting = Some(SettingFacts::Rows { own: Some(true), org: true }),
            Severity::Warning,
            Topic::Flows,
            "Sync_Settings__c",
            "Suppress All off",
        ),
    ];
    for (spoil, severity, topic, subject, fix) in cases {
        let mut facts = sound();
        spoil(&mut facts);
        let found = findings(&needs(), &facts);
        let told: Vec<_> = found.iter().map(|one| (one.severity, one.topic, one.subject.as_str())).collect();
        assert_eq!(told, [(severity, topic, subject)], "{found:?}");
        assert!(found[0].fix.contains(fix), "{fix} is not in {}", found[0].fix);
    }
}

#[test]
fn what_was_not_asked_for_want_of_calls_is_told_and_nothing_is_guessed_from_it() {
    let held = Facts {
        objects: [].into(),
        queries: [].into(),
        setting: None,
        held: Some("our share of the day's calls is used up".into()),
        ..sound()
    };
    let told = findings(&needs(), &held);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].severity, told[0].topic), (Severity::Warning, Topic::Allowance));
    assert_eq!(told[0].message, "not all was asked: our share of the day's calls is used up");
}

#[test]
fn a_package_that_is_gone_or_elsewhere_is_one_finding() {
    let gone = |names: &[&str]| {
        let mut facts = sound();
        facts.objects.insert("Enrichment__c".into(), None);
        facts.objects.insert(EVENT.into(), None);
        facts.setting = Some(SettingFacts::Hidden);
        facts.subscriptions.insert(format!("/event/{EVENT}"), Err(Problem::passing("400")));
        facts.names = names.iter().map(|name| (*name).to_owned()).collect();
        findings(&needs(), &facts).into_iter().map(|one| (one.topic, one.subject)).collect::<Vec<_>>()
    };
    assert_eq!(gone(&["Account"]), [(Topic::Package, String::new())]);
    let elsewhere = gone(&["Account", "acmeco__Enrichment__c"]);
    assert_eq!(elsewhere, [(Topic::Namespace, "acmeco".to_owned())]);
}

#[test]
fn an_old_package_is_told_and_an_unknown_one_is_noted() {
    let needs = Needs { namespace: "acmeco".into(), ..needs() };
    let told = |version| {
        let facts = Facts { package_version: version, ..sound() };
        let found = findings(&needs, &facts);
        found.iter().find(|one| one.topic == Topic::PackageVersion).map(|one| one.severity)
    };
    assert_eq!(told(Some([0, 0, 9])), Some(Severity::Warning));
    assert_eq!(told(Some([99, 0, 0])), None);
    assert_eq!(told(None), Some(Severity::Note));
}

#[test]
fn a_grant_that_has_ended_is_told_as_the_login_tells_it() {
    let problem = Problem::new("the customer has to authorise orgpipe again", "invite them");
    let told = findings(&needs(), &Facts { no_session: Some(problem), ..Facts::default() });
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].severity, told[0].topic), (Severity::Error, Topic::Login));
    assert!(told[0].message.contains("authorise") && told[0].fix == "invite them", "{told:?}");
}
