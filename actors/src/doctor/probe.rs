//! Asking an org, as its integration user: one login, some reads, one subscription that is given up again.
//!
//! Here: the order of the questions. Not here: what the answers mean (`diagnosis`).
//! Each question stands for itself: what is refused is a fact, and the next one is asked all the same.

use std::collections::{BTreeMap, VecDeque};

use orgpipe_reconcile::name::namespaced;
use orgpipe_salesforce::{
    Row,
    call::{Call, Reply},
    cometd::{
        Action, Input, Report, StartFrom, Wanted,
        options::Options,
        session::{Session, step},
    },
    error::{ErrorClass, errors_in},
    failure::CallError,
    http::HttpClient,
    limits::{COLUMNS_URL_BYTES_MAX, QUERY_URL_BYTES_MAX},
    oauth::{Token, error::LoginError},
    rest::{describe, limits, query},
    soql::Select,
};
use orgpipe_store::UnixMs;
use serde_json::Value;

use super::{
    facts::{Facts, Identity, ObjectFacts, SettingFacts},
    needs::{Needs, event_of},
};
use crate::{
    clock::Clock,
    org::{api::client::OrgApi, context::OrgContext, org_time::date_ms, step_error::StepError},
    problem::Problem,
};

/// Steps of one subscription; a good one takes some ten.
const STEPS_MAX: usize = 200;

/// Asks an org for everything that its syncs need.
pub(super) async fn probe(org: &OrgContext, needs: &Needs, http: &HttpClient) -> Facts {
    let (settings, clock) = (&org.settings, org.clock);
    let mut facts = Facts::default();
    let asked_ms = clock.now_ms();
    match http.greet(&settings.login).await {
        Ok(reply) => facts.clock_ahead_ms = ahead_ms(reply.header("date"), asked_ms, clock.now_ms()),
        Err(error) => {
            facts.unreachable = Some(error.to_string());
            return facts;
        }
    }
    let token = match token(org, http).await {
        Ok(token) => token,
        Err(NoToken::Login(error)) => {
            facts.login = Some(Err(error));
            return facts;
        }
        Err(NoToken::Other(why)) => {
            facts.no_session = Some(why);
            return facts;
        }
    };
    let (org_id, user_id) = (token.org_id.clone(), token.user_id.clone());
    facts.login = Some(Ok(Identity { org_id, user_id }));
    let (api, version) = (&org.api, settings.api_version.as_str());
    let mut line = Line { http, api, token: &token, version, facts };
    line.limits().await;
    if line.facts.closed.is_none() {
        line.objects(needs).await;
        line.queries(needs).await;
        line.setting(needs).await;
        line.package(needs).await;
        line.facts.subscriptions = line.subscribe(needs, clock).await;
    }
    line.facts
}

/// Why there is no token to ask with.
enum NoToken {
    /// The login.
    Login(LoginError),
    /// What the org's vault says of it.
    Other(Problem),
}

/// A token of a login of the doctor's own; but a refresh token is used by the org's vault alone, as a second user of it would
/// end what the customer has granted.
async fn token(org: &OrgContext, http: &HttpClient) -> Result<Token, NoToken> {
    let login = &org.settings.login;
    if !login.is_used_up() {
        return http.login(login, org.clock.now_secs()).await.map_err(NoToken::Login);
    }
    match org.api.session(None).await {
        Ok(session) => Ok(session.token),
        Err(StepError::Call(CallError::Login(error))) => Err(NoToken::Login(error)),
        Err(error) => Err(NoToken::Other(Problem::from(&error))),
    }
}

/// How far the sender of a header `Date` is ahead of us.
fn ahead_ms(date: Option<&str>, asked_ms: UnixMs, answered_ms: UnixMs) -> Option<i64> {
    let there = i64::try_from(date_ms(date)?.0).ok()?;
    let here = i64::try_from(u64::midpoint(asked_ms.0, answered_ms.0)).ok()?;
    Some(there - here)
}

struct Line<'l> {
    http: &'l HttpClient,
    /// The org's own way, by which its calls are counted.
    api: &'l OrgApi,
    token: &'l Token,
    version: &'l str,
    facts: Facts,
}

