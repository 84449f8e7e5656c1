//! Decide: from a request on ingress to changes on egress. Ends at commit B.

pub(crate) mod ingest;
mod lately;
pub(crate) mod lookup;
mod pace;
mod verdict;
