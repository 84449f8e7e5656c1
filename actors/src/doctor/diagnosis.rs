//! From what is needed and what was found to what an operator is told. Pure.
//!
//! Here: which cause a failure has, so that one cause is told once. Not here: words about where to click (`fixes`).

use std::collections::BTreeSet;

use orgpipe_salesforce::error::ErrorClass;

use super::{
    facts::{Facts, ObjectFacts, SettingFacts},
    finding::{Finding, Topic},
    fixes,
    needs::{Needs, ObjectNeed, event_of},
};
use crate::{
    contract::{Contract, named},
    severity::Severity,
};

/// Clocks that differ more are told of, seconds.
const CLOCK_WARNING_SECS: i64 = 60;
/// Clocks that differ more spoil logins: an assertion lives for three minutes.
const CLOCK_ERROR_SECS: i64 = 180;
/// Share of the event deliveries of a day below which it is told.
const DELIVERIES_LOW: f64 = 0.1;

/// Everything to be told, the worst first.
pub(super) fn findings(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let mut diagnosis = Diagnosis { needs, facts, all: Vec::new() };
    diagnosis.reach();
    if facts.identity().is_some() && !diagnosis.is_closed() {
        let explained = diagnosis.package();
        for (object, need) in &needs.objects {
            if !explained.contains(object.as_str()) {
                diagnosis.object(object, need);
            }
        }
        diagnosis.queries();
        for channel in &needs.channels {
            if event_of(channel).is_none_or(|event| !explained.contains(event)) {
                diagnosis.channel(channel);
            }
        }
        if let Some(setting) = needs.setting.as_ref().filter(|setting| !explained.contains(setting.as_str()))
        {
            diagnosis.setting(setting);
        }
        diagnosis.version();
        diagnosis.allowances();
        diagnosis.held();
    }
    let mut all = diagnosis.all;
    all.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then(a.topic.cmp(&b.topic)).then(a.subject.cmp(&b.subject))
    });
    all
}

/// The findings so far, and what they are made from.
struct Diagnosis<'f> {
    needs: &'f Needs,
    facts: &'f Facts,
    all: Vec<Finding>,
}

impl<'f> Diagnosis<'f> {
    fn add(&mut self, severity: Severity, topic: Topic, subject: &str, message: String, fix: String) {
        let (subject, grantable) = (subject.to_owned(), topic.is_grantable());
        self.all.push(Finding { severity, topic, subject, message, fix, grantable });
    }

    /// Network, clock, login.
    fn reach(&mut self) {
        if let Some(why) = &self.facts.unreachable {
            let message = format!("Salesforce does not answer: {why}");
            return self.add(Severity::Error, Topic::Unreachable, "", message, fixes::NETWORK.to_owned());
        }
        let ahead_secs = self.facts.clock_ahead_ms.map_or(0, |ms| ms / 1_000);
        let refused = self.facts.login.as_ref().and_then(|login| login.as_ref().err());
        if ahead_secs.abs() > CLOCK_WARNING_SECS {
            let spoils = ahead_secs.abs() > CLOCK_ERROR_SECS;
            let severity = if spoils { Severity::Error } else { Severity::Warning };
            let (secs, way) = (ahead_secs.abs(), if ahead_secs > 0 { "behind" } else { "ahead of" });
            let because = refused.map(|error| format!("; {error}")).unwrap_or_default();
            let message = format!("this machine's clock is {secs} s {way} Salesforce's{because}");
            self.add(severity, Topic::Clock, "", message, fixes::CLOCK.to_owned());
            if spoils {
                return;
            }
        }
        if let Some(error) = refused {
            let (topic, fix) = if error.is_app_policy() {
                (Topic::App, fixes::app(self.needs))
            } else {
                (Topic::Login, error.hint().unwrap_or_default())
            };
            self.add(Severity::Error, topic, "", error.to_string(), fix);
        }
        if let Some(problem) = &self.facts.no_session {
            let fix = problem.hint.clone().unwrap_or_default();
            self.add(Severity::Error, Topic::Login, "", problem.reason.clone(), fix);
        }
    }

    /// Whether the API as such is closed, which explains everything else.
    fn is_closed(&mut self) -> bool {
        let Some(error) = &self.facts.closed else { return false };
        let message = error.to_string();
        if error.class() == ErrorClass::DailyLimit {
            self.add(Severity::Error, Topic::Allowance, "", message, fixes::ALLOWANCE.to_owned());
        } else {
            let fix = fixes::api_enabled(self.needs);
            self.add(Severity::Error, Topic::ApiEnabled, "", message, fix);
        }
        true
    }

