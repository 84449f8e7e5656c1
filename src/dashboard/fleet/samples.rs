//! Fleets for tests of the page.

use orgpipe_actors::{Fleet, FleetRow, FleetTotals, RoomView, State, StateCounts};
use orgpipe_store::UnixMs;

/// An org that runs, and of which nothing is known.
pub(crate) fn row(id: &str) -> FleetRow {
    FleetRow {
        id: id.to_owned(),
        state: State::Running,
        part: None,
        note: String::new(),
        hint: String::new(),
        since_ms: None,
        locked_out: false,
        records: None,
        open: 0,
        dead_letters_kept: 0,
        lag_ms: None,
        last_written_ms: None,
        events: 0,
        last_event_ms: None,
        channels: 1,
        channels_deaf: 0,
        position_channel: String::new(),
        position_age_secs: None,
        retention_secs: 259_200,
        api_used: None,
        api_allowed: None,
        ours: 0,
        share: 0,
        reserve: 0,
        calls: 0,
        waits: Vec::new(),
        quarantined: Vec::new(),
        refreshes: Vec::new(),
        open_gaps: 0,
        warnings: Vec::new(),
        restarts: 0,
    }
}

/// All of them at a moment.
pub(crate) fn fleet(rows: &[FleetRow]) -> Fleet {
    let count = |state| rows.iter().filter(|row| row.state == state).count() as u64;
    let states = StateCounts {
        running: count(State::Running),
        waiting: count(State::Waiting),
        parked: count(State::Parked),
        ..StateCounts::default()
    };
    let totals = FleetTotals {
        orgs: rows.len() as u64,
        states,
        orgs_with_dead_letters: rows.iter().filter(|row| row.dead_letters_kept > 0).count() as u64,
        ..FleetTotals::default()
    };
    Fleet {
        at_ms: UnixMs(1_772_373_731_000),
        started_ms: UnixMs(1_772_370_000_000),
        totals,
        stored: None,
        room: RoomView::default(),
        rows: rows.to_vec(),
    }
}
