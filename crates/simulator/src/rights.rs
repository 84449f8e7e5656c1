//! What the integration user may do in an org, right by right; a test can take each away and give it back.
//!
//! Here: which permission sets give a right, and the org as one sees it who has these rights and no others.
//! Not here: the rights one by one (`right`), and enforcing them: whoever reads or writes does so in the schema as the
//! caller sees it.
//! Sources: Metadata API guide "PermissionSet"; Object Reference "Field-Level Security"; Platform Events guide
//! "Considerations": no field-level security on events, Read = may subscribe, Create = may publish.

pub(crate) mod right;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::data::{
    Access, Contract, ContractPermissionSet, CustomField, Field, Object, OpenFor, Schema, packaged_name,
};
pub use right::{FieldRight, ObjectRight, Profile, Right};

/// Objects that every user may read.
const EVERYBODYS: [&str; 2] = ["User", "Organization"];
/// The permission that logins by API need.
const API_ENABLED: &str = "ApiEnabled";

/// The rights of the integration user.
#[derive(Debug)]
pub(crate) struct Rights {
    namespace: String,
    profile: Profile,
    /// By permission set; those of the profile, and what a test gives, under the empty name.
    given: BTreeMap<String, BTreeSet<Right>>,
    taken: BTreeSet<Right>,
}

impl Rights {
    /// The rights at the start: what the permission sets give, and every right on the custom fields.
    pub(crate) fn new(namespace: &str, profile: Profile, custom_fields: &[CustomField]) -> Self {
        let contract = Contract::built_in();
        let sets = contract.permission_sets.iter().filter(|(name, _)| *name == "Sync_Integration");
        let sets = sets.chain(&contract.companion_permission_sets);
        let mut given: BTreeMap<_, _> =
            sets.map(|(name, set)| (name.clone(), rights_in(set, namespace))).collect();
        let on_custom_fields = custom_fields.iter().flat_map(|extra| {
            let (object, field) = (&extra.object, &extra.name);
            let fields = [FieldRight::Read, FieldRight::Edit]
                .map(|right| Right::Field(object.clone(), field.clone(), right));
            let is_custom = object.contains("__");
            let objects = ALL.iter().filter(move |_| is_custom);
            fields.into_iter().chain(objects.map(|right| Right::Object(object.clone(), *right)))
        });
        let own = on_custom_fields.chain([Right::AppApproved, Right::SettingRow, Right::Package]);
        given.insert(String::new(), own.map(Right::canonical).collect());
        Self { namespace: namespace.to_owned(), profile, given, taken: BTreeSet::new() }
    }

    pub(crate) fn take(&mut self, right: Right) {
        self.taken.insert(right.canonical());
    }

    /// Gives a right back, or one that no permission set gives.
    pub(crate) fn give(&mut self, right: Right) {
        let right = right.canonical();
        if !self.taken.remove(&right) {
            self.given.entry(String::new()).or_default().insert(right);
        }
    }

    pub(crate) fn has(&self, right: Right) -> bool {
        let right = right.canonical();
        let is_there = matches!(right, Right::AppApproved | Right::SettingRow | Right::Package);
        let by_profile = self.profile == Profile::SystemAdministrator && !is_there;
        let by_set = || {
            let mut sets = self.given.iter();
            sets.any(|(set, rights)| {
                !self.taken.contains(&Right::PermissionSet(set.to_lowercase())) && rights.contains(&right)
            })
        };
        !self.taken.contains(&right) && (by_profile || by_set())
    }

    fn may(&self, object: &str, right: ObjectRight) -> bool {
        let on = |right| self.has(Right::Object(object.to_owned(), right));
        on(ObjectRight::Read) && on(right)
    }

    /// The org as its administrator sees it.
    pub(crate) fn administrators(&self, schema: &Schema) -> Schema {
        let has_package = self.has(Right::Package);
        schema.filtered(|object| (has_package || !self.is_packaged(&object.name)).then(|| Arc::clone(object)))
    }

