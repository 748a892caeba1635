//! placeholder
use super::{CliError, Surroundings};
pub(super) fn doctor(_here: &Surroundings) -> Result<(), CliError> { Ok(()) }
