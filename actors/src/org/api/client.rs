//! The client of one org's API: gate, token, call; one login for all who ask, one renewal per refused call.
//!
//! Here: the order of these. Not here: what is called (`capture`, `decide`, `deliver`).

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use orgpipe_salesforce::{
    call::{Call, CallKind, Reply},
    cometd::{Answer, Failure},
    error::{ApiError, ErrorClass, errors_in},
    oauth::Token,
    rest::{limits, versions},
};
use orgpipe_store::StoreError;
use secrecy::SecretString;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::{
    gate::{BudgetStand, BudgetView, Gate, Permit, Reservation, Reserved},
    transport::{Each, Post, Transport},
    vault::{Session, Told, Vault},
};
use crate::{
    clock::Clock,
    measure::{CallEnd, OrgMeasures},
    org::{
        grant_store::GrantStore,
        org_time::OrgTime,
        status::Board,
        step_error::{QuotaWait, StepError},
    },
    priority::Priority,
    settings::OrgSettings,
    trace::spans,
};

/// How long it is believed what the org said of the API versions that it serves.
const VERSIONS_BELIEVED: Duration = Duration::from_secs(15);

/// Everybody's way to one org.
#[derive(Debug)]
pub(crate) struct OrgApi {
    settings: Arc<OrgSettings>,
    transport: Arc<dyn Transport>,
    gate: Gate,
    vault: Arc<Vault>,
    board: Arc<Board>,
    measures: Arc<OrgMeasures>,
    clock: Clock,
    /// By the org's own clock, as its answers tell.
    time: Arc<OrgTime>,
    /// When the org was asked last which versions it serves (time since start), and what it said.
    versions: std::sync::Mutex<Option<(Duration, Served)>>,
}

/// What an org says of the API version in the settings.
#[derive(Clone, Debug)]
enum Served {
    /// It is served.
    Ours,
    /// It is not; these are, oldest first.
    Others(Vec<String>),
}

impl OrgApi {
    /// A client that logs in when it is first needed. `grants`: where our calls of the day, which org it is and what the
    /// customer has granted are kept over a restart.
    pub(crate) fn new(
        settings: Arc<OrgSettings>,
        transport: Arc<dyn Transport>,
        board: Arc<Board>,
        measures: Arc<OrgMeasures>,
        grants: Option<GrantStore>,
        clock: Clock,
    ) -> Self {
        let store = grants.as_ref().map(|grants| grants.store.clone());
        let gate = Gate::new(settings.limits, store, clock);
        let time = Arc::new(OrgTime::new(clock));
        let told = Told { board: Arc::clone(&board), measures: Arc::clone(&measures) };
        let (vault_settings, vault_transport) = (Arc::clone(&settings), Arc::clone(&transport));
        let vault = Vault::new(vault_settings, vault_transport, told, grants, clock, Arc::clone(&time));
        let (vault, versions) = (Arc::new(vault), std::sync::Mutex::default());
        Self { settings, transport, gate, vault, board, measures, clock, time, versions }
    }

    /// Posts a message of the event subscription: these count as no API calls.
    pub(crate) async fn post_cometd(&self, session: &Session, post: Post<'_>) -> Result<Answer, Failure> {
        let (kind, asked) = (CallKind::of_cometd(post.suffix), self.clock.monotonic());
        let answer = self.transport.post_cometd(&session.token, &self.settings.api_version, post).await;
        self.measures.called(kind, CallEnd::of_cometd(&answer), self.took(asked));
        if answer.is_ok() {
            self.vault.let_in(session.generation);
        }
        answer
    }

    /// What time it is in the org: what changed there has times of that clock.
    pub(crate) fn time(&self) -> &OrgTime {
        &self.time
    }

    /// The part of our share of the day's calls that is gone, 0 to 1.
    pub(crate) fn spent(&self) -> f64 {
        self.gate.spent()
    }

    /// The current session; a new one if there is none or if `refused` is the current one's generation.
    ///
    /// After a failed login the same error is answered, without asking the org, until the next try is due.
    pub(crate) async fn session(&self, refused: Option<u64>) -> Result<Session, StepError> {
        self.vault.session(refused).await
    }

    /// Uses a customer's grant that might end for want of use.
    pub(crate) async fn heartbeat(&self) -> Result<(), StepError> {
        self.vault.heartbeat().await
    }

