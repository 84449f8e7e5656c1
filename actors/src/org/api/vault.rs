//! The token vault of one org: one login for all who ask, one renewal per refused token.
//!
//! Here: who logs in, when, and what is stored before its token is used. Not here: what to post and what an answer means
//! (`orgpipe_salesforce::oauth`), what follows for a grant (`grant`).
//!
//! Invariants: at most one token request is under way, and one that has begun is ended and stored, whoever asked for it
//! has gone or not. A refresh token that comes with an answer is durable before the access token is used. What only
//! somebody else can mend is asked for more and more seldom, or not again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use orgpipe_salesforce::oauth::{
    Flow, Login, Token,
    attempts::{Again, Attempts},
    error::LoginError,
    refusal::LoginClass,
};
use orgpipe_store::StoreError;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, watch};

use super::transport::{LoginAnswer, Transport};
use crate::{
    clock::Clock,
    failpoint::Point,
    measure::{CallEnd, CallKind, OrgMeasures},
    org::{
        grant::{Exchange, Grant},
        grant_store::{GrantError, GrantStore},
        identity,
        org_time::OrgTime,
        part::{Part, State},
        status::{Board, RefusedLogin},
        step_error::StepError,
    },
    problem::Problem,
    retry::Delays,
    settings::OrgSettings,
};

/// First and longest wait after a login that may work the next time.
const LOGIN_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// First and longest wait after a login that worked and whose token no call was let in with.
const USELESS_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(15));
/// First and longest wait after a refusal that only somebody can mend.
const REFUSED_WAITS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// A token and which login it came from.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The token.
    pub token: Token,
    /// Counts logins.
    pub generation: u64,
}

/// What everybody's logins into one org go through.
#[derive(Debug)]
pub(crate) struct Vault {
    settings: Arc<OrgSettings>,
    transport: Arc<dyn Transport>,
    grants: Option<GrantStore>,
    state: Mutex<VaultState>,
    /// The newest login whose token let a call in.
    let_in: AtomicU64,
    /// The org that the login leads to while that is another one than before: until then there is no session.
    other_org: watch::Sender<Option<String>>,
    told: Told,
    clock: Clock,
    time: Arc<OrgTime>,
}

/// Where it is told what a login came to.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) board: Arc<Board>,
    pub(super) measures: Arc<OrgMeasures>,
}

/// Held across a login, so that there is one at a time.
#[derive(Debug)]
struct VaultState {
    session: Option<Session>,
    logins: u64,
    /// There is no session for this reason; the next login is not tried before then (time since start), or not before
    /// somebody says that it is mended.
    failed: Option<(NoSession, Option<Duration>)>,
    delays: Delays,
    refused: Delays,
    useless: Delays,
}

impl VaultState {
    /// A login has worked, or may work now: the waits begin anew.
    fn reset_waits(&mut self) {
        self.delays.reset();
        self.refused.reset();
    }
}

/// Why there is no session.
#[derive(Clone, Debug)]
enum NoSession {
    /// The login was refused, or failed.
    Login(LoginError),
    /// Only the customer can give another one.
    Grant(Problem),
    /// It works, and no call is let in.
    Useless,
}

/// Why a session is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// To make a call.
    Call,
    /// The token of this login was refused.
    Refused(u64),
    /// So that the grant is used.
    Heartbeat,
}

impl Vault {
    /// A vault that logs in when that is first needed. Without `grants` nothing is kept, and no refresh token is used.
    pub(super) fn new(
        settings: Arc<OrgSettings>,
        transport: Arc<dyn Transport>,
        told: Told,
        grants: Option<GrantStore>,
        clock: Clock,
        time: Arc<OrgTime>,
    ) -> Self {
        let state = VaultState {
            session: None,
            logins: 0,
            failed: None,
            delays: Delays::new(LOGIN_WAITS.0, LOGIN_WAITS.1),
            refused: Delays::new(REFUSED_WAITS.0, REFUSED_WAITS.1),
            useless: Delays::new(USELESS_WAITS.0, USELESS_WAITS.1),
        };
        let (let_in, other_org) = (AtomicU64::new(0), watch::Sender::new(None));
        Self { settings, transport, grants, state: Mutex::new(state), let_in, other_org, told, clock, time }
    }

    /// The current session; a new one if there is none or if `refused` is the current one's generation.
    ///
    /// After a failed login the same error is answered, without asking the org, until the next try is due.
    pub(super) async fn session(self: &Arc<Self>, refused: Option<u64>) -> Result<Session, StepError> {
        self.ask(refused.map_or(Need::Call, Need::Refused)).await
    }

