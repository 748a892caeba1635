//! What people type. Each command is written once: it asks the REST routes, of the running server or of an app of its own.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::config::{self, Environment, Loaded};

mod api;
mod args;
mod ask;
mod config_command;
mod coverage;
mod doctor;
mod generators;
mod keys;
mod log;
mod manage;
mod models;
mod output;
mod progress;
mod scorecard;
mod search;
mod serve;
mod status;
mod usage;

pub use args::{Cli, Command};

/// Why a command did not do what it should: one line with what is wrong and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    message: String,
    code: u8,
}

impl CliError {
    /// Something went wrong; exit code 1.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    /// It was asked for in a way that cannot be; exit code 2.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }
}

/// Does what the process's arguments say. 0: done; 1: an error; 2: wrong usage or configuration.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are what was asked for. Where nobody can read it, there is nobody to tell.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { 0 } else { 2 });
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error.message);
            ExitCode::from(error.code)
        }
    }
}

/// What every command has at hand.
struct Surroundings {
    loaded: Loaded,
    environment: Environment,
    json: bool,
}

fn dispatch(cli: Cli) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let request = config::Request { file: cli.common.config.clone(), flags: cli.flags()?, environment: environment.clone() };
    let loaded = config::load(&request).map_err(CliError::usage)?;
    let here = Surroundings { loaded, environment, json: cli.common.json };
    match cli.command {
        Command::Serve(_) => serve::serve(here),
        Command::Search(search) => search::search(&here, &search),
        Command::Ask(ask) => ask::ask(&here, &ask),
        Command::Status { collection } => status::status(&here, collection.as_deref()),
        Command::Collections => status::collections(&here),
        Command::Rebuild(rebuild) => manage::rebuild(&here, &rebuild),
        Command::Coverage { collection } => coverage::coverage(&here, &collection),
        Command::Password { collection, path, forget } => coverage::password(&here, &collection, path.as_deref(), forget),
        Command::Retry { collection } => manage::retry(&here, collection.as_deref()),
        Command::Pause => manage::pause(&here, true),
        Command::Resume => manage::pause(&here, false),
        Command::Watch { name, path } => manage::watch(&here, &name, &path),
        Command::Forget { name } => manage::forget(&here, &name),
        Command::Destroy { name, yes } => manage::destroy(&here, &name, yes),
        Command::Keys { action } => keys::keys(&here, &action),
        Command::Generators { history: false } => generators::list(&here),
        Command::Generators { history: true } => generators::history(&here),
        Command::Models { action } => models::models(&here, &action),
        Command::Usage(wanted) => usage::usage(&here, &wanted),
        Command::Scorecard(wanted) => scorecard::scorecard(&here, &wanted),
        Command::Doctor => doctor::doctor(&here),
        Command::Config => config_command::config(&here),
    }
}

#[cfg(test)]
mod tests;
