//! Mappings that are refused, and what the others read and write.

use super::*;

fn map<'a, T: From<&'a str>>(pairs: &[(&str, &'a str)]) -> BTreeMap<String, T> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), T::from(value))).collect()
}

pub(crate) fn spec() -> MappingSpec {
    MappingSpec {
        sync: "account_enrichment".into(),
        object: "Account".into(),
        keys: map(&[("domain", "Website")]),
        target: "Enrichment__c".into(),
        external_id_field: "External_Id__c".into(),
        external_id_from: "/key".into(),
        fields: map(&[
            ("Account__c", "$Id"),
            ("Employee_Count__c", "/employees"),
            ("Owner__c", "$Owner.Email"),
        ]),
        operation: Operation::Upsert,
        matching: Matching::ExternalId,
        namespace: "acmeco".into(),
    }
}

#[test]
fn a_right_mapping_gives_namespaced_targets_and_plain_sources() {
    let mapping = Mapping::new(spec()).unwrap();
    assert_eq!(mapping.object(), "Account");
    assert_eq!(mapping.target(), "acmeco__Enrichment__c");
    assert_eq!(mapping.key_field(), "acmeco__External_Id__c");
    assert_eq!(mapping.read_fields(), ["Id", "Website", "Owner.Email"]);
    let fields = ["acmeco__Account__c", "acmeco__Employee_Count__c", "acmeco__Owner__c"];
    assert_eq!(mapping.target_fields(), fields);
    assert_eq!(mapping.links().collect::<Vec<_>>(), ["acmeco__Account__c"]);
}

#[test]
fn all_problems_are_reported_at_once_with_hints() {
    let wrong = MappingSpec {
        sync: " ".into(),
        object: "My Account".into(),
        keys: map(&[("a", "$Website"), ("b", "$event.Domain__c")]),
        target: String::new(),
        external_id_field: "Ext__c".into(),
        external_id_from: "key".into(),
        fields: map(&[
            ("A__c", "/a~b"),
            ("B__c", "$"),
            ("C__c", "/c"),
            ("ns__C__c", "/c"),
            ("Ext__c", "/x"),
            ("id", "/x"),
        ]),
        operation: Operation::Upsert,
        matching: Matching::Relationship,
        namespace: "ns".into(),
    };
    let problems = Mapping::new(wrong).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "name",
        "object",
        "target",
        "keys.a",
        "keys.b",
        "external_id.from",
        "fields.A__c",
        "fields.B__c",
        "fields.Ext__c",
        "fields.id",
        "fields.ns__C__c",
        "match",
    ];
    assert_eq!(keys, expected);
    assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
}

#[test]
fn a_target_that_is_read_with_the_record_hangs_on_it_by_the_field_mapped_from_its_id() {
    assert_eq!(Mapping::new(spec()).unwrap().parent_field(), None);
    let related = MappingSpec { matching: Matching::Relationship, ..spec() };
    assert_eq!(Mapping::new(related).unwrap().parent_field(), Some("acmeco__Account__c"));
}

#[test]
fn of_a_lead_it_is_read_whether_it_has_been_converted() {
    let lead = MappingSpec { object: "lead".into(), ..spec() };
    let mapping = Mapping::new(lead).unwrap();
    assert_eq!(mapping.read_fields(), ["Id", "Website", "Owner.Email", "IsConverted"]);
}

#[test]
fn an_empty_mapping_is_refused() {
    let problems = Mapping::new(MappingSpec::default()).unwrap_err();
    assert_eq!(problems.len(), 7, "{problems:?}");
    let wrong = MappingSpec { namespace: "a__b".into(), ..spec() };
    assert_eq!(Mapping::new(wrong).unwrap_err()[0].key, "namespace");
}
