//! Names of a sync against the package's contract: a field that the package does not have is never written.
//!
//! Here: which names are the package's, and what is said of those it lacks. Not here: what an org has (`check`).
//! A name with a prefix that is no org's namespace belongs to somebody else, as do standard names: both pass.

use std::collections::BTreeMap;

use orgpipe_actors::contract::{Contract, FieldContract, named};
use orgpipe_reconcile::{
    FieldSource, MappingSpec, ValueSpec,
    fit::misfits,
    mapping::{MappingProblem, Matching},
    name::namespaced,
};

use crate::config::report::near;

/// What is wrong with the names of a mapping; `namespaces`: those of all orgs of the file.
pub(super) fn problems(spec: &MappingSpec, namespaces: &[String]) -> Vec<MappingProblem> {
    let mut problems = Vec::new();
    let itself = spec.matching == Matching::Id;
    let target = packaged(&spec.target, namespaces).filter(|_| !itself);
    if let Some((object, contract)) = target.and_then(|name| named(&Contract::built_in().objects, name)) {
        let mut lacks = |key: &str, field: &str| {
            let lacking = lacking(object, &contract.fields, packaged(field, namespaces));
            problems.extend(lacking.map(|(message, hint)| MappingProblem {
                key: key.to_owned(),
                message,
                hint,
            }));
        };
        lacks("external_id.field", &spec.external_id_field);
        for field in spec.fields.keys() {
            lacks(&format!("fields.{field}"), field);
        }
        if problems.is_empty() {
            problems.extend(spec.fields.iter().flat_map(|(field, value)| {
                let known = packaged(field, namespaces).and_then(|name| named(&contract.fields, name));
                known.map(|(name, known)| unkept(field, value, name, known)).unwrap_or_default()
            }));
        }
        let by = packaged(&spec.external_id_field, namespaces).unwrap_or(&contract.external_id);
        if problems.is_empty() && !by.eq_ignore_ascii_case(&contract.external_id) {
            let message = format!("`{}` is no external ID of the package's {object}", spec.external_id_field);
            let hint = format!("Write `{}`.", contract.external_id);
            problems.push(MappingProblem { key: "external_id.field".to_owned(), message, hint });
        }
    }
    // `object` and `keys` stand as in the org, and what is written onto the object itself: there the package's names have its namespace.
    let object = in_org(&spec.object, namespaces);
    if let Some((object, contract)) = object.and_then(|name| named(&Contract::built_in().objects, name)) {
        let values = spec.fields.iter().flat_map(|(field, value)| {
            let paths =
                FieldSource::new(value).map(|source| source.record_paths().to_vec()).unwrap_or_default();
            paths.into_iter().map(move |path| (format!("fields.{field}"), path))
        });
        let keys = spec.keys.iter().map(|(key, field)| (format!("keys.{key}"), field.clone()));
        let written = spec.fields.keys().filter(|_| itself);
        let written = written.map(|field| (format!("fields.{field}"), field.clone()));
        for (key, path) in keys.chain(values).chain(written) {
            let field = first_field(&path);
            let lacking = lacking(object, &contract.fields, in_org(&field, namespaces));
            problems.extend(lacking.map(|(message, hint)| MappingProblem { key, message, hint }));
        }
    }
    problems
}

/// What a field of the package cannot keep of what is mapped to it.
fn unkept(field: &str, value: &ValueSpec, name: &str, known: &FieldContract) -> Vec<MappingProblem> {
    let (Ok(source), Some(described)) = (FieldSource::new(value), known.described(name)) else {
        return Vec::new();
    };
    let misfits = misfits(&source, &described).into_iter();
    let place = |key: &str| {
        if value.is_plain() { format!("fields.{field}") } else { format!("fields.{field}.{key}") }
    };
    let mut problems: Vec<MappingProblem> = misfits
        .map(|misfit| MappingProblem { key: place(misfit.key), message: misfit.message, hint: misfit.hint })
        .collect();
    let is_other = |text: &str| !known.values.is_empty() && !known.values.iter().any(|known| known == text);
    for (key, text) in source.literals().into_iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if is_other(text) && !text.is_empty() {
            let message = format!("has `{text}`, which is no value of {name}");
            let hint = format!("There are `{}`.", known.values.join("`, `"));
            problems.push(MappingProblem { key: place(key), message, hint });
        }
    }
    problems
}

