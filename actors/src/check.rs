//! What `orgpipe check` asks over the network: your API once, and each org whether it lets us in and has the fields.
//!
//! Here: reading only; nothing is written, in the store or in an org. Not here: the settings themselves (`src/config`).

use std::sync::Arc;

use futures_util::{StreamExt as _, future::ready, stream};
use orgpipe_reconcile::{describe::Describe, fit::misfits, lookup, mapping::TargetKey, value::ValueProblem};
use orgpipe_salesforce::{
    failure::CallError,
    http::HttpClient,
    limits::{COLUMNS_URL_BYTES_MAX, QUERY_URL_BYTES_MAX, QUERY_URL_BYTES_REFUSED},
    rest::{describe, query, versions},
    soql::{Select, encoded_len},
};
use orgpipe_store::Lane;
use serde_json::Value;

use crate::{
    clock::Clock,
    measure::OrgMeasures,
    org::{api::client::OrgApi, status::Board, step_error::StepError},
    priority::Priority,
    problem::{Hint as _, Problem},
    queue_entry::Row,
    settings::{OrgSettings, Settings, SyncSettings},
    trace::TraceContext,
    vendor::lookup::{ANSWER_BYTES_MAX, LookupCall, LookupClient},
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

/// Asks your API and every org; gives back all problems, in the order of the settings. An org whose login would be used up
/// is not asked: the running service has it.
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
        .filter(|settings| ready(!settings.login.is_used_up()))
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
    let source = match LookupClient::new(settings.source.clone(), Arc::default(), clock) {
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
    let body = lookup::body(&sync.mapping, &org.id, &[record]).to_string();
    let trace = TraceContext::of_nobody(clock);
    match source.ask(Priority::Live, LookupCall { body, records: 1, trace, correlation_id: None }).await {
        Ok(answer) => {
            let problem = lookup::parse(&answer.body, ANSWER_BYTES_MAX).err()?;
            Some(CheckProblem::new("", problem.to_string(), problem.hint()))
        }
        Err(error) => Some(CheckProblem::new("", error.to_string(), error.hint())),
    }
}

async fn org(settings: Arc<OrgSettings>, http: HttpClient, clock: Clock) -> Vec<CheckProblem> {
    let place = format!("org {}", settings.id);
    let measures = Arc::new(OrgMeasures::new(Arc::default()));
    let board = Arc::new(Board::default());
    let api = OrgApi::new(Arc::clone(&settings), Arc::new(http), board, measures, None, clock);
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
        if let Some(problem) = too_long(&place, sync) {
            problems.push(problem);
        } else if let Err(error) = readable(&api, sync).await {
            problems.push(of_object(&api, &place, &settings.namespace, sync.mapping.object(), &error).await);
        }
        match target(&api, sync).await {
            Ok(describe) => problems.extend(missing(&place, sync, &describe)),
            Err(error) => {
                let object = sync.mapping.target();
                problems.push(of_object(&api, &place, &settings.namespace, object, &error).await);
            }
        }
    }
    problems
}

/// What to say about an error that an object was asked for with. One that is not there is named, with what may be meant.
async fn of_object(
    api: &OrgApi,
    place: &str,
    namespace: &str,
    object: &str,
    error: &StepError,
) -> CheckProblem {
    let StepError::Call(CallError::Refused(refused)) = error else { return CheckProblem::call(place, error) };
    if !matches!(refused.code.as_str(), "NOT_FOUND" | "INVALID_TYPE") {
        return CheckProblem::call(place, error);
    }
    let names = match api.call(Lane::Live, &describe::objects()).await {
        Ok(reply) => describe::names(&reply).unwrap_or_default(),
        // Without the names nothing nearer can be said.
        Err(_) => Vec::new(),
    };
    let message = format!("{}: {error}", no_object(namespace, object));
    CheckProblem::new(place, message, instead(namespace, object, &names))
}

fn no_object(namespace: &str, object: &str) -> String {
    let namespace = match namespace {
        "" => "without a namespace".to_owned(),
        namespace => format!("with the namespace `{namespace}`"),
    };
    format!("there is no object {object} that the integration user may see ({namespace})")
}

