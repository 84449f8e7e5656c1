//! One receiver of alerts while the service runs: what it was told, and how it does.
//!
//! Here: its state in memory, and what of it is stored. Not here: what it is told (`outbox`), sending (`service/notify.rs`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::{facts::FailingReceiver, outbox::Outbox};
use crate::settings::ReceiverSettings;

/// One receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    settings: Mutex<Arc<ReceiverSettings>>,
    /// Held from a change of it until that is on disk; not while something is sent.
    pub outbox: tokio::sync::Mutex<Outbox>,
    health: Mutex<Health>,
}

/// How it does.
#[derive(Clone, Debug, Default)]
struct Health {
    /// Something is being sent.
    busy: bool,
    failures: u32,
    /// What happened the last time, and whether only somebody can mend it; none if it was taken.
    trouble: Option<(String, bool)>,
    since_ms: UnixMs,
    /// Time since the start.
    next: Duration,
    sent: u64,
    /// It has taken something since the last refusal that may have been of one message or of all.
    others_taken: bool,
    dropped: u64,
    waiting: usize,
    sent_ms: Option<UnixMs>,
}

/// A receiver as shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReceiverView {
    /// Its name in the settings.
    pub name: String,
    /// How it is spoken to.
    pub kind: &'static str,
    /// Messages that it took since the service started.
    pub sent: u64,
    /// Messages that it refused as unfit since then, and that are not sent again.
    pub dropped: u64,
    /// Messages that wait.
    pub waiting: usize,
    /// When it took something last.
    pub last_sent_ms: Option<UnixMs>,
    /// Why the last try failed; none if it was taken.
    pub error: Option<String>,
    /// It will not pass by itself.
    pub refuses: bool,
}

/// Under way; over when dropped, also by a panic.
pub(crate) struct AlertSending(Arc<Receiver>);

impl Drop for AlertSending {
    fn drop(&mut self) {
        self.0.health().busy = false;
    }
}

impl Receiver {
    /// With what was stored of it.
    pub(crate) fn new(settings: ReceiverSettings, outbox: Outbox) -> Self {
        let health = Health { waiting: outbox.waiting(), sent_ms: outbox.sent_ms, ..Health::default() };
        let (settings, health) = (Mutex::new(Arc::new(settings)), Mutex::new(health));
        Self { settings, outbox: tokio::sync::Mutex::new(outbox), health }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<ReceiverSettings> {
        Arc::clone(&lock(&self.settings))
    }

    /// Other settings; what was wrong with the former ones may be mended.
    pub(crate) fn exchange(&self, settings: &ReceiverSettings) {
        let mut known = lock(&self.settings);
        if **known != *settings {
            *known = Arc::new(settings.clone());
            let mut health = self.health();
            (health.failures, health.next, health.others_taken) = (0, Duration::ZERO, false);
        }
    }

    /// Begins to send, if nothing is being sent and it is time.
    pub(crate) fn begin(self: &Arc<Self>, now: Duration) -> Option<AlertSending> {
        let mut health = self.health();
        if health.busy || now < health.next {
            return None;
        }
        health.busy = true;
        drop(health);
        Some(AlertSending(Arc::clone(self)))
    }

    /// So many messages wait.
    pub(crate) fn waits(&self, outbox: &Outbox) {
        let mut health = self.health();
        (health.waiting, health.sent_ms) = (outbox.waiting(), outbox.sent_ms);
    }

    /// Something was taken.
    pub(crate) fn taken(&self) {
        let mut health = self.health();
        (health.failures, health.next, health.trouble) = (0, Duration::ZERO, None);
        health.others_taken = true;
        health.sent += 1;
    }

    /// A message was refused as unfit, and so many are left. With none it is not known to be in trouble any more.
    pub(crate) fn dropped(&self, left: usize) {
        let mut health = self.health();
        health.dropped += 1;
        if left == 0 {
            (health.failures, health.next, health.trouble) = (0, Duration::ZERO, None);
        }
    }

    /// A message was refused, by itself or as all would be. Whether one was taken since that happened last.
    pub(crate) fn doubted(&self) -> bool {
        std::mem::take(&mut self.health().others_taken)
    }

    /// It failed; how often in a row.
    pub(crate) fn failed(&self, why: String, for_good: bool, now_ms: UnixMs) -> u32 {
        let mut health = self.health();
        if health.trouble.as_ref().is_none_or(|(_, before)| *before != for_good) {
            health.since_ms = now_ms;
        }
        health.failures = health.failures.saturating_add(1);
        health.trouble = Some((why, for_good));
        health.failures
    }

    /// Nothing is sent before then (time since the start).
    pub(crate) fn next(&self, next: Duration) {
        self.health().next = next;
    }

    /// That it is not reached, if so: at once where only somebody can mend it, else after `patience`.
    pub(crate) fn failing(&self, patience: Duration, now_ms: UnixMs) -> Option<FailingReceiver> {
        let mut health = self.health();
        let (why, for_good) = health.trouble.clone()?;
        // A clock that was set back leaves a time ahead, which would not age.
        health.since_ms = health.since_ms.min(now_ms);
        let since_ms = health.since_ms;
        let name = self.settings().name.clone();
        (for_good || now_ms.since(since_ms) >= patience).then_some(FailingReceiver {
            name,
            why,
            for_good,
            since_ms,
        })
    }

    /// For whoever asks.
    pub(crate) fn view(&self) -> ReceiverView {
        let (settings, health) = (self.settings(), self.health());
        ReceiverView {
            name: settings.name.clone(),
            kind: settings.kind.name(),
            sent: health.sent,
            dropped: health.dropped,
            waiting: health.waiting,
            last_sent_ms: health.sent_ms,
            error: health.trouble.as_ref().map(|(why, _)| why.clone()),
            refuses: health.trouble.as_ref().is_some_and(|(_, for_good)| *for_good),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ReceiverKind;

    const PATIENCE: Duration = Duration::from_mins(10);

    fn receiver() -> Receiver {
        let settings = ReceiverSettings::sample("on-call", ReceiverKind::PagerDuty);
        Receiver::new(settings, Outbox::default())
    }

    #[test]
    fn a_receiver_is_not_in_trouble_any_more_once_its_last_message_was_dropped() {
        let receiver = receiver();
        receiver.failed("it does not answer".into(), false, UnixMs(0));
        let later = UnixMs(3_600_000);
        receiver.dropped(1);
        assert!(receiver.failing(PATIENCE, later).is_some(), "the next one has not arrived");
        receiver.dropped(0);
        assert_eq!(receiver.failing(PATIENCE, later), None);
    }

    #[test]
    fn what_was_taken_speaks_for_later_refusals_once_and_not_for_other_settings() {
        let receiver = receiver();
        assert!(!receiver.doubted(), "nothing was taken yet");
        receiver.taken();
        assert_eq!([receiver.doubted(), receiver.doubted()], [true, false]);
        receiver.taken();
        receiver.exchange(&ReceiverSettings {
            secret: Some("other".to_owned().into()),
            ..ReceiverSettings::clone(&receiver.settings())
        });
        assert!(!receiver.doubted());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hide_trouble() {
        let receiver = receiver();
        receiver.failed("it does not answer".into(), false, UnixMs(86_400_000));
        assert_eq!(receiver.failing(PATIENCE, UnixMs(0)), None);
        assert!(receiver.failing(PATIENCE, UnixMs(600_000)).is_some());
    }
}
