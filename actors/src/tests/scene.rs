//! One org's context over what is made up, and a neighbour that takes a part's messages.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler, MessageResult};
use orgpipe_store::{Counts, Durability, Options, Seq, Store, UnixMs};
use tokio::sync::Semaphore;

use super::{org::FakeOrg, vendor::FakeVendor};
use crate::{
    clock::Clock,
    failpoint::Failpoints,
    measure::OrgMeasures,
    org::{
        api::client::OrgApi,
        context::OrgContext,
        grant_store::Grants,
        memory::MemoryBudget,
        messages::{Arrived, Decided, Delivery, OrgLink, Wakeup},
        push_log::PushLog,
        schemas::Schemas,
        status::Board,
        store::OrgStore,
    },
    sealing,
    settings::{OrgSettings, SourceSettings, tests::org},
    trace::Sampling,
    vendor::{
        lookup::LookupClient,
        shared::{Shared, VendorClients},
    },
};

/// Sunday, 1 March 2026, noon UTC.
pub(super) const NOON_MS: UnixMs = UnixMs(1_772_366_400_000);
/// Longest virtual time that a condition may take.
const PATIENCE: Duration = Duration::from_hours(24 * 7);

/// Everything of one org.
pub(super) struct Scene {
    pub(super) org: Arc<FakeOrg>,
    pub(super) vendor: Arc<FakeVendor>,
    pub(super) context: Arc<OrgContext>,
    pub(super) grants: Grants,
}

impl Scene {
    /// An org with one sync, `accounts`. Time is virtual from here on.
    pub(super) fn new() -> Self {
        Self::with(|_| {}, Failpoints::default())
    }

    /// The same with other settings.
    pub(super) fn with(edit: impl FnOnce(&mut OrgSettings), failpoints: Failpoints) -> Self {
        Self::within(MemoryBudget::default(), edit, failpoints)
    }

    /// The same with so much memory for what waits.
    pub(super) fn within(
        memory: MemoryBudget,
        edit: impl FnOnce(&mut OrgSettings),
        failpoints: Failpoints,
    ) -> Self {
        tokio::time::pause();
        let clock = Clock::virtual_from(NOON_MS);
        let options = Options {
            durability: Durability::Process,
            cache_bytes: 0,
            depth_max: 200_000,
            ledger_days: 30,
            free_bytes_min: 0,
        };
        let whole = Store::in_memory(options).expect("a store");
        let store = OrgStore::new(whole.clone(), "acme");
        let mut settings = org();
        settings.limits.requests_per_second = 100;
        // The org that is made up knows no Bulk API.
        settings.limits.bulk_from = usize::MAX;
        edit(&mut settings);
        let settings = Arc::new(settings);
        let (org, vendor) = (Arc::new(FakeOrg::default()), Arc::new(FakeVendor::default()));
        let board = Arc::new(Board::default());
        let measures = Arc::new(OrgMeasures::default());
        let transport = Arc::clone(&org);
        let grants = Grants::new(sealing::tests::key());
        let own = Some(grants.of(store.clone(), failpoints.clone()));
        let api = OrgApi::new(
            Arc::clone(&settings),
            transport,
            Arc::clone(&board),
            Arc::clone(&measures),
            own,
            clock,
        );
        let source = SourceSettings {
            url: "https://api.example.com/v1/lookup".parse().expect("a URL"),
            token: None,
            requests_per_second: 1_000,
            concurrent_max: 16,
            timeout: Duration::from_secs(30),
        };
        let lookup = Arc::new(LookupClient::over(Arc::clone(&vendor) as _, source, Arc::default(), clock));
        let clients = VendorClients { lookup, webhook: None, pages: Arc::new(Semaphore::new(4)) };
        let context = OrgContext {
            settings,
            store,
            queue_max: 100_000,
            api: Arc::new(api),
            shared: Arc::new(Shared::over(clients)),
            memory,
            pushes: Arc::new(PushLog::new(whole)),
            schemas: Schemas::default(),
            gaps: tokio::sync::Mutex::default(),
            runs: tokio::sync::Mutex::default(),
            board,
            measures,
            clock,
            sampling: Sampling::NONE,
            failpoints,
            is_aside: false,
        };
        Self { org, vendor, context: Arc::new(context), grants }
    }

    /// Accounts `0..count`; gives their IDs.
    pub(super) fn accounts(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| self.org.account(n)).collect()
    }

    pub(super) async fn counts(&self) -> Counts {
        self.context.store.counts().await.expect("a store")
    }

    /// Waits until so many records have come in and none is open.
    pub(super) async fn through(&self, records_in: u64) -> Counts {
        eventually("all records are through", async || {
            let counts = self.counts().await;
            (counts.records_in >= records_in && counts.open() == 0).then_some(counts)
        })
        .await
    }

    /// How long the test has run, in virtual time.
    pub(super) fn passed(&self) -> Duration {
        self.context.clock.monotonic()
    }
}

/// Waits in virtual time until the condition comes true.
pub(super) async fn eventually<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} has not come true in {PATIENCE:?}");
        // The longer it takes, the more seldom it is looked at.
        tokio::time::sleep((began.elapsed() / 50).max(Duration::from_millis(20))).await;
    }
}

/// Stands where the org's actor does, and remembers what came.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbour {
    came: Arc<Mutex<Came>>,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub(super) struct Came {
    /// Numbers of the requests.
    pub(super) requests: Vec<Seq>,
    /// Numbers of the changes.
    pub(super) changes: Vec<Seq>,
    pub(super) wakeups: usize,
}

impl Neighbour {
    /// Starts it; the link leads to it as long as the address lives.
    pub(super) fn started(&self, scene: &Scene) -> (Addr<Self>, OrgLink) {
        let address = self.clone().start();
        let link = OrgLink::new(&address, scene.context.failpoints.clone(), "acme");
        (address, link)
    }

    pub(super) fn came(&self) -> Came {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actor for Neighbour {
    type Context = Context<Self>;
}

impl Handler<Arrived> for Neighbour {
    type Result = MessageResult<Arrived>;

    fn handle(&mut self, Arrived(appended): Arrived, _: &mut Self::Context) -> Self::Result {
        self.lock().requests.extend(appended.requests.iter().map(|request| request.seq));
        MessageResult(Delivery::Taken)
    }
}

impl Handler<Decided> for Neighbour {
    type Result = MessageResult<Decided>;

    fn handle(&mut self, Decided(settled): Decided, _: &mut Self::Context) -> Self::Result {
        self.lock().changes.extend(settled.changes.iter().map(|change| change.seq));
        MessageResult(Delivery::Taken)
    }
}

impl Handler<Wakeup> for Neighbour {
    type Result = ();

    fn handle(&mut self, _: Wakeup, _: &mut Self::Context) {
        self.lock().wakeups += 1;
    }
}
