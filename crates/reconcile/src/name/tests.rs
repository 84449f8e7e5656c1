//! Names with and without a namespace.

use super::*;

#[test]
fn only_custom_names_without_a_prefix_get_the_namespace() {
    let cases = [
        ("acmeco", "Enrichment__c", "acmeco__Enrichment__c"),
        ("acmeco", "acmeco__Enrichment__c", "acmeco__Enrichment__c"),
        ("acmeco", "other__Enrichment__c", "other__Enrichment__c"),
        ("acmeco", "Account__r", "acmeco__Account__r"),
        ("acmeco", "Sync_Request__e", "acmeco__Sync_Request__e"),
        ("acmeco", "Foo__C", "acmeco__Foo__C"),
        ("acmeco", "Name", "Name"),
        ("acmeco", "__c", "__c"),
        ("", "Enrichment__c", "Enrichment__c"),
    ];
    for (namespace, name, expected) in cases {
        assert_eq!(namespaced(namespace, name), expected, "{name}");
    }
}

#[test]
fn a_channel_gets_it_in_its_last_segment() {
    let cases = [
        ("/event/Sync_Request__e", "/event/acmeco__Sync_Request__e"),
        ("/event/acmeco__Sync_Request__e", "/event/acmeco__Sync_Request__e"),
        ("/data/AccountChangeEvent", "/data/AccountChangeEvent"),
        ("/data/Foo__ChangeEvent", "/data/acmeco__Foo__ChangeEvent"),
    ];
    for (channel, expected) in cases {
        assert_eq!(namespaced_channel("acmeco", channel), expected);
    }
}

#[test]
fn names_and_namespaces_are_checked() {
    for (text, name, namespace) in [
        ("acmeco", true, true),
        ("", false, true),
        ("1a", false, false),
        ("a-b", false, false),
        ("a__b", true, false),
        ("abcdefghijklmnop", true, false),
    ] {
        assert_eq!((is_api_name(text), is_namespace(text)), (name, namespace), "{text}");
    }
    assert!(is_path("Owner.Email") && !is_path("Owner..Email") && !is_path(""));
}
