//! (canary)