    /// Names that are not there because nothing of the package is.
    fn package(&mut self) -> BTreeSet<&'f str> {
        let (needs, facts) = (self.needs, self.facts);
        let events = needs.channels.iter().filter_map(|channel| event_of(channel));
        let asked = needs.objects.keys().map(String::as_str).chain(events).chain(needs.setting.as_deref());
        let packaged: BTreeSet<&str> = asked.filter(|name| needs.is_packaged(name)).collect();
        let is_gone = |name: &&str| match facts.objects.get(*name) {
            Some(found) => found.is_none(),
            None => facts.setting == Some(SettingFacts::Hidden) && needs.setting.as_deref() == Some(name),
        };
        if packaged.is_empty() || !packaged.iter().all(is_gone) {
            return BTreeSet::new();
        }
        if let Some(other) = facts.names.iter().find_map(|name| namespace_of(name)) {
            let shown = |namespace: &str| match namespace {
                "" => "no namespace".to_owned(),
                namespace => format!("the namespace `{namespace}`"),
            };
            let message = format!(
                "the org has the package under {}, but the settings name {}",
                shown(other),
                shown(&needs.namespace)
            );
            self.add(Severity::Error, Topic::Namespace, other, message, fixes::namespace(other));
        } else {
            let names: Vec<&str> = packaged.iter().copied().collect();
            let message = format!(
                "nothing of the package is there for the integration user (looked for {}): it is not installed, or its \
                 permission set is not assigned",
                names.join(", ")
            );
            self.add(Severity::Error, Topic::Package, "", message, fixes::package(needs));
        }
        packaged
    }

    fn object(&mut self, name: &str, need: &ObjectNeed) {
        let object = match self.facts.objects.get(name) {
            Some(Some(object)) => object,
            Some(None) => {
                let rights = match need {
                    ObjectNeed { create: true, .. } => "Read, Create and Edit",
                    ObjectNeed { edit: true, .. } => "Read, Edit and View All Records",
                    _ => "Read and View All Records",
                };
                let message = format!("{name} is not there for the integration user, who needs {rights}");
                let fix = fixes::object(self.needs, name, rights);
                return self.add(Severity::Error, Topic::Object, name, message, fix);
            }
            None => return,
        };
        let (creates, edits) = (object.createable || !need.create, object.updateable || !need.edit);
        if !(creates && edits) {
            let right = match (creates, edits) {
                (false, false) => "Create and Edit",
                (false, true) => "Create",
                _ => "Edit",
            };
            let message = format!("the integration user lacks {right} on {name}: nothing can be written");
            let fix = fixes::object(self.needs, name, right);
            self.add(Severity::Error, Topic::Object, name, message, fix);
        }
        for (field, written) in &need.fields {
            self.field(name, (object, need), field, *written);
        }
        for (sync, field, source) in &need.values {
            for misfit in object.misfits(field, source) {
                let message = format!("`fields.{field}.{}` of sync {sync} {}", misfit.key, misfit.message);
                self.add(Severity::Error, Topic::Value, &format!("{name}.{field}"), message, misfit.hint);
            }
        }
        if let Some(field) = &need.external_id {
            self.field(name, (object, need), field, true);
            if object.field(field).is_some_and(|found| !found.external_id) {
                let subject = format!("{name}.{field}");
                let message =
                    format!("{subject} is not marked as External ID: records cannot be upserted by it");
                let fix = fixes::external_id(name, field);
                self.add(Severity::Error, Topic::ExternalId, &subject, message, fix);
            }
        }
    }

    /// A field of which an object's own rights say nothing.
    fn field(&mut self, name: &str, (object, need): (&ObjectFacts, &ObjectNeed), field: &str, written: bool) {
        let subject = format!("{name}.{field}");
        let (what, right) = match object.field(field) {
            None if written => {
                ("is not there for the integration user, who needs Read and Edit", "Read and Edit")
            }
            None => ("is not there for the integration user, who needs Read", "Read"),
            Some(found) if written && found.computed => {
                let message = format!("{subject} is computed by Salesforce: nobody can write it");
                let fix = "Take it out of `fields` of the sync.".to_owned();
                return self.add(Severity::Error, Topic::Computed, &subject, message, fix);
            }
            // Where the object is closed, so are its fields.
            Some(found)
                if written
                    && ((need.create && object.createable && !found.createable)
                        || (object.updateable && !found.updateable)) =>
            {
                ("may only be read by the integration user, who needs Edit", "Edit")
            }
            Some(_) => return,
        };
        let fix = fixes::field(self.needs, name, field, right);
        self.add(Severity::Error, Topic::Field, &subject, format!("{subject} {what}"), fix);
    }

    fn queries(&mut self) {
        let mut unseen = BTreeSet::new();
        for (sync, query) in &self.needs.queries {
            let object = query.object.as_str();
            match self.facts.queries.get(sync) {
                Some(Ok(false)) if unseen.insert(object) => {
                    let message = format!(
                        "no record of {object} is seen: there is none, or the integration user lacks View All Records"
                    );
                    let fix = fixes::object(self.needs, object, "View All Records");
                    self.add(Severity::Warning, Topic::Records, object, message, fix);
                }
                Some(Err(error)) if !self.is_told_of(object) => {
                    let message = format!("the query of sync {sync} fails: {error}");
                    let fix = error.hint().unwrap_or_default();
                    self.add(Severity::Error, Topic::Query, sync, message, fix);
                }
                _ => {}
            }
        }
    }

    /// Whether rights on an object or its fields are told of already.
    fn is_told_of(&self, object: &str) -> bool {
        let of_it = |subject: &str| subject.split('.').next() == Some(object);
        self.all.iter().any(|finding| of_it(&finding.subject))
    }

    fn channel(&mut self, channel: &str) {
        let Some(Err(problem)) = self.facts.subscriptions.get(channel) else { return };
        let hidden = |event: &&str| self.facts.objects.get(*event) == Some(&None);
        if let Some(event) = event_of(channel).filter(hidden) {
            let message = format!(
                "{event} is not there for the integration user, who needs Read to be told of changes ({})",
                problem.reason
            );
            let fix = fixes::object(self.needs, event, "Read");
            self.add(Severity::Error, Topic::Event, event, message, fix);
        } else {
            let message = format!("{channel} cannot be subscribed to: {}", problem.reason);
            let fix = problem.hint.clone().unwrap_or_default();
            self.add(Severity::Error, Topic::Subscription, channel, message, fix);
        }
    }

    fn setting(&mut self, name: &str) {
        let because =
            "the package's flows answer to what orgpipe writes to accounts or leads, which costs API calls";
        match self.facts.setting {
            Some(SettingFacts::Hidden) => {
                let message = format!(
                    "{name} is not there for the integration user, so nobody can tell whether its row keeps the flows quiet"
                );
                let fix = fixes::setting(self.needs);
                self.add(Severity::Warning, Topic::Setting, name, message, fix);
            }
            Some(SettingFacts::Rows { own: own @ (None | Some(false)), .. }) => {
                let what =
                    if own.is_none() { "has no row for" } else { "has Suppress All off in the row of" };
                let message = format!("{name} {what} {}: {because}", self.needs.user);
                let fix = fixes::setting_row(self.needs);
                self.add(Severity::Warning, Topic::SettingRow, name, message, fix);
            }
            _ => {}
        }
        if let Some(SettingFacts::Rows { org: true, .. }) = self.facts.setting {
            let message = format!(
                "{name} has Suppress All on for the whole org: no change is told, only refreshes read"
            );
            self.add(Severity::Warning, Topic::Flows, name, message, fixes::FLOWS.to_owned());
        }
    }

    fn version(&mut self) {
        let expected = &Contract::built_in().package_version;
        let parts: Vec<u64> = expected.split('.').filter_map(|part| part.parse().ok()).collect();
        match self.facts.package_version {
            Some(installed) if installed.as_slice() < parts.as_slice() => {
                let [major, minor, patch] = installed;
                let message = format!(
                    "the package is of version {major}.{minor}.{patch}; orgpipe was built for {expected} and may miss fields"
                );
                self.add(Severity::Warning, Topic::PackageVersion, "", message, fixes::UPGRADE.to_owned());
            }
            None if !self.needs.namespace.is_empty() => {
                let message = "the package's version is not shown to the integration user".to_owned();
                self.add(Severity::Note, Topic::PackageVersion, "", message, fixes::VIEW_SETUP.to_owned());
            }
            _ => {}
        }
    }

    /// What we did not ask, because no more of the day's calls are ours.
    fn held(&mut self) {
        if let Some(why) = &self.facts.held {
            let message = format!("not all was asked: {why}");
            self.add(Severity::Warning, Topic::Allowance, "", message, fixes::HELD.to_owned());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    fn allowances(&mut self) {
        if let Some(usage) = self.facts.usage {
            let (used, max) = (usage.used, usage.max);
            let severity = if used >= max { Severity::Error } else { Severity::Warning };
            if used >= max || 1.0 - usage.share() < self.needs.reserve {
                let message = format!(
                    "{used} of the org's {max} API calls of 24 hours are used: refreshes wait, then healing, then all writes"
                );
                self.add(severity, Topic::Allowance, "", message, fixes::ALLOWANCE.to_owned());
            }
        }
        if let Some((left, max)) = self.facts.deliveries.filter(|(_, max)| *max > 0)
            && left as f64 / (max as f64) < DELIVERIES_LOW
        {
            let severity = if left == 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{left} of the org's {max} event deliveries of 24 hours are left");
            self.add(severity, Topic::Deliveries, "", message, fixes::DELIVERIES.to_owned());
        }
    }
}

/// The namespace under which a name is one of the package's objects or events; empty for none.
fn namespace_of(name: &str) -> Option<&str> {
    let contract = Contract::built_in();
    let is_ours =
        |bare: &str| named(&contract.objects, bare).is_some() || named(&contract.events, bare).is_some();
    if is_ours(name) {
        return Some("");
    }
    name.split_once("__").filter(|(_, bare)| is_ours(bare)).map(|(namespace, _)| namespace)
}

#[cfg(test)]
mod tests;
