//! What follows from a request: which records, which look-up, which write.
//!
//! Here: pure functions over JSON values. Not here: sockets, clocks, disks, actors (`orgpipe-actors`).
//!
//! In order of the flow: [`event`] → [`lookup`] → [`plan`] → [`matching`] → [`diff`] → [`route`]; [`mapping`] holds
//! what the operator decided, [`value`] one mapped value, [`describe`] what the org says about its fields, [`stored`] how Salesforce keeps a value,
//! [`mod@column`] how a row read as CSV becomes one read as JSON.

pub mod change;
pub mod column;
mod compound;
pub mod describe;
pub mod diff;
pub mod drift;
pub mod event;
pub mod expression;
pub mod fit;
pub mod id;
pub mod id_list;
pub mod identity;
mod long_numbers;
pub mod lookup;
pub mod mapping;
pub mod matching;
pub mod name;
mod number;
pub mod operation;
pub mod plan;
pub mod route;
pub mod row;
pub mod stored;
pub mod system;
pub mod value;

pub use event::EventFields;
pub use mapping::{Mapping, MappingSpec};
pub use operation::Operation;
pub use plan::{Desired, RecordProblem};
pub use row::Row;
pub use value::{FieldSource, ValueSpec};
