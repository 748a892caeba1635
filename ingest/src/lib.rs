//! File to searchable index: watch, extract, chunk, embed, index, and the pipeline that wires them.
//!
//! No HTTP server, no cloud client and no generator lives here. Stages know [`model`] and never each other;
//! [`pipeline`] is the one place that puts them together.

pub mod chunk;
pub mod embed;
pub mod extract;
pub mod index;
pub mod model;
//pub mod pipeline;
pub mod watch;
