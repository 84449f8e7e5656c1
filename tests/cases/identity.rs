//! Nothing is lost or wrong without a word: identity, names, clocks, what is cut.
