//! `OrgActor`: one tenant. It starts the parts of one org, passes their messages on, and starts a part afresh when it
//! ends.
//!
//! Here: the five parts and their lives, and an operator's commands. Not here: what the parts do (`capture`, `decide`,
//! `deliver`), which of them the desired state lets run (`org/desired.rs`).
//!
//! Started by: the supervisor, one per org. Takes: `Arrived`, `Decided` and `Wakeup` for its parts, `OrgCommand` and
//! `Replay` from the service, `Exited` of its parts, and `Stop`. Asks: the store. Sends: `Wake` and `Stop` to its
//! parts, and what is for one of them. If it dies: its parts end with it, and a fresh one starts all of them from disk.
//!
//! Invariant: whatever happens only changes a part's state, the phase or the desired state; `align` then starts and
//! stops what is to be started and stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message,
    Recipient, ResponseActFuture, ResponseFuture, WrapFuture as _,
};
use orgpipe_store::StoreError;
use tokio::sync::oneshot;

use super::org_changed;
use crate::{
    capture::{
        cometd::CometdActor,
        push::PushActor,
        refresh::{self, RefreshTimer},
        refresh_commands::{self, RefreshWish},
        replay::ReplayFrom,
    },
    decide::ingest::IngestActor,
    deliver::writer::WriterActor,
    failpoint::Point,
    org::{
        context::OrgContext,
        desired::DesiredState,
        messages::{Arrived, Decided, Delivery, OrgLink, Wakeup},
        part::{Part, State},
        store::Position,
    },
    problem::Problem,
    runtime::{
        restart::{Decision, Restarts},
        spawn::{AbortOnDrop, Exit, Exited, here, spawn_watched, tell},
        worker::{Stop, Wake},
    },
};

/// Parts in the order of the flow; each is an actor.
const PARTS: [Part; 5] = [Part::Events, Part::Refresh, Part::Push, Part::Ingest, Part::Writer];
/// Those that take something in.
const TAKING: [Part; 3] = [Part::Events, Part::Refresh, Part::Push];
/// How often a drain looks whether nothing is open any more.
const DRAIN_LOOK: Duration = Duration::from_millis(250);

/// How often it is looked whether a customer's grant has to be used so that it does not end.
const HEARTBEAT_LOOK: Duration = Duration::from_hours(1);
/// How long after a failed try it is stored again which org it is.
const AGAIN: Duration = Duration::from_secs(1);

/// An operator's command to one org. Answered once it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(crate) enum OrgCommand {
    /// From now on; also starts what is parked when it is `Run`.
    DesiredState(DesiredState),
    /// Stop every part and start it afresh, parked ones too.
    Restart,
    /// Read the records of these syncs again.
    Refresh {
        /// Names of syncs of this org.
        syncs: Vec<String>,
        /// Only what has changed since the last time.
        changed: bool,
    },
    /// Let the refreshes of these syncs rest, go on, or end.
    RefreshWish {
        /// Names of syncs of this org.
        syncs: Vec<String>,
        /// Which of it.
        wish: RefreshWish,
    },
}

/// Why a position was not set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The login leads to another org just now, or the org ends.
    #[error("the org is being changed or is ending")]
    Busy,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Set where a channel goes on. Answers the position it had.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<String>, ReplayError>")]
pub(crate) struct Replay {
    /// The channel, one of this org's.
    pub channel: String,
    /// Where it goes on.
    pub from: ReplayFrom,
}

/// A part that runs.
struct Child {
    wake: Recipient<Wake>,
    stop: Recipient<Stop>,
    /// For the ingest only.
    arrived: Option<Recipient<Arrived>>,
    /// For the writer only.
    decided: Option<Recipient<Decided>>,
    _abort: AbortOnDrop,
}

