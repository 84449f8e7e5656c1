//! Which orgs of the fleet somebody wants to see, and in which order; all of it stands in the page's address.
//!
//! Here: reading and writing that, and choosing rows by it; pure. Not here: what stands in a row (`row`).

use std::cmp::{Ordering, Reverse};

use orgpipe_actors::{Fleet, FleetRow, State};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;
use utoipa::IntoParams;

use crate::admin::names;

/// Orgs on one page.
pub(crate) const PAGE_ROWS: usize = 50;
/// Characters that are searched for.
const SEARCH_CHARS_MAX: usize = 100;

/// `?state=STATE&q=TEXT&sort=COLUMN&order=asc|desc&page=N`, as somebody has written it. A value that is not understood counts as
/// if it were not there, so that an old address still shows something.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetAddress {
    /// Only orgs in this state, or `dead-letters`. What is no such word counts as none.
    #[serde(default)]
    state: String,
    /// Only orgs with this in their name.
    #[serde(default)]
    q: String,
    /// The column: org, state, lag, queue, position, budget, dead-letters or event.
    #[serde(default)]
    sort: String,
    /// `asc` or `desc`.
    #[serde(default)]
    order: String,
    /// From 1, of 50 orgs each.
    #[serde(default)]
    page: String,
}

/// Which orgs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of them.
    All,
    /// Those in a state.
    State(State),
    /// Those that have dead letters.
    Letters,
}

/// What they are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Org,
    State,
    Lag,
    Queue,
    Position,
    Budget,
    Letters,
    LastEvent,
}

/// All that an address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FleetQuery {
    pub(crate) kept: Kept,
    /// In small letters.
    pub(crate) search: String,
    pub(crate) sort: Column,
    pub(crate) descending: bool,
    /// From 1.
    pub(crate) page: usize,
}

/// The rows of one page, and how many there are besides.
pub(crate) struct Chosen<'f> {
    pub(crate) rows: Vec<&'f FleetRow>,
    /// How many fit, over all pages.
    pub(crate) fitting: usize,
    /// The page that is shown: the last one if there are not so many.
    pub(crate) page: usize,
    pub(crate) pages: usize,
}

impl Kept {
    /// Those that are offered, worst first.
    pub(crate) const ALL: [Self; 9] = [
        Self::All,
        Self::State(State::Parked),
        Self::State(State::Waiting),
        Self::State(State::Starting),
        Self::State(State::Draining),
        Self::State(State::Paused),
        Self::State(State::Stopped),
        Self::State(State::Running),
        Self::Letters,
    ];

    /// As it stands in the address; empty for all.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::State(state) => names::state(state),
            Self::Letters => "dead-letters",
        }
    }

    /// The class that colours it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::All => "",
            Self::State(state) => names::state(state),
            Self::Letters => "failed",
        }
    }

    /// How many orgs there are of it.
    pub(crate) fn count(self, fleet: &Fleet) -> u64 {
        match self {
            Self::All => fleet.totals.orgs,
            Self::State(state) => fleet.totals.states.of(state),
            Self::Letters => fleet.totals.orgs_with_dead_letters,
        }
    }

    fn fits(self, row: &FleetRow) -> bool {
        match self {
            Self::All => true,
            Self::State(state) => row.state == state,
            Self::Letters => row.dead_letters_kept > 0,
        }
    }
}

impl Column {
    pub(crate) const ALL: [Self; 8] = [
        Self::Org,
        Self::State,
        Self::Lag,
        Self::Queue,
        Self::Position,
        Self::Budget,
        Self::Letters,
        Self::LastEvent,
    ];