impl Line<'_> {
    async fn call(&mut self, call: &Call) -> Result<Reply, CallError> {
        let reply = match self.api.call_with(self.token, call).await {
            Ok(reply) => reply,
            Err(StepError::Call(error)) => return Err(error),
            Err(held) => {
                let text = held.to_string();
                self.facts.held.get_or_insert_with(|| text.clone());
                return Err(CallError::Transport { text, sent: false });
            }
        };
        self.facts.usage = reply.usage.or(self.facts.usage);
        Ok(reply)
    }

    /// The first call, which also shows whether there is an API for us at all.
    async fn limits(&mut self) {
        let Ok(reply) = self.call(&limits::limits()).await else { return };
        if let Some(error) = errors_in(&reply).into_iter().next() {
            let is_closed = error.class() == ErrorClass::DailyLimit || error.is_api_closed();
            self.facts.closed = is_closed.then_some(error);
            return;
        }
        self.facts.usage = limits::usage(&reply).ok().or(self.facts.usage);
        self.facts.deliveries = limits::deliveries(&reply);
    }

    async fn objects(&mut self, needs: &Needs) {
        let events = needs.channels.iter().filter_map(|channel| event_of(channel));
        let names: Vec<&str> = needs.objects.keys().map(String::as_str).chain(events).collect();
        for name in names {
            let described = match self.call(&describe::describe(name, None)).await {
                Ok(reply) => describe::parse(&reply),
                Err(error) => Err(error),
            };
            match described {
                Ok(described) => {
                    let facts = described.map(|described| ObjectFacts::of(&described.row));
                    self.facts.objects.insert(name.to_owned(), facts);
                }
                Err(error) if error.class() == ErrorClass::Schema => {
                    self.facts.objects.insert(name.to_owned(), None);
                }
                // Neither there nor missing: nothing is said of it.
                Err(error) => tracing::debug!("{name} is not described: {error}"),
            }
        }
        if self.facts.objects.values().any(Option::is_none)
            && let Ok(reply) = self.call(&describe::objects()).await
        {
            self.facts.names = describe::names(&reply).unwrap_or_default();
        }
    }

    async fn queries(&mut self, needs: &Needs) {
        for (sync, asked) in &needs.queries {
            if matches!(self.facts.objects.get(&asked.object), None | Some(None)) {
                continue;
            }
            let select = Select::from(&asked.object).fields(asked.fields.iter().cloned());
            let mut found = self.any(select.where_raw(&asked.condition)).await;
            if found == Ok(false) && !asked.condition.is_empty() {
                found = self.any(Select::from(&asked.object).fields(["Id".to_owned()])).await;
            }
            if self.facts.held.is_some() {
                // That it was not asked says nothing of the query.
                return;
            }
            self.facts.queries.insert(sync.clone(), found);
        }
    }

    async fn any(&mut self, select: Select) -> Result<bool, CallError> {
        let select = select.limit(1);
        let parts = if select.fits(QUERY_URL_BYTES_MAX) {
            vec![select]
        } else {
            select.columns(COLUMNS_URL_BYTES_MAX)
        };
        let mut found = false;
        for part in parts {
            let reply = self.call(&query::query(&part.to_soql())).await?;
            found = !query::page(&reply)?.records.is_empty();
        }
        Ok(found)
    }

    async fn setting(&mut self, needs: &Needs) {
        let (Some(setting), Some(me)) = (&needs.setting, self.facts.identity().cloned()) else { return };
        let switch = namespaced(&needs.namespace, "Suppress_All__c");
        let soql = Select::from(setting)
            .fields(["SetupOwnerId".to_owned(), switch.clone()])
            .where_in("SetupOwnerId", &[&me.user_id, &me.org_id])
            .to_soql();
        let rows = match self.call(&query::query(&soql)).await {
            Ok(reply) => query::page(&reply),
            Err(error) => Err(error),
        };
        self.facts.setting = match rows {
            Ok(page) => {
                let of = |id: &str| {
                    let row = page.records.iter().find(|row| text(row, "SetupOwnerId") == Some(id))?;
                    Some(row.get(&switch) == Some(&Value::Bool(true)))
                };
                Some(SettingFacts::Rows { own: of(&me.user_id), org: of(&me.org_id) == Some(true) })
            }
            Err(error) if error.class() == ErrorClass::Schema => Some(SettingFacts::Hidden),
            Err(_) => None,
        };
    }

    /// Only users who may see Setup get an answer.
    async fn package(&mut self, needs: &Needs) {
        if needs.namespace.is_empty() {
            return;
        }
        let fields = ["NamespacePrefix"].map(|field| format!("SubscriberPackage.{field}"));
        let parts = ["MajorVersion", "MinorVersion", "PatchVersion"];
        let soql = Select::from("InstalledSubscriberPackage")
            .fields(fields.into_iter().chain(parts.map(|part| format!("SubscriberPackageVersion.{part}"))))
            .to_soql();
        let Ok(reply) = self.call(&query::tooling(&soql)).await else { return };
        let Ok(page) = query::page(&reply) else { return };
        let ours = page.records.iter().find(|record| {
            let prefix =
                record.get("SubscriberPackage").and_then(|package| package["NamespacePrefix"].as_str());
            prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(&needs.namespace))
        });
        self.facts.package_version = ours
            .and_then(|record| record.get("SubscriberPackageVersion"))
            .map(|version| parts.map(|part| version[part].as_u64().unwrap_or_default()));
    }

    /// Subscribes to new events of every channel, and takes leave before any is fetched.
    async fn subscribe(&self, needs: &Needs, clock: Clock) -> BTreeMap<String, Result<(), Problem>> {
        let mut verdicts = BTreeMap::new();
        let wanted = needs.channels.iter().map(|channel| Wanted {
            channel: channel.clone(),
            position: None,
            before: None,
            start: StartFrom::Latest,
        });
        let mut session = Session::new(wanted.collect(), Options::default());
        let mut input = Some(Input::Start);
        let (mut actions, mut has_token, mut leaves) = (VecDeque::new(), false, false);
        for _ in 0..STEPS_MAX {
            if let Some(input) = input.take() {
                let (next, asked) = step(session, input, clock.monotonic(), clock.jitter());
                session = next;
                actions.extend(asked);
            }
            if !leaves && verdicts.len() == needs.channels.len() {
                leaves = true;
                actions.clear();
                input = Some(Input::Stop);
                continue;
            }
            match actions.pop_front() {
                Some(Action::Send { request, message, suffix, timeout, cookies }) => {
                    let (token, cookies) = (self.token, cookies.as_deref());
                    let http =
                        self.http.post_cometd(token, self.version, suffix, message, cookies, timeout).await;
                    input = Some(Input::Answer { request, http });
                }
                Some(Action::RenewToken { .. }) => {
                    // A second one would be refused like the first.
                    let ready = !std::mem::replace(&mut has_token, true);
                    input =
                        Some(if ready { Input::TokenReady } else { Input::TokenFailed { permanent: true } });
                }
                Some(Action::Store { request, .. }) => input = Some(Input::StoreFailed { request }),
                Some(Action::Report(report)) => note(report, needs, &mut verdicts),
                Some(Action::Wake { .. }) => {}
                Some(Action::Done) | None => break,
            }
        }
        verdicts
    }
}

