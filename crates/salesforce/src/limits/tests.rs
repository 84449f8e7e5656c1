//! The header that tells how many API calls are used.

use super::*;

#[test]
fn every_form_of_the_usage_header() {
    let usage = |used, max| Some(ApiUsage { used, max });
    for (header, expected) in [
        ("api-usage=18/5000", usage(18, 5000)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample-connected-app)", usage(25, 5000)),
        ("per-app-api-usage=17/250(appName=a); api-usage=25/5000", usage(25, 5000)),
        ("api-usage=25/5000;per-app-api-usage=17/250(appName=a; b)", usage(25, 5000)),
        ("api-usage=25/5000, per-app-api-usage=17/250(appName=a)", usage(25, 5000)),
        ("  API-Usage = 5001 / 5000 ", usage(5001, 5000)),
        ("per-app-api-usage=17/250(appName=a)", None),
        ("api-usage=x/5000", None),
        ("api-usage=5000", None),
        ("", None),
    ] {
        assert_eq!(ApiUsage::from_header(header), expected, "{header}");
    }
}

#[test]
fn no_calls_allowed_means_all_used() {
    assert!((ApiUsage { used: 0, max: 0 }.share() - 1.0).abs() < f64::EPSILON);
    assert!((ApiUsage { used: 1, max: 4 }.share() - 0.25).abs() < f64::EPSILON);
}