/// What has become of a part since its actor was started last.
enum ChildState {
    /// It can be started.
    Down,
    /// It runs.
    Up(Child),
    /// It was told to stop.
    Ending(#[expect(dead_code, reason = "keeps its abort until it has ended")] Child),
    /// It ended by itself and is started again after a while.
    Waiting,
    /// It ended by itself too often.
    Parked,
}

/// A part over all its starts.
struct Life {
    state: ChildState,
    restarts: Restarts,
}

/// What the org is at, beside what an operator wants of it.
///
/// ```text
///             Replay ▶ the subscription ends            every position is stored
/// Following ──────────────────────────────▶ Repositioning ─────────────────────▶ Following
///     │                                          │
///     └──── the login leads to another org ──────┤
///                                                ▼
///                                           OrgChanged ──every part is down──▶ Recording ──stored──▶ Following
///                                                ▲                                 │
///                                                └──────────── not stored ─────────┘
/// any of them ──Stop──▶ Stopping ──every part is down──▶ the actor ends
/// ```
#[derive(Debug)]
enum Phase {
    /// The parts run as far as the desired state lets them.
    Following,
    /// The subscription is down for positions that are being set.
    Repositioning {
        /// Who waits until it is down.
        waiting: Vec<oneshot::Sender<()>>,
        /// Positions that are not stored yet.
        open: usize,
    },
    /// Every part ends: the login leads to this org now.
    OrgChanged(String),
    /// Every part is down, and it is being stored which org it is.
    Recording,
    /// Every part ends, and then the actor.
    Stopping,
}

/// One customer's org.
pub(crate) struct OrgActor {
    org: Arc<OrgContext>,
    parts: BTreeMap<Part, Life>,
    desired: DesiredState,
    phase: Phase,
}

impl OrgActor {
    /// An org whose parts start with it, as far as the stored desired state lets them.
    pub(crate) fn new(org: Arc<OrgContext>) -> Self {
        let life = |part| (part, Life { state: ChildState::Down, restarts: Restarts::none() });
        let parts = PARTS.into_iter().map(life).collect();
        Self { org, parts, desired: DesiredState::Run, phase: Phase::Following }
    }

    fn wanted(&self, part: Part) -> bool {
        match &self.phase {
            Phase::Following => self.desired.lets_run(part),
            Phase::Repositioning { .. } => part != Part::Events && self.desired.lets_run(part),
            Phase::OrgChanged(_) | Phase::Recording | Phase::Stopping => false,
        }
    }

    /// Starts what is wanted and down, stops what runs and is not wanted; then goes on with what waited for that.
    fn align(&mut self, context: &mut Context<Self>) {
        for part in PARTS {
            let wanted = self.wanted(part);
            let Some(life) = self.parts.get_mut(&part) else { continue };
            match std::mem::replace(&mut life.state, ChildState::Down) {
                ChildState::Down if wanted => {
                    life.state = start(&self.org, part, context).map_or(ChildState::Down, ChildState::Up);
                }
                ChildState::Down => {
                    note_down(&self.org, part, self.desired, matches!(self.phase, Phase::Stopping));
                }
                ChildState::Up(child) if !wanted => life.state = ending(child, context),
                other => life.state = other,
            }
        }
        let (events, any) = (self.runs(Part::Events), PARTS.into_iter().any(|part| self.runs(part)));
        match &mut self.phase {
            Phase::Repositioning { waiting, .. } if !events => {
                for waits in waiting.drain(..) {
                    // Whoever asked may have gone.
                    let _ = waits.send(());
                }
            }
            Phase::OrgChanged(org_id) if !any => {
                let org_id = std::mem::take(org_id);
                self.phase = Phase::Recording;
                self.record_org_change(org_id, context);
            }
            Phase::Stopping if !any => {
                // A token request under way is ended first: its answer may be the only way back into the org.
                let org = Arc::clone(&self.org);
                let rest = async move { org.api.rest().await };
                context.spawn(rest.into_actor(self).map(|(), _, context| context.stop()));
            }
            Phase::Following
            | Phase::Repositioning { .. }
            | Phase::OrgChanged(_)
            | Phase::Recording
            | Phase::Stopping => {}
        }
    }

