//! What `orgpipe check` asks over the network: your API once, and each org whether it lets us in and has the fields.
//!
//! Here: reading only; nothing is written, in the store or in an org. Not here: the settings themselves (`src/config`).

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use orgpipe_reconcile::{describe::Describe, lookup};
use orgpipe_salesforce::{
    failure::CallError,
    http::HttpClient,
    rest::{describe, query, versions},
    soql::Select,
};
use orgpipe_store::Lane;
use serde_json::Value;

use crate::{
    clock::Clock,
    org::{api::client::OrgApi, status::Board, step_error::StepError},
    priority::Priority,
    problem::{Hint as _, Problem},
    queue_entry::Row,
    settings::{OrgSettings, Settings, SyncSettings},
    vendor::lookup::{ANSWER_BYTES_MAX, LookupClient},
};

/// Orgs asked at a time.
const ORGS_AT_ONCE: usize = 8;
/// A record ID that no org gives out: the look-up is asked about it.
const NO_RECORD: &str = "001000000000000AAA";

/// Something that will not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckProblem {
    /// The org, and the sync if it is about one; empty for your API.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl CheckProblem {
    fn new(place: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.to_owned(), message: message.into(), hint: hint.into() }
    }

    fn call(place: &str, error: &StepError) -> Self {
        Self::new(place, error.to_string(), error.hint().unwrap_or_default())
    }
}

/// Asks your API and every org; gives back all problems, in the order of the settings.
pub async fn check(settings: &Settings) -> Vec<CheckProblem> {
    let clock = Clock::start();
    let mut problems: Vec<CheckProblem> = source(settings, clock).await.into_iter().collect();
    let http = match HttpClient::new() {
        Ok(http) => http,
        Err(error) => {
            problems.push(CheckProblem::call("", &error.into()));
            return problems;
        }
    };
    let of_orgs: Vec<Vec<CheckProblem>> = stream::iter(&settings.orgs)
        .map(|settings| org(Arc::clone(settings), http.clone(), clock))
        .buffered(ORGS_AT_ONCE)
        .collect()
        .await;
    problems.extend(of_orgs.into_iter().flatten());
    problems
}

/// One look-up of a record that does not exist, as the first sync would ask it.
async fn source(settings: &Settings, clock: Clock) -> Option<CheckProblem> {
    let org = settings.orgs.first()?;
    let sync = org.syncs.first()?;
    let source = match LookupClient::new(settings.source.clone(), clock) {
        Ok(source) => source,
        Err(error) => {
            return Some(CheckProblem::new(
                "",
                error.to_string(),
                "Look at this machine's TLS certificates.",
            ));
        }
    };
    let record = Row::from_iter([("Id".to_owned(), Value::String(NO_RECORD.to_owned()))]);
    match source.ask(Priority::Live, lookup::body(&sync.mapping, &org.id, &[record]).to_string()).await {
        Ok(answer) => {
            let problem = lookup::parse(&answer.body, ANSWER_BYTES_MAX).err()?;
            Some(CheckProblem::new("", problem.to_string(), problem.hint()))
        }
        Err(error) => Some(CheckProblem::new("", error.to_string(), error.hint())),
    }
}

async fn org(settings: Arc<OrgSettings>, http: HttpClient, clock: Clock) -> Vec<CheckProblem> {
    let place = format!("org {}", settings.id);
    let api = OrgApi::new(Arc::clone(&settings), Arc::new(http), Arc::new(Board::default()), None, clock);
    if let Err(error) = api.session(None).await {
        return vec![CheckProblem::call(&place, &error)];
    }
    match unserved(&api, &settings.api_version).await {
        Ok(None) => {}
        Ok(Some(problem)) => {
            return vec![CheckProblem::new(&place, problem.reason, problem.hint.unwrap_or_default())];
        }
        Err(error) => return vec![CheckProblem::call(&place, &error)],
    }
    let mut problems = Vec::new();
    for sync in &settings.syncs {
        let place = format!("{place}, sync {}", sync.name);
        problems.extend(readable(&api, sync).await.err().map(|error| CheckProblem::call(&place, &error)));
        match target(&api, sync).await {
            Ok(describe) => problems.extend(missing(&place, sync, &describe)),
            Err(error) => problems.push(CheckProblem::call(&place, &error)),
        }
    }
    problems
}

