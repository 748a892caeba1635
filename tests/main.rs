//! The integration tests, one binary: each module is a subject, tried from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod config;
mod faults;
mod kill;
mod openapi;
mod spine;
mod support;
mod tidy;