    /// Waits until the login leads to another org, which ends every part.
    fn watch_for_another_org(&self, context: &mut Context<Self>) {
        let mut other_org = self.org.api.other_org();
        let other = async move {
            // The client lives as long as the org that is held here.
            other_org.wait_for(Option::is_some).await.ok().and_then(|org_id| org_id.clone())
        };
        context.spawn(other.into_actor(self).map(|org_id, actor, context| {
            if let Some(org_id) = org_id.filter(|_| !matches!(actor.phase, Phase::Stopping)) {
                actor.phase = Phase::OrgChanged(org_id);
                actor.align(context);
            }
        }));
    }

    /// Nothing runs: it is stored which org it is now, and the parts begin afresh.
    fn record_org_change(&self, org_id: String, context: &mut Context<Self>) {
        let (org, id) = (Arc::clone(&self.org), org_id.clone());
        let record = async move { org_changed::record(&org, id).await };
        context.spawn(record.into_actor(self).map(move |recorded, actor, context| match recorded {
            Ok(()) => {
                actor.org.api.reopen();
                actor.watch_for_another_org(context);
                actor.leave_recording(Phase::Following, context);
            }
            Err(error) => {
                tracing::error!(org = actor.org.id(), "which org it is now was not stored: {error}");
                context.run_later(AGAIN, move |actor, context| {
                    actor.leave_recording(Phase::OrgChanged(org_id), context);
                });
            }
        }));
    }

    /// Unless it was told to stop meanwhile.
    fn leave_recording(&mut self, next: Phase, context: &mut Context<Self>) {
        if matches!(self.phase, Phase::Recording) {
            self.phase = next;
            self.align(context);
        }
    }

    fn runs(&self, part: Part) -> bool {
        self.parts
            .get(&part)
            .is_some_and(|life| matches!(life.state, ChildState::Up(_) | ChildState::Ending(_)))
    }

    fn child(&self, part: Part) -> Option<&Child> {
        match &self.parts.get(&part)?.state {
            ChildState::Up(child) => Some(child),
            ChildState::Down | ChildState::Ending(_) | ChildState::Waiting | ChildState::Parked => None,
        }
    }

    fn wake(&self, part: Part) {
        if let Some(child) = self.child(part) {
            // A full mailbox means that a wake-up waits in it already.
            let _ = child.wake.try_send(Wake);
        }
    }

    fn ended(&mut self, part: Part, exit: &Exit, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let now_ms = org.clock.now_ms();
        let Some(life) = self.parts.get_mut(&part) else { return };
        let asked = !matches!(std::mem::replace(&mut life.state, ChildState::Down), ChildState::Up(_));
        if asked && *exit == Exit::Clean {
            return self.align(context);
        }
        let decision = life.restarts.ended(org.clock.monotonic(), org.clock.jitter());
        org.board.ended(part, &exit.to_string(), life.restarts.total(), now_ms);
        match decision {
            Decision::Restart(wait) => {
                let wait_secs = wait.as_secs_f32();
                tracing::error!(org = org.id(), ?part, wait_secs, "{exit}; it is started afresh");
                let problem = Problem::passing(format!("it {exit}; it is started afresh"));
                org.board.trouble(part, State::Waiting, &problem, now_ms);
                life.state = ChildState::Waiting;
                context.run_later(wait, move |actor, context| actor.waited(part, context));
            }
            Decision::Park => {
                tracing::error!(org = org.id(), ?part, "{exit}; it ended too often and is parked");
                let hint =
                    format!("Report this as a bug; start it again with: orgpipe org resume {}", org.id());
                let problem = Problem::new(format!("it {exit}, too often to go on"), hint);
                org.board.trouble(part, State::Parked, &problem, now_ms);
                life.state = ChildState::Parked;
            }
        }
        self.align(context);
    }

