//! `orgpipe openapi`: the document of the admin API, for clients that are made from one.
//!
//! Here: printing it. Not here: what stands in it (`admin`).

use std::process::ExitCode;

use crate::{admin, output};

/// Prints it.
pub(crate) fn run() -> ExitCode {
    for line in admin::document().0.lines() {
        output::line(line);
    }
    ExitCode::SUCCESS
}
