//! Tests.
mod config;
mod openapi;
