//! One simulated org: its facts, its state behind one lock, and the handle a test holds.
//!
//! Here: putting the parts together, and what a test may do without HTTP.
//! Not here: HTTP (`server`), resources (`api`), the checks of a write (`data`, `writes`).

mod admin;
mod facts;
mod flow;
pub(crate) mod writes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

pub(crate) use facts::Facts;

use crate::api::{Cursors, Jobs};
use crate::clock::Clock;
use crate::cometd::{self, CometdFault, CometdServer, LoggedMessage, LoggedSubscribe, Streaming};
use crate::data::{Mint, Schema, Tables, WriteError, Writer, canonical_id};
use crate::faults::{Fault, Faults, Harm, JobFault, RowFault, RowFaults};
use crate::log::{CallLog, LoggedCall, LoggedJob, LoggedWrite, WriteLog};
use crate::oauth::{Keys, Sessions};
use crate::quota::Quota;
use crate::rights::{Rights, Views};
use crate::{OrgOptions, Row};
use writes::{Act, Outcome, Rules, Wanted};

/// Everything of an org that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) views: Views,
    pub(crate) sessions: Sessions,
    pub(crate) cursors: Cursors,
    pub(crate) jobs: Jobs,
    pub(crate) quota: Quota,
    pub(crate) calls: CallLog,
    pub(crate) writes: WriteLog,
    pub(crate) faults: Faults,
    /// While set, no login succeeds: `error` and `error_description`.
    pub(crate) refused_logins: Option<(String, String)>,
    /// The org's ID since it was moved.
    pub(crate) moved_to: Option<String>,
    /// The org's new address; requests to its old one are redirected.
    pub(crate) instance_url: Option<String>,
    /// How far the org's clock is ahead of ours.
    pub(crate) clock_ahead_secs: i64,
    /// So many record writes will find their record locked.
    pub(crate) locked_writes: u32,
    pub(crate) row_faults: RowFaults,
    pub(crate) dice: StdRng,
}

pub(crate) struct Org {
    pub(crate) facts: Facts,
    pub(crate) base_url: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Clock,
    pub(crate) cometd: CometdServer,
    pub(crate) available: AtomicBool,
    state: Mutex<State>,
}

impl Org {
    /// An org with its two users and no records. `number` tells the orgs of one simulator apart.
    pub(crate) fn new(
        options: &OrgOptions,
        number: u64,
        seed: u64,
        base_url: String,
        keys: Arc<Keys>,
        clock: Clock,
    ) -> Self {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
        let schema = Schema::new(&options.namespace, &options.custom_fields);
        let mut tables = Tables::new(schema, Mint::new(number));
        let facts = Facts::seed(options, &mut tables, clock.wall_ms());
        let views = Views::new(Rights::of(options), &facts.integration_user, &tables.schema);
        let mut state = State {
            tables,
            views,
            sessions: Sessions::new(options.session_idle),
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            quota: Quota::new(options.daily_calls),
            calls: CallLog::default(),
            writes: WriteLog::default(),
            faults: Faults::default(),
            refused_logins: None,
            moved_to: None,
            instance_url: None,
            clock_ahead_secs: 0,
            locked_writes: 0,
            row_faults: RowFaults::default(),
            dice: StdRng::seed_from_u64(seed),
        };
        for right in &options.taken {
            state.set_right(&facts, right.clone(), false);
        }
        let cometd = CometdServer::new(clock.clone(), seed);
        Self {
            facts,
            base_url,
            keys,
            clock,
            cometd,
            available: AtomicBool::new(true),
            state: Mutex::new(state),
        }
    }

    /// A panic elsewhere leaves the state as it was between two statements; a simulator goes on with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the org was made, by the real clock and to the second.
    pub(crate) fn began(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.facts.began_ms.div_euclid(1_000).unsigned_abs())
    }

    /// The id that logins tell.
    pub(crate) fn org_id(&self, state: &State) -> String {
        state.moved_to.clone().unwrap_or_else(|| self.facts.org_id.clone())
    }

    pub(crate) fn writer(&self, user: &str) -> Writer {
        Writer { user: user.to_owned(), now_ms: self.clock.wall_ms(), sees: None }
    }

    /// The org's clock, Unix milliseconds.
    pub(crate) fn wall_ms(&self, state: &State) -> i64 {
        self.clock.wall_ms().saturating_add(state.clock_ahead_secs.saturating_mul(1_000))
    }

    /// Every channel there is.
    pub(crate) fn channels(&self, state: &State) -> Vec<String> {
        let mut channels = channels_of(&state.views.seen(&self.facts.admin_user));
        channels.extend(self.facts.change_data.then(|| writes::CHANGE_CHANNEL.to_owned()));
        let all = channels_of(&state.tables.schema);
        channels.extend(self.cometd.channels().into_iter().filter(|channel| !all.contains(channel)));
        channels
    }

    /// Channels that are there, but not for this user.
    pub(crate) fn channels_denied(&self, state: &State, user: &str) -> Vec<String> {
        let seen = channels_of(&state.views.seen(user));
        let all = channels_of(&state.views.seen(&self.facts.admin_user));
        all.into_iter().filter(|channel| !seen.contains(channel)).collect()
    }
}

