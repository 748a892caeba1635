//! Tests.
mod openapi;
