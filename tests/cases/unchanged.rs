//! A second refresh writes nothing, whatever the org made of our values.