/// The same for a name that stands as in the org, where a managed package's names always have the prefix.
fn in_org<'n>(name: &'n str, namespaces: &[String]) -> Option<&'n str> {
    let unmanaged = namespaces.iter().all(String::is_empty);
    packaged(name, namespaces).filter(|bare| unmanaged || *bare != name)
}

/// The field that a path begins with: `Account__r.Name` goes over `Account__c`.
fn first_field(path: &str) -> String {
    match path.split_once('.') {
        Some((first, _)) => {
            first.strip_suffix("__r").map_or_else(|| first.to_owned(), |stem| format!("{stem}__c"))
        }
        None => path.to_owned(),
    }
}

/// What is wrong with a field of a package's event, as message and hint.
pub(super) fn event_field(channel: &str, field: &str, namespaces: &[String]) -> Option<(String, String)> {
    let event = packaged(channel.strip_prefix("/event/")?, namespaces)?;
    let (event, contract) = named(&Contract::built_in().events, event)?;
    lacking(event, &contract.fields, packaged(field, namespaces))
}

fn lacking(
    object: &str,
    fields: &BTreeMap<String, FieldContract>,
    field: Option<&str>,
) -> Option<(String, String)> {
    let field = field.filter(|field| field.contains("__") && named(fields, field).is_none())?;
    let meant = near(field, fields.keys().map(String::as_str));
    let hint = match meant.as_slice() {
        [] => {
            let custom: Vec<&str> =
                fields.keys().map(String::as_str).filter(|name| name.contains("__")).collect();
            format!("There are: {}.", custom.join(", "))
        }
        [one] => format!("Did you mean `{one}`?"),
        several => format!("Did you mean one of `{}`?", several.join("`, `")),
    };
    Some((format!("the package's {object} has no field `{field}`"), hint))
}

/// The name within the package: without the prefix of an org's namespace. None if another prefix is in front of it.
fn packaged<'n>(name: &'n str, namespaces: &[String]) -> Option<&'n str> {
    let prefix_of = |namespace: &String| {
        let (prefix, rest) = name.split_once("__")?;
        prefix.eq_ignore_ascii_case(namespace).then_some(rest)
    };
    let bare = namespaces.iter().find_map(prefix_of).filter(|rest| rest.contains("__"));
    let is_foreign = || name.contains("__") && namespaced("x", name) == name;
    bare.or_else(|| (!is_foreign()).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_package_are_judged() {
        let namespaces = ["acmeco".to_owned(), String::new()];
        for (name, expected) in [
            ("Website__c", Some("Website__c")),
            ("acmeco__Website__c", Some("Website__c")),
            ("ACMECO__Website__c", Some("Website__c")),
            ("other__Website__c", None),
            ("OwnerId", Some("OwnerId")),
        ] {
            assert_eq!(packaged(name, &namespaces), expected, "{name}");
        }
    }

    #[test]
    fn what_is_read_of_an_enrichment_is_judged_as_the_org_names_it() {
        let spec = |object: &str, field: &str| MappingSpec {
            object: object.to_owned(),
            keys: [("key".to_owned(), field.to_owned())].into(),
            target: "Account".to_owned(),
            ..MappingSpec::default()
        };
        for (object, field, namespace, wrong) in [
            ("Enrichment__c", "Webseite__c", "", true),
            ("Enrichment__c", "Account__r.Name", "", false),
            ("Enrichment__c", "Acount__r.Name", "", true),
            ("acmeco__Enrichment__c", "acmeco__Webseite__c", "acmeco", true),
            // The customer's own field, and the customer's own object.
            ("acmeco__Enrichment__c", "Webseite__c", "acmeco", false),
            ("Enrichment__c", "Webseite__c", "acmeco", false),
        ] {
            let found = problems(&spec(object, field), &[namespace.to_owned()]);
            assert_eq!(!found.is_empty(), wrong, "{object}.{field} in `{namespace}`: {found:?}");
        }
    }
}