    /// As it stands in the address.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::State => "state",
            Self::Lag => "lag",
            Self::Queue => "queue",
            Self::Position => "position",
            Self::Budget => "budget",
            Self::Letters => "dead-letters",
            Self::LastEvent => "event",
        }
    }

    /// As it stands above the column, and what it means.
    pub(crate) fn heading(self) -> (&'static str, &'static str) {
        match self {
            Self::Org => ("Org", "Name in the settings"),
            Self::State => ("State", "The worst of its parts' states"),
            Self::Lag => ("Lag", "From the arrival of the last written event to its write"),
            Self::Queue => ("Queue", "Records under way"),
            Self::Position => {
                ("Position", "Age of the oldest position in the events, of the time Salesforce keeps them")
            }
            Self::Budget => {
                ("API budget", "API calls of ours in the last 24 hours, of those that may be ours")
            }
            Self::Letters => ("Dead letters", "Records that could not be written, and are kept"),
            Self::LastEvent => ("Last event", "When the last event was stored"),
        }
    }

    /// Whether the end that matters comes first when somebody asks for this column: the largest, the worst, the first letter.
    fn is_descending_at_first(self) -> bool {
        !matches!(self, Self::Org | Self::LastEvent)
    }

    fn compare(self, one: &FleetRow, other: &FleetRow) -> Ordering {
        match self {
            Self::Org => one.id.cmp(&other.id),
            Self::State => urgency(one).cmp(&urgency(other)),
            Self::Lag => one.lag_ms.cmp(&other.lag_ms),
            Self::Queue => one.open.cmp(&other.open),
            Self::Position => position_share(one).total_cmp(&position_share(other)),
            Self::Budget => budget_share(one).total_cmp(&budget_share(other)),
            Self::Letters => one.dead_letters_kept.cmp(&other.dead_letters_kept),
            Self::LastEvent => one.last_event_ms.cmp(&other.last_event_ms),
        }
    }
}

/// How much an org needs somebody: its state, whether work stands still, dead letters.
fn urgency(row: &FleetRow) -> (u8, bool, u64) {
    let state = match row.state {
        State::Parked => 5,
        State::Waiting => 4,
        State::Starting => 3,
        State::Draining | State::Stopped => 2,
        State::Paused => 1,
        State::Running => 0,
    };
    let stands = !row.waits.is_empty() || !row.warnings.is_empty() || !row.quarantined.is_empty();
    (state, stands, row.dead_letters_kept)
}

/// How old the oldest position is, of the time for which Salesforce keeps events; below 0 where nothing is known.
pub(crate) fn position_share(row: &FleetRow) -> f64 {
    row.position_age_secs.map_or(-1.0, |age| share(age, row.retention_secs))
}

