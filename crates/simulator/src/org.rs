//! One simulated org: its facts, and its state behind one lock.
//!
//! Here: putting the parts together, and which channels a user sees.
//! Not here: HTTP (`server`), resources (`api`), the checks of a write (`data`), what a test may do (`handle`).

pub(crate) mod authorizations;
pub(crate) mod cursors;
pub(crate) mod facts;
pub(crate) mod flow;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod outcome;
pub(crate) mod random;
pub(crate) mod tokens;
pub(crate) mod writes;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::cometd::CometdServer;
use crate::data::{IdGenerator, Schema, Tables, Writer};
use crate::faults::{ChunkFault, HttpFaults, RowFaults};
use crate::log::{CallLog, WriteLog};
use crate::options::OrgOptions;
use crate::quota::Quota;
use crate::rights::{Right, Rights, Views};
use crate::row::Row;
use cursors::Cursors;
use facts::{CHANGE_CHANNEL, Facts};
use jobs::Jobs;
use keys::Keys;
use logins::Logins;

/// Everything of an org that changes.
#[derive(Debug)]
pub(crate) struct OrgState {
    pub(crate) tables: Tables,
    pub(crate) views: Views,
    pub(crate) logins: Logins,
    pub(crate) cursors: Cursors,
    pub(crate) jobs: Jobs,
    pub(crate) quota: Quota,
    pub(crate) calls: CallLog,
    pub(crate) writes: WriteLog,
    pub(crate) faults: HttpFaults,
    /// The org's ID since it was moved.
    pub(crate) new_org_id: Option<String>,
    /// The org's new address; requests to its old one are redirected.
    pub(crate) instance_url: Option<String>,
    /// So many record writes will find their record locked.
    pub(crate) locked_writes: u32,
    pub(crate) row_faults: RowFaults,
    /// While set, larger transactions are refused whole.
    pub(crate) chunk_fault: Option<ChunkFault>,
    /// No client writes anything, while all can be read.
    pub(crate) read_only: bool,
    /// Versions of the API below this one are served no more.
    pub(crate) versions_from: u32,
    pub(crate) rng: StdRng,
}

impl OrgState {
    /// The ID of the user with this username, whatever the case of its letters.
    pub(crate) fn user_named(&self, username: &str) -> Option<String> {
        let is_named = |row: &&Row| {
            let name = row.get("Username").and_then(Value::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case(username))
        };
        let user = self.tables.rows("User").find(is_named)?;
        user.get("Id").and_then(Value::as_str).map(str::to_owned)
    }

    /// The username of the user with this ID; empty if there is none.
    pub(crate) fn username(&self, user: &str) -> String {
        let name = self.tables.row("User", user).and_then(|row| row.get("Username")).and_then(Value::as_str);
        name.unwrap_or_default().to_owned()
    }

    /// Takes a right away, or gives it.
    pub(crate) fn set_right(&mut self, facts: &Facts, right: Right, given: bool) {
        if right == Right::SettingRow {
            facts.set_exemption(&mut self.tables, given);
        }
        if given {
            self.views.rights.give(right);
        } else {
            self.views.rights.take(right);
        }
        self.views.renew(&self.tables.schema);
    }
}

pub(crate) struct Org {
    pub(crate) facts: Facts,
    pub(crate) base_url: String,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Clock,
    pub(crate) cometd: CometdServer,
    pub(crate) available: AtomicBool,
    /// While true, requests to the token endpoint wait.
    pub(crate) token_calls_held: watch::Sender<bool>,
    state: Mutex<OrgState>,
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
        let schema =
            Schema::new(&options.namespace, &options.custom_fields).case_sensitive(&options.case_sensitive);
        let mut tables = Tables::new(schema, IdGenerator::new(number));
        let facts = Facts::seed(options, &mut tables, clock.wall_ms());
        let views = Views::new(
            Rights::new(&options.namespace, options.profile, &options.custom_fields),
            &facts.integration_user,
            &tables.schema,
        );
        let mut state = OrgState {
            tables,
            views,
            logins: Logins::new(options.login_policy.clone(), options.session_idle),
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            quota: Quota::new(options.daily_calls),
            calls: CallLog::default(),
            writes: WriteLog::default(),
            faults: HttpFaults::default(),
            new_org_id: None,
            instance_url: None,
            locked_writes: 0,
            row_faults: RowFaults::default(),
            chunk_fault: None,
            read_only: false,
            versions_from: 0,
            rng: StdRng::seed_from_u64(seed),
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
            token_calls_held: watch::Sender::new(false),
            state: Mutex::new(state),
        }
    }

    /// A panic elsewhere leaves the state as it was between two statements; a simulator goes on with it.
    pub(crate) fn state(&self) -> MutexGuard<'_, OrgState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the org was made, by the real clock and to the second.
    pub(crate) fn began(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.facts.began_ms.div_euclid(1_000).unsigned_abs())
    }

    /// The id that logins tell.
    pub(crate) fn org_id(&self, state: &OrgState) -> String {
        state.new_org_id.clone().unwrap_or_else(|| self.facts.org_id.clone())
    }

    /// The address at which a token tells who its user is.
    pub(crate) fn identity_url(&self, state: &OrgState, user: &str) -> String {
        format!("{}/id/{}/{user}", self.base_url, self.org_id(state))
    }

    pub(crate) fn writer(&self, user: &str) -> Writer {
        Writer { user: user.to_owned(), now_ms: self.clock.wall_ms(), sees: None, origin: String::new() }
    }

    /// A client who writes by an API, which change events name as the origin.
    pub(crate) fn client_writer(&self, user: &str, origin: String) -> Writer {
        Writer { origin, ..self.writer(user) }
    }

    /// Every channel there is.
    pub(crate) fn channels(&self, state: &OrgState) -> Vec<String> {
        let mut channels = channels_of(&state.views.seen(&self.facts.admin_user));
        channels.extend(self.facts.change_data.then(|| CHANGE_CHANNEL.to_owned()));
        let all = channels_of(&state.tables.schema);
        channels.extend(self.cometd.channels().into_iter().filter(|channel| !all.contains(channel)));
        channels
    }

    /// Channels that are there, but not for this user.
    pub(crate) fn channels_denied(&self, state: &OrgState, user: &str) -> Vec<String> {
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
