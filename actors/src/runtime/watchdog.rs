//! Names a thread that stands still: something on it keeps everything else on it waiting.
//!
//! Here: heartbeats, and the thread that watches them. Not here: replacing a thread that has ended
//! (`supervise/supervisor.rs`), what runs on it.
//!
//! A thread that stands still cannot tell so itself, so one of its own looks. It makes no judgement when it was late
//! itself: then the whole machine stood still, and nobody is to blame. Nothing can end a thread that stands still from
//! outside, and a second one beside it would do its work twice when it goes on; so when it does not come back, the
//! process ends and is started again, which loses nothing.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use actix::ArbiterHandle;
use serde::Serialize;
use utoipa::ToSchema;

use super::spawn::here;
use crate::clock::Clock;

/// How often a thread shows that it lives, and how often that is looked at.
const BEAT: Duration = Duration::from_millis(50);
/// A silence this long is a stall.
const STALL: Duration = Duration::from_millis(250);
/// After a stall this long, of which the watchdog itself was awake, a thread is given up.
const GIVE_UP: Duration = Duration::from_mins(1);
/// Exit code when a thread is given up.
const EXIT: i32 = 70;

/// A thread that actors run on, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadStatus {
    /// `main`, or `orgs 1` and so on.
    pub name: String,
    /// What is wrong with it now; empty when nothing is.
    pub note: String,
    /// Times it stood still for more than 250 ms since the service started.
    pub stalls: u64,
    /// The longest of these, milliseconds.
    pub longest_stall_ms: u64,
    /// Times it ended and another took its place.
    pub restarts: u32,
}

/// The heart of one thread.
#[derive(Debug)]
struct Heart {
    name: String,
    /// Milliseconds since start.
    beat_ms: AtomicU64,
    /// Milliseconds for which it is silent now; 0 when it is not.
    silent_ms: AtomicU64,
    stalls: AtomicU64,
    longest_ms: AtomicU64,
    restarts: AtomicU32,
}

/// Watches threads until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    hearts: Vec<Heart>,
    clock: Clock,
}

impl Watchdog {
    /// Starts to watch the calling thread and these.
    pub(crate) fn start(arbiters: &[ArbiterHandle], clock: Clock) -> std::io::Result<Arc<Self>> {
        let give_up = |thread: &str| {
            tracing::error!(
                thread,
                "it has stood still for more than {} s and is given up: orgpipe ends with exit code {EXIT}. Nothing is \
                 lost; start it again, and report this as a bug.",
                GIVE_UP.as_secs()
            );
            std::process::exit(EXIT)
        };
        Self::watching(arbiters, clock, GIVE_UP, give_up)
    }

    fn watching(
        arbiters: &[ArbiterHandle],
        clock: Clock,
        patience: Duration,
        give_up: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let heart = |name| Heart {
            name,
            beat_ms: AtomicU64::new(millis(clock.monotonic())),
            silent_ms: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            longest_ms: AtomicU64::new(0),
            restarts: AtomicU32::new(0),
        };
        let names =
            (0..=arbiters.len()).map(|n| if n == 0 { "main".to_owned() } else { format!("orgs {n}") });
        let watchdog = Arc::new(Self { hearts: names.map(heart).collect(), clock });
        watchdog.listen(0, &here());
        for (place, arbiter) in arbiters.iter().enumerate() {
            watchdog.listen(place + 1, arbiter);
        }
        let watched = Arc::downgrade(&watchdog);
        let look = move || watch(&watched, clock, patience, give_up);
        thread::Builder::new().name("watchdog".to_owned()).spawn(look)?;
        Ok(watchdog)
    }

    fn listen(self: &Arc<Self>, heart: usize, arbiter: &ArbiterHandle) {
        arbiter.spawn(beat(Arc::downgrade(self), heart));
    }

    /// The arbiter of that place, counted from 0, has ended, and this one has taken its place.
    pub(crate) fn replaced(self: &Arc<Self>, place: usize, arbiter: &ArbiterHandle) {
        if let Some(heart) = self.hearts.get(place + 1) {
            heart.restarts.fetch_add(1, Ordering::Relaxed);
            heart.beat_ms.store(millis(self.clock.monotonic()), Ordering::Relaxed);
        }
        self.listen(place + 1, arbiter);
    }

