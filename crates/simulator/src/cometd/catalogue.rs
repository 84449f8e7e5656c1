//! Faults by name: what clients of Salesforce's Streaming API have met, as it looked on the wire.
//!
//! Here: a table from a name to the faults it stands for. Not here: faults of the org rather than of one answer (a
//! revoked token, forgotten events, replay IDs that restart), which the handle has methods for.
//!
//! Texts are those of "Handling Streaming API Errors" and "Streaming API Error Codes" (Streaming API Developer Guide)
//! and of captures in public issue trackers.

use super::faults::CometdFault;

const HTML: &str = "<html><body><h1>Maintenance</h1></body></html>";

/// Names and their faults as JSON. `$HTML` stands for a web page.
const NAMED: &[(&str, &str)] = &[
    // The balancer's cookie has expired: another server answers, and sets a new cookie.
    (
        "S01",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client",
        "advice":{"interval":0,"reconnect":"handshake"},"new_sticky":true}}}]"#,
    ),
    (
        "S02",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client",
        "advice":{"interval":0,"reconnect":"none"},"ends_session":true}}}]"#,
    ),
    // The server ends the session, after the events that wait.
    ("S03", r#"[{"at":"connect","with_events":true,"harm":{"end":{"successful":true}}}]"#),
    ("S03-bare", r#"[{"at":"connect","with_events":true,"harm":{"end":{}}}]"#),
    // The session is gone before the first subscribe of the next one.
    (
        "S04",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true,
        "advice":{"interval":0,"reconnect":"handshake"}}}},
        {"at":"subscribe","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}}]"#,
    ),
    // Handshake and subscribe succeed, the connect after them does not; three times.
    (
        "S05",
        r#"[{"at":"connect","count":3,"harm":{"refuse":{"error":"403::Unknown client","ends_session":true,
        "advice":{"interval":0,"reconnect":"handshake"}}}}]"#,
    ),
    // The token is not valid any more.
    (
        "S06",
        r#"[{"at":"connect","harm":{"refuse":{"error":"401::Authentication invalid",
        "advice":{"interval":0,"reconnect":"none"},"ends_session":true}}}]"#,
    ),
    (
        "S06-handshake",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"refuse":{"error":"403::Handshake denied","advice":{"reconnect":"none"},
        "failure_reason":"401::Authentication invalid"}}}]"#,
    ),
    // Overload that looks like a dead token.
    (
        "S07",
        r#"[{"at":"connect","harm":{"refuse":{"error":"401::Authentication invalid",
        "failure_reason":"503::Server is too busy.  Please try your request again later.",
        "advice":{"interval":0,"reconnect":"none"},"ends_session":true}}}]"#,
    ),
    // Overload that looks like a missing permission.
    (
        "S08",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"subscribe","harm":{"refuse":{"error":"403:denied_by_security_policy:subscribe_denied",
        "failure_reason":"503::Server is too busy.  Please try your request again later."}}}]"#,
    ),
    // A handshake refused without what one expects in a refusal.
    (
        "S09-no-ext",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"refuse":{"error":"403::Handshake denied","advice":{"reconnect":"none"}}}}]"#,
    ),
    (
        "S09-no-error",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"refuse":{"advice":{"reconnect":"none"}}}}]"#,
    ),
    (
        "S09-no-advice",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"refuse":{"error":"403::Handshake denied"}}}]"#,
    ),
    (
        "S09-bare",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"refuse":{"bare":true}}}]"#,
    ),
    // Too many clients, in the org or on the server.
    (
        "S10",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","count":1000,"harm":{"refuse":{"error":"403::Handshake denied",
        "failure_reason":"403::Organization concurrent user limit exceeded","advice":{"reconnect":"none"}}}}]"#,
    ),
    (
        "S10-server",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","count":1000,"harm":{"refuse":{"error":"403::Handshake denied",
        "failure_reason":"403::To protect all customers from excessive use and Denial of Service attacks, we limit the number of simultaneous connections per server. Your request has been denied because this limit has been exceeded. Please try your request again later.",
        "advice":{"reconnect":"none"}}}}]"#,
    ),
    // The delivery allocation is spent.
    (
        "S11",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"subscribe","count":1000,"harm":{"refuse":{
        "error":"403::Organization total events daily limit exceeded"}}}]"#,
    ),
    (
        "S11-connect",
        r#"[{"at":"connect","harm":{"refuse":{"ends_session":true,
        "error":"403::Organization total events daily limit exceeded",
        "advice":{"interval":0,"reconnect":"none"}}}}]"#,
    ),
    // The answer breaks off after the events have left the queue.
    ("S14-nothing", r#"[{"at":"connect","with_events":true,"harm":{"cut":{"written":"nothing"}}}]"#),
    ("S14-half", r#"[{"at":"connect","with_events":true,"harm":{"cut":{"written":"half"}}}]"#),
    (
        "S14-half-chunked",
        r#"[{"at":"connect","with_events":true,"harm":{"cut":{"written":"half","chunked":true}}}]"#,
    ),
    ("S14-all", r#"[{"at":"connect","with_events":true,"harm":{"cut":{"written":"all","chunked":true}}}]"#),
    // The answer comes when nobody waits any more; a poll that another one cancelled.
    ("S15", r#"[{"at":"connect","with_events":true,"harm":{"delay":600000}}]"#),
    ("S15-cancelled", r#"[{"at":"connect","harm":{"respond":{"status":500,"body":""}}}]"#),
    // Answers of proxies and balancers, and bodies that are no array of messages.
    ("S16-500", r#"[{"at":"connect","harm":{"respond":{"status":500,"body":"$HTML"}}}]"#),
    ("S16-502", r#"[{"at":"connect","harm":{"respond":{"status":502,"body":"$HTML"}}}]"#),
    (
        "S16-503",
        r#"[{"at":"connect","harm":{"respond":{"status":503,
        "body":"upstream connect error or disconnect/reset before headers. reset reason: connection failure"}}}]"#,
    ),
    ("S16-html", r#"[{"at":"connect","harm":{"respond":{"status":200,"body":"$HTML"}}}]"#),
    ("S16-empty", r#"[{"at":"connect","harm":{"respond":{"status":200,"body":""}}}]"#),
    ("S16-none", r#"[{"at":"connect","harm":{"respond":{"status":200,"body":"[]"}}}]"#),
    ("S16-null", r#"[{"at":"connect","harm":{"respond":{"status":200,"body":"null"}}}]"#),
    ("S16-odd", r#"[{"at":"connect","harm":"odd"}]"#),
    // A body that trickles.
    ("S17-drip", r#"[{"at":"connect","with_events":true,"harm":{"drip":{"pieces":20,"every_ms":500}}}]"#),
    // An event of a channel nobody subscribed to.
    (
        "S18-stray",
        r#"[{"at":"connect","with_events":true,"harm":{"insert":[{"channel":"/event/Stray__e","data":{
        "payload":{"Object_Type__c":"Account","Record_Ids__c":"001000000000001AAA"},
        "event":{"replayId":1,"EventUuid":"11111111-1111-4111-8111-111111111111"}}}]}}]"#,
    ),
    // After a new handshake a subscribe fails while the session lives.
    (
        "S19",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"subscribe","count":2,"harm":{"refuse":{"advice":{"reconnect":"retry","interval":0}}}}]"#,
    ),
    (
        "S19-denied",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"subscribe","count":1000,"harm":{"refuse":{
        "error":"403::Subscriber does not have access to the entity in this topic"}}}]"#,
    ),
    // The handshake is done, its reply never comes; or comes to nobody.
    (
        "S21",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":{"cut":{"written":"nothing"}}}]"#,
    ),
    (
        "S21-hangs",
        r#"[{"at":"connect","harm":{"refuse":{"error":"403::Unknown client","ends_session":true}}},
        {"at":"handshake","harm":"silence"}]"#,
    ),
    // Cookies are set anew in the middle of a session.
    (
        "S22",
        r#"[{"at":"connect","harm":{"cookies":["BrowserId=new;Path=/","t=new;Path=/cometd/;HttpOnly"]}}]"#,
    ),
    ("S22-browser", r#"[{"at":"connect","harm":{"cookies":["BAYEUX_BROWSER=changed;Path=/cometd/"]}}]"#),
    // Cookies that Salesforce does not get, or not those of this user.
    (
        "S23",
        r#"[{"at":"connect","harm":{"refuse":{"advice":{"interval":0,"reconnect":"none"},
        "error":"400::Client x has established a session, but no BAYEUX_BROWSER cookie present"}}}]"#,
    ),
    (
        "S23-user",
        r#"[{"at":"connect","harm":{"refuse":{"advice":{"interval":0,"reconnect":"none"},
        "error":"400::Authenticated user id does not match the session's user id"}}}]"#,
    ),
    // The server takes us for several clients, and wants us to wait.
    (
        "S24",
        r#"[{"at":"connect","harm":{"merge":{
        "advice":{"multiple-clients":true,"reconnect":"retry","interval":2000}}}}]"#,
    ),
    // Events come twice.
    ("S26", r#"[{"at":"connect","with_events":true,"harm":{"repeat":{"other_id":false}}}]"#),
    ("S26-other-id", r#"[{"at":"connect","with_events":true,"harm":{"repeat":{"other_id":true}}}]"#),
    // Advice of other sizes.
    (
        "S28",
        r#"[{"at":"connect","harm":{"merge":{"advice":{"interval":1500,"timeout":110000,"reconnect":"retry"}}}}]"#,
    ),
    (
        "S28-negative",
        r#"[{"at":"connect","harm":{"merge":{"advice":{"interval":-1,"timeout":10,"reconnect":"retry"}}}}]"#,
    ),
    // Not this host any more.
    (
        "S30",
        r#"[{"at":"connect","harm":{"respond":{"status":302,"body":"","location":"https://login.salesforce.com/"}}}]"#,
    ),
    (
        "S30-login",
        r#"[{"at":"connect","harm":{"respond":{"status":200,
        "body":"<html><head><title>Login | Salesforce</title></head></html>"}}}]"#,
    ),
    // No reply for ever.
    ("S31", r#"[{"at":"connect","with_events":true,"harm":"silence"}]"#),
];

/// The faults a name stands for.
pub(crate) fn named(name: &str) -> Option<Vec<CometdFault>> {
    let (_, json) = NAMED.iter().find(|(known, _)| *known == name)?;
    serde_json::from_str(&json.replace("$HTML", HTML)).ok()
}

/// The names of all faults, in the order of the table.
pub(crate) fn names() -> Vec<&'static str> {
    NAMED.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_readable_and_there_once() {
        let mut names = names();
        for name in &names {
            assert!(named(name).is_some_and(|faults| !faults.is_empty()), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
