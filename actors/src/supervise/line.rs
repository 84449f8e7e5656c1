//! The org's line: gate, token, call; one login for all who ask, one renewal per refused call.
//!
//! Here: the order of these. Not here: what is called (`capture`, `decide`, `deliver`).

use std::{sync::Arc, time::Duration};

use orgpipe_salesforce::{
    call::{Call, Reply},
    error::{ApiError, ErrorClass, errors_in},
    failure::{CallError, QuotaWait},
    http::HttpClient,
    oauth::{LoginError, Token},
    rest::limits,
};
use tokio::sync::{Mutex, watch};

use super::{
    moved,
    status::{Board, Part, State},
};
use crate::{
    clock::Clock,
    deliver::{
        budget::Priority,
        gate::{BudgetView, Gate, Keep, Plan, Planned, Ticket},
    },
    retry::Delays,
    settings::OrgSettings,
};

/// First and longest wait after a login that may work the next time.
const LOGIN_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// After a refusal that only somebody can mend, a login is tried this seldom.
const REFUSED_WAIT: Duration = Duration::from_mins(1);

/// A token and which login it came from.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The token.
    pub token: Token,
    /// Counts logins.
    pub generation: u64,
}

/// Takes pieces of a large answer.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), CallError>;

/// Everybody's way to one org.
#[derive(Debug)]
pub(crate) struct OrgLine {
    settings: Arc<OrgSettings>,
    http: HttpClient,
    gate: Gate,
    keep: Option<Keep>,
    vault: Mutex<Vault>,
    /// The org that the login leads to while that is another one than before: until then there is no session.
    moved: watch::Sender<Option<String>>,
    board: Arc<Board>,
    clock: Clock,
}

/// Held across a login, so that there is one at a time.
#[derive(Debug)]
struct Vault {
    session: Option<Session>,
    logins: u64,
    /// The last login failed so; the next is not tried before then (time since start).
    failed: Option<(LoginError, Duration)>,
    delays: Delays,
}

impl OrgLine {
    /// A line that logs in when it is first needed. `keep`: where our calls of the day, and which org it is, are kept
    /// over a restart.
    pub(crate) fn new(
        settings: Arc<OrgSettings>,
        http: HttpClient,
        board: Arc<Board>,
        keep: Option<Keep>,
        clock: Clock,
    ) -> Self {
        let gate = Gate::new(settings.limits, keep.clone(), clock);
        let delays = Delays::new(LOGIN_WAITS.0, LOGIN_WAITS.1);
        let vault = Mutex::new(Vault { session: None, logins: 0, failed: None, delays });
        Self { settings, http, gate, keep, vault, moved: watch::Sender::new(None), board, clock }
    }

    /// The client, for the event subscription, whose requests count as no API calls.
    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The part of our share of the day's calls that is gone, 0 to 1.
    pub(crate) fn spent(&self) -> f64 {
        self.gate.spent()
    }

    /// The current session; a new one if there is none or if `refused` is the current one's generation.
    ///
    /// After a failed login the same error is answered, without asking the org, until the next try is due.
    pub(crate) async fn session(&self, refused: Option<u64>) -> Result<Session, CallError> {
        let mut vault = self.vault.lock().await;
        if self.moved.borrow().is_some() {
            return Err(CallError::OtherOrg);
        }
        if let Some(session) = vault.session.as_ref().filter(|session| refused != Some(session.generation)) {
            return Ok(session.clone());
        }
        vault.session = None;
        if let Some((error, until)) =
            vault.failed.as_ref().filter(|(_, until)| self.clock.monotonic() < *until)
        {
            tracing::trace!(org = %self.settings.id, ?until, "no login yet");
            return Err(error.clone().into());
        }
        match self.http.login(&self.settings.login, self.clock.now_secs()).await {
            Ok(token) => {
                self.look_which_org(&token).await?;
                vault.logins += 1;
                let session = Session { token, generation: vault.logins };
                (vault.session, vault.failed) = (Some(session.clone()), None);
                vault.delays.reset();
                self.board.running(Part::Login, self.clock.now_ms());
                tracing::info!(org = %self.settings.id, "logged in");
                Ok(session)
            }
            Err(error) => {
                let dice = self.clock.dice();
                let wait = if error.is_permanent() { REFUSED_WAIT } else { vault.delays.next(dice) };
                vault.failed = Some((error.clone(), self.clock.monotonic() + wait));
                let hint = error.hint().unwrap_or_default();
                tracing::warn!(org = %self.settings.id, wait_secs = wait.as_secs_f32(), "{error}. {hint}");
                self.board.set(Part::Login, State::Waiting, &error.to_string(), &hint, self.clock.now_ms());
                Err(error.into())
            }
        }
    }

    /// Nothing that was begun for one org must reach another: not even the call that is repeated after this login.
    async fn look_which_org(&self, token: &Token) -> Result<(), CallError> {
        let Some(Keep { store, org }) = &self.keep else { return Ok(()) };
        let other = moved::is_other(store, org, &token.org_id).await.map_err(|error| {
            tracing::error!(org, "which org it is cannot be kept: {error}");
            CallError::Closed
        })?;
        if !other {
            return Ok(());
        }
        let error = CallError::OtherOrg;
        self.board.set(Part::Login, State::Waiting, &error.to_string(), "", self.clock.now_ms());
        self.moved.send_replace(Some(token.org_id.clone()));
        Err(error)
    }

