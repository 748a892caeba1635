//! Programs of this machine that read what no library here can, each run in a sandbox of its own.

use super::{ExtractOptions, Tool};

/// The tools that this machine has.
pub(super) fn installed(_options: &ExtractOptions) -> Vec<Tool> {
    Vec::new()
}

/// Runs a tool over bytes: its text, or none if it could not, took too long or said nothing.
pub(super) fn run(_options: &ExtractOptions, _tool: Tool, _bytes: &[u8]) -> Option<String> {
    None
}
