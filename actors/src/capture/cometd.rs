//! `CometdActor`: keeps one org's event subscription alive, and puts its events on the ingress queue.
//!
//! Here: performing what the state machine of the subscription asks for (requests, timers, commit A), and telling it
//! what came of each. Not here: any decision about the protocol (`salesforce::cometd::session`), what an event asks for
//! (`requests`), gaps (`gap_recovery`).
//!
//! Started by: `OrgActor`, one per org. Takes: `Stop`, and `Wake`, which changes nothing. Asks: the org's event
//! endpoint and the store. Sends: `Arrived` to the ingest, `Wakeup::Refresh` when a gap is noted. If it dies: a fresh
//! one subscribes behind the stored replay IDs, so an event may come twice and none is missed.
//!
//! Invariant: the state machine is told that events are stored only once commit A with their position is on disk, and
//! it asks for more only then.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, WrapFuture as _, fut::ActorFutureExt as _,
};
use orgpipe_salesforce::{
    cometd::{
        Action, Batch, Failure, Input, Report, StartFrom, Wanted,
        options::Options,
        session::{Session, Stage, step},
    },
    failure::CallError,
};
use orgpipe_store::{Appended, StoreError, UnixMs};
use tracing::{Instrument as _, Span};

use super::{
    continuity::{Continuity, LastTwo, Mark},
    gap_recovery,
    requests::{self, AskingEvent, position_ms},
};
use crate::{
    failpoint::Point,
    org::{
        api::{transport::Post, vault},
        context::OrgContext,
        messages::{OrgLink, Wakeup},
        step_error::StepError,
        store::Position,
        subscription::Subscription,
    },
    problem::Problem,
    queue_entry::Origin,
    receipt::GapReason,
    runtime::worker::{Stop, Wake},
    trace::{Cause, TraceContext, spans},
};

/// Time for taking leave of Salesforce, half as long again for an answer: less than the 10 s after which a container that
/// is to stop is killed.
const LEAVE_WITHIN: Duration = Duration::from_secs(4);
/// How often it is stored that a quiet channel is heard of.
const HEARD_EVERY: Duration = Duration::from_mins(1);

/// The event subscription of one org.
pub(crate) struct CometdActor {
    org: Arc<OrgContext>,
    /// `None` only until the positions are read, and while a step is computed.
    session: Option<Session>,
    login: Option<vault::Session>,
    link: OrgLink,
    /// Channels that deliver.
    delivering: BTreeSet<String>,
    /// How far each channel is.
    continuity: Continuity,
    /// Not before this time since the start is it stored again that they were heard of.
    heard_again: Duration,
    stopping: bool,
}