    /// Uses a grant that was not used for so long that it might end.
    pub(super) async fn heartbeat(self: &Arc<Self>) -> Result<(), StepError> {
        if !self.by_grant() {
            return Ok(());
        }
        let Some(grants) = &self.grants else { return Ok(()) };
        let grant = grants.look().await.map_err(StepError::from)?;
        if grant.is_some_and(|grant| grant.wants_use(self.clock.now_ms())) {
            self.ask(Need::Heartbeat).await?;
        }
        Ok(())
    }

    /// Somebody says that what stood in the way is mended: the next login is tried at once. Whether anything did.
    pub(super) async fn forgive(&self) -> Result<bool, StoreError> {
        let mut state = self.state.lock().await;
        if let Some(grants) = self.grants.as_ref().filter(|_| self.by_grant()) {
            let held = grants.hold().await;
            // What cannot be read is told by the next login.
            if let Ok(Some(grant)) = grants.look().await
                && grant.ended().is_some()
            {
                held.put(&grant.forgiven()).await?;
            }
        }
        state.reset_waits();
        Ok(state.failed.take().is_some())
    }

    /// The customer has granted this refresh token to an app: it is stored, and used from now on.
    pub(super) async fn connect(
        &self,
        client_id: &str,
        refresh_token: &SecretString,
    ) -> Result<(), StoreError> {
        let Some(grants) = &self.grants else { return Ok(()) };
        let mut state = self.state.lock().await;
        let grant = Grant::new(refresh_token.expose_secret(), self.clock.now_ms()).of_app(client_id);
        grants.hold().await.put(&grant).await?;
        (state.session, state.failed) = (None, None);
        state.reset_waits();
        Ok(())
    }

    /// Waits until no token request is under way.
    pub(super) async fn rest(&self) {
        drop(self.state.lock().await);
    }

    /// A call was let in with this login's token.
    pub(super) fn let_in(&self, generation: u64) {
        self.let_in.fetch_max(generation, Ordering::Relaxed);
    }

    /// Tells when the login leads to another org, and to which; from then on there is no session until `reopen`.
    pub(super) fn other_org(&self) -> watch::Receiver<Option<String>> {
        self.other_org.subscribe()
    }

    /// All that was begun for the org before has ended, and which org it is now is stored.
    pub(super) fn reopen(&self) {
        self.other_org.send_replace(None);
    }

    /// Whether the way in is what a customer has granted.
    fn by_grant(&self) -> bool {
        matches!(self.settings.login.flow, Flow::RefreshToken { .. })
    }

    /// Whether the service stops: a token request is ended then, and none is made any more.
    fn is_closing(&self) -> bool {
        self.grants.as_ref().is_some_and(GrantStore::is_closing)
    }

