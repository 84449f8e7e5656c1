//! What the parts of one org share: context, store, desired state, status board, schemas, identity, messages, and
//! in `api/` the one way to the org's API. It outlives each part.

pub(crate) mod api;
pub(crate) mod context;
pub(crate) mod describe;
pub(crate) mod desired;
pub(crate) mod identity;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod org_time;
pub(crate) mod part;
pub(crate) mod schemas;
pub(crate) mod status;
pub(crate) mod step_error;
pub(crate) mod store;
pub(crate) mod subscription;
