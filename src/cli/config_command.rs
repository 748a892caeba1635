//! `strongroom config`: the settings in force and where each comes from.

use super::{CliError, Surroundings, output};
use crate::config;

pub(super) fn config(here: &Surroundings) -> Result<(), CliError> {
    for warning in &here.loaded.warnings {
        output::remark(format!("warning: {warning}"));
    }
    if here.json {
        return output::json(&config::to_json(&here.loaded));
    }
    output::line(config::to_toml(&here.loaded).trim_end());
    Ok(())
}
