//! Memory, file modes, logs and imports.
