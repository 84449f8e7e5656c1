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
fn an_external_id_tells_records_apart_and_is_never_cut() {
    let from = |value: ValueSpec| Mapping::new(MappingSpec { external_id_from: value, ..spec() });
    let cel = |cel: &str| ValueSpec { cel: Some(cel.into()), ..ValueSpec::default() };
    let mapping = from(cel("answer.key + '/' + record.Name")).unwrap();
    assert_eq!(mapping.read_fields(), ["Id", "Website", "Name", "Owner.Email"]);
    let cut = ValueSpec { overlong: Some("truncate".into()), ..ValueSpec::from("/key") };
    for (value, key) in [
        (ValueSpec { value: Some("K".into()), ..ValueSpec::default() }, "external_id.from.value"),
        ("$meta.content_hash".into(), "external_id.from"),
        (cut, "external_id.from.overlong"),
        (cel("answer."), "external_id.from.cel"),
        (cel("answer.key + string(now)"), "external_id.from.cel"),
        (cel("org + '/x'"), "external_id.from.cel"),
        (cel("answer.x > 1"), "external_id.from.cel"),
        (cel("answer.x.split(',')"), "external_id.from.cel"),
        (cel("timestamp(answer.x)"), "external_id.from.cel"),
        (ValueSpec { default: Some("K".into()), ..ValueSpec::from("/key") }, "external_id.from.default"),
        (
            ValueSpec {
                map: Some([("a".to_owned(), "A".into())].into()),
                otherwise: Some("K".into()),
                ..ValueSpec::from("/key")
            },
            "external_id.from.otherwise",
        ),
    ] {
        let problems = from(value).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key]);
    }
}

#[test]
fn what_cannot_be_read_takes_the_expressions_along_that_need_it() {
    let cel = ValueSpec { cel: Some("record.Owner.Email + record.Phone".into()), ..ValueSpec::default() };
    let fields = [("A__c".to_owned(), cel), ("B__c".to_owned(), "/b".into())].into();
    let mapping = Mapping::new(MappingSpec { fields, ..spec() }).unwrap();
    assert_eq!(mapping.read_fields(), ["Id", "Website", "Owner.Email", "Phone"]);
    let left = mapping.without(&["Phone".to_owned()].into());
    assert_eq!(
        (left.read_fields(), left.target_fields()),
        (vec!["Id".into(), "Website".into()], vec!["acmeco__B__c".into()])
    );
}

#[test]
fn an_empty_mapping_is_refused() {
    let problems = Mapping::new(MappingSpec::default()).unwrap_err();
    assert_eq!(problems.len(), 7, "{problems:?}");
    let wrong = MappingSpec { namespace: "a__b".into(), ..spec() };
    assert_eq!(Mapping::new(wrong).unwrap_err()[0].key, "namespace");
}

/// Onto the account itself.
fn itself() -> MappingSpec {
    let one = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    MappingSpec {
        sync: "accounts".into(),
        object: "Account".into(),
        keys: [one("domain", "Website")].into(),
        fields: [("Industry".to_owned(), "/industry".into()), ("Own__c".to_owned(), "/own".into())].into(),
        operation: Operation::Update,
        matching: Matching::Id,
        namespace: "acmeco".into(),
        ..MappingSpec::default()
    }
}

#[test]
fn the_record_itself_is_known_by_its_id_and_read_with_what_is_written() {
    let mapping = Mapping::new(itself()).expect("right");
    assert_eq!((mapping.target(), mapping.key_field(), mapping.external_id_field()), ("Account", "Id", None));
    assert_eq!(mapping.read_fields(), ["Id", "Website", "Industry", "Own__c"], "named as in the org");
    let along = mapping.reading_along(["Phone".to_owned(), "website".to_owned()]);
    assert_eq!(along.read_fields(), ["Id", "Website", "Industry", "Own__c", "Phone"]);
    let left = along.without(&["industry".to_owned(), "Phone".to_owned()].into());
    assert_eq!(left.read_fields(), ["Id", "Website", "Own__c"]);
    assert_eq!(left.target_fields(), ["Own__c"], "what cannot be read is not compared, so not written");
    let named = MappingSpec { target: "account".into(), ..itself() };
    assert_eq!(Mapping::new(named).expect("right").target(), "Account");
}

#[test]
fn what_makes_no_sense_of_the_record_itself_is_told() {
    let cases = [
        (MappingSpec { target: "Contact".into(), ..itself() }, "target"),
        (MappingSpec { external_id_field: "Key__c".into(), ..itself() }, "external_id"),
        (MappingSpec { external_id_from: "/key".into(), ..itself() }, "external_id"),
        (MappingSpec { operation: Operation::Upsert, ..itself() }, "write"),
        (MappingSpec { fields: [("id".to_owned(), "/x".into())].into(), ..itself() }, "fields.id"),
        (
            MappingSpec { fields: [("CreatedDate".to_owned(), "/x".into())].into(), ..itself() },
            "fields.CreatedDate",
        ),
        (
            MappingSpec { fields: [("BillingAddress".to_owned(), "/x".into())].into(), ..itself() },
            "fields.BillingAddress",
        ),
    ];
    for (spec, key) in cases {
        let problems = Mapping::new(spec).expect_err(key);
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key]);
        assert!(!problems[0].hint.is_empty(), "{key}");
    }
}