    /// The org as the integration user sees it.
    pub(crate) fn integration_users(&self, schema: &Schema, user: &str) -> Schema {
        self.administrators(schema).filtered(|object| {
            if EVERYBODYS.contains(&object.name.as_str()) {
                return Some(Arc::clone(object));
            }
            let name = object.name.as_str();
            if object.setting {
                let readable = self.has(Right::Setting(name.to_owned()));
                return readable.then(|| Arc::new(Object::clone(object).read_only()));
            }
            self.may(name, ObjectRight::Read).then(|| Arc::new(self.seen(object, user)))
        })
    }

    fn seen(&self, object: &Object, user: &str) -> Object {
        let on =
            |field: &Field, right| self.has(Right::Field(object.name.clone(), field.name.clone(), right));
        let fields = object.fields.iter().filter_map(|field| {
            let mut field = field.clone();
            if field.is_permissionable() && !object.is_event() {
                if !on(&field, FieldRight::Read) {
                    return None;
                }
                if !on(&field, FieldRight::Edit) {
                    field.access = Access::OtherClients;
                }
            }
            Some(field)
        });
        let may = |right| self.may(&object.name, right);
        let mut seen = object.with_fields(fields.collect());
        seen.open_for = OpenFor {
            create: object.open_for.create && may(ObjectRight::Create),
            edit: object.open_for.edit && may(ObjectRight::Edit),
            delete: object.open_for.delete && may(ObjectRight::Delete),
        };
        seen.owned_by = (!may(ObjectRight::ViewAll)).then(|| user.to_owned());
        seen
    }

    fn is_packaged(&self, object: &str) -> bool {
        let contract = Contract::built_in();
        let names =
            contract.objects.keys().chain(contract.events.keys()).chain(contract.custom_settings.keys());
        let mut names = names.map(|name| packaged_name(&self.namespace, name));
        names.any(|name| name == object)
    }
}

const ALL: [ObjectRight; 5] =
    [ObjectRight::Read, ObjectRight::Create, ObjectRight::Edit, ObjectRight::Delete, ObjectRight::ViewAll];

/// The rights that a permission set gives under the package's namespace.
fn rights_in(set: &ContractPermissionSet, namespace: &str) -> BTreeSet<Right> {
    let named = |name: &String| packaged_name(namespace, name);
    let objects = set.objects.iter().flat_map(|(object, rights)| {
        let words = ["read", "create", "edit", "delete", "view_all"];
        let known = ALL.into_iter().zip(words).filter(|(_, word)| rights.iter().any(|right| right == word));
        known.map(|(right, _)| Right::Object(named(object), right))
    });
    let fields = set.fields.iter().flat_map(|(object, fields)| {
        let of = move |right| move |field: &String| Right::Field(named(object), named(field), right);
        let readable = fields.readable.iter().chain(&fields.editable).map(of(FieldRight::Read));
        readable.chain(fields.editable.iter().map(of(FieldRight::Edit)))
    });
    let settings = set.custom_settings.iter().map(|setting| Right::Setting(named(setting)));
    let api = set.user_permissions.iter().filter(|name| *name == API_ENABLED).map(|_| Right::ApiEnabled);
    objects.chain(fields).chain(settings).chain(api).map(Right::canonical).collect()
}

/// The org as each of its users sees it.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) rights: Rights,
    integration_user: String,
    administrators: Arc<Schema>,
    integration_users: Arc<Schema>,
}

impl Views {
    pub(crate) fn new(rights: Rights, integration_user: &str, schema: &Schema) -> Self {
        let administrators = Arc::new(rights.administrators(schema));
        let integration_users = Arc::new(rights.integration_users(schema, integration_user));
        Self { rights, integration_user: integration_user.to_owned(), administrators, integration_users }
    }

    /// The rights are others now.
    pub(crate) fn renew(&mut self, schema: &Schema) {
        self.administrators = Arc::new(self.rights.administrators(schema));
        self.integration_users = Arc::new(self.rights.integration_users(schema, &self.integration_user));
    }

    /// Objects and fields that a user sees, and what the user may do with them.
    pub(crate) fn seen(&self, user: &str) -> Arc<Schema> {
        Arc::clone(if user == self.integration_user { &self.integration_users } else { &self.administrators })
    }

    /// Whether a user has a right that concerns the user, not records; administrators have all.
    pub(crate) fn may(&self, user: &str, right: Right) -> bool {
        user != self.integration_user || self.rights.has(right)
    }
}
