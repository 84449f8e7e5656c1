//! Which cookies are kept, sent back and dropped.

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn jar(headers: &[&str]) -> Jar {
    let mut jar = Jar::default();
    for header in headers {
        jar.merge(header, NOW);
    }
    jar
}

#[test]
fn a_new_balancer_cookie_leaves_the_session_cookie_alone() {
    let jar = jar(&[
        "BAYEUX_BROWSER=abc;Path=/cometd/;Secure",
        "sfdc-stream=!one=; expires=Tue, 24 Nov 2026 23:00:00 GMT; path=/",
        "sfdc-stream=!two=; path=/; Expires=Tue, 24 Nov 2026 23:00:00 GMT; SameSite=None; Secure",
    ]);
    assert_eq!(jar.header(NOW).as_deref(), Some("BAYEUX_BROWSER=abc; sfdc-stream=!two="));
}

#[test]
fn cookies_are_merged_by_name_and_path() {
    let jar = jar(&["t=a; Path=/cometd/", "t=b; Path=/", "t=c; Path=/cometd/", "u=d; Path=/services"]);
    assert_eq!(jar.header(NOW).as_deref(), Some("t=c; t=b"));
}

#[test]
fn cookies_end_by_age_and_by_deletion() {
    let jar =
        jar(&["a=1; Max-Age=10", "b=1", "b=; Max-Age=0", "c=1", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
    assert_eq!(jar.header(NOW).as_deref(), Some("a=1"));
    assert_eq!(jar.header(NOW + Duration::from_secs(10)), None);
}

#[test]
fn headers_that_cannot_be_read_are_left_out() {
    let huge = format!("a={}", "x".repeat(5000));
    assert_eq!(jar(&["", ";", "=x", "no value", "a=b\r\nX: y", huge.as_str()]), Jar::default());
}
