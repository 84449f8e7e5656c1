//! What an org says about itself: versions, resources, objects, limits.
//!
//! Here: these answers. Not here: an object's own description (`data::describe`).

use actix_web::http::header::HttpDate;
use serde_json::{Value, json};

use super::call::Call;
use crate::answer::Answer;
use crate::data::{Schema, describe as describe_object, event_schema as schema_of_event, summary};
use crate::org::{Org, OrgState};
use crate::rights::Right;

/// Versions answered; 21 to 30 are gone since Summer '25, those between are not needed by anyone here.
const VERSION_MIN: u32 = 50;
const VERSION_MAX: u32 = 68;
const VERSION_RETIRED: u32 = 30;

/// `GET /services/data`, which takes no token and counts for nothing; those below `from` are gone.
pub(crate) fn versions(from: u32) -> Answer {
    let all: Vec<Value> = (VERSION_MIN.max(from)..=VERSION_MAX)
        .map(|number| {
            let season = ["Spring", "Summer", "Winter"][usize::try_from(number % 3).unwrap_or(0)];
            // 66 is Spring '26; a Winter release is called after the year it begins.
            let year = number / 3 + 4 + u32::from(number % 3 == 2);
            json!({
                "label": format!("{season} '{year}"), "url": format!("/services/data/v{number}.0"),
                "version": format!("{number}.0"),
            })
        })
        .collect();
    Answer::json(200, &Value::from(all))
}

/// The answer to a version that is not served.
pub(crate) fn refuse_version(segment: &str, from: u32) -> Option<Answer> {
    let number =
        segment.strip_prefix('v').and_then(|text| text.strip_suffix(".0")).and_then(|text| text.parse().ok());
    match number {
        Some(number @ VERSION_MIN..=VERSION_MAX) if number >= from => None,
        Some(0..=VERSION_RETIRED) => {
            let message = "The requested API version is no longer supported";
            Some(Answer::error(410, "UNSUPPORTED_API_VERSION", message))
        }
        _ => Some(Answer::not_found()),
    }
}

pub(crate) fn resources(org: &Org, state: &OrgState, call: &Call, user: &str) -> Answer {
    let base = call.base();
    let names = ["sobjects", "query", "queryAll", "limits", "composite"];
    let mut all: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!(format!("{base}/{name}")))).collect();
    all.insert(
        "jobs".to_owned(),
        json!({"ingest": format!("{base}/jobs/ingest"), "query": format!("{base}/jobs/query")}),
    );
    all.insert("identity".to_owned(), json!(org.identity_url(state, user)));
    Answer::json(200, &Value::Object(all))
}

pub(crate) fn objects(seen: &Schema, call: &Call) -> Answer {
    let all: Vec<Value> = seen.objects().map(|object| summary(object, &call.base())).collect();
    Answer::json(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": all}))
}

pub(crate) fn object(seen: &Schema, call: &Call, name: &str) -> Answer {
    let Some(object) = seen.object(name) else { return Answer::not_found() };
    Answer::json(200, &json!({"objectDescribe": summary(object, &call.base()), "recentItems": []}))
}

/// An object is as old as the org. Whether a changed permission makes it younger is not known of Salesforce; here it does
/// not, so that a client that only asks for changes is found out.
pub(crate) fn describe(org: &Org, seen: &Schema, call: &Call, name: &str) -> Answer {
    let Some(object) = seen.object(name) else { return Answer::not_found() };
    let modified = HttpDate::from(org.began());
    let known: Option<HttpDate> = call.if_modified_since.parse().ok();
    let answer = match known {
        Some(known) if known >= modified => Answer::empty(304),
        _ => Answer::json(200, &describe_object(seen, object, &call.base())),
    };
    answer.with("Last-Modified", modified.to_string())
}

pub(crate) fn event_schema(seen: &Schema, name: &str) -> Answer {
    match seen.object(name).filter(|object| object.is_event()) {
        Some(object) => Answer::json(200, &schema_of_event(object)),
        None => Answer::not_found(),
    }
}

/// The one question of the Tooling API that is answered: which packages are installed, for users who may see Setup.
/// Source: Tooling API guide "InstalledSubscriberPackage".
pub(crate) fn installed_packages(org: &Org, state: &OrgState, call: &Call, user: &str) -> Answer {
    let asks = call.parameter("q").is_some_and(|soql| soql.contains("FROM InstalledSubscriberPackage"));
    if !asks || !state.views.may(user, Right::ViewSetup) {
        let message = "sObject type 'InstalledSubscriberPackage' is not supported.";
        return Answer::error(400, "INVALID_TYPE", message);
    }
    let namespace = &org.facts.namespace;
    let is_there = state.views.rights.has(Right::Package) && !namespace.is_empty();
    let [major, minor, patch] = org.facts.package_version;
    let package = json!({
        "attributes": {"type": "InstalledSubscriberPackage"},
        "SubscriberPackage": {"NamespacePrefix": namespace},
        "SubscriberPackageVersion": {"MajorVersion": major, "MinorVersion": minor, "PatchVersion": patch},
    });
    let records: Vec<Value> = is_there.then_some(package).into_iter().collect();
    Answer::json(200, &json!({"totalSize": records.len(), "done": true, "records": records}))
}

/// The allocations are those of a Developer Edition, except the daily calls.
pub(crate) fn limits(org: &Org, state: &mut OrgState) -> Answer {
    let now = org.clock.now_ms();
    let (max, used) = (state.quota.max(), state.quota.used(now));
    let streaming = org.cometd.usage();
    let limit = |max: u64, used: u64| json!({"Max": max, "Remaining": max.saturating_sub(used)});
    let (ingest, query) = state.jobs.counts();
    Answer::json(
        200,
        &json!({
            "DailyApiRequests": limit(max, used),
            "DailyBulkApiBatches": limit(15_000, ingest),
            "DailyBulkV2QueryJobs": limit(10_000, query),
            "DailyBulkV2QueryFileStorageMB": limit(976_562, 0),
            "DailyAsyncApexExecutions": limit(250_000, 0),
            "DailyDeliveredPlatformEvents": limit(10_000, streaming.delivered_day),
            "HourlyPublishedPlatformEvents": limit(50_000, streaming.published_hour),
            "StreamingApiConcurrentClients": limit(20, streaming.clients),
            "DurableStreamingApiConcurrentClients": limit(20, streaming.clients),
            "DataStorageMB": limit(5, 0),
            "FileStorageMB": limit(20, 0),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_carry_their_season() {
        let answer: Value = serde_json::from_slice(&versions(0).body).expect("JSON");
        let label = |version: &str| {
            let all = answer.as_array().expect("a list");
            all.iter()
                .find(|one| one["version"] == version)
                .map(|one| one["label"].as_str().unwrap_or("").to_owned())
        };
        for (version, season) in
            [("66.0", "Spring '26"), ("67.0", "Summer '26"), ("68.0", "Winter '27"), ("62.0", "Winter '25")]
        {
            assert_eq!(label(version).as_deref(), Some(season));
        }
    }

    #[test]
    fn only_served_versions_pass() {
        for (segment, status) in
            [("v66.0", None), ("v50.0", None), ("v30.0", Some(410)), ("v69.0", Some(404)), ("66", Some(404))]
        {
            assert_eq!(refuse_version(segment, 0).map(|answer| answer.status), status, "{segment}");
        }
    }
}
