//! What is done to a store that no service has open: look at it, take everything out of it, put it into a new one.
//!
//! `survey.rs` looks, `line.rs` has the lines of an exported file, `export.rs` and `import.rs` write and read it,
//! `compact.rs` writes the database anew. Not here: how a result is printed (the program).
//!
//! Invariant: nothing that is there is ever written over, except by `compact`, and by that only once the new is complete.

mod compact;
mod export;
mod import;
mod line;
mod survey;

pub use crate::files::database_bytes;

pub use self::{
    compact::{Compacted, compact},
    export::{Exported, LeftOut, export},
    import::{Imported, Loss, import},
    survey::{OrgSurvey, Survey, survey},
};