    async fn ask(self: &Arc<Self>, need: Need) -> Result<Session, StepError> {
        if let Some(known) = self.known(&mut *self.state.lock().await, need) {
            return known;
        }
        // By itself: whoever asks may be stopped meanwhile, and with it the answer would be lost.
        let vault = Arc::clone(self);
        match actix_rt::spawn(async move { vault.renew(need).await }).await {
            Ok(session) => session,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StepError::ShuttingDown),
            },
        }
    }

    /// What is answered without a login; none if there has to be one.
    fn known(&self, state: &mut VaultState, need: Need) -> Option<Result<Session, StepError>> {
        if self.other_org.borrow().is_some() {
            return Some(Err(StepError::OtherOrg));
        }
        if let Some(session) = &state.session {
            match need {
                Need::Call => return Some(Ok(session.clone())),
                Need::Refused(generation) if generation != session.generation => {
                    return Some(Ok(session.clone()));
                }
                Need::Refused(_) | Need::Heartbeat => {}
            }
        }
        let (why, until) = state.failed.as_ref()?;
        if until.is_some_and(|until| self.clock.monotonic() >= until) {
            return None;
        }
        tracing::trace!(org = %self.settings.id, ?until, "no login yet");
        let why = why.clone();
        if matches!(need, Need::Refused(_)) {
            // It is the current one, which a failed heartbeat has left: nobody is to ask with it any more.
            state.session = None;
        }
        Some(Err(why.into()))
    }

    async fn renew(&self, need: Need) -> Result<Session, StepError> {
        let mut state = self.state.lock().await;
        if let Some(known) = self.known(&mut state, need) {
            return known;
        }
        if let Need::Refused(generation) = need
            && state.session.take().is_some()
            && generation > self.let_in.load(Ordering::Relaxed)
        {
            let wait = state.useless.next(self.clock.jitter());
            return Err(self.fail(&mut state, NoSession::Useless, Some(wait)));
        }
        let token = match &self.grants {
            Some(grants) if self.by_grant() => self.exchange(grants).await?,
            Some(_) | None => self.login(&self.settings.login).await.token.map_err(NoSession::Login),
        };
        match token {
            Ok(token) => {
                self.look_which_org(&token).await?;
                if state.logins == self.let_in.load(Ordering::Relaxed) {
                    state.useless.reset();
                }
                state.logins += 1;
                let session = Session { token, generation: state.logins };
                (state.session, state.failed) = (Some(session.clone()), None);
                state.reset_waits();
                self.told.board.refused_login(None);
                self.told.board.running(Part::Login, self.clock.now_ms());
                tracing::info!(org = %self.settings.id, "logged in");
                Ok(session)
            }
            Err(why) => {
                let wait = match &why {
                    // At least half of it: nobody mends anything at once.
                    NoSession::Login(error) if error.is_permanent() => {
                        Some(state.refused.next(f64::midpoint(self.clock.jitter(), 1.0)))
                    }
                    NoSession::Login(_) | NoSession::Useless => Some(state.delays.next(self.clock.jitter())),
                    NoSession::Grant(_) => None,
                };
                // A heartbeat that failed leaves the session that there is.
                if need != Need::Heartbeat {
                    state.session = None;
                }
                Err(self.fail(&mut state, why, wait))
            }
        }
    }

    fn fail(&self, state: &mut VaultState, why: NoSession, wait: Option<Duration>) -> StepError {
        state.failed = Some((why.clone(), wait.map(|wait| self.clock.monotonic() + wait)));
        self.told.board.refused_login(refused_login(&why));
        let error = StepError::from(why);
        let problem = Problem::from(&error);
        let wait_secs = wait.map(|wait| wait.as_secs_f32());
        tracing::warn!(org = %self.settings.id, wait_secs, "{problem}");
        let part = if wait.is_some() { State::Waiting } else { State::Parked };
        self.told.board.trouble(Part::Login, part, &problem, self.clock.now_ms());
        error
    }

    /// Exchanges the refresh token, with what has to be durable before and after.
    async fn exchange(&self, grants: &GrantStore) -> Result<Result<Token, NoSession>, StepError> {
        let (org, login) = (self.settings.id.as_str(), &self.settings.login);
        let held = grants.hold().await;
        if grants.is_closing() {
            return Err(StepError::ShuttingDown);
        }
        let (settings, client_id) =
            (login.refresh_token().map(ExposeSecret::expose_secret), login.client_id());
        let grant = match held.read(settings, self.clock.now_ms()).await {
            Ok(Some(grant)) => grant,
            Ok(None) => return Ok(Err(NoSession::Grant(not_connected(org)))),
            Err(GrantError::Store(error)) => return Err(error.into()),
            Err(error @ GrantError::Sealed(_)) => {
                return Ok(Err(NoSession::Grant(sealed(org, settings.is_some(), &error))));
            }
        };
        let ended = |grant: &Grant| {
            let ended = grant.ended()?;
            Some(NoSession::Grant(ended.problem(org, grant.of_settings())))
        };
        if let Some(ended) = ended(&grant) {
            return Ok(Err(ended));
        }
        if let Some(given_to) = grant.other_app(client_id) {
            return Ok(Err(NoSession::Grant(other_app(org, grant.of_settings(), given_to, client_id))));
        }
        held.put(&grant.asking(self.clock.now_ms())).await?;
        grants.failpoints.pass(Point::BeforeExchange, org);
        let answer = self.login(&login.with_refresh_token(SecretString::from(grant.token()))).await;
        grants.failpoints.pass(Point::BeforeGrant, org);
        let exchange = exchange_of(&answer);
        let after = grant.after(exchange, self.clock.now_ms());
        let after = if matches!(exchange, Exchange::Token(_)) { after.of_app(client_id) } else { after };
        held.put(&after).await?;
        grants.failpoints.pass(Point::AfterGrant, org);
        Ok(answer.token.map_err(|error| ended(&after).unwrap_or(NoSession::Login(error))))
    }

    /// Logs in: again while Salesforce says that another login of this user is under way, and as often as the assertion may be
    /// right in another form, by the org's clock as its refusal tells it.
    async fn login(&self, login: &Login) -> LoginAnswer {
        let mut attempts = Attempts::new(login);
        loop {
            let asked = self.clock.monotonic();
            let answer = self.transport.login(attempts.login(), self.time.now_secs()).await;
            if let Some(end) = CallEnd::of_login(&answer.token) {
                let took = self.clock.monotonic().saturating_sub(asked);
                self.told.measures.called(CallKind::Token, end, took);
            }
            self.time.told(answer.date.as_deref(), asked);
            let Err(error) = &answer.token else { return answer };
            match attempts.refused(error) {
                Again::Now => {}
                Again::After(wait) if !self.is_closing() => {
                    tracing::debug!(org = %self.settings.id, "{error}");
                    tokio::time::sleep(wait.mul_f64(1.0 + self.clock.jitter())).await;
                    if self.is_closing() {
                        return answer;
                    }
                }
                Again::After(_) | Again::Never => return answer,
            }
        }
    }

    /// Nothing that was begun for one org must reach another: not even the call that is repeated after this login.
    async fn look_which_org(&self, token: &Token) -> Result<(), StepError> {
        let Some(grants) = &self.grants else { return Ok(()) };
        let other = identity::is_other(&grants.store, &token.org_id).await?;
        if !other {
            return Ok(());
        }
        let error = StepError::OtherOrg;
        self.told.board.trouble(Part::Login, State::Waiting, &Problem::from(&error), self.clock.now_ms());
        self.other_org.send_replace(Some(token.org_id.clone()));
        Err(error)
    }
}

