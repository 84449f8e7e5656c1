//! What is posted, and which answers mean that the token is gone.

use super::*;
use crate::{
    call::tests::reply,
    oauth::{exposed, tests::refresh},
};

#[test]
fn a_token_is_gone_when_salesforce_says_so_or_does_not_know_it() {
    let login = refresh("https://acme.my.salesforce.com", None, None);
    let call = revoke(&login, "5Aep!x=".into());
    assert_eq!(call.url.as_str(), "https://acme.my.salesforce.com/services/oauth2/revoke");
    assert_eq!(exposed(&call.form), [("token", "5Aep!x=".to_owned())]);
    for (status, body, expected) in [
        (200, "", Ok(())),
        (400, "error=invalid_token&error_description=invalid+token", Ok(())),
        (
            400,
            r#"{"error":"unsupported_token_type","error_description":"this token type is not supported"}"#,
            Ok(()),
        ),
        (400, "error=invalid_request&error_description=x", Err("invalid_request")),
        (503, "<html>", Err("HTTP_503")),
    ] {
        let revoked = revoked(&login, &reply(status, body));
        let code = revoked.map_err(|error| match error {
            LoginError::Refused { code, .. } => code,
            other => other.to_string(),
        });
        assert_eq!(code, expected.map_err(str::to_owned), "{body}");
    }
}