    /// Every thread: the main one, then the arbiters in the order they were given.
    pub(crate) fn status(&self) -> Vec<ThreadStatus> {
        let status = |heart: &Heart| {
            let silent_ms = heart.silent_ms.load(Ordering::Relaxed);
            ThreadStatus {
                name: heart.name.clone(),
                note: match silent_ms {
                    0 => String::new(),
                    _ => format!("it has stood still for {silent_ms} ms, and what runs on it waits"),
                },
                stalls: heart.stalls.load(Ordering::Relaxed),
                longest_stall_ms: heart.longest_ms.load(Ordering::Relaxed),
                restarts: heart.restarts.load(Ordering::Relaxed),
            }
        };
        self.hearts.iter().map(status).collect()
    }
}

async fn beat(watchdog: Weak<Watchdog>, heart: usize) {
    while let Some(watchdog) = watchdog.upgrade() {
        if let Some(heart) = watchdog.hearts.get(heart) {
            heart.beat_ms.store(millis(watchdog.clock.monotonic()), Ordering::Relaxed);
        }
        drop(watchdog);
        actix_rt::time::sleep(BEAT).await;
    }
}

fn watch(watchdog: &Weak<Watchdog>, clock: Clock, patience: Duration, give_up: impl Fn(&str)) {
    let mut looked = clock.monotonic();
    // Of each heart: how long it has been silent while the watchdog was awake, and the beat before that.
    let mut silences: Vec<(Duration, u64)> = Vec::new();
    loop {
        thread::sleep(BEAT);
        let Some(watchdog) = watchdog.upgrade() else { return };
        let now = clock.monotonic();
        let passed = now.saturating_sub(looked);
        looked = now;
        silences.resize(watchdog.hearts.len(), (Duration::ZERO, 0));
        for (heart, (silent, last_ms)) in watchdog.hearts.iter().zip(&mut silences) {
            let beat_ms = heart.beat_ms.load(Ordering::Relaxed);
            let before = std::mem::replace(silent, silence(*silent, passed, beat_ms != *last_ms));
            *last_ms = beat_ms;
            let stalled = *silent > STALL;
            let silent_ms = millis(*silent);
            heart.silent_ms.store(if stalled { silent_ms } else { 0 }, Ordering::Relaxed);
            if !stalled {
                continue;
            }
            heart.longest_ms.fetch_max(silent_ms, Ordering::Relaxed);
            if before <= STALL {
                heart.stalls.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    thread = heart.name,
                    "it has stood still for more than {} ms: every org on it waits (orgpipe tree)",
                    STALL.as_millis()
                );
            }
            if *silent > patience {
                give_up(&heart.name);
            }
        }
    }
}

/// For how long a heart has been silent, after `passed` more. A look that was late itself counts for nothing.
fn silence(silent: Duration, passed: Duration, beaten: bool) -> Duration {
    match () {
        () if beaten => Duration::ZERO,
        () if passed > STALL => silent,
        () => silent + passed,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_silence_grows_unless_it_beats_or_the_watchdog_was_late_itself() {
        let ms = Duration::from_millis;
        assert_eq!(silence(ms(200), ms(60), false), ms(260));
        assert_eq!(silence(ms(200), ms(60), true), ms(0));
        assert_eq!(silence(ms(200), ms(5_000), false), ms(200), "the whole machine stood still");
    }

    #[actix::test]
    async fn the_thread_that_stands_still_is_named_and_given_up_in_the_end() {
        let arbiters = [actix_rt::Arbiter::new(), actix_rt::Arbiter::new()];
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(actix_rt::Arbiter::handle).collect();
        let (given_up, names) = mpsc::channel();
        let give_up = move |name: &str| drop(given_up.send(name.to_owned()));
        let watchdog =
            Watchdog::watching(&handles, Clock::start(), Duration::from_secs(1), give_up).expect("a thread");
        // It stands still until it is given up.
        let (sender, ended) = tokio::sync::oneshot::channel();
        handles[1].spawn_fn(move || drop(sender.send(names.recv())));
        assert_eq!(ended.await.expect("it goes on"), Ok("orgs 2".to_owned()));
        let [_, calm, stalled] = watchdog.status().try_into().expect("three threads");
        assert_eq!((stalled.name.as_str(), stalled.stalls), ("orgs 2", 1));
        assert!(stalled.longest_stall_ms >= 1_000, "{stalled:?}");
        assert!(calm.longest_stall_ms < stalled.longest_stall_ms, "{calm:?}");
        while watchdog.status().iter().any(|thread| !thread.note.is_empty()) {
            actix_rt::time::sleep(BEAT).await;
        }
    }
}
