//! Decide: from a request on ingress to changes on egress. Ends at commit B.
//!
//! In the order of a batch: `ingest` takes the oldest requests that `pace` lets go, `batch` puts together what is decided
//! together, `lately` drops rows that may be old; as a `draft`, `gather` reads it from the org, `ask` asks the vendor over
//! `lookup`, and `verdict`, or `orphans`, says what becomes of each record. A failure on the way is a `halt`.

mod ask;
mod batch;
mod draft;
mod gather;
mod halt;
pub(crate) mod ingest;
mod lately;
pub(crate) mod lookup;
mod orphans;
mod pace;
mod verdict;
