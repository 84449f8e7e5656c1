//! Comparing many records without holding up the thread.
//!
//! Here: going through them in parts. Not here: what is done with them (`verdict`).

/// Records that are compared in one go: an answer may have thousands of fields, and others work on the same thread.
const IN_ONE_GO: usize = 25;

/// Does something with all of these, some at a time; between these parts others on this thread go on.
pub(super) async fn in_parts<T>(all: Vec<T>, mut work: impl FnMut(Vec<T>)) {
    let mut left = all.into_iter();
    while left.len() > 0 {
        work(left.by_ref().take(IN_ONE_GO).collect());
        actix_rt::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[actix_rt::test]
    async fn others_go_on_between_the_parts_of_a_long_work() {
        let (parts, turns, over) = (RefCell::new(Vec::new()), Cell::new(0), Cell::new(false));
        let all: Vec<usize> = (0..=2 * IN_ONE_GO).collect();
        let work = async {
            in_parts(all.clone(), |part| parts.borrow_mut().push((turns.get(), part))).await;
            over.set(true);
        };
        let other = async {
            while !over.get() {
                turns.set(turns.get() + 1);
                actix_rt::task::yield_now().await;
            }
        };
        futures_util::future::join(work, other).await;
        let parts = parts.into_inner();
        assert_eq!(parts.iter().flat_map(|(_, part)| part.clone()).collect::<Vec<_>>(), all);
        assert!(parts.windows(2).all(|two| two[0].0 < two[1].0), "{parts:?}");
        assert_eq!(parts.iter().map(|(_, part)| part.len()).collect::<Vec<_>>(), [IN_ONE_GO, IN_ONE_GO, 1]);
    }
}
