//! What the user wants, read once: first as typed (file, environment, flags), then as validated. Nothing else reads the environment.
//!
//! Priority rises from built-in defaults over the file and `STRONGROOM_…` variables to flags. Every wrong key is told at once,
//! with the nearest right one; what is valid by itself but not together is told with the remedy.

mod keys;
mod layers;
mod places;
mod show;
mod typed;
mod units;
mod valid;
mod validate;

#[cfg(test)]
mod tests;

pub use layers::{Environment, Flag, Origin, Request};
pub use show::{to_json, to_toml};
pub use typed::{Typed, json_schema};
pub use units::{format_duration, format_size, parse_duration, parse_size};
pub use valid::*;
pub use validate::models::is_private;

/// Everything that was wrong with the configuration, one line each, the remedy included.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl ConfigError {
    fn one(message: impl Into<String>) -> Self {
        Self(vec![message.into()])
    }
}

/// A configuration ready to be used, and how it came about.
#[derive(Debug)]
pub struct Loaded {
    /// Validated.
    pub config: Config,
    /// As typed, with everything filled in that had a default.
    pub typed: Typed,
    /// Where each value came from that is not a default, by its dotted key.
    pub origins: layers::Origins,
    /// What is not wrong but should be told.
    pub warnings: Vec<String>,
}

/// Finds the file, lays environment and flags over it, and validates the whole.
///
/// # Errors
/// All that is wrong, not only the first of it.
pub fn load(request: &Request) -> Result<Loaded, ConfigError> {
    let layered = layers::layer(request)?;
    let mut typed = layered.typed;
    let config = validate::validate(&typed, &request.environment)?;
    // What depends on the machine is shown as it really is.
    typed.data = Some(config.data.clone());
    typed.indexing.threads = Some(config.indexing.threads);
    let mut warnings = layered.warnings;
    warnings.extend(config.not_used_yet());
    Ok(Loaded { config, typed, origins: layered.origins, warnings })
}