    /// Somebody says that what stood in the way of a login is mended. Whether anything did.
    pub(crate) async fn forgive(&self) -> Result<bool, StoreError> {
        self.vault.forgive().await
    }

    /// The customer has granted this refresh token to the app with this client ID.
    pub(crate) async fn connect(
        &self,
        client_id: &str,
        refresh_token: &SecretString,
    ) -> Result<(), StoreError> {
        self.vault.connect(client_id, refresh_token).await
    }

    /// Waits until no token request is under way.
    pub(crate) async fn rest(&self) {
        self.vault.rest().await;
    }

    /// Tells when the login leads to another org, and to which; from then on no call is made until `reopen`.
    pub(crate) fn other_org(&self) -> watch::Receiver<Option<String>> {
        self.vault.other_org()
    }

    /// All that was begun for the org before has ended, and which org it is now is stored.
    pub(crate) fn reopen(&self) {
        self.vault.reopen();
    }

    /// The org's calls, ours, and what waits for them.
    pub(crate) async fn budget(&self) -> BudgetView {
        self.gate.view().await
    }

    /// The same without a look at the store, and whether all of it is known.
    pub(crate) fn budget_so_far(&self) -> (BudgetView, bool) {
        let is_known = self.gate.is_read();
        (self.gate.view_so_far(), is_known)
    }

    /// What stands still for want of calls.
    pub(crate) fn budget_stand(&self) -> BudgetStand {
        self.gate.stand()
    }

    /// Sets aside the calls that a piece of work will take, before its first. Where that depends on how many others
    /// have used meanwhile, the org is asked.
    pub(crate) async fn reserve(
        &self,
        priority: impl Into<Priority>,
        calls: usize,
    ) -> Result<Reservation, StepError> {
        let (priority, calls) = (priority.into(), calls as u64);
        match self.gate.reserve(priority, calls).await? {
            Reserved::Go(reservation) => return Ok(reservation),
            Reserved::Look(look) => self.look(&look).await?,
        }
        match self.gate.reserve(priority, calls).await? {
            Reserved::Go(reservation) => Ok(reservation),
            // Two looks at the same moment: the other one's answer counts.
            Reserved::Look(_) => {
                let until_ms = self.clock.now_ms();
                Err(StepError::WaitingForQuota { until_ms, why: QuotaWait::Reserve })
            }
        }
    }

    /// Makes a call that is all there is to do, or the first of so many that nobody can tell.
    ///
    /// An answer of any status is `Ok`: what it means is for the caller to say. A refused token is renewed once.
    pub(crate) async fn call(&self, priority: impl Into<Priority>, call: &Call) -> Result<Reply, StepError> {
        let reservation = self.reserve(priority, call.cost as usize).await?;
        self.call_reserved(&reservation, call).await
    }

    /// Makes a call with a token of the caller's own, as the doctor does: it counts like the others and waits for its turn
    /// with them, and a token that is refused stays so.
    pub(crate) async fn call_with(&self, token: &Token, call: &Call) -> Result<Reply, StepError> {
        let permit = match call.cost {
            0 => None,
            // A call that the org is asked by anyway tells how much of the day is used as well as one made for that.
            _ => match self.gate.reserve(Priority::Live, 1).await? {
                Reserved::Go(reservation) | Reserved::Look(reservation) => reservation.permit(),
            },
        };
        let session = Session { token: token.clone(), generation: 0 };
        self.send(&session, call, Priority::Live, permit, None).await
    }

    /// Makes one of the calls of a reservation; a call more than planned is asked for like another.
    pub(crate) async fn call_reserved(
        &self,
        reservation: &Reservation,
        call: &Call,
    ) -> Result<Reply, StepError> {
        self.perform(reservation, call, None).await
    }

    /// The same for a large answer, which `each` is handed piece by piece; the reply's body is empty unless it is a
    /// refusal.
    pub(crate) async fn download(
        &self,
        reservation: &Reservation,
        call: &Call,
        each: Each<'_>,
    ) -> Result<Reply, StepError> {
        self.perform(reservation, call, Some(each)).await
    }

