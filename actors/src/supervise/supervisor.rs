//! Supervisor: one OrgActor per org; staggered start, restart, drain.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, Addr, ArbiterHandle, AsyncContext as _, Context, Handler, Message,
    ResponseFuture,
};
use orgpipe_store::StoreError;

use super::{
    context::OrgContext,
    org::{BeginRefresh, OrgActor, Unpark},
    restart::{Decision, Restarts},
    status::{Part, State},
    watch::{Exited, spawn_watched, tell},
    worker::Stop,
};

/// Orgs start this far apart, so that thousands of logins and handshakes do not go out at once.
const STAGGER: Duration = Duration::from_millis(20);

/// A message for one org.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), OrgError>")]
pub(crate) enum ToOrg {
    /// Read all records of these syncs again.
    Refresh {
        /// The org.
        org: String,
        /// Names of its syncs.
        syncs: Vec<String>,
    },
    /// Start what is parked.
    Unpark {
        /// The org.
        org: String,
    },
}

/// Why a message did not reach an org.
#[derive(Debug, thiserror::Error)]
pub enum OrgError {
    /// No such org.
    #[error("there is no org `{0}`")]
    Unknown(String),
    /// Its actor is being started.
    #[error("org `{0}` is just starting; try again in a moment")]
    Starting(String),
    /// The service is being stopped.
    #[error("orgpipe is stopping, so org `{0}` takes no orders")]
    Stopping(String),
    /// No sync that can be refreshed.
    #[error("org `{org}` has no sync {} with a `refresh`", sync.as_deref().unwrap_or("at all"))]
    NothingToRefresh {
        /// The org.
        org: String,
        /// The sync asked for.
        sync: Option<String>,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stop every org; the supervisor ends when all have ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

struct Org {
    context: Arc<OrgContext>,
    actor: Option<Addr<OrgActor>>,
    restarts: Restarts,
    arbiter: usize,
}

/// The root of the tree.
pub(crate) struct Supervisor {
    arbiters: Vec<ArbiterHandle>,
    orgs: BTreeMap<String, Org>,
    draining: bool,
}

impl Supervisor {
    /// A supervisor that spreads the orgs over the arbiters, at least one.
    pub(crate) fn new(arbiters: Vec<ArbiterHandle>, contexts: Vec<Arc<OrgContext>>) -> Self {
        let org = |(place, context): (usize, Arc<OrgContext>)| {
            let id = context.id().to_owned();
            let arbiter = place % arbiters.len().max(1);
            (id, Org { context, actor: None, restarts: Restarts::none(), arbiter })
        };
        let orgs = contexts.into_iter().enumerate().map(org).collect();
        Self { arbiters, orgs, draining: false }
    }

    fn start_org(&mut self, id: &str, context: &mut Context<Self>) {
        if self.draining {
            return;
        }
        let Some(org) = self.orgs.get_mut(id).filter(|org| org.actor.is_none()) else { return };
        let Some(arbiter) = self.arbiters.get(org.arbiter) else { return };
        let (shared, parent) = (Arc::clone(&org.context), context.address().recipient());
        let actor = spawn_watched(arbiter, id.to_owned(), parent, move || OrgActor::new(shared));
        org.actor = Some(actor);
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
        let ids: Vec<String> = self.orgs.keys().cloned().collect();
        let mut wait = Duration::ZERO;
        for id in ids {
            context.run_later(wait, move |supervisor, context| supervisor.start_org(&id, context));
            wait += STAGGER;
        }
    }
}

impl Handler<ToOrg> for Supervisor {
    type Result = ResponseFuture<Result<(), OrgError>>;

    fn handle(&mut self, message: ToOrg, _: &mut Self::Context) -> Self::Result {
        let (ToOrg::Refresh { org: id, .. } | ToOrg::Unpark { org: id }) = &message;
        let id = id.clone();
        let found = self.orgs.get(&id).map(|org| org.actor.clone());
        Box::pin(async move {
            let actor = found.ok_or_else(|| OrgError::Unknown(id.clone()))?;
            let actor = actor.ok_or_else(|| OrgError::Starting(id.clone()))?;
            let gone = |_| OrgError::Starting(id.clone());
            match message {
                ToOrg::Refresh { syncs, .. } => actor.send(BeginRefresh { syncs }).await.map_err(gone)??,
                ToOrg::Unpark { .. } => actor.send(Unpark).await.map_err(gone)?,
            }
            Ok(())
        })
    }
}

impl Handler<Exited<String>> for Supervisor {
    type Result = ();

    fn handle(&mut self, notice: Exited<String>, context: &mut Self::Context) {
        let Some(org) = self.orgs.get_mut(&notice.child) else { return };
        org.actor = None;
        if self.draining {
            self.stop_when_empty(context);
            return;
        }
        let (shared, id) = (&org.context, notice.child);
        let (now, now_ms) = (shared.clock.monotonic(), shared.clock.now_ms());
        match org.restarts.ended(now, shared.clock.dice()) {
            Decision::Restart(wait) => {
                tracing::error!(
                    org = id,
                    wait_secs = wait.as_secs_f32(),
                    "the org's actor {}; it is started afresh",
                    notice.exit
                );
                context.run_later(wait, move |supervisor, context| supervisor.start_org(&id, context));
            }
            Decision::Park => {
                tracing::error!(
                    org = id,
                    "the org's actor {}; it ended too often and is parked",
                    notice.exit
                );
                for part in [Part::Stream, Part::Refresh, Part::Ingest, Part::Writer] {
                    shared.board.set(
                        part,
                        State::Parked,
                        "the org's actor ended too often",
                        "Restart orgpipe.",
                        now_ms,
                    );
                }
            }
        }
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Self::Context) {
        self.draining = true;
        for org in self.orgs.values() {
            if let Some(actor) = &org.actor {
                tell(context, actor.clone().recipient(), Stop);
            }
        }
        self.stop_when_empty(context);
    }
}
