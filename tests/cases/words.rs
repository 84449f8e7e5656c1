//! Words and hints name the cause.
