//! A permission set with all the rights that the syncs need, as the source file of one: ready for `sf project deploy start`.
//!
//! Here: which rights, and the XML. Not here: what is missing (`diagnosis`). Source: Metadata API guide "PermissionSet":
//! repeated elements stand together; who edits must read; required fields must not be listed.
//! It has all rights, not only the missing ones: deployed a second time, a permission set loses what its file does not list.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    facts::Facts,
    finding::{Finding, Topic},
    needs::{Needs, ObjectNeed, event_of},
};
use crate::contract::{Contract, named};

/// Name of the one with all rights.
pub(super) const NAME: &str = "Orgpipe_Sync_Access";
/// Name of the one that opens the API, so that the rest can be looked at.
const API_NAME: &str = "Orgpipe_API_Access";
/// Fields that come with every object, where nothing better is known.
const ALWAYS: [&str; 6] = ["Id", "Name", "OwnerId", "Company", "LastName", "IsConverted"];

/// A permission set to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PermissionSet {
    /// Name of its file, in the folder `permissionsets` of a project.
    pub file: String,
    /// What stands in it.
    pub source: String,
}

/// Rights on one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rights {
    edit: bool,
    create: bool,
    view_all: bool,
}

/// The permission set that mends what is found; none if no permission set can.
pub(super) fn of(needs: &Needs, facts: &Facts, findings: &[Finding]) -> Option<PermissionSet> {
    let mut grantable = findings.iter().filter(|finding| finding.grantable).peekable();
    grantable.peek()?;
    if grantable.any(|finding| finding.topic == Topic::ApiEnabled) {
        return Some(file(API_NAME, &source(API_NAME, &BTreeMap::new(), &BTreeMap::new(), None)));
    }
    let mut objects: BTreeMap<&str, Rights> = BTreeMap::new();
    for event in needs.channels.iter().filter_map(|channel| event_of(channel)) {
        objects.insert(event, Rights::default());
    }
    let mut fields: BTreeMap<String, bool> = BTreeMap::new();
    for (object, need) in &needs.objects {
        objects.insert(object, Rights { edit: need.edit, create: need.create, view_all: need.view_all });
        fields.extend(listed(needs, facts, object, need));
    }
    Some(file(NAME, &source(NAME, &objects, &fields, needs.setting.as_deref())))
}

fn file(name: &str, source: &str) -> PermissionSet {
    PermissionSet { file: format!("{name}.permissionset-meta.xml"), source: source.to_owned() }
}

/// The needed fields of an object that a permission set may list, and whether they are written.
fn listed(needs: &Needs, facts: &Facts, object: &str, need: &ObjectNeed) -> Vec<(String, bool)> {
    let described = facts.objects.get(object).and_then(Option::as_ref);
    let packaged = named(&Contract::built_in().objects, needs.bare(object));
    let may_be_listed = |field: &str| {
        if let Some(found) = described.and_then(|described| described.field(field)) {
            return found.permissionable;
        }
        // Hidden: the object with its fields is not there, or the field is what is missing.
        let contract = packaged.and_then(|(_, object)| named(&object.fields, needs.bare(field)));
        !contract.is_some_and(|(_, field)| field.required)
            && !ALWAYS.iter().any(|always| always.eq_ignore_ascii_case(field))
    };
    let fields = need.fields.iter().filter(|(field, _)| may_be_listed(field));
    fields.map(|(field, written)| (format!("{object}.{field}"), *written)).collect()
}

/// API names need no escaping.
fn source(
    name: &str,
    objects: &BTreeMap<&str, Rights>,
    fields: &BTreeMap<String, bool>,
    setting: Option<&str>,
) -> String {
    let text = |given: bool| if given { "true" } else { "false" };
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n",
    );
    if let Some(setting) = setting {
        element(&mut xml, "customSettingAccesses", &[("enabled", "true"), ("name", setting)]);
    }
    xml.push_str("    <description>Rights that orgpipe's syncs need, as its doctor found.</description>\n");
    for (field, written) in fields {
        let values = [("editable", text(*written)), ("field", field.as_str()), ("readable", "true")];
        element(&mut xml, "fieldPermissions", &values);
    }
    xml.push_str("    <hasActivationRequired>false</hasActivationRequired>\n");
    let _ = writeln!(xml, "    <label>{}</label>", name.replace('_', " "));
    for (object, rights) in objects {
        let values = [
            ("allowCreate", text(rights.create)),
            ("allowDelete", "false"),
            ("allowEdit", text(rights.edit)),
            ("allowRead", "true"),
            ("modifyAllRecords", "false"),
            ("object", object),
            ("viewAllFields", "false"),
            ("viewAllRecords", text(rights.view_all)),
        ];
        element(&mut xml, "objectPermissions", &values);
    }
    element(&mut xml, "userPermissions", &[("enabled", "true"), ("name", "ApiEnabled")]);
    xml.push_str("</PermissionSet>\n");
    xml
}

fn element(xml: &mut String, name: &str, values: &[(&str, &str)]) {
    let _ = writeln!(xml, "    <{name}>");
    for (key, value) in values {
        let _ = writeln!(xml, "        <{key}>{value}</{key}>");
    }
    let _ = writeln!(xml, "    </{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::severity::Severity;

    fn finding(topic: Topic) -> Finding {
        let (severity, grantable) = (Severity::Error, topic.is_grantable());
        let (subject, message, fix) = (String::new(), String::new(), String::new());
        Finding { severity, topic, subject, message, fix, grantable }
    }

    #[test]
    fn it_has_all_that_is_needed_and_no_required_field() {
        let (needs, facts) = (Needs::of(&crate::settings::tests::org()), Facts::default());
        assert_eq!(of(&needs, &facts, &[finding(Topic::SettingRow)]), None);
        let set = of(&needs, &facts, &[finding(Topic::Field)]).expect("a permission set");
        assert_eq!(set.file, "Orgpipe_Sync_Access.permissionset-meta.xml");
        // The package's checks hold this file against the Metadata API's schema.
        assert_eq!(
            set.source,
            include_str!(
                "../../../salesforce-package/checks/data/Orgpipe_Sync_Access.permissionset-meta.xml"
            )
        );
        let api = of(&needs, &facts, &[finding(Topic::ApiEnabled)]).expect("a permission set");
        assert!(api.file.starts_with(API_NAME) && !api.source.contains("objectPermissions"));
    }
}
