//! Where a token is sent, and where not.

use super::*;

#[test]
fn a_token_goes_to_salesforce_to_the_logins_host_or_to_a_listed_one() {
    use ForeignInstance::{Elsewhere, InTheClear, Pages};
    let login = "https://login.salesforce.com";
    let gateway = "https://gateway.example:8443";
    let local = "http://127.0.0.1:4711";
    for (url, login_url, expected) in [
        ("https://acme.my.salesforce.com", login, Ok(())),
        ("https://acme--uat.sandbox.my.salesforce.com", login, Ok(())),
        ("https://na35.salesforce.com", login, Ok(())),
        ("https://acme.my.salesforce.mil", login, Ok(())),
        ("https://acme.cloudforce.com", login, Ok(())),
        ("https://acme.my.sfcrmproducts.cn", login, Ok(())),
        ("https://listed.example", login, Ok(())),
        ("https://LISTED.example", login, Ok(())),
        ("https://gateway.example", gateway, Ok(())),
        ("https://acme.my.salesforce.com", gateway, Ok(())),
        (local, local, Ok(())),
        ("http://localhost:1", local, Ok(())),
        ("http://[::1]:1", local, Ok(())),
        ("https://acme.my.salesforce.com.evil.example", login, Err(Elsewhere)),
        ("https://evilsalesforce.com", login, Err(Elsewhere)),
        ("https://salesforce.com", login, Err(Elsewhere)),
        ("https://gateway.example", login, Err(Elsewhere)),
        ("https://x.listed.example", login, Err(Elsewhere)),
        ("https://127.0.0.1", login, Err(Elsewhere)),
        ("https://10.0.0.1", local, Err(Elsewhere)),
        ("http://acme.my.salesforce.com", login, Err(InTheClear)),
        ("http://acme.my.salesforce.com", local, Err(InTheClear)),
        ("http://10.0.0.1", local, Err(InTheClear)),
        ("http://10.0.0.1", "http://10.0.0.1", Err(InTheClear)),
        ("http://127.0.0.1", login, Err(InTheClear)),
        ("http://127.0.0.1", "https://127.0.0.1", Err(InTheClear)),
        ("https://acme.lightning.force.com", login, Err(Pages)),
        ("https://acme--uat.sandbox.lightning.force.com", login, Err(Pages)),
        ("https://acme.my.salesforce-setup.com", login, Err(Pages)),
        ("https://acme--c.vf.force.com", login, Err(Pages)),
    ] {
        let listed = ["listed.example".to_owned()];
        let (url, login_url) = (Url::parse(url).unwrap(), Url::parse(login_url).unwrap());
        assert_eq!(accepts(&url, &login_url, &listed), expected, "{url} from {login_url}");
    }
}