/// What the name may have to be: the same one in another namespace, else the most similar of the org's.
fn instead(namespace: &str, object: &str, names: &[String]) -> String {
    let bare = |name: &str| match name.split_once("__") {
        Some((_, rest)) if rest.contains("__") => rest.to_ascii_lowercase(),
        _ => name.to_ascii_lowercase(),
    };
    if let Some(same) = names.iter().find(|name| bare(name) == bare(object)) {
        let theirs = same.len().checked_sub(bare(same).len() + 2).and_then(|end| same.get(..end));
        return match theirs {
            Some(theirs) if theirs != namespace => {
                format!("The org has {same}: set `namespace = \"{theirs}\"` for it.")
            }
            None if !namespace.is_empty() => {
                format!("The org has {same}: take the `namespace` out of its table.")
            }
            _ => format!("The org has {same}: write the name so."),
        };
    }
    let distance = |name: &str| strsim::osa_distance(&bare(name), &bare(object));
    let nearest = names.iter().map(|name| (distance(name), name)).min();
    match nearest.filter(|(edits, name)| *edits <= bare(name).len().max(bare(object).len()) / 3) {
        Some((_, nearest)) => format!("Did you mean {nearest}? That is the org's most similar name."),
        None => {
            "Install the package's latest version and assign its permission set to the integration user; \
                 `orgpipe doctor` tells where to click."
                .to_owned()
        }
    }
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
    let select = first_row(sync);
    let mut parts = vec![select.clone()];
    if !select.fits(QUERY_URL_BYTES_MAX) {
        // Whether a field can be read does not depend on the condition.
        let fields = Select::from(sync.mapping.object()).fields(sync.mapping.read_fields()).limit(1);
        parts = fields.columns(COLUMNS_URL_BYTES_MAX);
        parts.push(select.bare());
    }
    for part in parts {
        query::page(&api.call(Lane::Live, &query::query(&part.to_soql())).await?)?;
    }
    Ok(())
}

/// The statement that reads one record as the refresh does.
fn first_row(sync: &SyncSettings) -> Select {
    let condition = sync.refresh.as_ref().and_then(|refresh| refresh.condition.clone()).unwrap_or_default();
    Select::from(sync.mapping.object()).fields(sync.mapping.read_fields()).where_raw(&condition).limit(1)
}

