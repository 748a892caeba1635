//! The stages that are fuzzed, compiled alone from where they stand.
// Much of them is for callers that are not here.
#![allow(dead_code, unused_imports)]

#[path = "../../src/chunk/mod.rs"]
pub mod chunk;
#[path = "../../src/extract/mod.rs"]
pub mod extract;
#[path = "../../src/model.rs"]
pub mod model;
