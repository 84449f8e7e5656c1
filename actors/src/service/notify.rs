//! Telling receivers about alerts: what is to be told is on disk before it is sent, and off it once it was taken.
//!
//! ```text
//! look ─▶ outbox of each ─▶ one commit ─▶ a task for each that has something ─▶ POST ─▶ commit ─▶ the next
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
        ReplyVerdict, Standing, Tracker, posting, wait,
    },
    failpoint::Point,
    settings::{AlertSettings, ReceiverSettings},
    vendor::lookup::wait_in,
};

/// The kind of what is stored of each receiver.
const STORED: &str = "notify";
/// The kind of what is stored of the messages that wait for it.
const QUEUED: &str = "notify_queue";
/// Bytes of an answer that are told.
const ANSWER_BYTES: usize = 200;

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
        tracker.restore(stored.values().flat_map(Outbox::told));
        self.alerts.load(stored);
        Ok(())
    }

    /// Puts on disk what each receiver is to be told, then has it sent.
    pub(super) async fn tell(&self, look: &LookResult, settings: &AlertSettings) -> Result<(), StoreError> {
        self.forget_receivers().await?;
        let receivers = self.alerts.receivers();
        let mut new_id = || self.clock.unique_id();
        let (mut writes, mut held) = (Vec::new(), Vec::new());
        for receiver in receivers.iter() {
            let mut outbox = receiver.outbox.lock().await;
            let before = outbox.clone();
            let now_ms = self.clock.now_ms();
            let standing = Standing { alerts: &look.alerts, unsure: &look.unsure, now_ms };
            outbox.update(&standing, &receiver.settings(), settings.group_from, &mut new_id);
            if *outbox != before {
                writes.extend(stored(&receiver.settings().name, &outbox));
                receiver.waits(&outbox);
                held.push((before, outbox));
            }
        }
        if !writes.is_empty() {
            self.alerts.failpoints.pass(Point::BeforeNotify, "");
            if let Err(error) = self.store.register(writes).await {
                // As nothing is on disk, nothing is to be sent; it is found again at the next look.
                for (before, mut outbox) in held {
                    *outbox = before;
                }
                return refused(error);
            }
            self.alerts.failpoints.pass(Point::AfterNotify, "");
        }
        drop(held);
        for receiver in receivers.iter() {
            if let Some(sending) = receiver.begin(self.clock.monotonic()) {
                actix_rt::spawn(self.clone().send_all(Arc::clone(receiver), sending));
            }
        }
        Ok(())
    }

    /// Removes what is stored of receivers that are not in the settings any more.
    async fn forget_receivers(&self) -> Result<(), StoreError> {
        let gone = self.alerts.take_gone().into_iter();
        let gone = gone.flat_map(|name| [STORED, QUEUED].map(|kind| written(kind, &name, None)));
        let writes: Vec<RegistryWrite> = gone.collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.store.register(writes).await
    }

    /// Sends what waits, oldest first, until nothing does or something is not taken.
    async fn send_all(self, receiver: Arc<Receiver>, sending: AlertSending) {
        let _sending = sending;
        loop {
            let Some(message) = receiver.outbox.lock().await.begin() else { return };
            let settings = receiver.settings();
            let answer = self.post(&settings, &message).await;
            if self.alerts.is_closed() && answer.verdict != ReplyVerdict::Taken {
                return;
            }
            self.alerts.failpoints.pass(Point::BeforeSent, &settings.name);
            let sent_ms = (answer.verdict == ReplyVerdict::Taken).then(|| self.clock.now_ms());
            if !self.settled(&receiver, &settings, &answer) {
                return;
            }
            let mut outbox = receiver.outbox.lock().await;
            outbox.done(&message.id, sent_ms);
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

    /// Notes what became of a message; whether the next one may follow.
    fn settled(&self, receiver: &Receiver, settings: &ReceiverSettings, answer: &TestAnswer) -> bool {
        let name = settings.name.as_str();
        match answer.verdict {
            ReplyVerdict::Taken => receiver.taken(),
            ReplyVerdict::Unfit => {
                receiver.dropped();
                tracing::error!(receiver = name, "a message about an alert is given up: {}", answer.what);
            }
            ReplyVerdict::Later | ReplyVerdict::Refused => {
                let for_good = answer.verdict == ReplyVerdict::Refused;
                let failures = receiver.failed(answer.what.clone(), for_good, self.clock.now_ms());
                let wait = wait(failures, answer.verdict, answer.asked, self.clock.jitter());
                receiver.next(self.clock.monotonic() + wait);
                let wait_secs = wait.as_secs_f32();
                if for_good {
                    let hint = "Look at its `[[notify]]` in the settings";
                    tracing::error!(
                        receiver = name,
                        wait_secs,
                        "alerts are refused: {}. {hint}",
                        answer.what
                    );
                } else {
                    tracing::warn!(receiver = name, wait_secs, "an alert waits to be told: {}", answer.what);
                }
                return false;
            }
        }
        true
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
        let mut said = beginning(reply).await;
        if let Some(secret) = &receiver.secret {
            // One that sends back what it was sent.
            said = said.replace(secret.expose_secret(), "…");
        }
        let colon = if said.is_empty() { "" } else { ": " };
        TestAnswer {
            verdict: ReplyVerdict::of(status),
            what: format!("it answered status {status}{colon}{said}"),
            asked,
        }
    }
}

/// The beginning of what a receiver said, on one line.
async fn beginning(mut reply: reqwest::Response) -> String {
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES
        && let Ok(Some(part)) = reply.chunk().await
    {
        said.extend_from_slice(&part[..part.len().min(ANSWER_BYTES - said.len())]);
    }
    let text = String::from_utf8_lossy(&said);
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect::<String>().trim().to_owned()
}

fn innermost(cause: &dyn std::error::Error) -> String {
    let mut innermost = cause;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

fn stored(name: &str, outbox: &Outbox) -> [RegistryWrite; 2] {
    let value = |json: serde_json::Result<Vec<u8>>| Some(json.unwrap_or_default());
    [
        written(STORED, name, value(serde_json::to_vec(outbox))),
        written(QUEUED, name, value(serde_json::to_vec(&outbox.queue))),
    ]
}

fn written(kind: &str, name: &str, value: Option<Vec<u8>>) -> RegistryWrite {
    RegistryWrite { kind: kind.to_owned(), name: name.to_owned(), value }
}

/// What the registry has no room for is told, and tried again; a store that is gone ends the watching.
fn refused(error: StoreError) -> Result<(), StoreError> {
    match error {
        StoreError::RegistryFull { .. } | StoreError::RegistryValue { .. } => {
            tracing::error!("what receivers of alerts are to be told cannot be stored: {error}");
            Ok(())
        }
        error => Err(error),
    }
}
