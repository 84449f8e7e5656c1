//! `Supervisor`: one `OrgActor` per org; staggered start, restart, exchange, drain.
//!
//! Here: which orgs there are, on which thread each runs, and what follows when an org's actor ends. Not here: an org's
//! parts (`org_actor`), what makes settings differ (`service/reload.rs`).
//!
//! Started by: the service, once. Takes: `Find`, `Change`, `Placement`, `Pushed` and `Drain` from the service, and `Exited` of
//! the orgs' actors. Asks: nobody. Sends: `Stop` to an org's actor. If it dies: every org ends with it, nothing starts
//! it afresh, and the process ends and is to be started again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, Addr, ArbiterHandle, AsyncContext as _, Context, Handler, Message,
    MessageResult,
};
use actix_rt::Arbiter;
use orgpipe_store::StoreError;

use super::{directory::Directory, org_actor::OrgActor};
use crate::{
    failpoint::Point,
    org::{
        context::OrgContext,
        messages::Wakeup,
        part::{Part, State},
    },
    problem::Problem,
    runtime::{
        restart::{Decision, Restarts},
        spawn::{AbortOnDrop, Exit, Exited, spawn_watched, tell},
        watchdog::Watchdog,
        worker::Stop,
    },
};

/// Orgs start this far apart, so that thousands of logins and handshakes do not go out at once.
const STAGGER: Duration = Duration::from_millis(20);

/// How long an org whose settings have changed may take to end before it is cut off, as a crash would.
const ENDING_MAX: Duration = Duration::from_mins(1);

/// How often it is looked whether an arbiter has ended.
const LOOK: Duration = Duration::from_millis(500);

/// Asks for an org's actor, to give it a command.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Addr<OrgActor>, OrgError>")]
pub(crate) struct Find {
    /// The org.
    pub org: String,
    /// Start it if it is down, even if it is parked.
    pub revive: bool,
}

/// Why a message did not reach an org.
#[derive(Debug, thiserror::Error)]
pub enum OrgError {
    /// No such org.
    #[error("there is no org `{0}`")]
    Unknown(String),
    /// Its actor is not there.
    #[error("org `{0}` is down, or just starting")]
    Down(String),
    /// The service is being stopped.
    #[error("orgpipe is stopping, so org `{0}` takes no commands")]
    Stopping(String),
    /// It is ending, or its login leads to another Salesforce org, which is dealt with first.
    #[error("org `{0}` is being changed or is ending: ask again in a moment")]
    Busy(String),
    /// It listens to several channels, or not to this one.
    #[error("org `{org}` listens to {}: name one of them", channels.join(", "))]
    WhichChannel {
        /// The org.
        org: String,
        /// Its channels.
        channels: Vec<String>,
    },
    /// What it asks for would hit an org that is in use.
    #[error("org `{0}` is in the settings, or has not stopped yet")]
    InUse(String),
    /// No sync that can be refreshed.
    #[error("org `{org}` has no sync {} with a `refresh`", sync.as_deref().unwrap_or("at all"))]
    NothingToRefresh {
        /// The org.
        org: String,
        /// The sync asked for.
        sync: Option<String>,
    },
    /// It was examined a moment ago, or is being examined.
    #[error(
        "org `{org}` was examined a moment ago or still is; the next examination is possible in {wait_secs} s"
    )]
    TooSoon {
        /// The org.
        org: String,
        /// Seconds until the next one.
        wait_secs: u64,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stop every org; the supervisor ends when all have ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// Orgs that are new, changed or gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Change {
    /// Started; in the place of the org of that name once it has ended, if there is one.
    pub start: Vec<Arc<OrgContext>>,
    /// Stopped for good.
    pub remove: Vec<String>,
}

/// There are pushes for these orgs.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Pushed(pub Vec<String>);

/// Which orgs run on which arbiter, counted from 0.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "BTreeMap<String, usize>")]
pub(crate) struct Placement;

/// What follows when an org's actor has ended.
#[derive(Debug)]
enum Then {
    /// It is started afresh, unless it ends too often.
    Restart,
    /// Its settings have changed.
    Replace(Arc<OrgContext>),
    /// It is gone from the settings.
    Remove,
}

struct Org {
    context: Arc<OrgContext>,
    then: Then,
    /// Counts the commands to end, so that an old deadline does not cut off a later life.
    told: u64,
    actor: Option<(Addr<OrgActor>, AbortOnDrop)>,
    restarts: Restarts,
    arbiter: usize,
}

/// The root of the tree.
pub(crate) struct Supervisor {
    arbiters: Vec<ArbiterHandle>,
    watchdog: Arc<Watchdog>,
    orgs: BTreeMap<String, Org>,
    directory: Arc<Directory>,
    /// Orgs that are to be exchanged or, without another, removed.
    changes: BTreeMap<String, Option<Arc<OrgContext>>>,
    /// The next of them follows by itself.
    changing: bool,
    draining: bool,
}

