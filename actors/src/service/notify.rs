//! Telling receivers about alerts: what is to be told is on disk before it is sent, and off it once it was taken.
//!
//! ```text
//! look ─▶ outbox of each ─▶ its commit ─▶ a task for each that has something ─▶ POST ─▶ commit ─▶ the next
//! ```
//!
//! A process that dies between an answer and its commit sends that message once more, with the same ID. Each receiver has a
//! task of its own, so one that does not answer holds up no other.
//!
//! Here: the commits, HTTP, and when it is tried again. Not here: what is told (`alerts/outbox.rs`), how it looks on the wire
//! (`alerts/request.rs`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use orgpipe_store::{RegistryWrite, StoreError};
use reqwest::header::RETRY_AFTER;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use crate::{
    alert_kind::{AlertKind, AlertSeverity},
    alerts::{
        Action, Alert, AlertSending, LookResult, Message, Outbox, Posting, Receiver, ReceiverView,
        ReplyVerdict, Standing, Tracker, posting, told_answer, wait,
    },
    failpoint::Point,
    settings::{AlertSettings, ReceiverSettings},
    vendor::lookup::wait_in,
};

/// The kind of what is stored of each receiver.
const STORED: &str = "notify";
/// The kind of what is stored of the messages that wait for it.
const QUEUED: &str = "notify_queue";
/// The kind of what is stored of the alerts that it was told of, by its name and the kind of the alerts.
const TOLD: &str = "notify_told";
/// Bytes of an answer that are told.
const ANSWER_BYTES: usize = 200;
/// Bytes of it that are read, so that what is secret in it is found.
const READ_BYTES: usize = 4_096;

/// What a receiver answered to a test.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tested {
    /// Its name in the settings.
    pub name: String,
    /// Whether it took the message.
    pub taken: bool,
    /// What happened, as a clause.
    pub what: String,
}

/// What became of one post.
struct TestAnswer {
    verdict: ReplyVerdict,
    what: String,
    asked: Option<Duration>,
}