    /// Tells when the login leads to another org, and to which; from then on no call is made until `reopen`.
    pub(crate) fn moved(&self) -> watch::Receiver<Option<String>> {
        self.moved.subscribe()
    }

    /// All that was begun for the org before has ended, and which org it is now is stored.
    pub(crate) fn reopen(&self) {
        self.moved.send_replace(None);
    }

    /// The org's calls, ours, and what waits for them.
    pub(crate) fn budget(&self) -> BudgetView {
        self.gate.view()
    }

    /// Sets aside the calls that a piece of work will take, before its first. Where that depends on how many others
    /// have used meanwhile, the org is asked.
    pub(crate) async fn plan(&self, priority: impl Into<Priority>, calls: usize) -> Result<Plan, CallError> {
        let (priority, calls) = (priority.into(), calls as u64);
        match self.gate.plan(priority, calls).await? {
            Planned::Go(plan) => return Ok(plan),
            Planned::Look(look) => self.look(&look).await?,
        }
        match self.gate.plan(priority, calls).await? {
            Planned::Go(plan) => Ok(plan),
            // Two looks at the same moment: the other one's answer counts.
            Planned::Look(_) => {
                let until_ms = self.clock.now_ms();
                Err(CallError::WaitingForQuota { until_ms, why: QuotaWait::Reserve })
            }
        }
    }

    /// Makes a call that is all there is to do, or the first of so many that nobody can tell.
    ///
    /// An answer of any status is `Ok`: what it means is for the caller to say. A refused token is renewed once.
    pub(crate) async fn call(&self, priority: impl Into<Priority>, call: &Call) -> Result<Reply, CallError> {
        let plan = self.plan(priority, call.cost as usize).await?;
        self.planned(&plan, call).await
    }

    /// Makes one of the calls of a plan; a call more than planned is asked for like another.
    pub(crate) async fn planned(&self, plan: &Plan, call: &Call) -> Result<Reply, CallError> {
        self.perform(plan, call, None).await
    }

    /// The same for a large answer, which `each` is handed piece by piece; the reply's body is empty unless it is a
    /// refusal.
    pub(crate) async fn download(
        &self,
        plan: &Plan,
        call: &Call,
        each: Each<'_>,
    ) -> Result<Reply, CallError> {
        self.perform(plan, call, Some(each)).await
    }

    async fn perform(
        &self,
        plan: &Plan,
        call: &Call,
        mut each: Option<Each<'_>>,
    ) -> Result<Reply, CallError> {
        let ticket = if call.cost == 0 { None } else { Some(self.ticket(plan).await?) };
        let session = self.session(None).await?;
        let first: Option<Each<'_>> = match &mut each {
            Some(each) => Some(&mut **each),
            None => None,
        };
        let reply = self.send(&session, call, plan.priority, ticket, first).await?;
        if !is(&reply, ErrorClass::Auth) {
            return Ok(reply);
        }
        let session = self.session(Some(session.generation)).await?;
        let ticket = if call.cost == 0 { None } else { Some(self.ticket(plan).await?) };
        self.send(&session, call, plan.priority, ticket, each).await
    }

    async fn ticket(&self, plan: &Plan) -> Result<Ticket, CallError> {
        if let Some(ticket) = plan.take() {
            return Ok(ticket);
        }
        let more = Box::pin(self.plan(plan.priority, 1)).await?;
        more.take().ok_or(CallError::Closed)
    }

    /// One call to find out how much of the day is used. An org that does not show its limits tells in the header.
    async fn look(&self, plan: &Plan) -> Result<(), CallError> {
        let Some(ticket) = plan.take() else { return Ok(()) };
        let session = self.session(None).await?;
        let reply = self.send(&session, &limits::limits(), plan.priority, Some(ticket), None).await?;
        if is(&reply, ErrorClass::Auth) {
            self.session(Some(session.generation)).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        session: &Session,
        call: &Call,
        priority: Priority,
        ticket: Option<Ticket>,
        each: Option<Each<'_>>,
    ) -> Result<Reply, CallError> {
        let leave = self.gate.enter(priority, ticket).await?;
        let (token, version) = (&session.token, &self.settings.api_version);
        let reply = match each {
            Some(each) => self.http.download(token, version, call, each).await?,
            None => self.http.send(token, version, call).await?,
        };
        self.board.called(reply.usage.map(|usage| (usage.used, usage.max)));
        if let (Some(number), Some(usage)) = (leave.number, reply.usage) {
            self.gate.learn(number, usage);
        }
        if is(&reply, ErrorClass::DailyLimit) {
            if !errors_in(&reply).first().is_some_and(ApiError::is_of_bulk) {
                self.gate.refused();
            }
        } else if is(&reply, ErrorClass::Concurrency) {
            if let Some(at_once) = self.gate.crowded() {
                tracing::warn!(org = %self.settings.id, at_once, "the org runs too many calls at once; it is called less");
            }
        } else if leave.number.is_some() && reply.is_success() {
            self.gate.accepted();
        }
        Ok(reply)
    }
}

fn is(reply: &Reply, class: ErrorClass) -> bool {
    !reply.is_success() && errors_in(reply).first().is_some_and(|error| error.class() == class)
}
