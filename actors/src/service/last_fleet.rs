//! The snapshot of all orgs that was made last, for whoever asks again within a second.
//!
//! Not here: making one (`fleet`).

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::fleet_view::Fleet;

/// The last one made, and when, as time since the start. Whoever finds it too old makes the next while the others wait.
#[derive(Debug, Default)]
pub(crate) struct LastFleet(pub(super) Mutex<Option<(Duration, Arc<Fleet>)>>);