impl Service {
    /// Who is told about alerts, and how they do.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        self.alerts.receivers().iter().map(|receiver| receiver.view()).collect()
    }

    /// Sends one receiver a message that says that it is a test; none: there is no such receiver.
    pub async fn test_receiver(&self, name: &str) -> Option<Tested> {
        let all = self.alerts.receivers();
        let receiver = all.iter().find(|receiver| receiver.settings().name == name)?.settings();
        let now_ms = self.clock.now_ms();
        let summary = format!("this is a test of `{name}`: nothing is wrong");
        let alert = Alert {
            kind: AlertKind::NotifyFailing,
            org: None,
            subject: name.to_owned(),
            severity: AlertSeverity::Info,
            summary,
            hint: "Nothing has to be done.".to_owned(),
            since_ms: now_ms,
        };
        let incident = self.clock.unique_id();
        let mut answer = self.post(&receiver, &Message::of(&incident, Action::Test, now_ms, &alert)).await;
        if answer.verdict == ReplyVerdict::Taken && receiver.kind == crate::settings::ReceiverKind::PagerDuty
        {
            // What a test triggers must not stay open.
            let over = Message::of(&incident, Action::Resolved, now_ms, &alert);
            let closed = self.post(&receiver, &over).await;
            if closed.verdict != ReplyVerdict::Taken {
                answer.what = format!("{}, but its end was not taken: {}", answer.what, closed.what);
            }
        }
        Some(Tested {
            name: name.to_owned(),
            taken: answer.verdict == ReplyVerdict::Taken,
            what: answer.what,
        })
    }

    /// Takes over what is stored of the receivers, and makes stand what they were told.
    pub(super) async fn load_receivers(&self, tracker: &mut Tracker) -> Result<(), StoreError> {
        let mut stored: BTreeMap<String, Outbox> = BTreeMap::new();
        let unreadable = |name: &str, error: serde_json::Error| {
            tracing::error!(
                receiver = name,
                "what it was told cannot be read, so it is told again what stands: {error}"
            );
        };
        for (name, value) in self.store.registry(STORED).await? {
            match serde_json::from_slice(&value) {
                Ok(outbox) => drop(stored.insert(name, outbox)),
                Err(error) => unreadable(&name, error),
            }
        }
        for (name, value) in self.store.registry(QUEUED).await? {
            match serde_json::from_slice(&value) {
                Ok(queue) => stored.entry(name).or_default().queue = queue,
                Err(error) => unreadable(&name, error),
            }
        }
        for (name, value) in self.store.registry(TOLD).await? {
            let receiver = name.split_once('/').map_or(name.as_str(), |(receiver, _)| receiver);
            match serde_json::from_slice(&value) {
                Ok(told) => stored.entry(receiver.to_owned()).or_default().restore(told),
                Err(error) => unreadable(receiver, error),
            }
        }
        tracker.restore(stored.values().flat_map(Outbox::told));
        self.alerts.load(stored);
        Ok(())
    }

    /// Puts on disk what each receiver is to be told, then has it sent.
    pub(super) async fn tell(&self, look: &LookResult, settings: &AlertSettings) -> Result<(), StoreError> {
        self.forget_receivers().await?;
        let receivers = self.alerts.receivers();
        for receiver in receivers.iter() {
            self.plan(receiver, look, settings).await?;
        }
        for receiver in receivers.iter() {
            if let Some(sending) = receiver.begin(self.clock.monotonic()) {
                actix_rt::spawn(self.clone().send_all(Arc::clone(receiver), sending));
            }
        }
        Ok(())
    }

    /// Puts on disk what one receiver is to be told. Each has a commit of its own, so that one that cannot be stored holds up no
    /// other.
    async fn plan(
        &self,
        receiver: &Arc<Receiver>,
        look: &LookResult,
        settings: &AlertSettings,
    ) -> Result<(), StoreError> {
        let mut outbox = receiver.outbox.lock().await;
        let (before, known) = (outbox.clone(), receiver.settings());
        let standing = Standing { alerts: &look.alerts, unsure: &look.unsure, now_ms: self.clock.now_ms() };
        outbox.update(&standing, &known, settings.group_from, &mut || self.clock.unique_id());
        if *outbox == before || !self.alerts.is_told(receiver) {
            return Ok(());
        }
        self.alerts.failpoints.pass(Point::BeforeNotify, "");
        if let Err(error) = self.store.register(changed(&known.name, &before, &outbox)).await {
            // As nothing is on disk, nothing is to be sent; it is found again at the next look.
            *outbox = before;
            return refused(&known.name, error);
        }
        self.alerts.failpoints.pass(Point::AfterNotify, "");
        receiver.waits(&outbox);
        Ok(())
    }

    /// Removes what is stored of receivers that are not in the settings any more.
    async fn forget_receivers(&self) -> Result<(), StoreError> {
        let gone = self.alerts.take_gone().into_iter();
        let of_one = |name: String| {
            let told = AlertKind::ALL.map(|kind| written(TOLD, &told_name(&name, kind), None));
            [STORED, QUEUED].map(|kind| written(kind, &name, None)).into_iter().chain(told)
        };
        let writes: Vec<RegistryWrite> = gone.flat_map(of_one).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.store.register(writes).await
    }

    /// Sends what waits, oldest first, until nothing does or something is not taken.
    async fn send_all(self, receiver: Arc<Receiver>, sending: AlertSending) {
        let _sending = sending;
        // One that is taken out of the settings hears nothing more, and what was stored of it does not come back.
        while self.alerts.is_told(&receiver) {
            let Some(message) = receiver.outbox.lock().await.begin() else { return };
            let settings = receiver.settings();
            let answer = self.post(&settings, &message).await;
            if self.alerts.is_closed() && answer.verdict != ReplyVerdict::Taken {
                return;
            }
            self.alerts.failpoints.pass(Point::BeforeSent, &settings.name);
            let mut outbox = receiver.outbox.lock().await;
            if !self.alerts.is_told(&receiver) || !self.settled(&receiver, &mut outbox, &message, &answer) {
                return;
            }
            receiver.waits(&outbox);
            let written = self.store.register(stored(&settings.name, &outbox).into()).await;
            drop(outbox);
            if let Err(error) = written {
                tracing::warn!(receiver = settings.name, "that a message was sent is not stored: {error}");
                return;
            }
            self.alerts.failpoints.pass(Point::AfterSent, &settings.name);
        }
    }

    /// Takes what is done with off the queue; whether the next one may follow.
    fn settled(
        &self,
        receiver: &Receiver,
        outbox: &mut Outbox,
        message: &Message,
        answer: &TestAnswer,
    ) -> bool {
        let name = receiver.settings().name.clone();
        let verdict = match answer.verdict {
            ReplyVerdict::Doubtful if outbox.doubt(&message.id, receiver.doubted()) => ReplyVerdict::Unfit,
            verdict => verdict,
        };
        match verdict {
            ReplyVerdict::Taken => {
                outbox.done(&message.id, Some(self.clock.now_ms()));
                receiver.taken();
                return true;
            }
            ReplyVerdict::Unfit => {
                outbox.done(&message.id, None);
                receiver.dropped(outbox.waiting());
                tracing::error!(receiver = name, "a message about an alert is given up: {}", answer.what);
                return true;
            }
            ReplyVerdict::Later | ReplyVerdict::Refused | ReplyVerdict::Doubtful => {}
        }
        let for_good = verdict != ReplyVerdict::Later;
        let failures = receiver.failed(answer.what.clone(), for_good, self.clock.now_ms());
        let wait = wait(failures, verdict, answer.asked, self.clock.jitter());
        receiver.next(self.clock.monotonic() + wait);
        let wait_secs = wait.as_secs_f32();
        if for_good {
            let hint = "Look at its `[[notify]]` in the settings";
            tracing::error!(receiver = name, wait_secs, "alerts are refused: {}. {hint}", answer.what);
        } else {
            tracing::warn!(receiver = name, wait_secs, "an alert waits to be told: {}", answer.what);
        }
        false
    }

    /// One post.
    async fn post(&self, receiver: &ReceiverSettings, message: &Message) -> TestAnswer {
        let base_url = self.alerts.settings().base_url.clone();
        let Posting { headers, body } = posting(receiver, message, base_url.as_ref(), self.clock.now_secs());
        let mut request = self.alerts.http.post(receiver.url.expose_secret());
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let reply = match request.body(body).send().await {
            Ok(reply) => reply,
            Err(error) => {
                let what = format!("it does not answer: {}", innermost(&error.without_url()));
                return TestAnswer { verdict: ReplyVerdict::Later, what, asked: None };
            }
        };
        let status = reply.status().as_u16();
        let asked = reply.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| wait_in(text, self.clock.now_ms()));
        let (said, is_cut) = beginning(reply).await;
        let said = told_answer(&said, is_cut, receiver, ANSWER_BYTES);
        let colon = if said.is_empty() { "" } else { ": " };
        TestAnswer {
            verdict: ReplyVerdict::of(status),
            what: format!("it answered status {status}{colon}{said}"),
            asked,
        }
    }
}

