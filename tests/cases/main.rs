//! Small inputs that went wrong once, each as a test of the whole program: what people who do this job have reported of
//! other tools. A kind has a file; its tests name what is odd, and more than one sample stands for each kind.

mod answers;
mod files;
mod identity;
mod keys;
mod large;
mod many;
mod neighbours;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod target;
mod unchanged;
mod values;
mod wide;
mod words;