impl Supervisor {
    /// A supervisor that spreads the orgs of the directory over the arbiters, at least one.
    pub(crate) fn new(
        arbiters: Vec<ArbiterHandle>,
        watchdog: Arc<Watchdog>,
        directory: Arc<Directory>,
    ) -> Self {
        let (orgs, changes) = (BTreeMap::new(), BTreeMap::new());
        let mut supervisor =
            Self { arbiters, watchdog, orgs, directory, changes, changing: false, draining: false };
        for context in supervisor.directory.all() {
            supervisor.add(context);
        }
        supervisor
    }

    /// On the arbiter with the fewest orgs; not started yet.
    fn add(&mut self, context: Arc<OrgContext>) {
        let mut load = vec![0_usize; self.arbiters.len()];
        for org in self.orgs.values() {
            if let Some(orgs) = load.get_mut(org.arbiter) {
                *orgs += 1;
            }
        }
        let arbiter = (0..load.len()).min_by_key(|place| load[*place]).unwrap_or_default();
        let (then, restarts) = (Then::Restart, Restarts::none());
        let id = context.id().to_owned();
        self.orgs.insert(id, Org { context, then, told: 0, actor: None, restarts, arbiter });
    }

    /// Tells a running org to end, and cuts it off if it does not. False if it does not run.
    fn end(&mut self, id: &str, then: Then, context: &mut Context<Self>) -> bool {
        let Some(org) = self.orgs.get_mut(id) else { return false };
        let Some((actor, _)) = &org.actor else { return false };
        tell(context, actor.clone().recipient(), Stop);
        (org.then, org.told) = (then, org.told + 1);
        let (id, told) = (id.to_owned(), org.told);
        context.run_later(ENDING_MAX, move |supervisor, context| {
            if supervisor.orgs.get(&id).is_some_and(|org| org.told == told && org.actor.is_some()) {
                tracing::warn!(org = id, "it did not end in {} s and is cut off", ENDING_MAX.as_secs());
                // Its guard goes with it, so it tells nothing itself.
                supervisor.ended(id, &Exit::Lost, Duration::ZERO, context);
            }
        });
        true
    }

    fn start_org(&mut self, id: &str, context: &mut Context<Self>) {
        if self.draining {
            return;
        }
        let Some(org) = self.orgs.get_mut(id).filter(|org| org.actor.is_none()) else { return };
        let Some(arbiter) = self.arbiters.get(org.arbiter) else { return };
        let (shared, parent) = (Arc::clone(&org.context), context.address().recipient());
        org.told += 1;
        shared.board.org_started(shared.clock.now_ms());
        let actor = spawn_watched(arbiter, id.to_owned(), parent, move || OrgActor::new(shared));
        org.actor = Some(actor);
    }

    /// An arbiter that has ended told nobody, and all that ran on it is gone: another one takes its place.
    fn look_at_arbiters(&mut self, context: &mut Context<Self>) {
        for place in 0..self.arbiters.len() {
            if self.arbiters.get(place).is_none_or(ArbiterHandle::alive) {
                continue;
            }
            let arbiter = match Arbiter::try_new() {
                Ok(arbiter) => arbiter.handle(),
                Err(error) => {
                    tracing::error!("a thread has ended, and another cannot be started: {error}");
                    return;
                }
            };
            let ran = |org: &(&String, &Org)| org.1.arbiter == place && org.1.actor.is_some();
            let lost: Vec<String> = self.orgs.iter().filter(ran).map(|(id, _)| id.clone()).collect();
            tracing::error!(orgs = lost.len(), "a thread has ended; its orgs are started afresh on another");
            self.watchdog.replaced(place, &arbiter);
            self.arbiters[place] = arbiter;
            let mut after = Duration::ZERO;
            for id in lost {
                self.ended(id, &Exit::Lost, after, context);
                after += STAGGER;
            }
        }
    }

    /// One at a time, as at the start: other limits for all orgs must not make all of them log in at once.
    fn change_next(&mut self, context: &mut Context<Self>) {
        let Some((id, new)) = self.changes.pop_first() else {
            self.changing = false;
            return;
        };
        match new {
            Some(new) if !self.end(&id, Then::Replace(Arc::clone(&new)), context) => {
                new.board.replaced();
                self.directory.put(Arc::clone(&new));
                self.orgs.remove(&id);
                self.add(new);
                self.start_org(&id, context);
            }
            None if !self.end(&id, Then::Remove, context) => self.remove(&id),
            Some(_) | None => {}
        }
        context.run_later(STAGGER, Self::change_next);
    }