/// The channels of all events of a schema.
fn channels_of(schema: &Schema) -> Vec<String> {
    let events = schema.objects().filter(|object| object.is_event());
    events.map(|event| format!("/event/{}", event.name)).collect()
}

/// A test's hold on one org. Clones are the same org. What it writes is written by the org's administrator, so it
/// looks like a customer's work and the package's Flow reacts to it.
#[derive(Clone)]
pub struct OrgHandle {
    pub(crate) org: Arc<Org>,
}

impl std::fmt::Debug for OrgHandle {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("OrgHandle")
            .field("name", &self.name())
            .field("base_url", &self.org.base_url)
            .finish()
    }
}

impl OrgHandle {
    /// The name given in the options.
    pub fn name(&self) -> &str {
        &self.org.facts.name
    }

    /// Login URL and instance URL in one: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        self.org.base_url.clone()
    }

    /// The app's consumer key: the issuer of a JWT.
    pub fn client_id(&self) -> &str {
        &self.org.facts.client_id
    }

    /// The app's secret, for the client-credentials flow.
    pub fn client_secret(&self) -> &str {
        &self.org.facts.client_secret
    }

    /// The integration user: the subject of a JWT.
    pub fn username(&self) -> &str {
        &self.org.facts.username
    }

    /// The org's administrator, who may log in by JWT as well; the Flow reacts to what this user writes.
    pub fn admin_username(&self) -> &str {
        &self.org.facts.admin_username
    }

    /// The key that signs a JWT, PKCS#8 in PEM.
    pub fn private_key_pem(&self) -> &str {
        self.org.keys.private_pem()
    }

    /// The org's 18-character id.
    pub fn org_id(&self) -> String {
        self.org.org_id(&self.org.state())
    }

    /// The integration user's 18-character id: `CreatedById` of what the client writes.
    pub fn user_id(&self) -> &str {
        &self.org.facts.integration_user
    }

    /// Creates a record; the answer is its id.
    pub fn create(&self, object: &str, row: Row) -> Result<String, WriteError> {
        self.write(Act::Insert, object, row)
    }

    /// Changes a record.
    pub fn update(&self, object: &str, id: &str, row: Row) -> Result<(), WriteError> {
        let mut row = row;
        row.insert("Id".to_owned(), Value::from(id));
        self.write(Act::Update, object, row).map(|_| ())
    }

    /// Deletes a record.
    pub fn delete(&self, object: &str, id: &str) -> Result<(), WriteError> {
        let mut row = Row::new();
        row.insert("Id".to_owned(), Value::from(id));
        self.write(Act::Delete, object, row).map(|_| ())
    }

    /// A record with all its fields; `None` if there is no such record or object.
    pub fn get(&self, object: &str, id: &str) -> Option<Row> {
        let state = self.org.state();
        let object = state.tables.schema.object(object)?;
        let row = state.tables.row(&object.name, &canonical_id(id)?)?;
        Some(Tables::whole(object, row))
    }

    /// All records of an object with all their fields, oldest first; none if there is no such object.
    pub fn rows(&self, object: &str) -> Vec<Row> {
        let state = self.org.state();
        let Some(object) = state.tables.schema.object(object) else { return Vec::new() };
        state.tables.rows(&object.name).map(|row| Tables::whole(object, row)).collect()
    }

    /// Publishes an event as the administrator; the answer is its replay id. A payload the org's event would refuse
    /// goes out as it is, so that a test can send what no org sends.
    pub fn publish(&self, event: &str, payload: Row) -> i64 {
        let checked = self.org.state().tables.event(event, &payload);
        self.org.cometd.publish(event, checked.unwrap_or(payload), &self.org.facts.admin_user)
    }

    /// Publishes a payload as it is on any channel, which thereby exists: `/data/ChangeEvents`, `/event/My__chn`. The
    /// answer is its replay id.
    pub fn publish_on(&self, channel: &str, payload: Row) -> i64 {
        self.org.cometd.publish_on(channel, payload)
    }

    /// The next requests to the CometD endpoint that fit go wrong so.
    pub fn cometd_fault(&self, fault: CometdFault) {
        self.org.cometd.add_faults(vec![fault]);
    }

    /// The faults of this name (`S01`, `S03-bare`, …), one after the other; false if there is no such name.
    pub fn cometd_fault_named(&self, name: &str) -> bool {
        let Some(faults) = cometd::named(name) else { return false };
        self.org.cometd.add_faults(faults);
        true
    }

    /// Forgets the CometD faults that have not struck yet.
    pub fn clear_cometd_faults(&self) {
        self.org.cometd.clear_faults();
    }

    /// How the CometD endpoint behaves.
    pub fn streaming(&self) -> Streaming {
        self.org.cometd.terms()
    }

    /// Changes how the CometD endpoint behaves.
    pub fn set_streaming(&self, streaming: Streaming) {
        self.org.cometd.set_terms(streaming);
    }

    /// The Bayeux messages since the start, or since `clear_subscribes`, oldest first.
    pub fn cometd_messages(&self) -> Vec<LoggedMessage> {
        self.org.cometd.messages()
    }

    /// CometD sessions alive now.
    pub fn cometd_clients(&self) -> u64 {
        self.org.cometd.usage().clients
    }

    /// Events delivered by CometD in the last 24 hours.
    pub fn deliveries(&self) -> u64 {
        self.org.cometd.usage().delivered_day
    }

    /// Forgets all retained events; the next one of each channel has this replay id, though the org is the same: after an
    /// instance refresh.
    pub fn restart_replay_ids(&self, next: i64) {
        self.org.cometd.restart_replay_ids(next);
    }

    /// The org's address changes: logins tell this instance URL, requests to another host are redirected to it. `None`
    /// = back. It must lead here, such as `http://localhost:PORT`.
    pub fn move_to(&self, instance_url: Option<&str>) {
        self.org.state().instance_url = instance_url.map(str::to_owned);
    }

    /// The requests answered so far, oldest first.
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.org.state().calls.all()
    }

    /// The records written by clients so far, oldest first; what a handle writes is not among them.
    pub fn writes(&self) -> Vec<LoggedWrite> {
        self.org.state().writes.all()
    }

    /// Forgets the records written by clients so far.
    pub fn clear_writes(&self) {
        self.org.state().writes.clear();
    }

    /// Forgets the requests answered so far.
    pub fn clear_calls(&self) {
        self.org.state().calls.clear();
    }

    /// The CometD subscribe requests since the start, or since `clear_subscribes`.
    pub fn subscribes(&self) -> Vec<LoggedSubscribe> {
        self.org.cometd.subscribes()
    }

    /// Forgets the subscribe requests and Bayeux messages so far.
    pub fn clear_subscribes(&self) {
        self.org.cometd.clear_log();
    }

    /// Ends every session: the next call with an old token answers 401.
    pub fn revoke_tokens(&self) {
        self.org.state().sessions.end_all();
    }

    /// While set, every login answers 400 with this `error` and `error_description`, such as `invalid_grant` and
    /// `user hasn't approved this consumer`. `None` lets users in again.
    pub fn refuse_logins(&self, refusal: Option<(&str, &str)>) {
        let refusal = refusal.map(|(error, text)| (error.to_owned(), text.to_owned()));
        self.org.state().refused_logins = refusal;
    }

    /// Ends every CometD session: the next poll answers `403::Unknown client`.
    pub fn drop_sessions(&self) {
        self.org.cometd.drop_sessions();
    }

    /// A record looks as if it was last changed then (real Unix milliseconds): one whose transaction ended late, or one
    /// of many that a mass update stamped alike.
    pub fn set_stamp(&self, object: &str, id: &str, unix_ms: i64) {
        self.org.state().tables.set_stamp(object, id, unix_ms);
    }

    /// Pages of queries, of Bulk ones too, hold at most so many records, as with wide ones.
    pub fn cut_pages(&self, records_max: usize) {
        self.org.state().cursors.records_max = records_max;
    }

    /// The next `count` requests for a further page find their cursor gone.
    pub fn lose_cursors(&self, count: u32) {
        self.org.state().cursors.lose = count;
    }

    /// Events go before their time, as after 72 hours: all but the newest `keep` of each channel.
    pub fn expire_events(&self, keep: usize) {
        self.org.cometd.expire_events(keep);
    }

    /// The org is moved: it has another id, its replay ids begin anew, all events and sessions are gone. Records and
    /// users stay.
    pub fn migrate(&self) {
        let mut state = self.org.state();
        let moved = state.tables.new_id("00D");
        state.moved_to = Some(moved);
        state.sessions.end_all();
        drop(state);
        self.org.cometd.migrate();
    }

    /// While not available every request answers 503.
    pub fn set_available(&self, available: bool) {
        self.org.available.store(available, Ordering::SeqCst);
        self.org.cometd.set_available(available);
    }

    /// The next `count` requests whose path contains `path` are not done and answer this HTTP status.
    pub fn fail_next(&self, path: &str, status: u16, count: u32) {
        self.org.state().faults.add(Fault { path: path.to_owned(), harm: Harm::Status(status), count });
    }

    /// The next `count` requests whose path contains `path` are done, but their answers break off.
    pub fn lose_answers(&self, path: &str, count: u32) {
        self.org.state().faults.add(Fault { path: path.to_owned(), harm: Harm::LoseAnswer, count });
    }

    /// The next `count` requests whose path contains `path` are not done and answer this status and body.
    pub fn answer_next(&self, path: &str, status: u16, body: &str, count: u32) {
        let harm = Harm::Answer { status, body: body.to_owned() };
        self.org.state().faults.add(Fault { path: path.to_owned(), harm, count });
    }

    /// The next `count` requests whose path contains `path` are done, but half of the answer's body is missing.
    pub fn halve_answers(&self, path: &str, count: u32) {
        self.org.state().faults.add(Fault { path: path.to_owned(), harm: Harm::Half, count });
    }

    /// A record that a client writes is refused.
    pub fn refuse_row(&self, fault: RowFault) {
        self.org.state().row_faults.add(fault);
    }

    /// The next Bulk job that is closed, or that queries, ends so.
    pub fn end_next_job(&self, fault: JobFault) {
        self.org.state().jobs.end_next = Some(Box::new(fault));
    }

    /// Bulk jobs that have ended are gone with their results, as after seven days.
    pub fn expire_jobs(&self) {
        self.org.state().jobs.expire();
    }

    /// The Bulk API 2.0 ingest jobs so far, oldest first.
    pub fn jobs(&self) -> Vec<LoggedJob> {
        self.org.state().jobs.logged()
    }

    /// Forgets the faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.org.state().faults.clear();
    }

    /// The next `count` records written by a client are refused with `UNABLE_TO_LOCK_ROW`.
    pub fn lock_next_rows(&self, count: u32) {
        self.org.state().locked_writes = count;
    }

    /// Keeps Bulk jobs `InProgress` until set back.
    pub fn hold_jobs(&self, held: bool) {
        self.org.state().jobs.held = held;
    }

    /// So many rows of the next Bulk job are neither written nor listed in a result file, as when the daily batch
    /// allocation is exceeded.
    pub fn lose_bulk_rows(&self, count: usize) {
        self.org.state().jobs.lose_rows = count;
    }

    /// Makes it look as if so many API calls had been made in the last 24 hours.
    pub fn set_calls_used(&self, used: u64) {
        let now = self.org.clock.now_ms();
        self.org.state().quota.set_used(now, used);
    }

    /// API calls of the last 24 hours.
    pub fn calls_used(&self) -> u64 {
        let now = self.org.clock.now_ms();
        self.org.state().quota.used(now)
    }

    /// What another process needs to use the org.
    pub(crate) fn card(&self) -> Value {
        json!({
            "name": self.name(), "base_url": self.base_url(), "client_id": self.client_id(),
            "client_secret": self.client_secret(), "username": self.username(), "admin_username": self.admin_username(),
            "private_key_pem": self.private_key_pem(), "org_id": self.org_id(), "namespace": self.org.facts.namespace,
        })
    }

    fn write(&self, act: Act, object: &str, row: Row) -> Result<String, WriteError> {
        let writer = self.org.writer(&self.org.facts.admin_user);
        let mut state = self.org.state();
        let wanted = [Wanted { object: object.to_owned(), act, row }];
        let rules = Rules { all_or_none: false, whole_on_wrong_type: false };
        let outcomes = writes::write(&self.org, &mut state, &wanted, rules, &writer)?;
        match outcomes.into_iter().next() {
            Some(Outcome::Written(written)) => Ok(written.id),
            Some(Outcome::Refused(refusal)) => Err(refusal.into()),
            _ => Ok(String::new()),
        }
    }
}
