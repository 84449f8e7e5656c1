//! An org's dead letters, grouped by their reason: one, some or all of a group are retried or thrown away.
//!
//! Here: the page, and the form on it. Not here: what a command does (`orgpipe_actors`), the same over the API
//! (`admin/dead_letters.rs`).
//!
//! Invariant: nothing of a record's values stands here.

use actix_web::{
    Error, HttpResponse,
    http::StatusCode,
    web::{Data, Form, Path, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{
    ACTED_ON_MAX, ActedOn, DeadLetterAction, DeadLetterError, DeadLetterFilter, OrgError, Service,
};
use orgpipe_store::{DeadLetter, LetterGroup, ReasonKey, Seq, UnixMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    absent,
    parts::moment,
    top::{Tab, Top},
};
use crate::{
    audit_log::{self, nothing_done},
    dashboard::{
        marked::Marked,
        shell::{self, Shell, Viewer},
        words,
    },
};

/// Letters on a page.
const LETTERS_MAX: usize = 50;
/// Records and errors shown of one letter.
const SHOWN_MAX: usize = 20;
/// Letters that one form may name.
const CHOSEN_MAX: usize = 200;

/// `?group=KEY&before=N`
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    #[serde(default)]
    group: String,
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "org_letters.html")]
struct LettersPage {
    shell: Shell,
    top: Top,
    here: String,
    groups: Vec<GroupView>,
    letters: Vec<LetterView>,
    older: Option<String>,
    may_operate: bool,
    /// What came of the form.
    said: Vec<String>,
    all_done: bool,
}

struct GroupView {
    key: String,
    id: String,
    href: String,
    is_chosen: bool,
    reason: Marked,
    hint: Marked,
    /// The sync, and what is written.
    about: String,
    letters_told: String,
    /// The highest number among them.
    newest: u64,
    told: String,
    last: (String, String),
}

struct LetterView {
    number: Seq,
    name: String,
    target: String,
    records: Vec<String>,
    errors: Vec<ErrorView>,
    told: String,
    first: (String, String),
    last: (String, String),
}

struct ErrorView {
    code: String,
    message: Marked,
    fields: String,
}