impl CometdActor {
    /// A subscription to every channel of the org's syncs, going on from the stored positions.
    pub(crate) fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        let (delivering, continuity) = (BTreeSet::new(), Continuity::default());
        let heard_again = Duration::ZERO;
        Self { org, session: None, login: None, link, delivering, continuity, heard_again, stopping: false }
    }

    fn feed(&mut self, input: Input, context: &mut Context<Self>) {
        self.org.pass(Point::Events);
        let Some(session) = self.session.take() else { return };
        let clock = self.org.clock;
        let (session, actions) = step(session, input, clock.monotonic(), clock.jitter());
        self.session = Some(session);
        for action in actions {
            self.perform(action, context);
        }
    }

    fn perform(&mut self, action: Action, context: &mut Context<Self>) {
        match action {
            Action::Send { request, message, suffix, timeout, cookies } => {
                let (org, login) = (Arc::clone(&self.org), self.login.clone());
                let post = async move {
                    let Some(login) = login else {
                        return Err(Failure::Unreachable("there is no login yet".to_owned()));
                    };
                    let cookies = cookies.as_deref();
                    org.api
                        .post_cometd(&login, Post { suffix, message, cookies, begin_within: timeout })
                        .await
                };
                context.spawn(post.into_actor(self).map(move |http, actor, context| {
                    if http.is_ok() {
                        let now_ms = actor.org.clock.now_ms();
                        actor.org.board.subscription(now_ms, |all| all.last_reply_ms = Some(now_ms));
                    }
                    let polled = actor.is_polling();
                    actor.feed(Input::Answer { request, http }, context);
                    if polled && actor.is_polling() {
                        actor.heard(context);
                    }
                }));
            }
            Action::Store { request, batches } => self.store(request, batches, context),
            Action::RenewToken { stale } => self.renew(stale, context),
            Action::Wake { after, timer } => {
                context.run_later(after, move |actor, context| actor.feed(Input::Woke { timer }, context));
            }
            Action::Report(report) => {
                if let Report::Gap { channel, .. } = &report {
                    self.continuity.forget(channel);
                    self.note_gap(vec![channel.clone()], context);
                }
                self.note(report);
            }
            Action::Done => context.stop(),
        }
    }

    fn is_polling(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.phase() == Stage::Polling)
    }

    /// A poll was answered and the next one has left: nothing that was published before it is missing. That is stored
    /// now and then, so that after a gap less has to be read.
    fn heard(&mut self, context: &mut Context<Self>) {
        let now = self.org.clock.monotonic();
        if now < self.heard_again || self.delivering.is_empty() {
            return;
        }
        self.heard_again = now + HEARD_EVERY;
        let org = Arc::clone(&self.org);
        let now_ms = org.api.time().now_ms();
        let heard = self.delivering.iter().map(|channel| Position::Heard(channel).moment(now_ms)).collect();
        let commit = async move {
            if let Err(error) = org.store.put(heard).await {
                tracing::error!(org = org.id(), "it was not stored that events are heard: {error}");
            }
        };
        context.spawn(commit.into_actor(self));
    }

    /// Nothing else goes on until the gap is on disk: a position stored before it would let it be forgotten.
    fn note_gap(&mut self, channels: Vec<String>, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let commit =
            async move { gap_recovery::note_gap(&org, channels, GapReason::ReplayRefused, Vec::new()).await };
        context.wait(commit.into_actor(self).map(move |noted, actor, context| match noted {
            Ok(()) => actor.link.wake(Wakeup::Refresh),
            Err(error) => {
                // Started afresh, it sees the same gap again.
                tracing::error!(org = actor.org.id(), "a gap was not stored: {error}");
                context.stop();
            }
        }));
    }

    fn store(&mut self, request: u64, mut batches: Vec<Batch>, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let (now_ms, org_now_ms) = (org.clock.now_ms(), org.api.time().now_ms());
        let (broken, last_two) = self.continuity.follow(&mut batches);
        let news: Vec<(String, u64, Option<UnixMs>)> = batches
            .iter()
            .map(|batch| (batch.channel.clone(), batch.events.len() as u64, position_ms(batch, org_now_ms)))
            .collect();
        let own_user = self.login.as_ref().map(|login| login.token.user_id.as_str());
        let mut came = requests::read(&org.settings, own_user, batches, now_ms, org_now_ms);
        came.append.positions.extend(last_two);
        // Channels with a gap of which the session knows nothing.
        let gaps: Vec<String> = came.overflows.keys().chain(&broken).cloned().collect();
        let events = event_spans(&org, &came.events);
        let commit = async move {
            org.pass(Point::BeforeA);
            if !broken.is_empty() {
                // Before the new position, so that no crash forgets it.
                gap_recovery::note_gap(&org, broken, GapReason::ReplayBroken, Vec::new()).await?;
            }
            if !came.overflows.is_empty() {
                gap_recovery::note_overflows(&org, &came.overflows).await?;
            }
            let stored = org.store.append(came.append).await;
            org.pass(Point::AfterA);
            // Each of them has been received once it is on disk.
            drop(events);
            stored
        };
        let commit = commit.instrument(spans::part(self.org.id(), "events"));
        context.spawn(commit.into_actor(self).map(move |stored, actor, context| {
            let input = match stored {
                Ok(appended) => {
                    let now_ms = actor.org.clock.now_ms();
                    actor.org.measures.events(news.iter().map(|(_, events, _)| events).sum());
                    actor.org.board.subscription(now_ms, |all| {
                        for (channel, events, position_ms) in news {
                            all.stored(&channel, events, position_ms, now_ms);
                        }
                        for channel in &gaps {
                            all.gap(channel, now_ms);
                        }
                    });
                    if !gaps.is_empty() {
                        actor.link.wake(Wakeup::Refresh);
                    }
                    actor.hand_on(appended, context);
                    Input::Stored { request }
                }
                Err(error) => {
                    tracing::error!(org = actor.org.id(), "events were not stored: {error}");
                    let now_ms = actor.org.clock.now_ms();
                    let problem = Problem::passing(format!("is disconnected: {error}"));
                    actor.org.board.subscription(now_ms, |all| all.disconnected(&problem, now_ms));
                    Input::StoreFailed { request }
                }
            };
            actor.feed(input, context);
        }));
    }

    fn renew(&mut self, stale: bool, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let refused = self.login.as_ref().filter(|_| stale).map(|login| login.generation);
        let login = async move { org.api.session(refused).await };
        context.spawn(login.into_actor(self).map(|login, actor, context| {
            let input = match login {
                Ok(login) => {
                    actor.login = Some(login);
                    Input::TokenReady
                }
                Err(error) => {
                    let permanent = match &error {
                        StepError::Call(CallError::Login(error)) => error.is_permanent(),
                        StepError::NoGrant(_) => true,
                        _ => false,
                    };
                    Input::TokenFailed { permanent }
                }
            };
            actor.feed(input, context);
        }));
    }

    /// The next poll does not wait until the ingest has the requests.
    fn hand_on(&self, appended: Appended, context: &mut Context<Self>) {
        let link = self.link.clone();
        let hand_on = async move {
            link.arrived(appended).await;
        };
        context.spawn(hand_on.into_actor(self));
    }

    fn note(&mut self, report: Report) {
        match &report {
            Report::Connected => self.delivering.clear(),
            Report::Subscribed { channel, replay } => {
                self.delivering.insert(channel.clone());
                self.continuity.subscribed(channel, *replay);
            }
            Report::Refused { channel: Some(channel), .. } | Report::Gap { channel, .. } => {
                self.delivering.remove(channel);
            }
            _ => {}
        }
        let (org, now_ms) = (self.org.id(), self.org.clock.now_ms());
        let board = |note: &dyn Fn(&mut Subscription)| self.org.board.subscription(now_ms, note);
        if let Some(fault) = report.fault() {
            board(&|all| all.fault(fault));
        }
        match report {
            Report::Connected => {
                tracing::debug!(org, "CometD session opened");
                board(&|all| all.handshakes += 1);
            }
            Report::Subscribed { channel, replay } => {
                tracing::info!(org, channel, replay, "subscribed");
                board(&|all| all.subscribed(&channel, now_ms));
            }
            Report::Gap { channel, last } => {
                let last = String::from_utf8_lossy(&last).into_owned();
                tracing::debug!(org, channel, last, "the position was refused");
                board(&|all| all.gap(&channel, now_ms));
            }
            Report::Refused { channel: Some(channel), reason, hint, retry_in, .. } => {
                let problem = Problem::new(format!("was refused: {reason}"), hint);
                tracing::warn!(org, channel, retry_secs = retry_in.as_secs(), "the channel {problem}");
                board(&|all| all.refused(&channel, &problem, now_ms));
            }
            Report::Refused { channel: None, reason, hint, retry_in, .. } => {
                let problem =
                    Problem::new(format!("is disconnected: the session was refused: {reason}"), hint);
                tracing::warn!(org, retry_secs = retry_in.as_secs(), "the subscription {problem}");
                board(&|all| all.disconnected(&problem, now_ms));
            }
            // What follows from it is told by the next report.
            Report::Bug { reason, hint } => tracing::error!(
                org,
                "Salesforce did not accept a message of the subscription: {reason}. {hint}"
            ),
            Report::Lost { reason, retry_in, .. } => {
                let retry_secs = retry_in.as_secs_f32();
                tracing::warn!(org, retry_secs, "the subscription is built anew: {reason}");
                let problem = Problem::passing(format!("is disconnected: {reason}"));
                board(&|all| all.disconnected(&problem, now_ms));
            }
            Report::LoginFailed { permanent, retry_in } => {
                let retry_secs = retry_in.as_secs_f32();
                tracing::debug!(org, permanent, retry_secs, "no login for the subscription");
                let problem = Problem::new("is disconnected: there is no login", "See the login's note.");
                board(&|all| all.disconnected(&problem, now_ms));
            }
            Report::MultipleClients => {
                tracing::warn!(
                    org,
                    "Salesforce sees several CometD clients with our cookie: is a second orgpipe running?"
                );
            }
            Report::Unasked { input } => tracing::debug!(org, input, "an answer nobody waits for any more"),
        }
    }
}

