//! Wake-ups between the parts of an org.

use actix::Message;

/// A queue of this org has something new.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Wakeup {
    /// Gaps to be recovered, or room for pages.
    Refresh,
    /// Requests.
    Ingress,
    /// Changes.
    Egress,
}
