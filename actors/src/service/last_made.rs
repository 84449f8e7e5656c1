//! What was made last of all orgs, for whoever asks again soon.
//!
//! Not here: making it (`fleet`, `history`), and for how long it is good enough.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

/// The last one made, and when, as time since the start. Whoever finds it too old makes the next while the others wait.
#[derive(Debug)]
pub(crate) struct LastMade<T>(pub(super) Mutex<Option<(Duration, Arc<T>)>>);

impl<T> Default for LastMade<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}
