//! Healthy records are not buried with refused ones; what only somebody else can mend waits.
