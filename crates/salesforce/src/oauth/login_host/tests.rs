//! What people paste, and where it leads.

use super::*;

#[test]
fn what_people_paste_leads_to_the_host_to_log_in_at() {
    for (text, expected) in [
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com/"),
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com/"),
        ("  ACME.My.Salesforce.com/home?x=1#y ", "https://acme.my.salesforce.com/"),
        ("http://acme.my.salesforce.com:8080/", "https://acme.my.salesforce.com/"),
        ("\"https://acme.my.salesforce.com\"", "https://acme.my.salesforce.com/"),
        ("acme.my.salesforce.com.", "https://acme.my.salesforce.com/"),
        ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com/"),
        ("acme.lightning.force.com", "https://acme.my.salesforce.com/"),
        ("acme--uat.sandbox.lightning.force.com", "https://acme--uat.sandbox.my.salesforce.com/"),
        ("acme--uat.lightning.force.com", "https://acme--uat.sandbox.my.salesforce.com/"),
        (
            "acme-dev-ed.develop.lightning.force.com/one/one.app",
            "https://acme-dev-ed.develop.my.salesforce.com/",
        ),
        ("fun-otter-123.scratch.lightning.force.com", "https://fun-otter-123.scratch.my.salesforce.com/"),
        ("https://acme.my.salesforce-setup.com/lightning/setup/x", "https://acme.my.salesforce.com/"),
        ("acme--uat.sandbox.my.salesforce-setup.com", "https://acme--uat.sandbox.my.salesforce.com/"),
        ("https://acme--c.vf.force.com/apex/Page", "https://acme.my.salesforce.com/"),
        ("acme--uat--c.sandbox.vf.force.com", "https://acme--uat.sandbox.my.salesforce.com/"),
        ("acme--c.na35.visual.force.com", "https://acme.my.salesforce.com/"),
        ("acme.lightning.crmforce.mil", "https://acme.my.salesforce.mil/"),
        ("acme.lightning.sfcrmapps.cn", "https://acme.my.sfcrmproducts.cn/"),
        ("acme--uat.sandbox.my.salesforce.com", "https://acme--uat.sandbox.my.salesforce.com/"),
        ("acme.cs42.my.salesforce.com", "https://acme.cs42.my.salesforce.com/"),
        ("login.salesforce.com", "https://login.salesforce.com/"),
        ("https://test.salesforce.com/?locale=de", "https://test.salesforce.com/"),
        ("http://127.0.0.1:4711/x", "http://127.0.0.1:4711/"),
        ("http://localhost:4711", "http://localhost:4711/"),
    ] {
        assert_eq!(correct(text).as_ref().map(Url::as_str), Ok(expected), "{text}");
        assert_eq!(correct(expected).as_ref().map(Url::as_str), Ok(expected), "{expected} again");
    }
}

#[test]
fn what_leads_to_no_org_is_told_with_what_to_write() {
    for (text, part) in [
        ("", "no address"),
        (" \"\" ", "no address"),
        ("acme", "`acme` is a name"),
        ("our salesforce", "`our salesforce` is no web address"),
        ("sync@acme.com", "user name"),
        ("https://acme.my.salesforce.com@evil.example/", "user name"),
        ("na35.salesforce.com", "server"),
        ("https://cs42.salesforce.com/home", "server"),
        ("usa2s.salesforce.com", "server"),
        ("acme.my.site.com", "site"),
        ("acme.secure.force.com", "site"),
        ("https://help.salesforce.com/s/articleView", "of Salesforce's own"),
        ("salesforce.com", "of Salesforce's own"),
        ("acme.my.salesforce.com.evil.example", "not Salesforce's"),
        ("https://evil.example/acme.my.salesforce.com", "not Salesforce's"),
        ("evilmy.salesforce.com.example", "not Salesforce's"),
        (".lightning.force.com", "site"),
        ("ftp://acme.my.salesforce.com", "no web address"),
        ("javascript:alert(1)", "no web address"),
        ("10.0.0.1", "no web address"),
    ] {
        let problem = correct(text).expect_err(text);
        assert!(problem.to_string().contains(part), "{text}: {problem}");
        assert!(problem.hint().contains(".my.salesforce.com"), "{text}: {}", problem.hint());
    }
}