    fn waited(&mut self, part: Part, context: &mut Context<Self>) {
        if let Some(life) = self.parts.get_mut(&part).filter(|life| matches!(life.state, ChildState::Waiting))
        {
            life.state = ChildState::Down;
            self.align(context);
        }
    }

    /// Also while the org is paused.
    fn use_grant(&mut self, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let heartbeat = async move {
            if let Err(error) = org.api.heartbeat().await {
                tracing::warn!(org = org.id(), "the customer's grant could not be used: {error}");
            }
        };
        context.spawn(heartbeat.into_actor(self).map(|(), _, context| {
            context.run_later(HEARTBEAT_LOOK, Self::use_grant);
        }));
    }

    /// What stood in the way of a login is mended, as an operator says; the parts that wait for one begin afresh.
    fn forgive_login(&self, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let forgive = async move { org.api.forgive().await };
        context.spawn(forgive.into_actor(self).map(|forgiven, actor, context| match forgiven {
            Ok(true) => actor.restart_parts(context),
            Ok(false) => {}
            Err(error) => tracing::error!(org = actor.org.id(), "the login was not freed: {error}"),
        }));
    }

    /// Every part ends after its step and begins afresh, parked ones too.
    fn restart_parts(&mut self, context: &mut Context<Self>) {
        self.forgive();
        for life in self.parts.values_mut() {
            life.state = match std::mem::replace(&mut life.state, ChildState::Down) {
                ChildState::Up(child) => ending(child, context),
                other => other,
            };
        }
        self.align(context);
    }

    /// What waits or is parked can be started again at once.
    fn forgive(&mut self) {
        for life in self.parts.values_mut() {
            if matches!(life.state, ChildState::Waiting | ChildState::Parked) {
                *life = Life { state: ChildState::Down, restarts: Restarts::none() };
            }
        }
    }

    /// The desired state is on disk.
    fn follow(&mut self, desired: DesiredState, context: &mut Context<Self>) {
        self.desired = desired;
        self.org.board.desired(desired);
        if desired == DesiredState::Run {
            self.forgive();
        }
        self.align(context);
        if let DesiredState::Drain { .. } = desired {
            context.run_later(DRAIN_LOOK, Self::look_whether_drained);
        }
    }