/// Who has to act, where a login that fails will fail again.
fn refused_login(why: &NoSession) -> Option<RefusedLogin> {
    match why {
        NoSession::Grant(_) => Some(RefusedLogin::ByCustomer),
        NoSession::Login(error) => match error.class() {
            LoginClass::Reauthorise | LoginClass::App | LoginClass::User => Some(RefusedLogin::ByCustomer),
            LoginClass::Resign | LoginClass::Audience | LoginClass::Settings | LoginClass::Org => {
                Some(RefusedLogin::Otherwise)
            }
            LoginClass::Transient | LoginClass::RateLimited => None,
        },
        NoSession::Useless => None,
    }
}

/// What an answer of the token endpoint says about the refresh token that was sent. One that came with an answer counts even
/// where the rest of it is of no use.
fn exchange_of(answer: &LoginAnswer) -> Exchange<'_> {
    let next = answer.refresh_token.as_ref().map(ExposeSecret::expose_secret);
    match &answer.token {
        Ok(_) => Exchange::Token(next),
        Err(_) if next.is_some() => Exchange::Token(next),
        Err(error) if error.class() == LoginClass::Reauthorise => Exchange::RefusedForGood,
        Err(LoginError::Transport { sent: true, .. } | LoginError::Unreadable { .. }) => Exchange::Unknown,
        Err(LoginError::Refused { status, .. }) if *status >= 500 => Exchange::Unknown,
        Err(_) => Exchange::NotExchanged,
    }
}

/// The key is read at a start only. Of a token of the settings nobody can say whether it was used already.
fn not_connected(org: &str) -> Problem {
    let hint = format!("Send the customer a link to connect with: `orgpipe orgs invite {org}` makes it.");
    Problem::new("the org is not connected: nobody has let orgpipe in, or what was granted is gone", hint)
}

fn sealed(org: &str, of_settings: bool, error: &GrantError) -> Problem {
    let first =
        if of_settings { "write `auth = { flow = \"web_server\" }` for the org, reload, and " } else { "" };
    let hint = format!(
        "Put the vault key back that this data directory was used with, and start orgpipe again. If it is lost, {first}have \
         the customer connect again: `orgpipe orgs invite {org}` makes the link."
    );
    Problem::new(error.to_string(), hint)
}

/// Salesforce would refuse it like one that was revoked.
fn other_app(org: &str, of_settings: bool, given_to: &str, client_id: &str) -> Problem {
    let reason = format!(
        "the refresh token was given to the app with the client ID `{given_to}`, and the settings log in with the client ID \
         `{client_id}`: Salesforce takes it from the former only, so it is not used"
    );
    let other = if of_settings {
        "have the customer authorise the new app, give its refresh token to the settings, and reload them."
            .to_owned()
    } else {
        format!("have the customer connect again: `orgpipe orgs invite {org}` makes the link.")
    };
    Problem::new(
        reason,
        format!("Put the former client ID back and reload the settings (`orgpipe reload`), or {other}"),
    )
}

impl From<NoSession> for StepError {
    fn from(why: NoSession) -> Self {
        match why {
            NoSession::Login(error) => error.into(),
            NoSession::Grant(problem) => Self::NoGrant(problem),
            NoSession::Useless => Self::TokenRefused,
        }
    }
}
