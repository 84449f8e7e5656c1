//! The other side in `properties`: an org that keeps events as Salesforce does.
//!
//! Here: retention, one session with its queue, and the faults of one request. Not here: their order (`properties`).

use serde_json::{Value, json};

use super::talk::{Sent, ok};
use crate::cometd::{Answer, Failure};

pub(super) const CHANNELS: [&str; 2] = ["/event/A__e", "/event/B__e"];

/// What one request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultEffect {
    None,
    /// Nothing reaches the server.
    Unreachable,
    /// The server answers, and has emptied its queue, but nothing arrives.
    Cut,
    TimedOut,
    Html,
    Empty,
    /// The server has forgotten the session.
    Forgotten,
    Busy,
    TokenDead,
    Denied,
    NoPermission,
    /// Answered with events, yet refused.
    RefusedWithEvents,
    /// The server ends the session, in an answer with events.
    Ended,
    /// Every event comes twice.
    Twice,
    /// The reply stands alone, without its array.
    Bare,
    /// Cookies are lost on the way.
    NoCookie,
    /// The org's event deliveries are used up.
    Spent,
    /// The body is cut in the middle.
    Half,
    /// Refused without a reason, to be tried again.
    PutOff,
}

pub(super) const FAULT_EFFECTS: [FaultEffect; 19] = [
    FaultEffect::None,
    FaultEffect::Unreachable,
    FaultEffect::Cut,
    FaultEffect::TimedOut,
    FaultEffect::Html,
    FaultEffect::Empty,
    FaultEffect::Forgotten,
    FaultEffect::Busy,
    FaultEffect::TokenDead,
    FaultEffect::Denied,
    FaultEffect::NoPermission,
    FaultEffect::RefusedWithEvents,
    FaultEffect::Ended,
    FaultEffect::Twice,
    FaultEffect::Bare,
    FaultEffect::NoCookie,
    FaultEffect::Spent,
    FaultEffect::Half,
    FaultEffect::PutOff,
];

/// One org: retained events, at most one session with its queue.
#[derive(Default)]
pub(super) struct Org {
    pub(super) published: Vec<(usize, i64)>,
    /// So many of the oldest are not retained any more.
    pub(super) purged: usize,
    client: u64,
    session: Option<Served>,
}

#[derive(Default)]
struct Served {
    client: String,
    subscribed: [bool; 2],
    queue: Vec<(usize, i64)>,
}

impl Org {
    pub(super) fn publish(&mut self, channel: usize) {
        let id = i64::try_from(self.published.len()).expect("few events") * 3 + 1;
        self.published.push((channel, id));
        if let Some(served) = self.session.as_mut().filter(|served| served.subscribed[channel]) {
            served.queue.push((channel, id));
        }
    }

    pub(super) fn answer(&mut self, sent: &Sent, fault: FaultEffect) -> Result<Answer, Failure> {
        match fault {
            FaultEffect::Unreachable => return Err(Failure::Unreachable("DNS".to_owned())),
            FaultEffect::TimedOut => return Err(Failure::TimedOut),
            FaultEffect::Html => return Ok(Answer { status: 503, ..ok("<html>") }),
            FaultEffect::Empty => return Ok(ok("")),
            FaultEffect::Forgotten => self.session = None,
            _ => {}
        }
        let error = match fault {
            FaultEffect::Busy => Some(("401::Authentication invalid", "503::Server is too busy.")),
            FaultEffect::TokenDead => Some(("403::Handshake denied", "401::Authentication invalid")),
            FaultEffect::Denied => Some(("403::Handshake denied", "")),
            FaultEffect::NoPermission => Some(("403::Restricted channel", "")),
            FaultEffect::RefusedWithEvents => Some(("403::Unknown client", "")),
            FaultEffect::NoCookie => {
                Some(("400::Client {x} has established a session, but no BAYEUX_BROWSER cookie present", ""))
            }
            FaultEffect::PutOff => Some(("", "")),
            FaultEffect::Spent => Some(("403::Organization total events daily limit exceeded", "")),
            _ => None,
        };
        let (mut body, mut queue) = (Vec::new(), Vec::new());
        let mut reply = json!({ "channel": sent.message["channel"], "id": sent.message["id"] });
        let refused = if error.is_some() {
            if fault == FaultEffect::RefusedWithEvents {
                queue = self.drain(sent);
            }
            error
        } else {
            // A disconnect brings what waited, too, and a subscribe what it has just replayed.
            queue = self.drain(sent);
            let refused = self.serve(sent, &mut reply).err();
            queue.extend(self.drain(sent));
            refused.map(|error| (error, ""))
        };
        if fault == FaultEffect::Twice {
            queue = queue.iter().flat_map(|event| [*event, *event]).collect();
        }
        body.extend(queue.into_iter().map(|(channel, id)| {
            let event = json!({ "replayId": id, "EventUuid": format!("u-{id}") });
            json!({ "channel": CHANNELS[channel], "data": { "event": event } })
        }));
        reply["successful"] = refused.is_none().into();
        if let Some((error, reason)) = refused {
            reply["error"] = error.into();
            reply["ext"]["sfdc"]["failureReason"] = reason.into();
            if fault == FaultEffect::PutOff {
                reply["advice"]["reconnect"] = "retry".into();
            }
        }
        if fault == FaultEffect::Ended {
            self.session = None;
            body.push(json!({ "channel": "/meta/disconnect" }));
        }
        body.push(reply);
        let text = match (fault, body.as_slice()) {
            (FaultEffect::Cut, _) => return Err(Failure::Broken("EOF".to_owned())),
            (FaultEffect::Bare, [reply]) => reply.to_string(),
            _ => Value::from(body).to_string(),
        };
        Ok(ok(if fault == FaultEffect::Half { &text[..text.len() / 2] } else { &text }))
    }

    fn drain(&mut self, sent: &Sent) -> Vec<(usize, i64)> {
        let known = self.session.as_mut().filter(|served| sent.message["clientId"] == served.client);
        known.map(|served| std::mem::take(&mut served.queue)).unwrap_or_default()
    }

    /// Does what is asked, or says why not.
    fn serve(&mut self, sent: &Sent, reply: &mut Value) -> Result<(), &'static str> {
        if sent.suffix == "/handshake" {
            self.client += 1;
            let client = format!("c{}", self.client);
            reply["clientId"] = client.as_str().into();
            self.session = Some(Served { client, ..Served::default() });
            return Ok(());
        }
        let Some(served) = self.session.as_mut().filter(|served| sent.message["clientId"] == served.client)
        else {
            return Err("403::Unknown client");
        };
        match sent.suffix {
            "/subscribe" => {
                let name = sent.message["subscription"].as_str().expect("a channel");
                let channel = CHANNELS.iter().position(|channel| *channel == name).expect("a known channel");
                let after = sent.message["ext"]["replay"][name].as_i64().expect("a replay id");
                let (purged, retained) = self.published.split_at(self.purged);
                if after >= 0 && purged.iter().any(|(of, id)| *of == channel && *id >= after) {
                    return Err("400::The replayId {1} you provided was invalid.  Please provide a valid ID");
                }
                served.subscribed[channel] = true;
                let due = |&&(of, id): &&(usize, i64)| of == channel && after != -1 && id > after;
                served.queue.extend(retained.iter().filter(due));
            }
            "/disconnect" => self.session = None,
            _ => {}
        }
        Ok(())
    }
}