/// The beginnings of the traces of events that are told.
fn event_spans(org: &OrgContext, events: &[AskingEvent]) -> Vec<Span> {
    if !org.sampling.is_on() {
        return Vec::new();
    }
    let spans = events.iter().filter_map(|event| {
        let AskingEvent { channel, id, correlation_id } = event;
        let correlation_id = correlation_id.as_deref();
        let cause = Cause { origin: Origin::Live, event_id: id, correlation_id };
        let root = TraceContext::root(org.id(), cause, org.sampling);
        root.sampled.then(|| spans::event(org.id(), channel, id, root, correlation_id))
    });
    spans.collect()
}

/// Where a channel without a position starts. The first time with new events: what was published before a customer was
/// connected is left to the first refresh. That it has begun is on disk before it begins, so that after a kill it goes
/// on with all that is retained instead of missing what was published in between.
async fn begin(org: &OrgContext, channel: &str) -> Result<StartFrom, StoreError> {
    if org.store.moment(Position::Begun(channel)).await?.is_some() {
        return Ok(StartFrom::Earliest);
    }
    org.store.put(vec![Position::Begun(channel).moment(org.api.time().now_ms())]).await?;
    Ok(StartFrom::Latest)
}

/// The channels with the stored positions, and the last event of each.
async fn wanted(org: &OrgContext) -> Result<(Vec<Wanted>, Continuity), StoreError> {
    let mut past_retention = Vec::new();
    for channel in org.settings.channels() {
        if gap_recovery::was_past_retention(org, &channel).await? {
            past_retention.push(channel);
        }
    }
    if !past_retention.is_empty() {
        gap_recovery::note_gap(org, past_retention, GapReason::PastRetention, Vec::new()).await?;
    }
    let (mut wanted, mut continuity) = (Vec::new(), Continuity::default());
    for channel in org.settings.channels() {
        let position = org.store.bytes(Position::ReplayId(&channel)).await?;
        let published = org.store.moment(Position::Published(&channel)).await?.filter(|_| position.is_some());
        let now_ms = org.clock.now_ms();
        org.board.subscription(now_ms, |all| all.wanted(&channel, published, now_ms));
        let replay_id = position.as_ref().and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        if let Some((replay_id, published_ms)) = replay_id.zip(published) {
            continuity.stored(&channel, Mark { replay_id, published_ms });
        }
        let two = org.store.json::<LastTwo>(Position::LastTwo(&channel)).await?.and_then(Result::ok);
        let org_now_ms = org.api.time().now_ms();
        let before = two.zip(position.as_ref()).and_then(|(two, stored)| two.begin(stored, org_now_ms));
        if let Some(two) = two.filter(|_| before.is_some()) {
            continuity.comes_again(&channel, two);
        }
        let start = begin(org, &channel).await?;
        wanted.push(Wanted { channel, position, before, start });
    }
    Ok((wanted, continuity))
}

impl Actor for CometdActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let org = Arc::clone(&self.org);
        let read = async move { wanted(&org).await };
        context.spawn(read.into_actor(self).map(|wanted, actor, context| match wanted {
            Ok((wanted, continuity)) if !actor.stopping => {
                actor.continuity = continuity;
                actor.session =
                    Some(Session::new(wanted, Options { leave_within: LEAVE_WITHIN, ..Options::default() }));
                actor.feed(Input::Start, context);
            }
            Ok(_) => context.stop(),
            Err(error) => {
                tracing::error!(org = actor.org.id(), "the positions cannot be read: {error}");
                context.stop();
            }
        }));
    }
}

/// The subscription has no queue to look at.
impl Handler<Wake> for CometdActor {
    type Result = ();

    fn handle(&mut self, _: Wake, _: &mut Self::Context) {}
}

impl Handler<Stop> for CometdActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.stopping = true;
        self.feed(Input::Stop, context);
    }
}
