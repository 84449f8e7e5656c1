//! Instruments: counting what happens, and how long it takes, without a lock.
//!
//! Here: a histogram with fixed bounds, and a stopwatch. Not here: what is measured, and how it is called
//! (`orgpipe_actors::measure`, `orgpipe_store::Commits`, the metrics of the admin API).
//!
//! Invariant: recording takes no lock and no memory. Nothing decides by what stands here.

mod histogram;
mod stopwatch;

pub use crate::{
    histogram::{Histogram, HistogramView},
    stopwatch::Stopwatch,
};