/// How much of what may be ours is used; below 0 where nothing is known.
pub(crate) fn budget_share(row: &FleetRow) -> f64 {
    if row.share == 0 { -1.0 } else { share(row.ours, row.share) }
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown in two digits")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl FleetQuery {
    /// What an address says.
    pub(crate) fn of(address: &FleetAddress) -> Self {
        let kept = Kept::ALL.into_iter().find(|kept| kept.name() == address.state).unwrap_or(Kept::All);
        let column = Column::ALL.into_iter().find(|column| column.name() == address.sort);
        let sort = column.unwrap_or(Column::State);
        let descending = match address.order.as_str() {
            "asc" => false,
            "desc" => true,
            _ => sort.is_descending_at_first(),
        };
        let search = address.q.trim().chars().take(SEARCH_CHARS_MAX).collect::<String>().to_lowercase();
        let page = address.page.parse().unwrap_or(1).max(1);
        Self { kept, search, sort, descending, page }
    }

    /// The address that says it, in as few words as possible.
    pub(crate) fn href(&self) -> String {
        let mut parts = Vec::new();
        if self.kept != Kept::All {
            parts.push(format!("state={}", self.kept.name()));
        }
        if !self.search.is_empty() {
            parts.push(format!("q={}", byte_serialize(self.search.as_bytes()).collect::<String>()));
        }
        if self.sort != Column::State || self.descending != self.sort.is_descending_at_first() {
            parts.push(format!("sort={}", self.sort.name()));
        }
        if self.descending != self.sort.is_descending_at_first() {
            parts.push(format!("order={}", if self.descending { "desc" } else { "asc" }));
        }
        if self.page > 1 {
            parts.push(format!("page={}", self.page));
        }
        if parts.is_empty() { "/".to_owned() } else { format!("/?{}", parts.join("&")) }
    }

    /// Names and values that a form of the search sends besides.
    pub(crate) fn fields_beside_search(&self) -> Vec<(&'static str, String)> {
        let order = (self.descending != self.sort.is_descending_at_first())
            .then(|| ("order", if self.descending { "desc" } else { "asc" }.to_owned()));
        let sort =
            (self.sort != Column::State || order.is_some()).then(|| ("sort", self.sort.name().to_owned()));
        let kept = (self.kept != Kept::All).then(|| ("state", self.kept.name().to_owned()));
        kept.into_iter().chain(sort).chain(order).collect()
    }

    /// The same with other orgs.
    pub(crate) fn keeping(&self, kept: Kept) -> Self {
        Self { kept, page: 1, ..self.clone() }
    }

    /// The same without a search.
    pub(crate) fn unsearched(&self) -> Self {
        Self { search: String::new(), page: 1, ..self.clone() }
    }

    /// The same ordered by a column; the other way round if it is ordered by that one.
    pub(crate) fn sorted(&self, sort: Column) -> Self {
        let descending = if self.sort == sort { !self.descending } else { sort.is_descending_at_first() };
        Self { sort, descending, page: 1, ..self.clone() }
    }

    /// The same on another page.
    pub(crate) fn on_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// The rows that are shown.
    pub(crate) fn choose<'f>(&self, fleet: &'f Fleet) -> Chosen<'f> {
        let fits = |row: &&FleetRow| {
            self.kept.fits(row) && (self.search.is_empty() || row.id.to_lowercase().contains(&self.search))
        };
        let mut rows: Vec<&FleetRow> = fleet.rows.iter().filter(fits).collect();
        // Of two that are the same the one with the first name comes first, whichever way.
        rows.sort_by(|one, other| {
            let order = self.sort.compare(one, other);
            (if self.descending { order.reverse() } else { order }).then_with(|| one.id.cmp(&other.id))
        });
        if self.sort == Column::LastEvent {
            // Who never heard anything is no answer to who was silent for the longest.
            rows.sort_by_key(|row| Reverse(row.last_event_ms.is_some()));
        }
        let (fitting, pages) = (rows.len(), rows.len().div_ceil(PAGE_ROWS).max(1));
        let page = self.page.min(pages);
        let rows = rows.into_iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).collect();
        Chosen { rows, fitting, page, pages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::fleet::samples::{fleet, row};

    fn of(address: &str) -> FleetQuery {
        FleetQuery::of(&read(address))
    }

    fn read(address: &str) -> FleetAddress {
        actix_web::web::Query::<FleetAddress>::from_query(address)
            .expect("every address is read")
            .into_inner()
    }

    #[test]
    fn an_address_is_read_back_and_what_is_not_understood_is_left_out() {
        for (address, href) in [
            ("", "/"),
            ("q=", "/"),
            ("state=parked&q=Acme%20%26&sort=lag&page=3", "/?state=parked&q=acme+%26&sort=lag&page=3"),
            ("sort=state&order=asc", "/?sort=state&order=asc"),
            ("sort=org&order=desc&state=dead-letters", "/?state=dead-letters&sort=org&order=desc"),
            ("state=nothing&sort=x&order=y&page=-1", "/"),
            ("page=0", "/"),
        ] {
            let query = of(address);
            assert_eq!(query.href(), href, "{address}");
            let again = href.split_once('?').map_or("", |(_, address)| address);
            assert_eq!(of(again), query, "{address}");
        }
    }

    #[test]
    fn the_worst_comes_first_until_somebody_asks_for_another_order() {
        let mut some = [row("a"), row("b"), row("c"), row("d")];
        some[1].state = State::Waiting;
        some[2].state = State::Parked;
        some[3].dead_letters_kept = 4;
        for (at, lag) in [(0, None), (1, Some(7)), (2, Some(900)), (3, Some(90))] {
            some[at].lag_ms = lag;
        }
        let fleet = fleet(&some);
        let ids = |address: &str| {
            let chosen = of(address).choose(&fleet);
            chosen.rows.iter().map(|row| row.id.as_str()).collect::<String>()
        };
        for (address, shown) in [
            ("", "cbda"),
            ("sort=state&order=asc", "adbc"),
            ("sort=lag", "cdba"),
            ("sort=lag&order=asc", "abdc"),
            ("sort=org", "abcd"),
            ("sort=org&order=desc", "dcba"),
            ("state=parked", "c"),
            ("state=dead-letters", "d"),
            ("q=B", "b"),
            ("q=b&state=parked", ""),
        ] {
            assert_eq!(ids(address), shown, "{address}");
        }
        let query = of("sort=lag&page=2");
        assert_eq!(query.sorted(Column::Lag).href(), "/?sort=lag&order=asc");
        assert_eq!(query.sorted(Column::Org).href(), "/?sort=org");
        assert_eq!(query.keeping(Kept::Letters).href(), "/?state=dead-letters&sort=lag");
    }

    #[test]
    fn a_page_too_far_is_the_last_one() {
        let rows: Vec<FleetRow> = (0..101).map(|n| row(&format!("org-{n:03}"))).collect();
        let fleet = fleet(&rows);
        let chosen = of("page=9").choose(&fleet);
        assert_eq!((chosen.page, chosen.pages, chosen.fitting, chosen.rows.len()), (3, 3, 101, 1));
        assert_eq!(chosen.rows[0].id, "org-100");
        assert_eq!(of("q=nobody").choose(&fleet).pages, 1);
    }
}