/// What cannot be asked for in parts: a condition that leaves no room in the request's address.
fn too_long(place: &str, sync: &SyncSettings) -> Option<CheckProblem> {
    let bytes = encoded_len(&first_row(sync).bare().to_soql());
    if bytes <= QUERY_URL_BYTES_REFUSED {
        return None;
    }
    let message = format!(
        "with `refresh.where` the query takes {bytes} bytes in the request's address, and there is room for \
         {QUERY_URL_BYTES_REFUSED}"
    );
    let hint = "Shorten it: put the condition into a formula field of the object, and compare that.";
    Some(CheckProblem::new(place, message, hint))
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
    if let Some(external_id) = sync.mapping.external_id_field() {
        match describe.field(external_id) {
            Some(field) if field.external_id => {}
            Some(field) => problems.push(CheckProblem::new(
                place,
                format!("{target}.{} is not an external ID", field.name),
                "Tick \"External ID\" for the field in Setup, or name another in `external_id.field`.",
            )),
            None => problems.push(CheckProblem::new(
                place,
                format!("{target} has no field {external_id}, or the integration user may not see it"),
                hint,
            )),
        }
    }
    let creates = sync.mapping.makes();
    let lacking = match (creates && !describe.may_create(), !describe.may_update()) {
        (false, false) => None,
        (true, true) => Some("Create and Edit"),
        (true, false) => Some("Create"),
        (false, true) => Some("Edit"),
    };
    if let Some(right) = lacking {
        let message = format!("the integration user lacks {right} on {target}: nothing can be written");
        problems.push(CheckProblem::new(place, message, hint));
    }
    let told = |name: &str, misfit: ValueProblem| {
        CheckProblem::new(place, format!("`{}` of {name} {}", misfit.key, misfit.message), misfit.hint)
    };
    if let TargetKey::ExternalId { field, from } = sync.mapping.key()
        && let Some(found) = describe.field(field)
    {
        problems.extend(misfits(from, found).into_iter().map(|misfit| told(field, misfit)));
    }
    for (name, source) in sync.mapping.fields() {
        let misfits = describe.field(name).map(|field| misfits(source, field)).unwrap_or_default();
        problems.extend(misfits.into_iter().map(|misfit| told(name, misfit)));
        match describe.field(name) {
            Some(field) if (field.createable || !creates) && field.updateable => {}
            Some(field) if field.computed => problems.push(CheckProblem::new(
                place,
                format!("{target}.{name} is computed by Salesforce: nobody can write it"),
                "Take it out of `fields` of the sync, or map a field of your own.",
            )),
            // Where the object is closed, so are its fields.
            Some(_) if lacking.is_some() => {}
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
    use orgpipe_reconcile::Operation;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_rights_that_are_needed_and_missing_are_named() {
        for (operation, create, update, lacking) in [
            (Operation::Upsert, true, true, None),
            (Operation::Upsert, false, true, Some("lacks Create on Enrichment__c")),
            (Operation::Upsert, true, false, Some("lacks Edit on Enrichment__c")),
            (Operation::Upsert, false, false, Some("lacks Create and Edit on Enrichment__c")),
            (Operation::Update, false, true, None),
            (Operation::Update, false, false, Some("lacks Edit on Enrichment__c")),
        ] {
            let sync = &crate::settings::tests::org_that(operation).syncs[0];
            let json =
                json!({ "name": "Enrichment__c", "createable": create, "updateable": update, "fields": [] });
            let describe = Describe::from_json(json.as_object().expect("an object")).expect("readable");
            let problems = missing("sync", sync, &describe);
            let told: Vec<&str> = problems
                .iter()
                .map(|one| one.message.as_str())
                .filter(|told| told.contains("lacks"))
                .collect();
            assert_eq!(told.len(), usize::from(lacking.is_some()), "{told:?}");
            assert!(
                told.iter().all(|told| lacking.is_some_and(|lacking| told.contains(lacking))),
                "{told:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_there_leads_to_the_one_that_is_meant() {
        let names = ["Account", "acme__Enrichment__c", "Invoice__c", "Customer_Order__c"].map(str::to_owned);
        for (namespace, object, expected) in [
            ("", "Enrichment__c", "set `namespace = \"acme\"`"),
            ("other", "other__Enrichment__c", "set `namespace = \"acme\"`"),
            ("acme", "acme__Invoice__c", "take the `namespace` out"),
            ("acme", "acme__Enrichmnet__c", "Did you mean acme__Enrichment__c?"),
            ("", "Custmer_Order__c", "Did you mean Customer_Order__c?"),
            ("", "Acount", "Did you mean Account?"),
            ("", "Something_Else__c", "Install the package"),
        ] {
            let hint = instead(namespace, object, &names);
            assert!(hint.contains(expected), "{namespace} {object}: {hint}");
        }
        let told = no_object("acme", "acme__X__c");
        assert!(told.contains("acme__X__c") && told.contains("`acme`"), "{told}");
    }

    #[test]
    fn what_a_field_cannot_keep_is_named_with_its_key() {
        use orgpipe_reconcile::{Mapping, MappingSpec, ValueSpec};
        let org = crate::settings::tests::org();
        let constant = ValueSpec { value: Some(json!("many")), ..ValueSpec::default() };
        let spec = MappingSpec {
            sync: "accounts".into(),
            object: "Account".into(),
            keys: [("domain".to_owned(), "Website".to_owned())].into(),
            target: "Enrichment__c".into(),
            external_id_field: "External_Id__c".into(),
            external_id_from: "/key".into(),
            fields: [("Employee_Count__c".to_owned(), constant)].into(),
            ..MappingSpec::default()
        };
        let mapping = Mapping::new(spec).expect("a right mapping");
        let sync = SyncSettings { mapping, ..SyncSettings::clone(&org.syncs[0]) };
        let json = json!({ "name": "Enrichment__c", "fields": [
            { "name": "External_Id__c", "type": "string", "externalId": true },
            { "name": "Employee_Count__c", "type": "double" }] });
        let describe = Describe::from_json(json.as_object().expect("an object")).expect("a describe");
        let problems = missing("org acme", &sync, &describe);
        let [CheckProblem { message, .. }] = problems.as_slice() else { panic!("{problems:?}") };
        let expected = "`value` of Employee_Count__c has \"many\", which Employee_Count__c does not keep";
        assert!(message.starts_with(expected), "{message}");
    }

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
