//! Decide: from a request on ingress to changes on egress. Ends at commit B.
//!
//! In the order of a batch: `window` has the requests at hand, each as `waiting` has it; `ingest` takes the oldest ones that
//! `scheduler` lets go; `batch` puts together what is decided together; `freshness` drops rows that may be old; for a
//! `prepared` batch, `fetch` reads from the org, `lookup` asks the vendor's API, and `verdict`, or `orphans`, says what
//! becomes of each record; `shared_keys` says whose a record of the target is that two of them want. `preview` takes
//! the same steps for records that nobody has asked for, and `outlook` tells what would become of them.
//! Not here: where requests come from (`capture`), writing (`deliver`).

mod batch;
mod fetch;
mod freshness;
pub(crate) mod ingest;
mod lookup;
mod orphans;
pub(crate) mod outlook;
mod own_form;
mod parts;
mod prepared;
pub(crate) mod preview;
mod scheduler;
pub(crate) mod shared_keys;
mod verdict;
mod waiting;
mod window;
