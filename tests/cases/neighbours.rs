//! One odd record or answer never stops its neighbours.