/// The page of an org's dead letters
#[utoipa::path(
    get,
    path = "/orgs/{org}/dead-letters",
    operation_id = "deadLettersPage",
    tag = "pages",
    params(LettersQuery),
    responses(
        (status = 200, description = "The dead letters by their reason.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
        (status = 500, description = "The store does not answer.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    query: Query<LettersQuery>,
) -> HttpResponse {
    answer(&service, &viewer, &org, &query, Vec::new(), true).await
}

/// Retry or discard dead letters from the page
#[utoipa::path(
    post,
    path = "/orgs/{org}/dead-letters",
    operation_id = "actOnDeadLettersFromPage",
    tag = "pages",
    params(LettersQuery),
    request_body(content = BTreeMap<String, String>, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What came of it, and the dead letters that are left.", content_type = "text/html", body = String),
        (status = 400, description = "The form or the query cannot be read.", content((String = "text/html"), (Object = "application/json"))),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
        (status = 500, description = "The store does not answer.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn post(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    query: Query<LettersQuery>,
    form: Result<Form<Vec<(String, String)>>, Error>,
) -> HttpResponse {
    let Ok(form) = form else {
        let (what, next) =
            ("The form cannot be read.", "Load the page of the dead letters and choose again.");
        return shell::failed(&viewer, StatusCode::BAD_REQUEST, "Nothing was done", what, next);
    };
    let order = match Order::read(&form) {
        Ok(order) => order,
        Err(why) => {
            let said = vec![words::sentence(&why)];
            return nothing_done(answer(&service, &viewer, &org, &query, said, false).await);
        }
    };
    let mut acted = ActedOn::default();
    let (mut said, mut gone) = (Vec::new(), 0);
    match &order.which {
        Which::Group(group, before) => {
            let filter = DeadLetterFilter {
                group: Some(*group),
                before: Some(*before),
                limit: ACTED_ON_MAX,
                ..DeadLetterFilter::default()
            };
            match service.act_on_dead_letters(&org, &filter, order.act, &viewer.name).await {
                Ok(all) => acted = all,
                Err(error) => said.push(refusal(&error)),
            }
        }
        Which::Chosen(numbers) => {
            for number in numbers {
                match service.act_on_dead_letter(&org, *number, order.act, &viewer.name).await {
                    Ok(one) => acted.done.extend(one.done),
                    // Somebody else was faster: it is gone.
                    Err(DeadLetterError::Unknown { .. }) => gone += 1,
                    Err(error) => said.push(refusal(&error)),
                }
            }
        }
    }
    let refused = acted.refused.iter().take(SHOWN_MAX);
    said.extend(refused.map(|(number, why)| format!("Dead letter {number} stays: {}", words::sentence(why))));
    let all_done = said.is_empty();
    said.insert(0, told(order.act, acted.done.len()));
    if gone > 0 {
        said.push(format!("{} had gone already.", words::counted(gone, "dead letter")));
    }
    if acted.before.is_some() {
        said.push("There are more of them: do it once more for the others.".to_owned());
    }
    let page = answer(&service, &viewer, &org, &query, said, all_done).await;
    if acted.done.is_empty() {
        return nothing_done(page);
    }
    let act = match order.act {
        DeadLetterAction::Retry => "retry",
        DeadLetterAction::Discard | DeadLetterAction::Close => "discard",
    };
    audit_log::done(page, &[("act", act.to_owned()), ("letters", acted.done.len().to_string())])
}

fn refusal(error: &DeadLetterError) -> String {
    format!("{} {}", words::sentence(&error.to_string()), error.hint().unwrap_or_default())
}

fn told(act: DeadLetterAction, letters: usize) -> String {
    let verb = if letters == 1 { "is" } else { "are" };
    let letters = format!("{} {verb}", words::counted(letters as u64, "dead letter"));
    match act {
        DeadLetterAction::Retry => format!("{letters} retried: their records are read and looked up anew."),
        DeadLetterAction::Discard | DeadLetterAction::Close => format!("{letters} thrown away."),
    }
}

/// What a form asks for.
struct Order {
    act: DeadLetterAction,
    which: Which,
}

/// About which letters.
#[derive(Debug, PartialEq, Eq)]
enum Which {
    /// Those of a reason that had been drawn; a number that none of them has.
    Group(ReasonKey, Seq),
    Chosen(Vec<Seq>),
}

impl Order {
    fn read(form: &[(String, String)]) -> Result<Self, String> {
        let value =
            |name: &str| form.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let act = match value("act") {
            Some("retry") => DeadLetterAction::Retry,
            Some("discard") => DeadLetterAction::Discard,
            _ => return Err("the form does not say what is to be done".to_owned()),
        };
        if let Some(group) = value("all") {
            let group = group.parse().map_err(|_| "there is no such group".to_owned())?;
            let newest: Option<u64> = value("newest").and_then(|newest| newest.parse().ok());
            let newest =
                newest.ok_or_else(|| "the form does not say which letters it was about".to_owned())?;
            return Ok(Self { act, which: Which::Group(group, Seq(newest.saturating_add(1))) });
        }
        let numbers = form.iter().filter(|(field, _)| field == "number");
        let numbers: Result<Vec<Seq>, _> = numbers.map(|(_, value)| value.parse().map(Seq)).collect();
        let numbers = numbers.map_err(|_| "a dead letter has a number".to_owned())?;
        if numbers.is_empty() {
            return Err("no dead letter was chosen; tick those that are meant".to_owned());
        }
        if numbers.len() > CHOSEN_MAX {
            return Err(format!("at most {CHOSEN_MAX} dead letters can be chosen at a time"));
        }
        Ok(Self { act, which: Which::Chosen(numbers) })
    }
}

async fn answer(
    service: &Service,
    viewer: &Viewer,
    org: &str,
    query: &LettersQuery,
    said: Vec<String>,
    all_done: bool,
) -> HttpResponse {
    let Some(view) = service.org(org).await else {
        return absent(viewer, &OrgError::Unknown(org.to_owned()));
    };
    let groups = match service.dead_letter_groups(org).await {
        Ok(groups) => groups,
        Err(DeadLetterError::Org(error)) => return absent(viewer, &error),
        Err(error) => {
            let what = words::sentence(&error.to_string());
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return shell::failed(viewer, status, "This cannot be shown", &what, "Look into orgpipe's log.");
        }
    };
    let chosen = query.group.parse::<ReasonKey>().ok();
    let chosen = chosen.filter(|chosen| groups.iter().any(|group| group.key == *chosen));
    let before = query.before.map(Seq);
    let filter =
        DeadLetterFilter { group: chosen, before, limit: LETTERS_MAX, ..DeadLetterFilter::default() };
    let letters = match chosen {
        Some(_) => service.dead_letters(org, &filter).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let now = service.clock().now_ms();
    let path = format!("/orgs/{}/dead-letters", view.id);
    let key = chosen.map(|key| key.to_string()).unwrap_or_default();
    let last = letters.last().filter(|_| letters.len() == LETTERS_MAX);
    let older = last.map(|last| format!("{path}?group={key}&before={}", last.seq));
    let page = LettersPage {
        shell: Shell::of_org(viewer, &view.id),
        top: Top::new(&view, groups.iter().map(|group| group.letters).sum(), Tab::DeadLetters, viewer),
        here: match query.before {
            Some(before) => format!("{path}?group={key}&before={before}"),
            None => format!("{path}?group={key}"),
        },
        groups: groups.iter().map(|group| group_view(group, &path, chosen, now)).collect(),
        letters: letters.iter().map(|letter| letter_view(letter, now)).collect(),
        older,
        may_operate: viewer.may_operate,
        said,
        all_done,
    };
    shell::page(StatusCode::OK, &page)
}

fn group_view(group: &LetterGroup, path: &str, chosen: Option<ReasonKey>, now: UnixMs) -> GroupView {
    let key = group.key.to_string();
    let is_chosen = chosen == Some(group.key);
    let DeadLetter { sync, target, reason, hint, .. } = &group.sample;
    let about = [sync.as_str(), target.as_str()].into_iter().filter(|part| !part.is_empty());
    GroupView {
        id: format!("group-{key}"),
        // The chosen one is shut again.
        href: if is_chosen { path.to_owned() } else { format!("{path}?group={key}") },
        is_chosen,
        reason: Marked::of(&words::sentence(reason)),
        hint: Marked::of(hint),
        about: about.collect::<Vec<_>>().join(", "),
        letters_told: words::counted(group.letters, "dead letter"),
        newest: group.highest.0,
        told: format!(
            "{}, refused {}",
            words::counted(group.records, "record"),
            words::counted(group.count, "time")
        ),
        last: moment(group.last_ms, now),
        key,
    }
}

fn letter_view(letter: &DeadLetter, now: UnixMs) -> LetterView {
    let records: Vec<String> =
        letter.subjects.iter().take(SHOWN_MAX).map(|subject| subject.record.clone()).collect();
    let errors = letter.errors.iter().take(SHOWN_MAX).map(|error| ErrorView {
        code: error.code.clone(),
        message: Marked::of(&error.message),
        fields: error.fields.join(", "),
    });
    let name =
        if letter.key.is_empty() { records.first().cloned().unwrap_or_default() } else { letter.key.clone() };
    LetterView {
        number: letter.seq,
        name,
        target: letter.target.clone(),
        records,
        errors: errors.collect(),
        told: match letter.count {
            0 | 1 => "refused once".to_owned(),
            count => format!("refused {} times", words::count(count)),
        },
        first: moment(letter.first_ms, now),
        last: moment(letter.last_ms, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<(DeadLetterAction, Which), String> {
        let form: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Order::read(&form).map(|order| (order.act, order.which))
    }

    #[test]
    fn a_form_says_what_is_done_about_which_letters() {
        assert_eq!(
            read(&[("number", "7"), ("number", "9"), ("act", "retry")]),
            Ok((DeadLetterAction::Retry, Which::Chosen(vec![Seq(7), Seq(9)])))
        );
        let group = ReasonKey::of("accounts", "too long");
        assert_eq!(
            read(&[("act", "discard"), ("all", &group.to_string()), ("newest", "9")]),
            Ok((DeadLetterAction::Discard, Which::Group(group, Seq(10))))
        );
        for fields in [
            &[("act", "retry")][..],
            &[("number", "7")],
            &[("number", "seven"), ("act", "retry")],
            &[("act", "burn"), ("number", "7")],
            &[("act", "retry"), ("all", "x")],
            &[("act", "discard"), ("all", &group.to_string())],
        ] {
            assert!(read(fields).is_err(), "{fields:?}");
        }
        assert!(read(&[("number", "7"); 201].map(|field| field)).is_err());
    }
}
