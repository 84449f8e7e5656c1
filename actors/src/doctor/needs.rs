//! What the syncs of an org need there: objects, fields, events, the custom setting. Pure.
//!
//! Here: the settings, object by object. Not here: whether the org has it (`facts`, `diagnosis`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::{FieldSource, name::namespaced};
use orgpipe_salesforce::oauth::Flow;

use crate::{
    contract::{Contract, named},
    settings::OrgSettings,
};

/// The package's custom setting.
const SETTING: &str = "Sync_Settings__c";

/// All that the syncs of one org need.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needs {
    /// Namespace of the package, as the settings say.
    pub namespace: String,
    /// Whom the org knows us as, for messages.
    pub user: String,
    /// Whether the login is by an app's own run-as user.
    pub run_as: bool,
    /// Share of the day's API calls that is to stay free, 0 to 1.
    pub reserve: f64,
    /// By the name in the org.
    pub objects: BTreeMap<String, ObjectNeed>,
    /// Channels to subscribe to.
    pub channels: BTreeSet<String>,
    /// What a refresh asks, by the sync's name.
    pub queries: BTreeMap<String, Query>,
    /// The custom setting's name, if an event of the package is listened to.
    pub setting: Option<String>,
}

/// What is needed of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectNeed {
    /// Records are read that others own.
    pub view_all: bool,
    /// Records are changed.
    pub edit: bool,
    /// Records are made, too.
    pub create: bool,
    /// Records are upserted by this field.
    pub external_id: Option<String>,
    /// Field, and whether it is written.
    pub fields: BTreeMap<String, bool>,
    /// By sync and field: what is written to it.
    pub values: Vec<(String, String, FieldSource)>,
}

/// Records that are read of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub object: String,
    /// May be dotted paths.
    pub fields: Vec<String>,
    /// Behind WHERE; empty for all.
    pub condition: String,
}

impl Needs {
    pub(super) fn of(settings: &OrgSettings) -> Self {
        let (user, run_as) = match &settings.login.flow {
            Flow::Jwt { username, .. } => (username.clone(), false),
            Flow::ClientCredentials { .. } => ("the app's run-as user".to_owned(), true),
            Flow::RefreshToken { .. } => ("the user who connected the org".to_owned(), false),
        };
        let mut needs = Self {
            namespace: settings.namespace.clone(),
            user,
            run_as,
            reserve: settings.limits.reserve,
            objects: BTreeMap::new(),
            channels: settings.syncs.iter().map(|sync| sync.channel.clone()).collect(),
            queries: BTreeMap::new(),
            setting: None,
        };
        for sync in &settings.syncs {
            let (mapping, refresh) = (&sync.mapping, sync.refresh.as_ref());
            let read = needs.objects.entry(mapping.object().to_owned()).or_default();
            read.view_all = true;
            for path in mapping.read_fields() {
                read.fields.entry(first_field(&path)).or_default();
            }
            let written = needs.objects.entry(mapping.target().to_owned()).or_default();
            (written.edit, written.view_all) = (true, true);
            written.create |= mapping.makes();
            if let Some(field) = mapping.external_id_field() {
                written.external_id = Some(field.to_owned());
            }
            written.fields.extend(mapping.target_fields().into_iter().map(|field| (field, true)));
            let values = mapping.fields().iter().cloned();
            written.values.extend(values.map(|(field, source)| (sync.name.clone(), field, source)));
            let condition = refresh.and_then(|refresh| refresh.condition.clone()).unwrap_or_default();
            let (object, fields) = (mapping.object().to_owned(), mapping.read_fields());
            needs.queries.insert(sync.name.clone(), Query { object, fields, condition });
        }
        let packaged = |channel: &String| {
            event_of(channel)
                .is_some_and(|event| named(&Contract::built_in().events, needs.bare(event)).is_some())
        };
        let has_event = needs.channels.iter().any(packaged);
        needs.setting = has_event.then(|| namespaced(&settings.namespace, SETTING));
        needs
    }

    /// A name without the package's namespace.
    pub(super) fn bare<'n>(&self, name: &'n str) -> &'n str {
        let rest = name
            .split_once("__")
            .filter(|(prefix, rest)| prefix.eq_ignore_ascii_case(&self.namespace) && rest.contains("__"));
        rest.map_or(name, |(_, rest)| rest)
    }

    /// Whether a name is one that the package brings.
    pub(super) fn is_packaged(&self, name: &str) -> bool {
        let (contract, bare) = (Contract::built_in(), self.bare(name));
        (self.namespace.is_empty() || bare != name)
            && (named(&contract.objects, bare).is_some()
                || named(&contract.events, bare).is_some()
                || named(&contract.custom_settings, bare).is_some())
    }
}

/// The event that a channel of one event carries.
pub(super) fn event_of(channel: &str) -> Option<&str> {
    channel.strip_prefix("/event/").filter(|name| name.ends_with("__e"))
}

/// The object's own field that a path begins with: `Owner.Email` goes over `OwnerId`.
fn first_field(path: &str) -> String {
    match path.split_once('.') {
        None => path.to_owned(),
        Some((first, _)) => {
            first.strip_suffix("__r").map_or_else(|| format!("{first}Id"), |stem| format!("{stem}__c"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sync_needs_is_named_as_the_org_names_it() {
        let needs = Needs::of(&crate::settings::tests::org());
        let account = &needs.objects["Account"];
        let names = |need: &ObjectNeed| need.fields.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            (names(account), account.view_all, account.edit),
            (vec!["Id".into(), "Website".into()], true, false)
        );
        let target = &needs.objects["Enrichment__c"];
        assert_eq!(target.external_id.as_deref(), Some("External_Id__c"));
        assert_eq!(
            (target.edit && target.create, target.fields.get("Employee_Count__c")),
            (true, Some(&true))
        );
        assert_eq!(needs.setting.as_deref(), Some("Sync_Settings__c"));
        let acme = Needs { namespace: "acmeco".into(), ..needs };
        for (name, packaged) in [
            ("acmeco__Enrichment__c", true),
            ("ACMECO__Sync_Request__e", true),
            ("Enrichment__c", false),
            ("other__Enrichment__c", false),
            ("Account", false),
        ] {
            assert_eq!(acme.is_packaged(name), packaged, "{name}");
        }
        let update = crate::settings::tests::org_that(orgpipe_reconcile::Operation::Update);
        let target = &Needs::of(&update).objects["Enrichment__c"];
        assert_eq!((target.edit, target.create), (true, false), "none is made");
        let paths = [("Owner.Email", "OwnerId"), ("Parent__r.Name", "Parent__c"), ("Website", "Website")];
        assert!(paths.iter().all(|(path, field)| first_field(path) == *field));
    }
}