    fn look_whether_drained(&mut self, context: &mut Context<Self>) {
        let DesiredState::Drain { until_ms } = self.desired else { return };
        let (org, taking) = (Arc::clone(&self.org), TAKING.into_iter().any(|part| self.runs(part)));
        let look = async move {
            let open = org.store.counts().await?.open();
            let late = org.clock.now_ms() >= until_ms;
            if late || (open == 0 && !taking) {
                tracing::info!(org = org.id(), open, late, "drained, now paused");
                store_desired(&org, DesiredState::Pause).await?;
                return Ok(Some(DesiredState::Pause));
            }
            Ok::<_, StoreError>(None)
        };
        context.spawn(look.into_actor(self).map(move |drained, actor, context| match drained {
            // A command may have come in between.
            Ok(Some(desired)) if actor.desired == (DesiredState::Drain { until_ms }) => {
                actor.follow(desired, context);
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                context.run_later(DRAIN_LOOK, Self::look_whether_drained);
            }
            Err(error) => {
                tracing::error!(org = actor.org.id(), "the drain cannot see what is open: {error}");
                context.run_later(DRAIN_LOOK, Self::look_whether_drained);
            }
        }));
    }
}

async fn store_desired(org: &OrgContext, desired: DesiredState) -> Result<(), StoreError> {
    org.store.put(vec![Position::DesiredState.json(&desired)]).await
}

fn note_down(org: &OrgContext, part: Part, desired: DesiredState, stopping: bool) {
    let now_ms = org.clock.now_ms();
    let stops = stopping || desired == DesiredState::Run;
    let state = if stops { State::Stopped } else { State::Paused };
    if part == Part::Events {
        org.board.subscription(now_ms, |all| all.rests(state, now_ms));
    }
    if stops {
        org.board.set(part, state, now_ms);
    } else {
        let hint = format!("Start it again with: orgpipe org resume {}", org.id());
        org.board.trouble(part, state, &Problem::new("an operator paused it", hint), now_ms);
    }
}

fn start(org: &Arc<OrgContext>, part: Part, context: &mut Context<OrgActor>) -> Option<Child> {
    org.board.set(part, State::Starting, org.clock.now_ms());
    let link = OrgLink::new(&context.address(), org.failpoints.clone(), org.id());
    let org = Arc::clone(org);
    match part {
        Part::Events => Some(child(part, context, move || CometdActor::new(org, link)).1),
        Part::Refresh => Some(child(part, context, move || RefreshTimer::new(org, link)).1),
        Part::Push => Some(child(part, context, move || PushActor::new(org, link)).1),
        Part::Ingest => {
            let (address, child) = child(part, context, move || IngestActor::new(org, link));
            Some(Child { arrived: Some(address.recipient()), ..child })
        }
        Part::Writer => {
            let (address, child) = child(part, context, move || WriterActor::new(org));
            Some(Child { decided: Some(address.recipient()), ..child })
        }
        // The client logs in for whoever asks; it is no actor.
        Part::Login => None,
    }
}

fn ending(child: Child, context: &mut Context<OrgActor>) -> ChildState {
    tell(context, child.stop.clone(), Stop);
    ChildState::Ending(child)
}

fn child<A>(
    part: Part,
    context: &mut Context<OrgActor>,
    make: impl FnOnce() -> A + Send + 'static,
) -> (Addr<A>, Child)
where
    A: Actor<Context = Context<A>> + Handler<Wake> + Handler<Stop>,
{
    let (address, abort): (Addr<A>, AbortOnDrop) =
        spawn_watched(&here(), part, context.address().recipient(), make);
    let (wake, stop) = (address.clone().recipient(), address.clone().recipient());
    (address, Child { wake, stop, arrived: None, decided: None, _abort: abort })
}

impl Actor for OrgActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch_for_another_org(context);
        self.use_grant(context);
        let org = Arc::clone(&self.org);
        let read = async move {
            refresh_commands::show(&org).await?;
            org.store.json(Position::DesiredState).await
        };
        // Until then no message is handled.
        context.wait(read.into_actor(self).map(|stored, actor, context| match stored {
            Ok(stored) => {
                // What cannot be read was written by a later version, and a pause is the safe side.
                let desired =
                    stored.map_or(DesiredState::Run, |stored| stored.unwrap_or(DesiredState::Pause));
                if desired != DesiredState::Run {
                    tracing::info!(org = actor.org.id(), ?desired, "as an operator wanted");
                }
                actor.follow(desired, context);
            }
            Err(error) => {
                tracing::error!(
                    org = actor.org.id(),
                    "what an operator wants of the org cannot be read: {error}"
                );
                context.stop();
            }
        }));
    }
}

impl Handler<Wakeup> for OrgActor {
    type Result = ();

    fn handle(&mut self, wakeup: Wakeup, _: &mut Self::Context) {
        self.org.pass(Point::Org);
        self.wake(match wakeup {
            Wakeup::Refresh => Part::Refresh,
            Wakeup::Ingest => Part::Ingest,
            Wakeup::Push => Part::Push,
        });
    }
}

impl Handler<Arrived> for OrgActor {
    type Result = ResponseFuture<Delivery>;

    fn handle(&mut self, arrived: Arrived, _: &mut Self::Context) -> Self::Result {
        self.org.pass(Point::Org);
        pass_on(self.child(Part::Ingest).and_then(|child| child.arrived.clone()), arrived)
    }
}

impl Handler<Decided> for OrgActor {
    type Result = ResponseFuture<Delivery>;

    fn handle(&mut self, decided: Decided, _: &mut Self::Context) -> Self::Result {
        self.org.pass(Point::Org);
        pass_on(self.child(Part::Writer).and_then(|child| child.decided.clone()), decided)
    }
}