    async fn perform(
        &self,
        reservation: &Reservation,
        call: &Call,
        mut each: Option<Each<'_>>,
    ) -> Result<Reply, StepError> {
        if call.cost > 0
            && let Some(Served::Others(served)) = self.versions_known()
        {
            return Err(self.version_gone(served));
        }
        let permit = if call.cost == 0 { None } else { Some(self.permit(reservation).await?) };
        let session = self.session(None).await?;
        let first: Option<Each<'_>> = match &mut each {
            Some(each) => Some(&mut **each),
            None => None,
        };
        let reply = self.send(&session, call, reservation.priority, permit, first).await?;
        if !is(&reply, ErrorClass::Auth) {
            return self.look_at_version(reply, &session, reservation.priority).await;
        }
        let session = self.session(Some(session.generation)).await?;
        let permit = if call.cost == 0 { None } else { Some(self.permit(reservation).await?) };
        let reply = self.send(&session, call, reservation.priority, permit, each).await?;
        self.look_at_version(reply, &session, reservation.priority).await
    }

    /// Where nothing is found at a path, that may be so of all paths, as the version in them is served no more. The org says so
    /// itself, by a list that costs no API call (RESTDOC, "Versions").
    async fn look_at_version(
        &self,
        reply: Reply,
        session: &Session,
        priority: Priority,
    ) -> Result<Reply, StepError> {
        let suspect = !reply.is_success() && errors_in(&reply).iter().any(ApiError::may_be_of_version);
        if !suspect || self.versions_known().is_some() {
            return Ok(reply);
        }
        let listed = self.send(session, &versions::versions(), priority, None, None).await;
        let Some(served) = listed.ok().and_then(|listed| versions::parse(&listed).ok()) else {
            return Ok(reply);
        };
        let ours = served.contains(&self.settings.api_version);
        let served = if ours { Served::Ours } else { Served::Others(served) };
        let known = Some((self.clock.monotonic(), served.clone()));
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner) = known;
        match served {
            Served::Others(served) => Err(self.version_gone(served)),
            Served::Ours => Ok(reply),
        }
    }

    /// What was found out lately.
    fn versions_known(&self) -> Option<Served> {
        let known = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let (looked, served) = known.as_ref()?;
        (self.clock.monotonic() < *looked + VERSIONS_BELIEVED).then(|| served.clone())
    }

    fn version_gone(&self, served: Vec<String>) -> StepError {
        StepError::VersionGone { version: self.settings.api_version.clone(), served }
    }

    async fn permit(&self, reservation: &Reservation) -> Result<Permit, StepError> {
        if let Some(permit) = reservation.permit() {
            return Ok(permit);
        }
        let more = Box::pin(self.reserve(reservation.priority, 1)).await?;
        more.permit().ok_or(StepError::ShuttingDown)
    }

    /// One call to find out how much of the day is used. An org that does not show its limits tells in the header.
    async fn look(&self, reservation: &Reservation) -> Result<(), StepError> {
        let Some(permit) = reservation.permit() else { return Ok(()) };
        let session = self.session(None).await?;
        let reply = self.send(&session, &limits::limits(), reservation.priority, Some(permit), None).await?;
        if is(&reply, ErrorClass::Auth) {
            self.session(Some(session.generation)).await?;
        }
        Ok(())
    }

    fn took(&self, asked: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(asked)
    }

    async fn send(
        &self,
        session: &Session,
        call: &Call,
        priority: Priority,
        permit: Option<Permit>,
        each: Option<Each<'_>>,
    ) -> Result<Reply, StepError> {
        let in_flight = self.gate.enter(priority, permit).await?;
        let (token, version) = (&session.token, &self.settings.api_version);
        let asked = self.clock.monotonic();
        let span = spans::salesforce(call, token.instance_url.host_str());
        let answer = match each {
            Some(each) => self.transport.download(token, version, call, each).instrument(span.clone()).await,
            None => self.transport.send(token, version, call).instrument(span.clone()).await,
        };
        match &answer {
            Ok(reply) => spans::answered(&span, reply.status),
            Err(_) => spans::failed(&span, "unanswered"),
        }
        drop(span);
        self.measures.called(call.kind, CallEnd::of(&answer), self.took(asked));
        let reply = answer?;
        self.time.told(reply.header("date"), asked);
        if reply.is_success() {
            self.vault.let_in(session.generation);
        }
        self.board.called(reply.usage);
        if let (Some(number), Some(usage)) = (in_flight.number, reply.usage) {
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
        } else if in_flight.number.is_some() && reply.is_success() {
            self.gate.accepted();
        }
        Ok(reply)
    }
}

fn is(reply: &Reply, class: ErrorClass) -> bool {
    !reply.is_success() && errors_in(reply).first().is_some_and(|error| error.class() == class)
}
