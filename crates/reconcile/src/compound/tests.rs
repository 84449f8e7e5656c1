//! The names of parts of compound fields.

use super::*;

#[test]
fn a_part_has_one_flat_name() {
    let rows = [
        ("BillingAddress.City", "billingcity"),
        ("MailingAddress.PostalCode", "mailingpostalcode"),
        ("Address.Street", "street"),
        ("PersonMailingAddress.Country", "personmailingcountry"),
        ("Name.FirstName", "firstname"),
        ("Name.Salutation", "salutation"),
        ("Place__c.Latitude", "place__latitude__s"),
        ("acmeco__Place__c.Longitude", "acmeco__place__longitude__s"),
        ("Office__c.City", "office__city__s"),
        (" Website ", "website"),
    ];
    for (name, flat) in rows {
        assert_eq!(FieldName::of(name).flat, flat, "{name}");
    }
}

#[test]
fn two_names_meet_if_one_may_be_the_other_or_a_part_of_it() {
    let rows = [
        ("BillingCity", "BillingAddress.City", true),
        ("BillingAddress", "BillingAddress.City", true),
        ("BillingCity", "BillingAddress", true),
        ("BillingAddress.City", "BillingCity", true),
        ("BillingStreet", "BillingAddress.City", false),
        ("ShippingCity", "BillingAddress.City", false),
        ("City", "Address.City", true),
        ("Address", "Address.City", true),
        ("FirstName", "Name.FirstName", true),
        ("Name", "Name.LastName", true),
        ("LastName", "Name.FirstName", false),
        ("Place__Latitude__s", "Place__c.Latitude", true),
        ("Place__c", "Place__c.Longitude", true),
        ("Place__Latitude__s", "Place__c.Longitude", false),
        ("Billing_City__c", "BillingAddress.City", false),
        ("website", "Website", true),
    ];
    for (one, other, meets) in rows {
        let (one, other) = (FieldName::of(one), FieldName::of(other));
        assert_eq!(one.meets(&other), meets, "{one:?} {other:?}");
        assert_eq!(other.meets(&one), meets, "{other:?} {one:?}");
    }
}