/// What nobody takes is on disk, and read from there by whoever comes next.
fn pass_on<M>(to: Option<Recipient<M>>, message: M) -> ResponseFuture<Delivery>
where
    M: Message<Result = Delivery> + Send + 'static,
{
    Box::pin(async move {
        match to {
            Some(to) => to.send(message).await.unwrap_or(Delivery::Behind),
            None => Delivery::Behind,
        }
    })
}

impl Handler<OrgCommand> for OrgActor {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, command: OrgCommand, _: &mut Self::Context) -> Self::Result {
        tracing::info!(org = self.org.id(), ?command, "an operator's command");
        let (org, stored) = (Arc::clone(&self.org), command.clone());
        let store = async move {
            match stored {
                OrgCommand::DesiredState(desired) => store_desired(&org, desired).await,
                OrgCommand::Restart => Ok(()),
                OrgCommand::Refresh { syncs, changed } => {
                    for sync in &syncs {
                        refresh::begin(&org, sync, changed).await?;
                    }
                    Ok(())
                }
                OrgCommand::RefreshWish { syncs, wish } => {
                    for sync in &syncs {
                        refresh_commands::wish(&org, sync, wish).await?;
                    }
                    Ok(())
                }
            }
        };
        Box::pin(store.into_actor(self).map(move |result, actor, context| {
            result?;
            match command {
                OrgCommand::DesiredState(desired) => {
                    if desired == DesiredState::Run {
                        actor.forgive_login(context);
                    }
                    actor.follow(desired, context);
                }
                OrgCommand::Refresh { .. } | OrgCommand::RefreshWish { .. } => actor.wake(Part::Refresh),
                OrgCommand::Restart => {
                    actor.forgive_login(context);
                    actor.restart_parts(context);
                }
            }
            Ok(())
        }))
    }
}

impl Handler<Replay> for OrgActor {
    type Result = ResponseActFuture<Self, Result<Option<String>, ReplayError>>;

    fn handle(&mut self, Replay { channel, from }: Replay, context: &mut Self::Context) -> Self::Result {
        let (down, is_down) = oneshot::channel();
        match &mut self.phase {
            Phase::Following => self.phase = Phase::Repositioning { waiting: vec![down], open: 1 },
            Phase::Repositioning { waiting, open } => {
                waiting.push(down);
                *open += 1;
            }
            // Dropped, it tells that the position cannot be set now.
            Phase::OrgChanged(_) | Phase::Recording | Phase::Stopping => drop(down),
        }
        self.align(context);
        let org = Arc::clone(&self.org);
        let set = async move {
            is_down.await.map_err(|_| ReplayError::Busy)?;
            let before = org.store.bytes(Position::ReplayId(&channel)).await?;
            let before = before.map(|before| String::from_utf8_lossy(&before).into_owned());
            let positions = from.positions(&channel, org.clock.now_ms());
            org.store.put(positions).await?;
            tracing::info!(org = org.id(), channel, %from, before, "an operator set the position");
            Ok(before)
        };
        Box::pin(set.into_actor(self).map(|result, actor, context| {
            if let Phase::Repositioning { open, .. } = &mut actor.phase
                && !matches!(result, Err(ReplayError::Busy))
            {
                *open -= 1;
                if *open == 0 {
                    actor.phase = Phase::Following;
                }
                actor.align(context);
            }
            result
        }))
    }
}

impl Handler<Exited<Part>> for OrgActor {
    type Result = ();

    fn handle(&mut self, notice: Exited<Part>, context: &mut Self::Context) {
        self.org.pass(Point::Org);
        // A part is started again only after its end was told, so a notice is never about a later life.
        self.ended(notice.child, &notice.exit, context);
    }
}

impl Handler<Stop> for OrgActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.phase = Phase::Stopping;
        self.align(context);
    }
}
