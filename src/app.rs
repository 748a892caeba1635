//! Built once, run, cancelled: everything the process holds.