fn note(report: Report, needs: &Needs, verdicts: &mut BTreeMap<String, Result<(), Problem>>) {
    let mut all = |problem: &Problem| {
        for channel in &needs.channels {
            verdicts.entry(channel.clone()).or_insert_with(|| Err(problem.clone()));
        }
    };
    match report {
        Report::Subscribed { channel, .. } => _ = verdicts.insert(channel, Ok(())),
        Report::Refused { channel: Some(channel), reason, hint, .. } => {
            verdicts.insert(channel, Err(Problem::new(reason, hint)));
        }
        Report::Refused { channel: None, reason, hint, .. } => all(&Problem::new(reason, hint)),
        Report::Lost { reason, .. } => all(&Problem::passing(reason)),
        Report::LoginFailed { .. } => all(&Problem::passing("the token was refused")),
        _ => {}
    }
}

fn text<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    row.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_other_clock_is_read_to_the_second() {
        let date = Some("Wed, 25 Nov 2026 13:46:13 GMT");
        let here = UnixMs(1_795_614_373_000);
        let later = |secs| here.saturating_add(Duration::from_secs(secs));
        for (asked, answered, ahead) in [(here, later(1), Some(0)), (later(60), later(60), Some(-59_500))] {
            assert_eq!(ahead_ms(date, asked, answered), ahead);
        }
        assert_eq!(ahead_ms(Some("soon"), here, here), None);
        assert_eq!(ahead_ms(None, here, here), None);
    }
}