/// The beginning of what a receiver said, and whether it may have said more.
async fn beginning(mut reply: reqwest::Response) -> (String, bool) {
    let mut said = Vec::new();
    while said.len() < READ_BYTES
        && let Ok(Some(part)) = reply.chunk().await
    {
        said.extend_from_slice(&part[..part.len().min(READ_BYTES - said.len())]);
    }
    (String::from_utf8_lossy(&said).into_owned(), said.len() == READ_BYTES)
}

fn innermost(cause: &dyn std::error::Error) -> String {
    let mut innermost = cause;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

fn stored(name: &str, outbox: &Outbox) -> [RegistryWrite; 2] {
    [
        written(STORED, name, serde_json::to_vec(outbox).ok()),
        written(QUEUED, name, serde_json::to_vec(&outbox.queue).ok()),
    ]
}

/// All that is stored of an outbox, but for the kinds of alerts of which it was told nothing new.
fn changed(name: &str, before: &Outbox, outbox: &Outbox) -> Vec<RegistryWrite> {
    let mut writes: Vec<RegistryWrite> = stored(name, outbox).into();
    for kind in AlertKind::ALL {
        let told = outbox.told_of(kind);
        if told != before.told_of(kind) {
            let value = if told.is_empty() { None } else { serde_json::to_vec(&told).ok() };
            writes.push(written(TOLD, &told_name(name, kind), value));
        }
    }
    writes
}

/// No receiver has a slash in its name.
fn told_name(receiver: &str, kind: AlertKind) -> String {
    format!("{receiver}/{}", kind.name())
}

fn written(kind: &str, name: &str, value: Option<Vec<u8>>) -> RegistryWrite {
    RegistryWrite { kind: kind.to_owned(), name: name.to_owned(), value }
}

/// What the registry has no room for is told, and tried again; a store that is gone ends the watching.
fn refused(receiver: &str, error: StoreError) -> Result<(), StoreError> {
    match error {
        StoreError::RegistryFull { .. } | StoreError::RegistryValue { .. } => {
            tracing::error!(receiver, "what it is to be told of alerts cannot be stored: {error}");
            Ok(())
        }
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use orgpipe_store::UnixMs;

    use super::*;
    use crate::settings::ReceiverKind;

    #[test]
    fn only_the_kinds_of_which_something_new_was_told_are_written() {
        let settings = ReceiverSettings::sample("ops", ReceiverKind::Webhook);
        let alert = |kind: AlertKind| Alert {
            kind,
            org: Some("acme".into()),
            subject: String::new(),
            severity: AlertSeverity::Warning,
            summary: "it is wrong".into(),
            hint: String::new(),
            since_ms: UnixMs(1),
        };
        let (gap, parked) = (alert(AlertKind::GapOpen), alert(AlertKind::OrgParked));
        let mut outbox = Outbox::default();
        for (alerts, expected) in [
            (vec![gap.clone()], vec![("ops/gap_open", true)]),
            (vec![gap, parked.clone()], vec![("ops/org_parked", true)]),
            (vec![parked], vec![("ops/gap_open", false)]),
        ] {
            let before = outbox.clone();
            let standing = Standing { alerts: &alerts, unsure: &BTreeSet::new(), now_ms: UnixMs(2) };
            outbox.update(&standing, &settings, 10, &mut || "7".to_owned() + &alerts.len().to_string());
            let writes = changed("ops", &before, &outbox);
            assert_eq!((writes[0].kind.as_str(), writes[1].kind.as_str()), (STORED, QUEUED));
            let told: Vec<(&str, bool)> =
                writes[2..].iter().map(|write| (write.name.as_str(), write.value.is_some())).collect();
            assert_eq!(told, expected);
        }
    }
}
