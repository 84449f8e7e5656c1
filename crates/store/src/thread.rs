//! The thread named `store`, and how calls reach it.
//!
//! ```text
//! call ─▶ [channel, bounded] ─▶ carry out, one after the other ─▶ one commit ─▶ answer all of them
//! ```
//!
//! Here: group commit, closing. Not here: what a call does (`engine.rs`).
//!
//! Invariant: no answer leaves before the commit that makes it true, not even that of a call that only reads.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use orgpipe_measure::Stopwatch;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    commits::{CommitCounters, Commits},
    engine::{Engine, Poison},
    error::StoreError,
};

/// Calls that may wait for the thread; more callers wait to send.
const CALLS_WAITING_MAX: usize = 1_024;
/// Calls in one commit.
const COMMIT_CALLS_MAX: usize = 512;
/// Bytes written and read after which a commit takes no more calls: it keeps one commit at some tens of milliseconds.
const COMMIT_BYTES_MAX: usize = 2 * 1024 * 1024;

type Answer = Box<dyn FnOnce(&Engine) + Send>;
type Work = Box<dyn FnOnce(&mut Engine) -> Answer + Send>;

enum Message {
    Work(Work),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The thread's owner. Dropping it lets the thread commit what waits, and waits for its end.
pub(crate) struct Worker {
    /// The engine of a store without a thread.
    inline: Option<Mutex<Engine>>,
    sender: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    closed: AtomicBool,
    /// Why a commit failed; closed when the thread ends.
    failure: watch::Receiver<Option<Poison>>,
    commits: Arc<CommitCounters>,
}

impl Worker {
    pub(crate) fn start(engine: Engine) -> Result<Self, StoreError> {
        let (sender, inbox) = mpsc::channel(CALLS_WAITING_MAX);
        let (tell, failure) = watch::channel(None);
        let commits = Arc::new(CommitCounters::default());
        let count = Arc::clone(&commits);
        let thread = Builder::new().name("store".to_owned()).spawn(move || run(engine, inbox, &tell, &count));
        let thread = thread.map_err(|source| StoreError::File {
            doing: "start",
            path: "the store's thread".into(),
            source,
        })?;
        let closed = AtomicBool::new(false);
        Ok(Self { inline: None, sender: Some(sender), thread: Some(thread), closed, failure, commits })
    }

    /// No thread: each call is carried out and committed on the caller's.
    pub(crate) fn inline(engine: Engine) -> Self {
        let (_, failure) = watch::channel(None);
        let closed = AtomicBool::new(false);
        let commits = Arc::default();
        Self { inline: Some(Mutex::new(engine)), sender: None, thread: None, closed, failure, commits }
    }

    /// How long commits took so far.
    pub(crate) fn commits(&self) -> Commits {
        self.commits.now()
    }

    /// Has something done on the thread; the answer comes after the commit.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work = move |engine: &mut Engine| {
            let result = engine.alive().and_then(|()| work(engine));
            let answer = move |engine: &Engine| {
                // Nobody to tell it to: the caller gave up, which is its right.
                let _ = reply.send(engine.alive().and(result));
            };
            Box::new(answer) as Answer
        };
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if let Some(engine) = &self.inline {
            carry_out(engine, Box::new(work), &self.commits);
            return answer.await.map_err(|_| StoreError::Ended)?;
        }
        if !self.send(Message::Work(Box::new(work))).await {
            let closed = self.closed.load(Ordering::Acquire);
            return Err(if closed { StoreError::Closed } else { StoreError::Ended });
        }
        answer.await.map_err(|_| StoreError::Ended)?
    }

    /// Waits until nothing more can be done, and says why.
    pub(crate) async fn failed(&self) -> StoreError {
        let mut failure = self.failure.clone();
        let cause = failure.wait_for(Option::is_some).await.ok().and_then(|cause| cause.clone());
        match cause {
            Some(poison) => poison.error(),
            None if self.closed.load(Ordering::Acquire) => StoreError::Closed,
            None => StoreError::Ended,
        }
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Closed);
        }
        if self.inline.is_some() {
            return Ok(());
        }
        // If the thread is gone, so is `reply`, and that ends the wait.
        self.send(Message::Close(reply)).await;
        answer.await.map_err(|_| StoreError::Ended)?
    }

    /// False if the thread takes no more.
    async fn send(&self, message: Message) -> bool {
        match &self.sender {
            Some(sender) => sender.send(message).await.is_ok(),
            None => false,
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been answered with `Ended` and printed; here it must not become a second one.
            let _ = thread.join();
        }
    }
}

/// On the calling thread, in a commit of its own.
fn carry_out(engine: &Mutex<Engine>, work: Work, count: &CommitCounters) {
    let mut engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = work(&mut engine);
    commit(&mut engine, 1, count);
    answer(&engine);
}

/// Commits what these calls wrote, if they did.
fn commit(engine: &mut Engine, calls: usize, count: &CommitCounters) {
    let watch = Stopwatch::start();
    if engine.commit() {
        count.committed(watch.elapsed(), calls);
    }
}

fn run(
    mut engine: Engine,
    mut inbox: mpsc::Receiver<Message>,
    tell: &watch::Sender<Option<Poison>>,
    count: &CommitCounters,
) {
    let mut closer = None;
    let mut answers: Vec<Answer> = Vec::new();
    while let Some(first) = inbox.blocking_recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Work(work) => answers.push(work(&mut engine)),
                Message::Close(reply) => {
                    inbox.close();
                    closer = Some(reply);
                }
            }
            let room = answers.len() < COMMIT_CALLS_MAX && engine.bytes() < COMMIT_BYTES_MAX;
            next = if room { inbox.try_recv().ok() } else { None };
        }
        commit(&mut engine, answers.len(), count);
        if let Some(poison) = engine.poison() {
            tell.send_replace(Some(poison.clone()));
        }
        for answer in answers.drain(..) {
            answer(&engine);
        }
    }
    let end = engine.alive();
    drop(engine);
    if let Some(reply) = closer {
        // Nobody may be waiting for it any more.
        let _ = reply.send(end);
    }
}