/// What to say if the org does not serve the version of the API that the settings pin. Costs no API call.
async fn unserved(api: &OrgApi, pinned: &str) -> Result<Option<Problem>, StepError> {
    let served = versions::parse(&api.call(Lane::Live, &versions::versions()).await?)?;
    let (Some(oldest), Some(newest)) = (served.first(), served.last()) else { return Ok(None) };
    if served.iter().any(|version| version == pinned) {
        return Ok(None);
    }
    let reason = format!("it serves versions {oldest} to {newest} of the API, and not {pinned}");
    let hint = format!("Set the org's `api_version` to one of these; \"{newest}\" is the newest.");
    Ok(Some(Problem::new(reason, hint)))
}

/// Whether the record's fields that the sync reads can be read.
async fn readable(api: &OrgApi, sync: &SyncSettings) -> Result<(), StepError> {
    let condition = sync.refresh.as_ref().and_then(|refresh| refresh.condition.clone()).unwrap_or_default();
    let soql = Select::from(sync.mapping.object())
        .fields(sync.mapping.read_fields())
        .where_raw(&condition)
        .limit(1)
        .to_soql();
    query::page(&api.call(Lane::Live, &query::query(&soql)).await?)?;
    Ok(())
}

async fn target(api: &OrgApi, sync: &SyncSettings) -> Result<Describe, StepError> {
    let reply = api.call(Lane::Live, &describe::describe(sync.mapping.target(), None)).await?;
    let unreadable = |problem: &dyn std::fmt::Display| CallError::Unreadable {
        status: reply.status,
        what: problem.to_string(),
    };
    let described = describe::parse(&reply)?.ok_or_else(|| unreadable(&"no description"))?;
    Ok(Describe::from_json(&described.row).map_err(|problem| unreadable(&problem))?)
}

/// Mapped fields that are not there, or that we may not write.
fn missing(place: &str, sync: &SyncSettings, describe: &Describe) -> Vec<CheckProblem> {
    let hint = "Install the package's latest version and assign its permission set to the integration user; \
                `orgpipe doctor` tells where to click.";
    let mut problems = Vec::new();
    let target = sync.mapping.target();
    match describe.field(sync.mapping.external_id_field()) {
        Some(field) if field.external_id => {}
        Some(field) => problems.push(CheckProblem::new(
            place,
            format!("{target}.{} is not an external ID", field.name),
            "Tick \"External ID\" for the field in Setup, or name another in `external_id.field`.",
        )),
        None => problems.push(CheckProblem::new(
            place,
            format!(
                "{target} has no field {}, or the integration user may not see it",
                sync.mapping.external_id_field()
            ),
            hint,
        )),
    }
    for name in sync.mapping.target_fields() {
        match describe.field(&name) {
            Some(field) if field.createable && field.updateable => {}
            Some(_) => problems.push(CheckProblem::new(
                place,
                format!("{target}.{name} may not be written by the integration user"),
                hint,
            )),
            None => problems.push(CheckProblem::new(
                place,
                format!("{target} has no field {name}, or the integration user may not see it"),
                hint,
            )),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_is_missing_or_locked_is_named() {
        let org = crate::settings::tests::org();
        let Value::Object(json) = json!({ "name": "Enrichment__c", "fields": [
            { "name": "External_Id__c", "type": "string" },
            { "name": "Employee_Count__c", "type": "double", "updateable": false }] })
        else {
            unreachable!()
        };
        let describe = Describe::from_json(&json).expect("a describe");
        let messages: Vec<String> = missing("org acme", &org.syncs[0], &describe)
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        let expected =
            ["External_Id__c is not an external ID", "no field Account__c", "Employee_Count__c may not"];
        assert_eq!(messages.len(), expected.len());
        for (message, part) in messages.iter().zip(expected) {
            assert!(message.contains(part), "{message}");
        }
    }
}
