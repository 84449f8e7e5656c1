//! The org's database: its objects and fields, what it stores of what it is given, and what it refuses.
//!
//! Here: schema, values, tables. Not here: query language (`soql/`), HTTP shapes (`api/`).

mod contract;
mod describe;
mod id;
mod kind;
mod number;
mod object;
mod package;
mod refusal;
mod schema;
mod standard;
mod tables;
mod times;
mod value;

pub(crate) use contract::{Contract, ContractPermissionSet};
pub(crate) use describe::{describe, event_schema, summary};
pub(crate) use id::{IdGenerator, canonical as canonical_id};
pub use kind::{CustomField, FieldKind};
pub(crate) use number::java_text;
pub(crate) use object::{Access, Field, Object, OpenFor};
pub(crate) use package::name as packaged_name;
pub(crate) use refusal::Refusal;
pub use refusal::WriteError;
pub(crate) use schema::Schema;
pub(crate) use tables::{KeyMatch, Tables, Writer, WrittenRecord};
pub(crate) use times::{instant_text, parse_date, parse_instant, zulu_text};