    fn remove(&mut self, id: &str) {
        tracing::info!(
            org = id,
            "the org is gone from the settings and has stopped; what is stored of it stays"
        );
        self.orgs.remove(id);
        self.directory.remove(id);
    }

    /// If it is started afresh, then not before `after`.
    fn ended(&mut self, id: String, exit: &Exit, after: Duration, context: &mut Context<Self>) {
        let Some(org) = self.orgs.get_mut(&id) else { return };
        org.actor = None;
        if self.draining {
            self.stop_when_empty(context);
            return;
        }
        match std::mem::replace(&mut org.then, Then::Restart) {
            Then::Restart => {}
            Then::Replace(new) => {
                new.board.replaced();
                self.directory.put(Arc::clone(&new));
                (org.context, org.restarts) = (new, Restarts::none());
                return self.start_org(&id, context);
            }
            Then::Remove => return self.remove(&id),
        }
        let shared = &org.context;
        let (now, now_ms) = (shared.clock.monotonic(), shared.clock.now_ms());
        shared.board.org_ended(&exit.to_string());
        match org.restarts.ended(now, shared.clock.jitter()) {
            Decision::Restart(wait) => {
                let wait = wait + after;
                let wait_secs = wait.as_secs_f32();
                tracing::error!(org = id, wait_secs, "the org's actor {exit}; it is started afresh");
                context.run_later(wait, move |supervisor, context| supervisor.start_org(&id, context));
            }
            Decision::Park => {
                tracing::error!(org = id, "the org's actor {exit}; it ended too often and is parked");
                let hint = format!("Report this as a bug; start it again with: orgpipe org resume {id}");
                let problem = Problem::new(format!("the org's actor {exit}, too often to go on"), hint);
                for part in [Part::Events, Part::Refresh, Part::Push, Part::Ingest, Part::Writer] {
                    shared.board.trouble(part, State::Parked, &problem, now_ms);
                }
            }
        }
    }

    fn stop_when_empty(&self, context: &mut Context<Self>) {
        if self.draining && self.orgs.values().all(|org| org.actor.is_none()) {
            context.stop();
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(LOOK, Self::look_at_arbiters);
        let ids: Vec<String> = self.orgs.keys().cloned().collect();
        let mut wait = Duration::ZERO;
        for id in ids {
            context.run_later(wait, move |supervisor, context| supervisor.start_org(&id, context));
            wait += STAGGER;
        }
    }
}

impl Handler<Find> for Supervisor {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find { org: id, revive }: Find, context: &mut Self::Context) -> Self::Result {
        if self.draining {
            return MessageResult(Err(OrgError::Stopping(id)));
        }
        let Some(org) = self.orgs.get_mut(&id) else { return MessageResult(Err(OrgError::Unknown(id))) };
        org.context.pass(Point::Supervisor);
        if org.actor.is_none() && revive {
            org.restarts = Restarts::none();
            self.start_org(&id, context);
        }
        let actor = self.orgs.get(&id).and_then(|org| org.actor.as_ref());
        MessageResult(actor.map(|(address, _)| address.clone()).ok_or(OrgError::Down(id)))
    }
}

impl Handler<Placement> for Supervisor {
    type Result = MessageResult<Placement>;

    fn handle(&mut self, _: Placement, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.orgs.iter().map(|(id, org)| (id.clone(), org.arbiter)).collect())
    }
}

impl Handler<Pushed> for Supervisor {
    type Result = ();

    fn handle(&mut self, Pushed(orgs): Pushed, _: &mut Self::Context) {
        for org in orgs {
            if let Some((actor, _)) = self.orgs.get(&org).and_then(|org| org.actor.as_ref()) {
                // One that is missed costs time only, as each looks by itself now and then.
                let _ = actor.try_send(Wakeup::Push);
            }
        }
    }
}

impl Handler<Change> for Supervisor {
    type Result = ();

    fn handle(&mut self, change: Change, context: &mut Self::Context) {
        // A later change of the same org takes the place of one that is still to be made.
        self.changes.extend(change.start.into_iter().map(|org| (org.id().to_owned(), Some(org))));
        self.changes.extend(change.remove.into_iter().map(|id| (id, None)));
        if !std::mem::replace(&mut self.changing, true) {
            self.change_next(context);
        }
    }
}

impl Handler<Exited<String>> for Supervisor {
    type Result = ();

    fn handle(&mut self, notice: Exited<String>, context: &mut Self::Context) {
        self.ended(notice.child, &notice.exit, Duration::ZERO, context);
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Self::Context) {
        self.draining = true;
        for org in self.orgs.values() {
            if let Some((actor, _)) = &org.actor {
                tell(context, actor.clone().recipient(), Stop);
            }
        }
        self.stop_when_empty(context);
    }
}
