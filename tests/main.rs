//! The one integration-test binary: every subject is a module, so that all of them link once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod tidy;
