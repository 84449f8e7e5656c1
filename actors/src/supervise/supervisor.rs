//! Supervisor: one OrgActor per org; staggered start, restart, drain.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, Addr, ArbiterHandle, AsyncContext as _, Context, Handler, Message,
    MessageResult,
};
use orgpipe_store::StoreError;

use super::{
    context::OrgContext,
    org::OrgActor,
    restart::{Decision, Restarts},
    status::{Part, State},
    watch::{Exited, Tether, spawn_watched, tell},
    worker::Stop,
};

/// Orgs start this far apart, so that thousands of logins and handshakes do not go out at once.
const STAGGER: Duration = Duration::from_millis(20);

/// Asks for an org's actor, to give it an order.
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
    #[error("orgpipe is stopping, so org `{0}` takes no orders")]
    Stopping(String),
    /// It listens to several channels, or not to this one.
    #[error("org `{org}` listens to {}: name one of them", channels.join(", "))]
    WhichChannel {
        /// The org.
        org: String,
        /// Its channels.
        channels: Vec<String>,
    },
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
    actor: Option<(Addr<OrgActor>, Tether)>,
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
        shared.board.org_started(shared.clock.now_ms());
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

impl Handler<Find> for Supervisor {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find { org: id, revive }: Find, context: &mut Self::Context) -> Self::Result {
        if self.draining {
            return MessageResult(Err(OrgError::Stopping(id)));
        }
        let Some(org) = self.orgs.get_mut(&id) else { return MessageResult(Err(OrgError::Unknown(id))) };
        if org.actor.is_none() && revive {
            org.restarts = Restarts::none();
            self.start_org(&id, context);
        }
        let actor = self.orgs.get(&id).and_then(|org| org.actor.as_ref());
        MessageResult(actor.map(|(address, _)| address.clone()).ok_or(OrgError::Down(id)))
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
        shared.board.org_ended(&notice.exit.to_string());
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
                let hint = format!("Report this as a bug; start it again with: orgpipe org resume {id}");
                for part in [Part::Stream, Part::Refresh, Part::Ingest, Part::Writer] {
                    shared.board.set(
                        part,
                        State::Parked,
                        &format!("the org's actor {}, too often to go on", notice.exit),
                        &hint,
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
            if let Some((actor, _)) = &org.actor {
                tell(context, actor.clone().recipient(), Stop);
            }
        }
        self.stop_when_empty(context);
    }
}
