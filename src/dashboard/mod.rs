//! The dashboard that the service serves: its frame, its files, and its pages.
//!
//! In reading order: `shell` (what every page has, and how one is answered), `words` and `marked` (numbers, times and sentences as
//! people read them), `spark` and `assets`; then a file for each page. What is drawn stands in `templates`, how it looks in `assets`.
//! Here: from what the service tells to what stands on a page. Not here: paths and roles, sessions (`admin`), decisions.
//!
//! Pages are whole without JavaScript; with it they stay up to date, and commands are answered in place. There is no build
//! step: `assets` has files as they are served.

pub(crate) mod assets;
mod charts;
pub(crate) mod fleet;
pub(crate) mod lookup;
pub(crate) mod marked;
pub(crate) mod org;
pub(crate) mod process;
pub(crate) mod shell;
mod spark;
pub(crate) mod words;
